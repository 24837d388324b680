"""``trajectories.parquet``: the true state of every vehicle, streamed while the run goes on.

Appending is a copy into a NumPy buffer; the conversion to Arrow happens once per row group (about
five simulated seconds). The file holds no time stamps of its own and no sizes that depend on
anything but the rows and the calls, so the same run gives the same bytes.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from fleet.errors import ConfigError, invariant

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

FILE_NAME = "trajectories.parquet"
GROUP_S = 5.0
"""Simulated seconds per row group: a reader that wants one minute reads a dozen groups."""
_ROW_COUNT_MAX = 65_536
_FIELDS = ("x_m", "y_m", "yaw_rad", "speed_mps", "accel_mps2", "steer_rad")


class TrajectoryLog:
    """Writer. Vehicles are announced with :meth:`vehicle` before their first row."""

    def __init__(self, folder: Path) -> None:
        import pyarrow as pa
        import pyarrow.parquet as pq

        text = pa.dictionary(pa.int32(), pa.string())
        self._schema: Any = pa.schema(
            [("t_s", pa.float64()), ("vehicle_id", text), *((name, pa.float64()) for name in _FIELDS), ("phase", text)]
        )
        options: Any = {"use_dictionary": ["vehicle_id", "phase"], "compression": "zstd", "compression_level": 1}
        self._writer: Any = pq.ParquetWriter(folder / FILE_NAME, self._schema, **options)
        self._index: dict[str, int] = {}
        self._centre_m: list[float] = []
        self._phases: dict[str, int] = {}
        self._rows = np.empty((4_096, 7))
        self._codes = np.empty((4_096, 2), dtype=np.int32)
        self._count = 0
        self._group_end_s: float | None = None
        self._last_ids: tuple[str, ...] = ()
        self._last_codes = np.empty(0, dtype=np.int32)
        self._last_offset = np.empty(0)

    def vehicle(self, vehicle_id: str, centre_m: float) -> None:
        """Announce a vehicle; ``centre_m``: from the rear axle forward to the footprint's centre."""
        invariant(vehicle_id not in self._index, f"vehicle {vehicle_id!r} was announced twice")
        self._index[vehicle_id] = len(self._index)
        self._centre_m.append(centre_m)

    def append(self, time_s: float, vehicle_ids: Sequence[str], state: Floats, phases: Sequence[str]) -> Floats:
        """Add the rows of one instant; returns float64 [n, 2], the centres of the footprints.

        ``state``: float64 [n, 6], rear axle x_m, y_m, yaw_rad, speed_mps, accel_mps2, steer_rad.
        """
        n = len(vehicle_ids)
        invariant(state.shape == (n, 6) and len(phases) == n, f"{n} ids, {len(phases)} phases, state {state.shape}")
        time_s = round(time_s, 6)
        if self._group_end_s is None:
            self._group_end_s = time_s + GROUP_S
        elif time_s >= self._group_end_s or self._count + n > _ROW_COUNT_MAX:
            self.flush()
            self._group_end_s = time_s + GROUP_S
        self._reserve(n)
        self._recall(vehicle_ids)
        rows = self._rows[self._count : self._count + n]
        rows[:, 0] = time_s
        rows[:, 1:] = state
        rows[:, 1] += self._last_offset * np.cos(state[:, 2])
        rows[:, 2] += self._last_offset * np.sin(state[:, 2])
        codes = self._codes[self._count : self._count + n]
        codes[:, 0] = self._last_codes
        known = self._phases
        codes[:, 1] = [known.setdefault(phase, len(known)) for phase in phases]
        self._count += n
        return rows[:, 1:3]

    def _recall(self, vehicle_ids: Sequence[str]) -> None:
        """Codes and centre offsets of these ids; the same ids as last time cost one comparison."""
        ids = tuple(vehicle_ids)
        if ids != self._last_ids:
            try:
                codes = [self._index[vehicle_id] for vehicle_id in ids]
            except KeyError as error:
                raise KeyError(f"vehicle {error.args[0]!r} has rows but was never announced") from None
            self._last_ids, self._last_codes = ids, np.array(codes, dtype=np.int32)
            self._last_offset = np.array([self._centre_m[code] for code in codes], dtype=np.float64)

    def _reserve(self, n: int) -> None:
        if self._count + n > len(self._rows):
            size = max(2 * len(self._rows), self._count + n)
            self._rows = np.resize(self._rows, (size, 7))
            self._codes = np.resize(self._codes, (size, 2))

    def flush(self) -> None:
        """Write what is buffered as one row group."""
        if self._count == 0:
            return
        import pyarrow as pa

        rows, codes = self._rows[: self._count], self._codes[: self._count]

        def named(column: int, names: dict[str, int]) -> Any:
            present, local = np.unique(codes[:, column], return_inverse=True)
            values = list(names)
            chosen = pa.array([values[code] for code in present], pa.string())
            return pa.DictionaryArray.from_arrays(pa.array(local.astype(np.int32)), chosen)

        numbers = [pa.array(np.ascontiguousarray(rows[:, k])) for k in range(7)]
        columns = [numbers[0], named(0, self._index), *numbers[1:], named(1, self._phases)]
        self._writer.write_table(pa.Table.from_arrays(columns, schema=self._schema), row_group_size=self._count)
        self._count = 0

    def close(self) -> None:
        self.flush()
        self._writer.close()


@dataclass(frozen=True, slots=True)
class Trajectories:
    """All rows of a run in file order (ascending time), as arrays.

    ``vehicle`` and ``phase`` index ``vehicle_ids`` and ``phase_names``; ``state`` is float64
    [row, 6]: x_m, y_m of the footprint's centre, yaw_rad, speed_mps, accel_mps2, steer_rad.
    """

    t_s: Floats
    vehicle: Ints
    state: Floats
    phase: Ints
    vehicle_ids: tuple[str, ...]
    phase_names: tuple[str, ...]


def read_trajectories(folder: Path) -> Trajectories:
    """Read ``trajectories.parquet`` of a run folder.

    Raises
    ------
    ConfigError
        The file is missing or is not a complete Parquet file (the run was killed).
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    path = folder / FILE_NAME
    if not path.is_file():
        raise ConfigError(f"{path}: missing; is {folder} the folder of a run?")
    try:
        table = pq.read_table(path, use_threads=False).unify_dictionaries()
    except (pa.ArrowInvalid, OSError) as error:
        raise ConfigError(f"{path}: not a complete Parquet file: {str(error).splitlines()[0]}") from error

    def coded(name: str) -> tuple[Ints, tuple[str, ...]]:
        column = table.column(name)
        if not pa.types.is_dictionary(column.type):
            column = column.dictionary_encode()
        merged = column.combine_chunks()
        if isinstance(merged, pa.ChunkedArray):
            merged = merged.chunk(0) if merged.num_chunks else pa.array([], pa.string()).dictionary_encode()
        return np.array(merged.indices, dtype=np.int64), tuple(merged.dictionary.to_pylist())

    vehicle, vehicle_ids = coded("vehicle_id")
    phase, phase_names = coded("phase")
    state = np.column_stack([table.column(name).to_numpy() for name in _FIELDS]) if table.num_rows else np.empty((0, 6))
    return Trajectories(
        # A copy: Arrow's own memory is read-only, which compiled kernels do not take.
        t_s=np.array(table.column("t_s").to_numpy(), dtype=np.float64),
        vehicle=vehicle,
        state=np.ascontiguousarray(state, dtype=np.float64),
        phase=phase,
        vehicle_ids=vehicle_ids,
        phase_names=phase_names,
    )
