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
from planners.zone_map import Floats

PITCH_M = 5.0
"""Corners of a shared lane lie this far apart ..."""
CORNER_COUNT_MIN = 8
"""... but each set has this many, if its staircase does."""
LAYOUTS_KEPT = 256


@dataclass(frozen=True, slots=True)
class Kind:
    """A path and an outline on it: vehicles of one kind meet others at the same places."""

    path_id: str
    outline: int


@dataclass(frozen=True, slots=True)
class Layout:
    """The marks of the kinds in one call, and which of them belong together (``planners/_order_tables.py``)."""

    ident: dict[Kind, int]
    marks_m: tuple[Floats, ...]
    """[kind]: float64 [mark]; the last two become the line and the place where the vehicle has cleared the zone."""
    sets_of: npt.NDArray[np.int64]
    sets: Ints


class Marks:
    """Corners of all pairs of kinds asked for so far."""

    def __init__(self, tables: TableStore, spacing: Spacing) -> None:
        self._tables, self._spacing = tables, spacing
        self._corners: dict[tuple[Kind, Kind], list[tuple[Floats, Floats, int]]] = {}
        self._layouts: dict[tuple[str, tuple[Kind, ...]], Layout] = {}

    def kind(self, body: Body, path_id: str) -> Kind:
        """The kind of a body on a path."""
        return Kind(path_id, self._tables.outline(body))

    def layout(self, zone_id: str, kinds: Sequence[Kind], bodies: Sequence[Body], ends: Sequence[Floats]) -> Layout:
        """The layout of these kinds at a zone; ``bodies`` and ``ends`` (line, clear; m) are one of each kind."""
        key = (zone_id, tuple(kinds))
        found = self._layouts.pop(key, None)
        if found is None:
            found = self._made(kinds, bodies, ends)
            while len(self._layouts) >= LAYOUTS_KEPT:
                del self._layouts[next(iter(self._layouts))]
        self._layouts[key] = found
        return found

    def _made(self, kinds: Sequence[Kind], bodies: Sequence[Body], ends: Sequence[Floats]) -> Layout:
        parts: list[list[Floats]] = [[] for _ in kinds]
        size = [0] * len(kinds)
        sets_of = np.zeros((len(kinds), len(kinds), 2), dtype=np.int64)
        rows: list[tuple[int, int, int, int]] = []
        for i in range(len(kinds)):
            for j in range(len(kinds)):
                sets_of[i, j, 0] = len(rows)
                for own, other, kind in self.corners(kinds[j], bodies[j], kinds[i], bodies[i]):
                    first = size[i]
                    parts[i].append(other)
                    size[i] += len(other)
                    rows.append((first, size[j], len(own), kind))
                    parts[j].append(own)
                    size[j] += len(own)
                sets_of[i, j, 1] = len(rows)
        marks = tuple(np.concatenate([*part, ends[k]]) for k, part in enumerate(parts))
        sets = np.array(rows, dtype=np.int64).reshape(len(rows), 4)
        return Layout({kind: k for k, kind in enumerate(kinds)}, marks, sets_of, sets)

    def corners(self, kind: Kind, body: Body, other: Kind, other_body: Body) -> list[tuple[Floats, Floats, int]]:
        """(own s, the other's s, crossing or headway) for "own passes after the other", of each conflict set."""
        key = (kind, other)
        if key not in self._corners:
            sets = self._tables.of(kind.path_id, body, other.path_id, other_body)
            self._corners[key] = [self._staircase(one, body) for one in sets]
        return self._corners[key]

    def _staircase(self, table: Set, body: Body) -> tuple[Floats, Floats, int]:
        offset, first, count, kind, step_m = table
        self._tables.pack()
        reach = np.maximum.accumulate(self._tables.hi[offset : offset + count])
        rises = np.flatnonzero(reach > np.concatenate([[-math.inf], reach[:-1]]))
        span_m = (rises[-1] - rises[0]) * step_m
        wanted = max(CORNER_COUNT_MIN, math.ceil(span_m / PITCH_M) + 1)
        if len(rises) > wanted:
            rises = rises[np.unique(np.linspace(0, len(rises) - 1, wanted).round().astype(np.int64))]
        gap = self._spacing.gap_m(body.footprint, shared=kind == HEADWAY)
        return (first + rises) * step_m - margin_m(body), reach[rises] + gap, kind
