"""Zones: where vehicles have to agree who goes first, found from the conflict geometry of a map.

An *area* is where one crossing or merging conflict lies on one path, from the front bumper's first to
the rear bumper's last possible touch, so that it suits vehicles of any length. Areas become one zone

1. if they are the two sides of one conflict;
2. if they follow each other on a path with less room between them than its longest vehicle needs to wait;
3. if the waiting places between zones form a ring of few places (a roundabout): were these zones agreed
   on one by one, vehicles could fill the ring and each wait for the place ahead of it for ever.

Following and diverging conflicts make no zones: who is ahead is settled before, and the follower waits.
Nor do lanes side by side, of one direction or two, in which bodies touch only with more than
``_BESIDE_SHARE`` of their error budgets to the side: whoever waited there would gain nothing, for the other
passes at the same distance; keeping to its lane is what each can do. (Buses in lanes of 2.8 m would
otherwise make one zone of the whole road.)
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path as FilePath

import numpy as np
import shapely

from fleet.errors import PlanError
from planners.conflicts import ConflictTables
from planners.zone_map import Conflict, ErrorBudget, Floats, Footprint, Passage, Path, Zone, ZoneMap
from planners.zone_outlines import middle, rings, shared_ground

_MARGIN_LENGTHS = 0.2
"""Room ahead of a line and behind an exit, in vehicle lengths: 1 m for a car of 5 m."""
_RING_LENGTHS = 6.0
"""A stretch between zones with room for fewer vehicles than this counts as a waiting place of a ring."""
_BESIDE_SHARE = 0.5
_BESIDE_COS = math.cos(math.radians(12.0))
"""Centre lines closer in direction than this run side by side."""
_RETURN_LENGTHS = 6.0
"""A path that leaves a zone for longer than this and comes back (a loop) passes it twice."""

Lanes = tuple[tuple[tuple[float, float], ...], ...]
Pair = tuple[str, Footprint, ErrorBudget]
Outline = tuple[Footprint, ErrorBudget]


@dataclass(slots=True)
class _Area:
    """One side of one conflict: line and exit on its path, and the shape that both sides share."""

    path_id: str
    line_s_m: float
    exit_s_m: float
    shape: shapely.Geometry


@dataclass(frozen=True, slots=True)
class _Stretch:
    """A path's way through one group of areas."""

    path_id: str
    group: int
    line_s_m: float
    exit_s_m: float


def build_zone_map(
    name: str,
    paths: Sequence[Path],
    pairs: Sequence[Pair],
    *,
    lanes: Lanes = (),
    cache_dir: FilePath | None = None,
) -> tuple[ZoneMap, ConflictTables]:
    """Find the zones of a map for the bodies that will drive on it.

    Parameters
    ----------
    paths : Path
        All paths, with unique names.
    pairs : (path_id, footprint, budget)
        Which body drives on which path; duplicates are fine. A path that no body drives has no passages.
    lanes : outlines in W
        For drawing only; not part of the digest.
    cache_dir
        Where conflict tables are kept between runs; None keeps them in memory.

    Returns
    -------
    ZoneMap, ConflictTables
        Zones are named zone0, zone1, ... from west to east (then south to north).

    Raises
    ------
    PlanError
        Two paths of one name, or a pair that names no path.
    """
    by_id = {path.path_id: path for path in paths}
    if len(by_id) != len(paths):
        raise PlanError(f"map {name}: {len(paths)} paths have only {len(by_id)} different names")
    bodies = sorted(set(pairs), key=_rank)
    for path_id, _, _ in bodies:
        if path_id not in by_id:
            raise PlanError(f"map {name}: a vehicle drives on path {path_id!r}, which the map does not have")
    tables = ConflictTables(by_id, geometry_digest(paths), cache_dir)
    longest: dict[str, float] = {}
    for path_id, footprint, _ in bodies:
        longest[path_id] = max(longest.get(path_id, 0.0), footprint.length_m)
    areas, links = _areas(by_id, tables, bodies)
    groups = _Groups(len(areas))
    for a, b in links:
        groups.join(a, b)
    stretches = _joined(areas, groups, longest)
    zones = _zones(areas, groups, stretches)
    passages = {
        path_id: tuple(
            sorted((p for zone in zones for p in zone.passages if p.path_id == path_id), key=lambda p: p.line_s_m)
        )
        for path_id in sorted(by_id)
    }
    digest = _digest(paths, zones)
    return ZoneMap(name, digest, by_id, {z.zone_id: z for z in zones}, passages, tuple(lanes)), tables


