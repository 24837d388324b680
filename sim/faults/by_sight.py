"""Crossing by sight in the fault simulator: one at a time, in turns that all can see (rule P9).

The counterpart of fleet/node/sight.py and right_of_way.py. Who stands at its line and cannot agree starts
when nothing has moved for a while, its turn has come and its way is clear of every plan that it knows. Up to
its point of no return it stops again for anybody who moves: of two that start at nearly the same time the
later one sees the earlier one move, since the point of no return comes later after the start than the eyes need.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from sim.faults.body import MOVING
from sim.faults.eyes import SEEN_AFTER_MS
from sim.faults.plans import clash, departing

if TYPE_CHECKING:
    from sim.faults.engine import Engine
    from sim.faults.node import Node

_WAIT_MS = 2_500
"""Standing for so long, one that cannot agree (nobody is heard, or somebody silent waits too) goes by sight ..."""
_PATIENCE_MS = 10_000
"""... and one that could, but does not come to it, after so long."""
_SETTLED_MS = 300
"""Nothing in sight has moved for so long."""
_TIE_MS = 600
"""Who stopped within so long of each other stopped together: the same as on the vehicle (right_of_way.py)."""
_TURN_MS = 4_000
"""Who does not start within so long lets the next one go first."""


class BySight:
    """One vehicle's turn among those that it sees stand."""

    __slots__ = ("_engine", "_node", "_passes", "_still_ms", "_stood", "_turn_ms", "active")

    def __init__(self, engine: Engine, node: Node) -> None:
        self._engine = engine
        self._node = node
        self.active = False
        self.enter()

    def enter(self) -> None:
        """A new lap, or a new process: nothing is known of who waits."""
        self.active = False
        self._stood: dict[str, int] = {}
        """Since when bodies, the own one included, have been seen standing (true ms)."""
        self._passes: dict[str, int] = {}
        """Turns that each has let pass since it was last seen moving."""
        self._still_ms = self._turn_ms = self._engine.now_ms

    def observe(self) -> None:
        """Take what the eyes have just seen."""
        node, t = self._node, self._engine.now_ms
        moving = node.eyes.moving
        own = node.body
        if own is not None and own.at(t - SEEN_AFTER_MS)[1] > MOVING:  # as late as the others see it: all count alike
            moving = (*moving, node.name)
        for name in moving:
            self._stood.pop(name, None)
            self._passes.pop(name, None)
            self._still_ms = self._turn_ms = t
        here = {body.name for body in node.eyes.others} | {node.name}
        self._stood = {name: since for name, since in self._stood.items() if name in here}
        for name in sorted(here.difference(moving)):
            self._stood.setdefault(name, t)
        if t - self._turn_ms >= _TURN_MS and self._stood:
            first = self._first()
            self._passes[first] = self._passes.get(first, 0) + 1
            self._turn_ms = t

    def _first(self) -> str:
        """Of those that have let the fewest turns pass, the one that stands for longest; names decide near ties.

        Each sees the others stop a little later than itself: by times alone two could both be first for ever.
        """
        fewest = min(self._passes.get(name, 0) for name in self._stood)
        able = [name for name in self._stood if self._passes.get(name, 0) == fewest]
        longest_ms = min(self._stood[name] for name in able)
        return min(name for name in able if self._stood[name] <= longest_ms + _TIE_MS)

    def may_start(self, now: int) -> bytes | None:
        """The plan to cross by, if this vehicle, which stands before its line, may start now."""
        node, t = self._node, self._engine.now_ms
        core, body = node.core, node.body
        stood_ms = self._stood.get(node.name)
        if core is None or body is None or stood_ms is None or t - self._still_ms < _SETTLED_MS:
            return None
        alone = not core.heard(now) or bool(node.eyes.waiting)
        if t - stood_ms < (_WAIT_MS if alone else _PATIENCE_MS) or self._first() != node.name:
            return None
        if now < core.frozen_until_ms(now):
            return None
        roads = self._engine.roads
        plan = departing(body.plan.raw, now)
        uses = roads.uses(plan)
        if any(tube.vehicle != node.name and clash(uses, roads.uses(tube.plan)) for tube in core.known_tubes(now)):
            return None
        return plan
