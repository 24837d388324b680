"""Conflict tables: for two paths and two outlines, every (s_i, s_j) at which the vehicles would touch.

Theory of operation. Over one bin of a path a body (``planners/tubes.py``) lies in the hull of its
rectangles at both ends, widened by ``slack_m`` because corners move on arcs. Two bins conflict unless
those hulls are provably apart (``planners/_conflicts.py``). The touching cells are then

1. cut into cells where both centre lines are the same lane (*following*) and the rest;
2. joined into connected components;
3. named: a rest with a shared lane after it is *merging*, before it *diverging*, without any *crossing*
   (so are parallel lanes too narrow for both bodies: it is a real conflict, however long). A rest in
   which the centre lines stay within three tolerances is one lane drawn twice, and *following* too.

Tables are never too small; how much too large they are is measured in the tests. They cover rear axle
positions on the path only: a vehicle beyond the path's end has left the map.
"""

from __future__ import annotations

import hashlib
import math
import os
import tempfile
import zipfile
import zlib
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import astuple
from pathlib import Path as FilePath
from typing import Any

import numpy as np
import numpy.typing as npt

from fleet.errors import PlanError, invariant
from planners import _conflicts
from planners.tubes import Tube
from planners.zone_map import Conflict, ErrorBudget, Footprint, Path

Outline = tuple[Footprint, ErrorBudget]
Ints = npt.NDArray[np.int64]
KINDS = ("crossing", "merging", "diverging", "following")

_SAME_LANE_WIDTHS = 0.15
"""Centre lines this close (in widths of the narrower body) are one lane ..."""
_SAME_LANE_COS = math.cos(math.radians(5.0))
"""... if their headings differ by no more than this ..."""
_SAME_LANE_LENGTHS = 0.4
"""... for at least this long (in lengths of the shorter body); gaps shorter than that are bridged."""


class ConflictTables:
    """Conflict geometry of a map, computed when first asked for, kept in memory and (if given) on disk.

    Implements :class:`planners.interface.Conflicts`. Of (i, j) and (j, i) one is computed and the other
    is its transpose. Files are keyed by ``digest``, the exact geometry, both outlines and this program,
    replaced whole, and recomputed when unreadable; any number of processes may share ``cache_dir``.
    """

    def __init__(self, paths: Mapping[str, Path], digest: str, cache_dir: FilePath | None = None) -> None:
        self._paths = dict(paths)
        self._digest = digest
        self._cache_dir = cache_dir
        self._known: dict[tuple[str, Outline, str, Outline], tuple[Conflict, ...]] = {}
        self._tubes: dict[tuple[str, Outline], Tube] = {}
        self._hashes: dict[str, str] = {}

    def between(self, path_i: str, outline_i: Outline, path_j: str, outline_j: Outline) -> tuple[Conflict, ...]:
        """All connected conflict sets of the pair, ascending in (first bin, lowest s_j).

        Raises :class:`PlanError` for a path that the map does not have.
        """
        key = (path_i, outline_i, path_j, outline_j)
        found = self._known.get(key)
        if found is None:
            turned = (path_j, outline_j, path_i, outline_i)
            if _rank(turned) < _rank(key):
                # The rows of the result are bins of path_i: the columns of what is turned.
                step_m = self.tube(path_i, outline_i).step_m
                found = tuple(sorted((transposed(c, step_m) for c in self.between(*turned)), key=_order))
            else:
                found = self._load_or_compute(key)
            self._known[key] = found
        return found

    def tube(self, path_id: str, outline: Outline) -> Tube:
        """The swept body of one outline on one path."""
        key = (path_id, outline)
        if key not in self._tubes:
            if path_id not in self._paths:
                raise PlanError(f"path {path_id!r} is not in this map; it has {', '.join(sorted(self._paths))}")
            self._tubes[key] = Tube.of(self._paths[path_id], *outline)
        return self._tubes[key]

    def _load_or_compute(self, key: tuple[str, Outline, str, Outline]) -> tuple[Conflict, ...]:
        tube_i, tube_j = self.tube(*key[:2]), self.tube(*key[2:])
        file = self._file(key)
        stored = None if file is None else _read(file)
        if stored is None:
            stored = _pack(_compute(tube_i, tube_j, key[1][0], key[3][0]))
            if file is not None:
                _write(file, stored)
        return _unpack(stored, tube_i.step_m, tube_j.step_m)

    def _file(self, key: tuple[str, Outline, str, Outline]) -> FilePath | None:
        if self._cache_dir is None:
            return None
        outlines = [astuple(part) for outline in (key[1], key[3]) for part in outline]
        what = (_program(), self._digest, self._hash(key[0]), self._hash(key[2]), outlines)
        name = hashlib.sha256(repr(what).encode()).hexdigest()
        return self._cache_dir / "conflicts" / name[:2] / f"{name[2:40]}.npz"

    def _hash(self, path_id: str) -> str:
        if path_id not in self._hashes:
            path = self._paths[path_id]
            content = hashlib.sha256(repr(path.step_m).encode())
            for array in (path.x_m, path.y_m, path.yaw_rad, path.kappa_1pm):
                content.update(np.ascontiguousarray(array).tobytes())
            self._hashes[path_id] = content.hexdigest()
        return self._hashes[path_id]


