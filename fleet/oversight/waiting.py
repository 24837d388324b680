"""Circles of waiting: gridlock where everybody in it stands, livelock where they go on yielding to each other.

A vehicle waits for *all* that it names (each of them must move first), so every circle is a deadlock for as long as
its edges are there; nothing has to be guessed. Circles are the strongly connected sets with more than one member.

The bound of the charter is kept from the true beginning, which lies up to one period before the snapshot that first
shows it: a circle is reported by the last snapshot that comes in time.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from fleet.oversight.findings import CALL_PERSON, FIRST_COME, Finding
from fleet.oversight.snapshot import ORDER, STANDING_MMPS, GroupView, VehicleView

LIVELOCK_STEP_MM = 1_000
"""Who comes farther than this, or leaves the circle, makes progress."""


def circles(edges: Mapping[str, Iterable[str]]) -> list[tuple[str, ...]]:
    """The strongly connected sets of more than one member, sorted (Tarjan 1972, without recursion).

    Edges to somebody who is no key are ignored: he waits for nobody.
    """
    index: dict[str, int] = {}
    low: dict[str, int] = {}
    stack: list[str] = []
    on_stack: set[str] = set()
    found: list[tuple[str, ...]] = []
    for root in sorted(edges):
        if root in index:
            continue
        work = [(root, iter(sorted(edges[root])))]
        _enter(root, index, low, stack, on_stack)
        while work:
            node, others = work[-1]
            for other in others:
                if other in edges and other not in index:
                    _enter(other, index, low, stack, on_stack)
                    work.append((other, iter(sorted(edges[other]))))
                    break
                if other in on_stack:
                    low[node] = min(low[node], index[other])
            else:
                work.pop()
                if work:
                    low[work[-1][0]] = min(low[work[-1][0]], low[node])
                if low[node] == index[node]:
                    members = stack[stack.index(node) :]
                    del stack[stack.index(node) :]
                    on_stack.difference_update(members)
                    if len(members) > 1:
                        found.append(tuple(sorted(members)))
    return sorted(found)


def _enter(node: str, index: dict[str, int], low: dict[str, int], stack: list[str], on_stack: set[str]) -> None:
    index[node] = low[node] = len(index)
    stack.append(node)
    on_stack.add(node)


class WaitMonitor:
    """Gridlock and livelock within the charter's ``gridlock_ms`` and ``livelock_ms``."""

    def __init__(self, thresholds: Mapping[str, int]) -> None:
        self._gridlock_ms, self._livelock_ms = thresholds["gridlock_ms"], thresholds["livelock_ms"]
        self._jams: dict[tuple[str, ...], int] = {}
        """Circle of standing vehicles -> when a snapshot first showed it."""
        self._dances: dict[tuple[str, ...], tuple[int, dict[str, int]]] = {}
        """Circle in which somebody moves -> first seen, and how far each had come then."""

    def look(self, view: GroupView) -> list[Finding]:
        """What this snapshot adds to."""
        by_name = {one.vehicle: one for one in view.vehicles}
        standing = {name: one for name, one in by_name.items() if one.speed_mmps < STANDING_MMPS}
        jams = circles({name: [wait.vehicle for wait in one.waits] for name, one in standing.items()})
        self._jams = {jam: self._jams.get(jam, self._older(jam, view.now_ms)) for jam in jams}
        jammed = {name for jam in jams for name in jam}
        all_circles = circles({name: [wait.vehicle for wait in one.waits] for name, one in by_name.items()})
        return [*self._gridlocks(view, by_name), *self._livelocks(view, by_name, all_circles, jammed)]

    def _older(self, jam: tuple[str, ...], now_ms: int) -> int:
        """A circle that has grown or lost members is as old as the oldest that it shares two members with."""
        shared = [since for old, since in self._jams.items() if len(set(old) & set(jam)) > 1]
        return min(shared, default=now_ms)

    def _gridlocks(self, view: GroupView, by_name: Mapping[str, VehicleView]) -> list[Finding]:
        found = []
        for jam, since_ms in sorted(self._jams.items()):
            age_ms = view.now_ms - since_ms
            if not due(age_ms, self._gridlock_ms, view.period_ms):
                continue
            chain = chain_of(jam, by_name)
            causes = sorted({cause for _, cause in chain})
            response = FIRST_COME if ORDER in causes else CALL_PERSON
            path = " -> ".join([name for name, _ in chain] + [chain[0][0]])
            text = f"{path} stand and wait for each other ({', '.join(causes)})"
            found.append(Finding("gridlock", jam, since_ms, age_ms, self._gridlock_ms, "ms", response, text))
        return found

    def _livelocks(
        self, view: GroupView, by_name: Mapping[str, VehicleView], rings: Sequence[tuple[str, ...]], jammed: set[str]
    ) -> list[Finding]:
        before, self._dances = self._dances, {}
        found = []
        for ring in rings:
            if set(ring) <= jammed:
                continue
            since_ms, places = before.get(ring, (view.now_ms, {n: by_name[n].travelled_mm for n in ring}))
            if any(by_name[name].travelled_mm - places[name] > LIVELOCK_STEP_MM for name in ring):
                since_ms, places = view.now_ms, {name: by_name[name].travelled_mm for name in ring}
            self._dances[ring] = since_ms, places
            age_ms = view.now_ms - since_ms
            if due(age_ms, self._livelock_ms, view.period_ms):
                text = f"{', '.join(ring)} yield to each other and nobody gets on"
                found.append(Finding("livelock", ring, since_ms, age_ms, self._livelock_ms, "ms", FIRST_COME, text))
        return found


def due(age_ms: int, bound_ms: int, period_ms: int) -> bool:
    """Whether the next snapshot would come too late: the true beginning is up to a period before the first sight."""
    return age_ms + 2 * period_ms > bound_ms


def chain_of(jam: Sequence[str], by_name: Mapping[str, VehicleView]) -> list[tuple[str, str]]:
    """One circle within ``jam``: (vehicle, why it waits for the next)."""
    inside = set(jam)
    seen: dict[str, int] = {}
    chain: list[tuple[str, str]] = []
    name = jam[0]
    while name not in seen:
        seen[name] = len(chain)
        wait = min(wait for wait in by_name[name].waits if wait.vehicle in inside)
        chain.append((name, wait.cause))
        name = wait.vehicle
    return chain[seen[name] :]
