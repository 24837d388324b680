"""The record of one run: everything that ``fleet run --out DIR`` leaves behind.

:class:`RunLog` is handed every instant, decision, datagram and contact while the run goes on; it streams
them to files and, at the end, computes the metrics and writes the report. The budget is about 40 ms of
wall time per simulated second with 100 vehicles at 20 Hz.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from fleet.errors import invariant
from planners.zone_map import ZoneMap
from sim import run_folder
from sim.decision_log import DecisionLog
from sim.metric_defs import Expectation, Metric, validate_expectations
from sim.run_folder import VehicleRecord
from sim.trajectory_log import TrajectoryLog

Floats = npt.NDArray[np.float64]

FORMAT = 1
"""Version of the folder's layout; readers refuse nothing, additions do not raise it."""
_DRAWN_HEIGHT_SHARE = 0.8
"""Boxes in the MCAP file are drawn this high, as a share of the width: no file gives the height."""


@dataclass(frozen=True, slots=True)
class VehicleInfo:
    """A vehicle as announced.

    ``rear_m`` is from the rear axle to the rear bumper; ``role`` is honest, legacy or an attacker's name.
    """

    vehicle_id: str
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
    free_flow_s: float | None
    """Travel time of its movement alone in the same world; None: its delay is not defined."""
    urgency: float = 0.0
    """0 to 1, in truth, whatever it says."""


@dataclass(frozen=True, slots=True)
class Summary:
    """What the console shows. ``status`` is the exit status: 3 if an expectation was not met."""

    folder: Path
    title: str
    status: int
    interrupted: bool
    verdict: str
    metrics: tuple[Metric, ...]
    expectations: tuple[Expectation, ...]

    @property
    def failed(self) -> tuple[Expectation, ...]:
        return tuple(check for check in self.expectations if not check.met)