def geometry_digest(paths: Sequence[Path]) -> str:
    """sha256 over the paths' canonical content: names, and geometry in whole millimetres and milliradians."""
    return _digest(paths, ())


def _digest(paths: Sequence[Path], zones: Sequence[Zone]) -> str:
    content = hashlib.sha256(b"accord zone map 1\n")
    for path in sorted(paths, key=lambda p: p.path_id):
        head = [path.path_id, path.origin, path.destination, path.movement, round(path.step_m * 1e6), len(path.x_m)]
        content.update(json.dumps(head).encode() + b"\n")
        for array in (path.x_m, path.y_m, path.yaw_rad, path.kappa_1pm, path.limit_mps, path.half_width_m):
            content.update(np.rint(array * 1e3).astype("<i8").tobytes())
    for zone in zones:
        passages = [[p.path_id, round(p.line_s_m * 1e3), round(p.exit_s_m * 1e3)] for p in zone.passages]
        content.update(json.dumps([zone.zone_id, passages]).encode() + b"\n")
    return content.hexdigest()


def _rank(pair: Pair) -> tuple[object, ...]:
    return pair[0], pair[1], pair[2].lateral_m, pair[2].longitudinal_m


def _areas(
    paths: Mapping[str, Path], tables: ConflictTables, bodies: Sequence[Pair]
) -> tuple[list[_Area], list[tuple[int, int]]]:
    """Both sides of every crossing and merging conflict, and which areas are two sides of one."""
    areas: list[_Area] = []
    links: list[tuple[int, int]] = []
    for n, (path_i, body_i, budget_i) in enumerate(bodies):
        for path_j, body_j, budget_j in bodies[n:]:
            one, other = (body_i, budget_i), (body_j, budget_j)
            for conflict in tables.between(path_i, one, path_j, other):
                if conflict.kind not in ("crossing", "merging"):
                    continue
                if _beside(paths, tables, (path_i, one), (path_j, other), conflict):
                    continue
                rows, columns = _extent(conflict)
                shape = shared_ground(tables.tube(path_i, one), tables.tube(path_j, other), conflict)
                links.append((len(areas), len(areas) + 1))
                areas.append(_area(path_i, body_i, rows, shape))
                areas.append(_area(path_j, body_j, columns, shape))
    return areas, links


def _beside(
    paths: Mapping[str, Path],
    tables: ConflictTables,
    i: tuple[str, Outline],
    j: tuple[str, Outline],
    conflict: Conflict,
) -> bool:
    """Whether this is only about lanes side by side that are a little narrow for both error budgets."""
    rows = np.flatnonzero(conflict.lo_m <= conflict.hi_m)
    s_i = (conflict.first_bin + rows + 0.5) * conflict.step_m
    s_j = 0.5 * (conflict.lo_m[rows] + conflict.hi_m[rows])
    turned = _yaw(paths[i[0]], s_i) - _yaw(paths[j[0]], s_j)
    if float(np.abs(np.cos(turned)).min()) < _BESIDE_COS:
        return False
    close = tables.between(i[0], _thrifty(i[1]), j[0], _thrifty(j[1]))
    return not any(_overlap(conflict, other) for other in close)


def _yaw(path: Path, s_m: Floats) -> Floats:
    yaw: Floats = path.yaw_rad[np.clip((s_m / path.step_m).astype(int), 0, len(path.yaw_rad) - 1)]
    return yaw


def _thrifty(outline: Outline) -> Outline:
    body, budget = outline
    return body, ErrorBudget(_BESIDE_SHARE * budget.lateral_m, budget.longitudinal_m)


def _overlap(a: Conflict, b: Conflict) -> bool:
    """Whether two sets of one pair of paths have cells in common."""
    first, last = max(a.first_bin, b.first_bin), min(a.first_bin + len(a.lo_m), b.first_bin + len(b.lo_m))
    if first >= last:
        return False
    lo = np.maximum(a.lo_m[first - a.first_bin : last - a.first_bin], b.lo_m[first - b.first_bin : last - b.first_bin])
    hi = np.minimum(a.hi_m[first - a.first_bin : last - a.first_bin], b.hi_m[first - b.first_bin : last - b.first_bin])
    return bool((lo < hi).any())


def _extent(conflict: Conflict) -> tuple[tuple[float, float], tuple[float, float]]:
    """Where the rear axles can be: (s_i from, to), (s_j from, to)."""
    rows = np.flatnonzero(conflict.lo_m <= conflict.hi_m) + conflict.first_bin
    along_i = float(rows[0]) * conflict.step_m, float(rows[-1] + 1) * conflict.step_m
    return along_i, (float(conflict.lo_m.min()), float(conflict.hi_m.max()))


