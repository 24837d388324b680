"""Where vehicles on two paths meet, in few corners: what the order model asks about times.

Of each conflict set the barrier "go no farther than here until the other is past there" is a staircase of places
(``planners/blocking.py``). A few of its corners say nearly the same; how much is lost is measured in the tests.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from planners.blocking import HEADWAY, Ints, Set, TableStore, margin_m
from planners.interface import Body
from planners.spacing import Spacing
from planners.zone_map import Floats, ZoneMap

PITCH_M = 8.0
"""In and near the zone corners of a shared lane lie this far apart ..."""
NEAR_M = 25.0
PITCH_GROWTH = 1.35
"""... and ever farther away from it: there vehicles that wait go ahead of each other as they left it."""
CORNER_COUNT_MIN = 6
"""Each set has this many corners, if its staircase does."""
LAYOUTS_KEPT = 256
Ints3 = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Kind:
    """A path and an outline on it: vehicles of one kind meet others at the same places."""

    path_id: str
    outline: int


@dataclass(frozen=True, slots=True)
class Layout:
    """What the kinds in one call have to do with each other, as the kernels take it."""

    marks_m: Floats
    """[mark of all kinds]; the last one of a kind is where the vehicle has cleared the zone."""
    marks_of: Ints
    """[kind + 1]: whose marks are where"""
    corners_of: Ints3
    """[first, after, 2]: rows of ``corners``"""
    corners: Ints
    """[row]: first mark of who goes first, of who goes after, number of marks, crossing or headway"""
    sets_of: Ints3
    """[own, other, 2]: rows of ``sets``"""
    sets: Ints
    """[row]: offset into the table store, first bin, bin count, crossing or headway"""
    steps: Floats


class Marks:
    """Corners of all pairs of kinds asked for so far."""

    def __init__(self, zone_map: ZoneMap, tables: TableStore, spacing: Spacing) -> None:
        self._zone_map, self._tables, self._spacing = zone_map, tables, spacing
        self._corners: dict[tuple[str, Kind, Kind], list[tuple[Floats, Floats, int]]] = {}
        self._sets: dict[tuple[Kind, Kind], list[Set]] = {}
        self._layouts: dict[tuple[str, int, tuple[Kind, ...]], Layout] = {}

    def kind(self, body: Body, path_id: str) -> Kind:
        """The kind of a body on a path."""
        return Kind(path_id, self._tables.outline(body))

    def meet(self, kind: Kind, body: Body, other: Kind, other_body: Body) -> list[Set]:
        """All conflict sets of the two."""
        found = self._sets.get((kind, other))
        if found is None:
            found = self._sets[kind, other] = self._tables.of(kind.path_id, body, other.path_id, other_body)
        return found

    def layout(self, zone_id: str, kinds: dict[Kind, Body], asked: int, clear_m: Sequence[float]) -> Layout:
        """The layout of ``kinds`` at a zone; the first ``asked`` are those of vehicles to be planned."""
        key = (zone_id, asked, tuple(kinds))
        found = self._layouts.pop(key, None)
        if found is None:
            found = self._made(zone_id, kinds, asked, clear_m)
            while len(self._layouts) >= LAYOUTS_KEPT:
                del self._layouts[next(iter(self._layouts))]
        self._layouts[key] = found
        return found

    def _made(self, zone_id: str, kinds: dict[Kind, Body], asked: int, clear_m: Sequence[float]) -> Layout:
        members, count = list(kinds.items()), len(kinds)
        parts: list[list[Floats]] = [[] for _ in members]
        size = [0] * count
        corners_of, sets_of = (np.zeros((count, count, 2), dtype=np.int64) for _ in range(2))
        corners: list[tuple[int, int, int, int]] = []
        sets: list[Set] = []
        for i in range(count):
            for j in range(count):
                corners_of[i, j, 0], sets_of[i, j, 0] = len(corners), len(sets)
                if i < asked or j < asked:
                    sets += self.meet(*members[i], *members[j])
                    for own, other, kind in self.corners(zone_id, members[j], members[i]):
                        corners.append((size[i], size[j] + (len(other) if i == j else 0), len(own), kind))
                        for member, marks in ((i, other), (j, own)):
                            parts[member].append(marks)
                            size[member] += len(marks)
                corners_of[i, j, 1], sets_of[i, j, 1] = len(corners), len(sets)
        marks = np.concatenate([np.append(np.concatenate(part) if part else [], clear_m[k])
                                for k, part in enumerate(parts)])  # fmt: skip
        marks_of = np.concatenate([[0], np.cumsum([n + 1 for n in size])]).astype(np.int64)
        packed = np.array(corners, dtype=np.int64).reshape(len(corners), 4)
        rows = np.array([one[:4] for one in sets], dtype=np.int64).reshape(len(sets), 4)
        steps = np.array([one[4] for one in sets], dtype=np.float64)
        return Layout(marks, marks_of, corners_of, packed, sets_of, rows, steps)

    def corners(
        self, zone_id: str, one: tuple[Kind, Body], other: tuple[Kind, Body]
    ) -> list[tuple[Floats, Floats, int]]:
        """(own s, the other's s, crossing or headway) for "one passes after the other", of each conflict set."""
        key = (zone_id, one[0], other[0])
        if key not in self._corners:
            passages = self._zone_map.passages.get(one[0].path_id, ())
            near = [(p.line_s_m - NEAR_M, p.exit_s_m + NEAR_M) for p in passages if p.zone_id == zone_id]
            sets = self.meet(*one, *other)
            self._corners[key] = [self._staircase(each, one[1], near or [(-math.inf, math.inf)]) for each in sets]
        return self._corners[key]

    def _staircase(self, table: Set, body: Body, near: list[tuple[float, float]]) -> tuple[Floats, Floats, int]:
        offset, first, count, kind, step_m = table
        self._tables.pack()
        reach = self._tables.bins[3, offset : offset + count]
        rises = np.flatnonzero(reach > np.concatenate([[-math.inf], reach[:-1]]))
        own = (first + rises) * step_m
        apart = np.min([np.maximum(np.maximum(begin - own, own - end), 0.0) for begin, end in near], axis=0)
        # Growing by a share for each corner is growing in proportion to the distance.
        pitches = np.diff(own) / (PITCH_M + (PITCH_GROWTH - 1.0) * apart[:-1])
        run = np.concatenate([[0.0], np.cumsum(pitches)])
        wanted = max(CORNER_COUNT_MIN, math.ceil(float(run[-1])) + 1)
        if len(rises) > wanted:
            chosen = np.unique(np.searchsorted(run, np.linspace(0.0, float(run[-1]), wanted) - 1e-9))
            rises, own = rises[chosen], own[chosen]
        gap = self._spacing.gap_m(body.footprint, shared=kind == HEADWAY)
        return own - margin_m(body), reach[rises] + gap, kind
