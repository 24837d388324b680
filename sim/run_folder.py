"""The folder of a run: its file names, how it is claimed, and reading it back.

Besides the files of the contract it holds ``map.json``: the drawing and the paths of the map, so that
metrics and report can be rebuilt from the folder alone, wherever the map itself has gone.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import numpy.typing as npt

from fleet.errors import ConfigError
from planners.zone_map import ZoneMap
from sim import decision_log, trajectory_log

Floats = npt.NDArray[np.float64]

RUN, VEHICLES, METRICS, MAP, REPORT = "run.json", "vehicles.json", "metrics.json", "map.json", "report.html"
MCAP, CASES = "run.mcap", "cases.jsonl"
KARMA = "karma.jsonl"
"""Accounts of a run whose mechanism has them: who began with what, the keys, then a receipt per line."""
FILES = (RUN, VEHICLES, METRICS, MAP, REPORT, MCAP, decision_log.FILE_NAME, trajectory_log.FILE_NAME)
OPTIONAL_FILES = (CASES, KARMA)
"""Of runs that watch their group, or whose mechanism has accounts."""
_POINT_M = 1.0
"""Spacing at which paths are stored; finer where a path is shorter than 200 m."""


@dataclass(frozen=True, slots=True)
class VehicleRecord:
    """A line of ``vehicles.json``; what is not known (yet) is None."""

    id: str
    vehicle_class: str
    length_m: float
    width_m: float
    wheelbase_m: float
    rear_m: float
    origin: str
    destination: str
    path_id: str
    role: str
    arrival_s: float
    departure_s: float | None
    free_flow_s: float | None
    delay_s: float | None
    urgency: float = 0.0
    """In truth, 0 to 1."""

    def line(self) -> dict[str, object]:
        """The JSON object of ``vehicles.json``, in which the class is called ``class``."""
        values = {name: getattr(self, name) for name in self.__dataclass_fields__}
        return {"class" if name == "vehicle_class" else name: value for name, value in values.items()}


@dataclass(frozen=True, slots=True)
class DrawnPath:
    """A path of the map: rear-axle points float64 [point, 3] (x_m, y_m, yaw_rad) every ``step_m``."""

    path_id: str
    step_m: float
    points: Floats
    lines: tuple[tuple[str, float, float], ...]
    """(zone_id, line_s_m, exit_s_m) in the order in which they are driven."""


@dataclass(frozen=True, slots=True)
class DrawnMap:
    """The part of a zone map that a run folder keeps."""

    name: str
    digest: str
    lanes: tuple[Floats, ...]
    zones: tuple[tuple[str, tuple[Floats, ...]], ...]
    paths: dict[str, DrawnPath]
    obstacles: tuple[Floats, ...] = ()


@dataclass(frozen=True, slots=True)
class RunFolder:
    """A folder read back; the big logs are read when asked for."""

    path: Path
    manifest: dict[str, Any]
    vehicles: tuple[VehicleRecord, ...]
    map: DrawnMap

    @staticmethod
    def load(path: Path) -> RunFolder:
        """Read manifest, vehicles and map.

        Raises
        ------
        ConfigError
            ``path`` is not the folder of a run that came to an end.
        """
        manifest = read_json(path / RUN)
        if not (path / VEHICLES).is_file():
            raise ConfigError(
                f"{path}: the run was killed before it could write {VEHICLES}; its {decision_log.FILE_NAME} is readable"
            )
        lines = [{**row, "vehicle_class": row.get("class")} for row in read_json(path / VEHICLES)]
        try:
            vehicles = tuple(msgspec.convert(line, VehicleRecord) for line in lines)
        except msgspec.ValidationError as error:
            raise ConfigError(f"{path / VEHICLES}: {error}") from error
        return RunFolder(path, manifest, vehicles, _map_from(read_json(path / MAP)))


def claim(out: Path) -> None:
    """Make ``out`` an empty place for a run: a new folder, an empty one, or that of an earlier run.

    Raises
    ------
    ConfigError
        ``out`` is a file, or a folder with things in it that no run has left.
    """
    if out.exists() and not out.is_dir():
        raise ConfigError(f"{out}: is a file, not a folder; choose another --out")
    if out.is_dir() and any(out.iterdir()) and not (out / RUN).is_file():
        raise ConfigError(f"{out}: is not empty and holds no earlier run ({RUN}); choose another --out")
    try:
        out.mkdir(parents=True, exist_ok=True)
        for name in (*FILES, *OPTIONAL_FILES):
            (out / name).unlink(missing_ok=True)
    except OSError as error:
        raise ConfigError(f"{out}: cannot be written: {error.strerror}") from error


def write_json(path: Path, value: object) -> None:
    """Indented JSON, put in place in one step so that a reader never sees half a file."""
    raw = msgspec.json.format(_encode(value), indent=1)
    temporary = path.with_name(path.name + ".part")
    temporary.write_bytes(raw + b"\n")
    os.replace(temporary, path)


def _encode(value: object) -> bytes:
    def plain(item: Any) -> Any:
        return item.item() if isinstance(item, np.generic) else str(item)

    return msgspec.json.encode(value, enc_hook=plain)


def read_json(path: Path) -> Any:
    """Any JSON file of a run; :class:`ConfigError` if it is missing or broken."""
    if not path.is_file():
        raise ConfigError(f"{path}: missing; is {path.parent} the folder of a run?")
    try:
        return msgspec.json.decode(path.read_bytes())
    except msgspec.DecodeError as error:
        raise ConfigError(f"{path}: not valid JSON: {error}") from error


def write_map(folder: Path, zone_map: ZoneMap) -> None:
    """``map.json``: lanes, zones, obstacles and thinned paths; coordinates to the millimetre, headings to 1e-5 rad."""

    def points(xy: Any) -> list[list[float]]:
        return [[round(float(x), 3), round(float(y), 3)] for x, y in xy]

    paths = []
    for path_id in sorted(zone_map.paths):
        path = zone_map.paths[path_id]
        every = max(1, round(min(_POINT_M, path.length_m / 200.0) / path.step_m))
        passages = zone_map.passages.get(path_id, ())
        rows = zip(path.x_m[::every].tolist(), path.y_m[::every].tolist(), path.yaw_rad[::every].tolist(), strict=True)
        paths.append(
            {
                "id": path_id,
                "step_m": path.step_m * every,
                "points": [[round(x, 3), round(y, 3), round(yaw, 5)] for x, y, yaw in rows],
                "lines": [[p.zone_id, round(p.line_s_m, 3), round(p.exit_s_m, 3)] for p in passages],
            }
        )
    zones = [
        {"id": zone_id, "rings": [points(ring) for ring in zone_map.zones[zone_id].outline]}
        for zone_id in sorted(zone_map.zones)
    ]
    lanes = [points(lane) for lane in zone_map.lanes]
    content: Mapping[str, object] = {
        "name": zone_map.name,
        "digest": zone_map.digest,
        "lanes": lanes,
        "zones": zones,
        "paths": paths,
        "obstacles": [points(ring) for ring in zone_map.obstacles],
    }
    (folder / MAP).write_bytes(_encode(content) + b"\n")


def _map_from(raw: dict[str, Any]) -> DrawnMap:
    def rings(values: Any) -> tuple[Floats, ...]:
        return tuple(np.array(ring, dtype=np.float64).reshape(-1, 2) for ring in values)

    paths = {
        path["id"]: DrawnPath(
            path["id"],
            float(path["step_m"]),
            np.array(path["points"], dtype=np.float64).reshape(-1, 3),
            tuple((zone_id, float(line), float(leave)) for zone_id, line, leave in path["lines"]),
        )
        for path in raw["paths"]
    }
    zones = tuple((zone["id"], rings(zone["rings"])) for zone in raw["zones"])
    return DrawnMap(raw["name"], raw["digest"], rings(raw["lanes"]), zones, paths, rings(raw.get("obstacles", ())))
