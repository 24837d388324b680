"""What one vehicle of the fault simulator sees, and whom nobody's word accounts for (rules P8, P10).

The counterpart of fleet/node/surroundings.py: a body is seen ``SEEN_AFTER_MS`` late and is a track only
after ``_CONFIRM_MS`` in sight. It is *accounted for* while it moves as some plan says that its vehicle
has told, or that this vehicle has promised to keep clear of.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from fleet.protocol import limits
from sim.faults.body import MOVING, Body
from sim.faults.plans import Plan

if TYPE_CHECKING:
    from fleet.protocol.wire import Intent
    from sim.faults.engine import Engine
    from sim.faults.node import Node

SEEN_AFTER_MS = 100
"""Age of what the sensors show."""
_CONFIRM_MS = 200
"""A track exists after so long in sight."""
_SAME_PLACE_MM = 3000.0
"""A body this near to where a plan has it, is where the plan says."""
_CLOCKS_MS = 20
_EARLY_MS = 150
"""A body may start so much before the plan says, for the errors of two clocks and of the eyes."""


class Eyes:
    """The latest look around of one vehicle."""

    __slots__ = ("_engine", "_first_ms", "_node", "awake_ms", "moving", "others", "threats", "waiting")

    def __init__(self, engine: Engine, node: Node) -> None:
        self._engine = engine
        self._node = node
        self.awake_ms = engine.now_ms
        """Nothing that was in sight before counts as seen before this (true ms): the node was down."""
        self._first_ms: dict[str, int] = {}
        """When each body in view was first seen (true ms)."""
        self.others: list[Body] = []
        """Bodies in view that are not clear of the zone."""
        self.moving: tuple[str, ...] = ()
        """Those that move or are beyond their line, accounted for or not."""
        self.threats: tuple[str, ...] = ()
        """Those of ``moving`` that nothing accounts for."""
        self.waiting: tuple[str, ...] = ()
        """Silent ones that stand behind their line and whose way meets the own one: they may have agreed with
        others on going, for all that is known here."""

    def look(self, now: int) -> None:
        """Look around; ``now`` is the node's time."""
        engine, own = self._engine, self._node.body
        then = engine.now_ms - SEEN_AFTER_MS
        latest = then - _CONFIRM_MS
        moving: list[str] = []
        threats: list[str] = []
        waiting: list[str] = []
        self.others = others = []
        core = self._node.core
        known = self._first_ms
        first_ms: dict[str, int] = {}
        self._first_ms = first_ms
        heard = core.heard(now) if core is not None else {}
        for body in engine.bodies:
            if body is own or max(body.since_ms, self.awake_ms) > latest:
                continue
            s, v = body.at(then)
            if s >= body.clear_mm:
                continue
            others.append(body)
            name = body.name
            first_ms[name] = known.get(name, engine.now_ms)
            if v > MOVING or s > 0.0:
                moving.append(name)
                if not self._accounts(heard.get(name), body, (s, v), now):
                    threats.append(name)
            elif name not in heard and own is not None and not own.resources.isdisjoint(body.resources):
                waiting.append(name)
        self.moving, self.threats, self.waiting = tuple(moving), tuple(threats), tuple(waiting)

    def _accounts(self, intent: Intent | None, body: Body, seen: tuple[float, float], now: int) -> bool:
        """Whether the body moves as its vehicle's newest word says, or as a tube says that is kept clear of.

        The word of one that does not hear this vehicle accounts for nothing: it may have left this one out.
        """
        core, name = self._node.core, body.name
        if intent is None or core is None:
            return False
        if not core.is_heard_by(name, now) and self._engine.now_ms - self._first_ms[name] > limits.NEWCOMER_MS:
            return False
        if intent.plan == body.plan.raw and max(abs(body.offset_ms), abs(self._node.error_ms())) <= _CLOCKS_MS:
            return True  # it drives what it says, and no clock is off by enough to show
        roads, then = self._engine.roads, now - SEEN_AFTER_MS
        if _fits(roads.plan(intent.plan), then, seen):
            return True
        return any(tube.vehicle == name and _fits(roads.plan(tube.plan), then, seen) for tube in core.known_tubes(now))


def _fits(plan: Plan | None, then: int, seen: tuple[float, float]) -> bool:
    """Whether a body seen at ``seen`` (place, speed) does what ``plan`` says for the time ``then``."""
    if plan is None:
        return False
    s, _ = plan.at(then)
    if abs(s - seen[0]) > _SAME_PLACE_MM:
        return False
    return seen[1] <= MOVING or any(plan.at(t_ms)[1] > MOVING for t_ms in (then, then + _EARLY_MS, then - _EARLY_MS))