def transposed(conflict: Conflict, step_j_m: float) -> Conflict:
    """The same set with both paths exchanged: rows become the bins of path j, each with its hull of s_i."""
    rows = np.flatnonzero(conflict.lo_m <= conflict.hi_m)
    first = np.rint(conflict.lo_m[rows] / step_j_m).astype(np.int64)
    width = np.rint(conflict.hi_m[rows] / step_j_m).astype(np.int64) - first
    columns = np.repeat(first - (np.cumsum(width) - width), width) + np.arange(width.sum())
    i_bins = np.repeat(conflict.first_bin + rows, width)
    return _as_conflict(conflict.kind, columns, i_bins, i_bins, (step_j_m, conflict.step_m))


def _rank(key: tuple[str, Outline, str, Outline]) -> tuple[object, ...]:
    (path_i, (body_i, budget_i), path_j, (body_j, budget_j)) = key
    return path_i, astuple(body_i), astuple(budget_i), path_j, astuple(body_j), astuple(budget_j)


def _order(conflict: Conflict) -> tuple[int, float, int]:
    return conflict.first_bin, float(conflict.lo_m.min()), len(conflict.lo_m)


def _as_conflict(kind: str, rows: Ints, first: Ints, last: Ints, steps_m: tuple[float, float]) -> Conflict:
    """Cells given as (row, first..last column) to one interval per row."""
    start = int(rows.min())
    lo = np.full(int(rows.max()) - start + 1, np.inf)
    hi = np.full(len(lo), -np.inf)
    np.minimum.at(lo, rows - start, first * steps_m[1])
    np.maximum.at(hi, rows - start, (last + 1) * steps_m[1])
    lo.setflags(write=False)
    hi.setflags(write=False)
    return Conflict(kind, steps_m[0], start, lo, hi)


def _compute(tube_i: Tube, tube_j: Tube, body_i: Footprint, body_j: Footprint) -> list[tuple[int, Ints]]:
    """Components of the touching cells as (kind, rows of row/first/last column)."""
    runs = _grown(
        lambda out: _conflicts.scan(*tube_i.kernel_arrays, *tube_j.kernel_arrays, out), 3, len(tube_i.mid) * 2
    )
    if not len(runs):
        return []
    row_flag, column_flag = (np.zeros(len(tube.mid), dtype=np.uint8) for tube in (tube_i, tube_j))
    near = np.zeros(len(runs), dtype=np.uint8)
    lateral = _SAME_LANE_WIDTHS * min(body_i.width_m, body_j.width_m)
    along = 0.75 * max(tube_i.step_m, tube_j.step_m)
    _conflicts.match(runs, tube_i.mid, tube_j.mid, along, lateral, _SAME_LANE_COS, row_flag, column_flag, near)
    stretch = _SAME_LANE_LENGTHS * min(body_i.length_m, body_j.length_m)
    row_flag = _steady(row_flag, math.ceil(stretch / tube_i.step_m))
    column_flag = _steady(column_flag, math.ceil(stretch / tube_j.step_m))
    pieces = _grown(lambda out: _conflicts.split(runs, near, row_flag, column_flag, out), 5, len(runs) * 3)
    parent, flags = np.empty(len(pieces), dtype=np.int64), np.zeros(len(pieces), dtype=np.uint8)
    _conflicts.label(pieces, parent, flags)
    found = []
    for root in np.unique(parent):
        members = parent == root
        part = pieces[members]
        found.append((_kind(part, int(np.bitwise_or.reduce(flags[members]))), part[:, :3]))
    return found


