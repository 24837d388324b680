"""Bodies that nobody's node drives: unconnected vehicles, and the vehicles of liars."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sim.faults.body import Body
from sim.faults.case import START_MS, VehicleCase
from sim.faults.plans import approach, departing

if TYPE_CHECKING:
    from sim.faults.engine import Engine


class Unconnected:
    """Comes up to the line, stands, and may cross: when the place is free and still, or whenever it likes."""

    def __init__(self, engine: Engine, case: VehicleCase) -> None:
        self._engine = engine
        self.case = case
        self.body: Body | None = None
        self.went = False

    def enter(self) -> None:
        engine, case = self._engine, self.case
        plan = engine.roads.own(approach(case.path, engine.now_ms, case.start_mm, case.speed_mmps))
        self.body = engine.add_body(self.case.name, plan, 0.0)

    def decide(self) -> bool:
        """Start to cross if it is time to; whether to ask again."""
        engine, body = self._engine, self.body
        if body is None or self.case.goes_ms < 0 or self.went or engine.healed:
            return False
        if engine.now_ms < START_MS + self.case.goes_ms:
            return True
        if self.case.looks and any(other.is_threat(engine.now_ms) for other in engine.bodies if other is not body):
            return True
        self.went = True
        body.follow(engine.roads.own(departing(body.plan.raw, engine.now_ms)), 0.0)
        engine.schedule_body(body)
        return False