class RunLog:
    """Writer of a run folder; made by :meth:`create`, ended by :meth:`finish` (also after Ctrl-C)."""

    def __init__(self, out: Path, manifest: Mapping[str, Any], zone_map: ZoneMap, *, mcap: bool) -> None:
        self._out = out
        self._manifest = dict(manifest)
        self._vehicles: dict[str, VehicleInfo] = {}
        self._departure_s: dict[str, float] = {}
        self._counters: dict[str, int] = {}
        self._samples: dict[str, list[float]] = {}
        self._trajectories = TrajectoryLog(out)
        self._decisions = DecisionLog(out)
        self._mcap: Any = None
        if mcap:
            from sim.mcap_log import McapLog

            self._mcap = McapLog(out, zone_map)
        self._finished = False

    @staticmethod
    def create(out: Path, manifest: dict[str, Any], zone_map: ZoneMap, *, mcap: bool = True) -> RunLog:
        """Claim ``out`` and open the files; a folder of an earlier run is replaced.

        ``manifest`` is kept in ``run.json`` as given. Of it, only ``seed`` and ``scenario_sha256`` (or
        ``scenario.sha256``) go into the hash-chained log, which must not depend on where and when it ran.

        Raises
        ------
        ConfigError
            ``out`` is a file, a folder with other things in it, or cannot be written.
        """
        run_folder.claim(out)
        run_folder.write_json(
            out / run_folder.RUN, {**manifest, "format": FORMAT, "status": None, "map": zone_map.name}
        )
        run_folder.write_map(out, zone_map)
        log = RunLog(out, manifest, zone_map, mcap=mcap)
        scenario = manifest.get("scenario")
        sha256 = scenario.get("sha256") if isinstance(scenario, dict) else manifest.get("scenario_sha256")
        log.decision(
            0, "run", "start", {"scenario_sha256": sha256, "seed": manifest.get("seed"), "map_digest": zone_map.digest}
        )
        return log

    @property
    def folder(self) -> Path:
        """Of the run."""
        return self._out

    def vehicle(self, info: VehicleInfo) -> None:
        """Announce a vehicle, before its first row."""
        self._trajectories.vehicle(info.vehicle_id, 0.5 * info.length_m - info.rear_m)
        self._vehicles[info.vehicle_id] = info
        if self._mcap is not None:
            size = (info.length_m, info.width_m, _DRAWN_HEIGHT_SHARE * info.width_m)
            self._mcap.vehicle(info.vehicle_id, size, info.wheelbase_m)

    def departed(self, vehicle_id: str, time_s: float) -> None:
        """The vehicle left the map at its destination."""
        invariant(vehicle_id in self._vehicles, f"vehicle {vehicle_id!r} departed but was never announced")
        self._departure_s[vehicle_id] = time_s

    def truth(self, time_s: float, vehicle_ids: Sequence[str], state: Floats, phases: Sequence[str]) -> None:
        """One instant, in the order of the ids.

        ``state``: float64 [n, 6], rear axle x_m, y_m, yaw_rad, speed_mps, accel_mps2, steer_rad.
        """
        centres = self._trajectories.append(time_s, vehicle_ids, state, phases)
        if self._mcap is not None:
            time_ns = round(time_s * 1e6) * 1_000
            self._mcap.truth(time_ns, vehicle_ids, state, centres, phases)
            self._mcap.diagnostics(time_ns, vehicle_ids, phases, self._counters)

    def decision(self, time_ms: int, node: str, kind: str, detail: Mapping[str, object]) -> None:
        """One record of ``decisions.jsonl``; kinds and keys: docs/reference/run-files.md."""
        self._decisions.append(time_ms, node, kind, detail)

    def decision_of(self, node: str, time_ms: int, kind: str, detail: Mapping[str, object]) -> None:
        """The same with the node in front, as nodes note."""
        self.decision(time_ms, node, kind, detail)

    def plan(self, time_ms: int, vehicle_id: str, xy: Floats) -> None:
        """The path just committed to, float64 [n, 2] in W, for the MCAP file."""
        if self._mcap is not None:
            self._mcap.plan(time_ms * 1_000_000, vehicle_id, xy)

    def envelope(self, time_ms: int, sender: str, raw: bytes) -> None:
        """A signed datagram as sent. ``sender`` is inside the datagram already and is not written again."""
        if self._mcap is not None:
            self._mcap.envelope(time_ms * 1_000_000, raw)

    def contact(self, time_s: float, a: str, b: str, depth_m: float) -> None:
        """Two bodies touch; ``b`` may name an obstacle. Goes into the decision log."""
        detail = {"a": a, "b": b, "depth_m": depth_m, "t_s": time_s}
        self._decisions.append(round(time_s * 1e3), "world", "contact", detail)

    def count(self, name: str, amount: int = 1) -> None:
        """Add to a counter: ``messages``, ``bytes``, or any other for the diagnostics topic and ``run.json``."""
        self._counters[name] = self._counters.get(name, 0) + amount

    def sample(self, name: str, value: float) -> None:
        """A measured value: ``agreement_latency_s`` (simulated), ``planning_s`` (wall). Never in the hashed logs."""
        self._samples.setdefault(name, []).append(value)

    def finish(
        self,
        *,
        status: int,
        interrupted: bool,
        wall_s: float,
        sim_s: float,
        timings: Mapping[str, float],
        expectations: Mapping[str, float | int | str],
    ) -> Summary:
        """Close the logs; write vehicles, metrics, manifest and report.

        Parameters
        ----------
        status : int
            0, or what went wrong before; a failed check turns 0 into 3.
        timings : mapping
            Wall seconds by part (physics, control, planning, protocol, crypto, logging, ...).
        expectations : mapping
            See :mod:`sim.metric_defs`. ``contacts: 0`` is always expected unless something about contacts
            is. An interrupted run is not judged.
        """
        invariant(not self._finished, "the run log was finished twice")
        validate_expectations(list(expectations), source="finish")
        self._finished = True
        self._decisions.append(
            round(sim_s * 1e3), "run", "end", {"interrupted": interrupted, "records": self._decisions.count}
        )
        self._decisions.close()
        self._trajectories.close()
        if self._mcap is not None:
            self._mcap.close()
        run_folder.write_json(
            self._out / run_folder.VEHICLES, [self._vehicle_line(info) for info in self._vehicles.values()]
        )
        manifest = {
            **self._manifest,
            "format": FORMAT,
            "status": status,
            "interrupted": interrupted,
            "sim_s": sim_s,
            "wall_s": wall_s,
            "timings_s": dict(timings),
            "expectations": dict(expectations),
            "counters": {name: self._counters[name] for name in sorted(self._counters)},
            "samples": {name: _spread(self._samples[name]) for name in sorted(self._samples)},
            "decisions": {"records": self._decisions.count, "last_hash": self._decisions.last_hash},
        }
        from sim.summary import conclude

        return conclude(self._out, manifest, self._samples)

    def _vehicle_line(self, info: VehicleInfo) -> dict[str, object]:
        departure_s = self._departure_s.get(info.vehicle_id)
        delay_s = None
        if departure_s is not None and info.free_flow_s is not None:
            delay_s = round(departure_s - info.arrival_s - info.free_flow_s, 6)
        record = VehicleRecord(
            id=info.vehicle_id,
            vehicle_class=info.vehicle_class,
            length_m=info.length_m,
            width_m=info.width_m,
            wheelbase_m=info.wheelbase_m,
            rear_m=info.rear_m,
            origin=info.origin,
            destination=info.destination,
            path_id=info.path_id,
            role=info.role,
            arrival_s=info.arrival_s,
            departure_s=departure_s,
            free_flow_s=info.free_flow_s,
            delay_s=delay_s,
            urgency=info.urgency,
        )
        return record.line()


def _spread(sample: Sequence[float]) -> dict[str, float | int]:
    values = np.asarray(sample, dtype=np.float64)
    p50, p99, p99_9 = np.percentile(values, (50, 99, 99.9)).tolist()
    spread = {"mean": float(values.mean()), "p50": p50, "p99": p99, "p99_9": p99_9, "max": float(values.max())}
    return {"count": len(values), **spread}