def _kind(part: Ints, flag: int) -> int:
    if part[0, 3] == 1 or bool(part[:, 4].all()):
        return KINDS.index("following")
    return KINDS.index("merging" if flag & 2 else "diverging" if flag else "crossing")


def _steady(flags: npt.NDArray[np.uint8], count: int) -> npt.NDArray[np.uint8]:
    """Bridge gaps and then drop stretches of fewer than ``count`` bins."""
    out: npt.NDArray[np.uint8] = flags.copy()
    for value in (0, 1):
        edges = np.flatnonzero(np.diff(np.concatenate([[1 - value], out, [1 - value]])))
        for start, stop in zip(edges[::2], edges[1::2], strict=True):
            inside = start > 0 and stop < len(out)
            if stop - start < count and (value == 1 or inside):
                out[start:stop] = 1 - value
    return out


def _grown(fill: Any, columns: int, guess: int) -> Ints:
    """Call ``fill`` with an output table, again with a larger one if the first was too small."""
    out = np.empty((guess, columns), dtype=np.int64)
    count = fill(out)
    if count > guess:
        out = np.empty((count, columns), dtype=np.int64)
        invariant(fill(out) == count, "a conflict kernel counted differently the second time")
    return out[:count]


_PROGRAM: list[str] = []


def _program() -> str:
    """Digest of the code that makes tables: a changed program does not read old ones."""
    if not _PROGRAM:
        sources = (FilePath(__file__), FilePath(_conflicts.__file__))
        _PROGRAM.append(hashlib.sha256(b"\0".join(source.read_bytes() for source in sources)).hexdigest())
    return _PROGRAM[0]


def _pack(components: list[tuple[int, Ints]]) -> dict[str, Ints]:
    sizes = np.array([len(rows) for _, rows in components], dtype=np.int64)
    kinds = np.array([kind for kind, _ in components], dtype=np.int64)
    rows = [rows for _, rows in components]
    return {"kinds": kinds, "sizes": sizes, "rows": np.concatenate(rows) if rows else np.empty((0, 3), dtype=np.int64)}


def _unpack(stored: dict[str, Ints], step_i_m: float, step_j_m: float) -> tuple[Conflict, ...]:
    parts = np.split(stored["rows"], np.cumsum(stored["sizes"])[:-1]) if len(stored["sizes"]) else []
    made = [
        _as_conflict(KINDS[kind], rows[:, 0], rows[:, 1], rows[:, 2], (step_i_m, step_j_m))
        for kind, rows in zip(stored["kinds"], parts, strict=True)
    ]
    return tuple(sorted(made, key=_order))


def _write(file: FilePath, stored: dict[str, Ints]) -> None:
    """Replace ``file`` whole; a folder that cannot be written costs time, never correctness."""
    with suppress(OSError):
        file.parent.mkdir(parents=True, exist_ok=True)
        handle, temporary = tempfile.mkstemp(dir=file.parent, suffix=".part")
        try:
            with os.fdopen(handle, "wb") as out:
                np.savez(out, **stored)  # type: ignore[arg-type]
            os.replace(temporary, file)
        except BaseException:
            os.unlink(temporary)
            raise


def _read(file: FilePath) -> dict[str, Ints] | None:
    """The stored table, or None where there is none that is whole (the archive carries checksums)."""
    try:
        # Opened here, because np.load leaves a damaged file open.
        with file.open("rb") as raw, np.load(raw, allow_pickle=False) as archive:
            stored = {name: archive[name] for name in ("kinds", "sizes", "rows")}
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile, zlib.error):
        return None
    whole = stored["rows"].shape[1:] == (3,) and len(stored["kinds"]) == len(stored["sizes"])
    return stored if whole and int(stored["sizes"].sum()) == len(stored["rows"]) else None
