"""Who yields to whom in free space: priority-based search (Ma et al. 2019), then repair, then improvement.

Every vehicle first takes its own fastest path. Where two paths meet, one vehicle gets priority and the
other is planned anew around all vehicles above it; both choices are tried, the cheaper first (depth-first
search over partial orders).
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from planners.free_fleet import Blocked, Fleet, Route
from planners.free_space import FreePath, FreeSpacePlan, Progress, Unsolved


@dataclass(frozen=True, slots=True)
class _Node:
    """A partial order and the routes made under it."""

    routes: tuple[Route, ...]
    above: tuple[int, ...]
    """Per vehicle a bit mask of all vehicles with priority over it (transitively)."""
    conflicts: dict[tuple[int, int], int]
    """Pair (lower index first) -> sample interval of the first contact."""

    @property
    def cost(self) -> float:
        return sum(route.arrival_s for route in self.routes)


def solve(fleet: Fleet, progress: Progress) -> FreeSpacePlan:
    """Plan all vehicles of ``fleet``; its starts and goals are known to be possible."""
    routes: list[Route] = []
    stuck: list[Unsolved] = []
    for vehicle in range(fleet.count):
        progress("paths", vehicle, fleet.count)
        alone = fleet.search(vehicle, [])
        if isinstance(alone, Blocked):
            stuck.append(Unsolved(fleet.problem.vehicles[vehicle].name, "no way to its goal, even alone"))
        else:
            routes.append(alone)
    if stuck:
        return FreeSpacePlan((), tuple(stuck), fleet.searches)
    root = _Node(tuple(routes), (0,) * fleet.count, _conflicts(fleet, routes))
    found = _ordered(fleet, root, progress)
    if found is None:
        return FreeSpacePlan((), (Unsolved("all", "no order found"),), fleet.searches)
    paths = tuple(
        FreePath(v.name, v.start, tuple((float(d), float(k), float(s)) for d, k, s in route.segments))
        for v, route in zip(fleet.problem.vehicles, found.routes, strict=True)
    )
    return FreeSpacePlan(paths, (), fleet.searches)


def _ordered(fleet: Fleet, root: _Node, progress: Progress) -> _Node | None:
    stack = [root]
    budget = 40 + 20 * fleet.count
    begun = fleet.searches
    while stack:
        node = stack.pop()
        if not node.conflicts:
            return node
        if fleet.searches - begun > budget:
            return None
        a, b = min(node.conflicts, key=lambda pair: (node.conflicts[pair], pair))
        children = [child for child in (_with(fleet, node, a, b), _with(fleet, node, b, a)) if child is not None]
        children.sort(key=lambda child: (-child.cost, -len(child.conflicts)))
        stack += children
    return None


def _with(fleet: Fleet, node: _Node, upper: int, lower: int) -> _Node | None:
    """The node in which ``upper`` goes before ``lower``; None if that is a cycle or leaves one without a path."""
    if node.above[upper] >> lower & 1:
        return None
    gained = node.above[upper] | 1 << upper
    above = list(node.above)
    touched = [k for k in range(fleet.count) if k == lower or node.above[k] >> lower & 1]
    for k in touched:
        above[k] |= gained
    routes = list(node.routes)
    conflicts = dict(node.conflicts)
    for k in sorted(touched, key=lambda k: (above[k].bit_count(), k)):
        if k != lower and not any(above[k] >> j & 1 for j in _partners(conflicts, k)):
            continue
        answer = fleet.search(k, [routes[j] for j in range(fleet.count) if above[k] >> j & 1])
        if isinstance(answer, Blocked):
            return None
        routes[k] = answer
        _renew(fleet, routes, conflicts, k)
    return _Node(tuple(routes), tuple(above), conflicts)


def _partners(conflicts: dict[tuple[int, int], int], vehicle: int) -> Iterable[int]:
    return [a + b - vehicle for a, b in conflicts if vehicle in (a, b)]


def _renew(fleet: Fleet, routes: list[Route], conflicts: dict[tuple[int, int], int], vehicle: int) -> None:
    others = [j for j in range(fleet.count) if j != vehicle]
    for j, first in zip(others, fleet.contacts(routes[vehicle], [routes[j] for j in others]), strict=True):
        pair = (min(j, vehicle), max(j, vehicle))
        conflicts.pop(pair, None)
        if first >= 0:
            conflicts[pair] = int(first)


def _conflicts(fleet: Fleet, routes: list[Route]) -> dict[tuple[int, int], int]:
    found: dict[tuple[int, int], int] = {}
    for vehicle, route in enumerate(routes):
        for j, first in enumerate(fleet.contacts(route, routes[:vehicle])):
            if first >= 0:
                found[j, vehicle] = int(first)
    return found