def _area(path_id: str, body: Footprint, axle_m: tuple[float, float], shape: shapely.Geometry) -> _Area:
    line = axle_m[0] + body.front_m - _MARGIN_LENGTHS * body.length_m
    return _Area(path_id, line, max(line, axle_m[1] - body.rear_m), shape)


class _Groups:
    """Union-find whose representative is the lowest member."""

    def __init__(self, count: int) -> None:
        self._parent = list(range(count))

    def of(self, n: int) -> int:
        while self._parent[n] != n:
            self._parent[n] = self._parent[self._parent[n]]
            n = self._parent[n]
        return n

    def join(self, a: int, b: int) -> bool:
        """Whether they were apart before."""
        a, b = sorted((self.of(a), self.of(b)))
        self._parent[b] = a
        return a != b


def _joined(areas: Sequence[_Area], groups: _Groups, longest: dict[str, float]) -> list[_Stretch]:
    """Apply rules 2 and 3 until nothing changes; the stretches per path, in driving order."""
    while True:
        stretches: list[_Stretch] = []
        changed = False
        for path_id, length_m in sorted(longest.items()):
            own = _stretches(areas, groups, path_id, _RETURN_LENGTHS * length_m)
            room_m = length_m * (1.0 + 2.0 * _MARGIN_LENGTHS)
            for before, after in pairwise(own):
                if before.group != after.group and after.line_s_m - before.exit_s_m < room_m:
                    changed |= groups.join(before.group, after.group)
            stretches += own
        if not changed:
            changed = _join_rings(stretches, groups, longest)
        if not changed:
            return stretches


def _stretches(areas: Sequence[_Area], groups: _Groups, path_id: str, return_m: float) -> list[_Stretch]:
    """Areas of one path and group that are not far apart, as one stretch from first line to last exit."""
    found: list[_Stretch] = []
    latest: dict[int, int] = {}
    own = [(area.line_s_m, area.exit_s_m, groups.of(n)) for n, area in enumerate(areas) if area.path_id == path_id]
    for line, exit_, group in sorted(own):
        k = latest.get(group, -1)
        if k >= 0 and line - found[k].exit_s_m < return_m:
            found[k] = _Stretch(path_id, group, found[k].line_s_m, max(found[k].exit_s_m, exit_))
        else:
            latest[group] = len(found)
            found.append(_Stretch(path_id, group, line, exit_))
    return found


def _join_rings(stretches: Sequence[_Stretch], groups: _Groups, longest: dict[str, float]) -> bool:
    """Join zones whose short waiting places lead to each other in a ring.

    A place is (zone before, zone after); it leads to the next place of the same path. Places on a ring
    are those that can be reached from themselves.
    """
    places: dict[str, list[tuple[int, int] | None]] = {}
    for before, after in pairwise(stretches):
        if before.path_id == after.path_id:
            short = after.line_s_m - before.exit_s_m < _RING_LENGTHS * longest[before.path_id]
            places.setdefault(before.path_id, []).append((before.group, after.group) if short else None)
    leads: dict[tuple[int, int], set[tuple[int, int]]] = {}
    for _, row in sorted(places.items()):
        for one, next_one in pairwise(row):
            if one is not None and next_one is not None:
                leads.setdefault(one, set()).add(next_one)
    changed = False
    for place in sorted(leads):
        if place in _reachable(leads, leads[place]):
            changed |= groups.join(*place)
    return changed


def _reachable(
    leads: dict[tuple[int, int], set[tuple[int, int]]], start: Iterable[tuple[int, int]]
) -> set[tuple[int, int]]:
    seen: set[tuple[int, int]] = set()
    open_ = sorted(start)
    while open_:
        place = open_.pop()
        if place not in seen:
            seen.add(place)
            open_ += sorted(leads.get(place, ()))
    return seen


def _zones(areas: Sequence[_Area], groups: _Groups, stretches: Sequence[_Stretch]) -> list[Zone]:
    members: dict[int, list[shapely.Geometry]] = {}
    for n, area in enumerate(areas):
        members.setdefault(groups.of(n), []).append(area.shape)
    shapes = {group: shapely.union_all(parts) for group, parts in members.items()}
    order = sorted(shapes, key=lambda group: (middle(shapes[group]), group))
    zones = []
    for k, group in enumerate(order):
        own = sorted((s for s in stretches if s.group == group), key=lambda s: (s.path_id, s.line_s_m))
        passages = tuple(Passage(f"zone{k}", s.path_id, s.line_s_m, s.exit_s_m) for s in own)
        zones.append(Zone(f"zone{k}", rings(shapes[group]), passages))
    return zones
