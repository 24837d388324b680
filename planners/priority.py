"""Who yields to whom in free space: priority-based search, repair where it ends without an answer, improvement.

1. Every vehicle takes a fast path of its own. Where two paths meet, one vehicle gets priority and the
   other is planned anew around all above it; both choices are tried, the cheaper first: a depth-first
   search over partial orders (Ma, Harabor, Stuckey, Li, Koenig 2019).
2. If that uses up its budget, vehicles are planned one after the other. Whoever finds no path moves up
   before the vehicle that was most in its way, and planning goes on from there.
3. Every vehicle that is later than alone is planned once more around all others, and the better path kept.

Budgets count the nodes of all searches, never time: the same problem gives the same plan on every machine.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from planners.free_fleet import CAREFUL, Blocked, Fleet, Route
from planners.free_space import FreePath, FreeSpacePlan, Progress, Unsolved

_NODES, _NODES_EACH = 2_000_000, 40_000
"""Nodes of all searches together: for the problem, and for each vehicle. About 5 us each."""
_ORDER_SHARE = 0.5
"""Share of them for the search over orders; the rest is for the repair."""
_LATE_SHARE = 0.01
"""A path is worth another search if it is this much longer than the vehicle's shortest."""


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
    alone = _alone(fleet, progress)
    stuck = [vehicle for vehicle, route in enumerate(alone) if route is None]
    if stuck:
        names = [fleet.problem.vehicles[vehicle].name for vehicle in stuck]
        others = "no other vehicle on the site" if not fleet.fixed else "nobody but who stands or drives already"
        reason = f"finds no way from its start to its goal, even with {others}"
        return FreeSpacePlan((), tuple(Unsolved(name, reason) for name in names), fleet.searches)
    routes = [route for route in alone if route is not None]
    answer = _by_order(fleet, _Node(tuple(routes), (0,) * fleet.count, _conflicts(fleet, routes)), progress)
    if answer is None:
        answer = _one_by_one(fleet, routes, progress)
    if isinstance(answer, Unsolved):
        return FreeSpacePlan((), (answer,), fleet.searches)
    improved = _improved(fleet, answer, progress)
    paths = tuple(
        FreePath(v.name, v.start, tuple((float(d), float(k), float(s)) for d, k, s in route.segments))
        for v, route in zip(fleet.problem.vehicles, improved, strict=True)
    )
    return FreeSpacePlan(paths, (), fleet.searches)


def _nodes_max(fleet: Fleet) -> int:
    most = fleet.problem.nodes_max
    return _NODES + _NODES_EACH * fleet.count if most is None else most


def _alone(fleet: Fleet, progress: Progress) -> list[Route | None]:
    routes: list[Route | None] = []
    for vehicle in range(fleet.count):
        progress("paths", vehicle, fleet.count)
        answer = fleet.search(vehicle, [])
        routes.append(answer if isinstance(answer, Route) else None)
    return routes


def _by_order(fleet: Fleet, root: _Node, progress: Progress) -> list[Route] | None:
    """Depth-first search over partial orders; None if there is no answer within the budget."""
    stack = [root]
    most = max(1, len(root.conflicts))
    last = _ORDER_SHARE * _nodes_max(fleet)
    while stack:
        node = stack.pop()
        if not node.conflicts:
            return list(node.routes)
        if fleet.nodes > last:
            return None
        progress("conflicts", max(0, most - len(node.conflicts)), most)
        a, b = min(node.conflicts, key=lambda pair: (node.conflicts[pair], pair))
        children = [child for child in (_with(fleet, node, a, b), _with(fleet, node, b, a)) if child is not None]
        stack += sorted(children, key=lambda child: (-child.cost, -len(child.conflicts)))
    return None


def _with(fleet: Fleet, node: _Node, upper: int, lower: int) -> _Node | None:
    """The node in which ``upper`` goes before ``lower``; None if that is a cycle or leaves one without a path."""
    if node.above[upper] >> lower & 1:
        return None
    gained = node.above[upper] | 1 << upper
    touched = [k for k in range(fleet.count) if k == lower or node.above[k] >> lower & 1]
    above = list(node.above)
    for k in touched:
        above[k] |= gained
    routes = list(node.routes)
    conflicts = dict(node.conflicts)
    # Those with more above them are below those with fewer: this is an order that respects priority.
    for k in sorted(touched, key=lambda k: (bin(above[k]).count("1"), k)):
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


def _one_by_one(fleet: Fleet, alone: Sequence[Route], progress: Progress) -> list[Route] | Unsolved:
    """Plan in one order, longest way first; whoever is blocked moves up before the vehicle in its way."""
    order = sorted(range(fleet.count), key=lambda v: (-alone[v].arrival_s, v))
    moved_up = [0] * fleet.count
    done: list[Route] = []
    last = _nodes_max(fleet)
    while len(done) < len(order):
        progress("repair", len(done), fleet.count)
        vehicle = order[len(done)]
        answer = fleet.search(vehicle, done)
        if isinstance(answer, Route):
            done.append(answer)
            continue
        blocker = int(answer.hits.argmax()) if len(answer.hits) and answer.hits.max() else len(done) - 1
        if fleet.nodes > last:
            name, other = fleet.problem.vehicles[vehicle].name, fleet.problem.vehicles[done[blocker].vehicle].name
            return Unsolved(name, f"no path found in {fleet.searches} searches; most in its way was {other}")
        moved_up[vehicle] += 1
        # Again and again the same vehicle: what is before the blocker matters too, so it goes further up.
        place = max(0, blocker - (moved_up[vehicle] - 1) ** 2)
        order.insert(place, order.pop(len(done)))
        del done[place:]
    return sorted(done, key=lambda route: route.vehicle)


def _improved(fleet: Fleet, routes: list[Route], progress: Progress) -> list[Route]:
    """One careful search per vehicle that is later than its shortest way takes, the latest first."""
    late = [(route.arrival_s - fleet.shortest_s(route.vehicle), route.vehicle) for route in routes]
    chosen = [
        v for delay, v in sorted(late, key=lambda one: (-one[0], one[1])) if delay > _LATE_SHARE * routes[v].arrival_s
    ]
    for number, vehicle in enumerate(chosen):
        progress("improvement", number, len(chosen))
        answer = fleet.search(vehicle, [route for route in routes if route.vehicle != vehicle], (CAREFUL,))
        if isinstance(answer, Route) and answer.arrival_s < routes[vehicle].arrival_s:
            routes[vehicle] = answer
    return routes
