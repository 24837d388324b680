"""One honest vehicle of the fault simulator: the real core, a small kernel, a body, a clock and a disk.

What the driver does on a vehicle (fleet/node/driver.py) is done here in the fewest lines that keep its
contract with the core: observe, tick, carry out in order, and a kernel that stops before the line
whenever the right to pass is not there at the point of no return.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

from fleet.errors import invariant
from fleet.protocol.core import Core
from fleet.protocol.records import Adopt, Drop, Local, Ready
from fleet.protocol.table import Phase
from fleet.protocol.wire import Proposal, Vote, decode
from sim.faults.body import MOVING, Body
from sim.faults.case import CRASH_POINTS, SESSION, ZONE, Fault, VehicleCase
from sim.faults.clock import Clock
from sim.faults.disk import Disk
from sim.faults.plans import approach, braking

if TYPE_CHECKING:
    from sim.faults.engine import Engine

_SEEN_AFTER_MS = 100
"""Age of what the sensors show."""
_CONFIRM_MS = 200
"""A track exists after so long in sight."""
_SAME_PLACE_MM = 3000.0
"""A body this near to where a peer says it is, is that peer."""
_GONE_MM = 15_000
_TURN_MS = 4_000
_SETTLED_MS = 300
_INBOX_MAX = 256
"""Datagrams that wait for a stopped process; further ones are lost."""
_CLOCK_TRUST_MS = 5


class Node:
    """One vehicle that keeps the rules."""

    def __init__(self, engine: Engine, case: VehicleCase) -> None:
        self.engine = engine
        self.case = case
        self.name = case.name
        self.disk = Disk()
        self.clock = Clock(case.offset_ms, case.drift_ppm, engine.now_ms)
        self.core: Core | None = None
        self.body: Body | None = None
        self.held: Adopt | None = None
        self.passed = False
        """The kernel has let the vehicle go on beyond its point of no return."""
        self.stopped = False
        """The kernel has stopped it although a commitment is held."""
        self.braking = False
        """It brakes already: there is nothing more to do at the point of no return."""
        self.engaged = self.done = False
        self.waits_turn = False
        """Nobody is to be heard, and others may go first by sight."""
        self.arrived_ms = self.silent_until_ms = 0
        self.paused_until_ms = 0
        self.inbox: list[bytes] = []
        self.armed: Fault | None = None
        self.pauses: Fault | None = None
        """A stop that waits for the next lease."""
        self.blind_until_ms = 0
        self.doubts_clock = False
        self._stood: dict[str, int] = {}
        """Since when others, and this vehicle, have been seen standing (true ms)."""
        self._still_ms = engine.now_ms
        """When anybody was last seen moving."""
        self._shown_ms = 0
        self._error_ms = self.clock.error_ms(engine.now_ms)
        self.laps = 0

    # Life.

    def enter(self) -> None:
        """Come into sight on an approach plan and begin to listen."""
        engine, case = self.engine, self.case
        if self.core is None:
            self.core = engine.new_core(self)
        now = self.now()
        plan = engine.roads.own(approach(case.path, self._kernel_ms(), case.start_mm, case.speed_mmps))
        self.body = engine.add_body(self.name, plan, self.error_ms())
        self.held = None
        self.passed = self.stopped = self.braking = self.done = False
        self.arrived_ms = now
        self.laps += 1

    def error_ms(self) -> float:
        """Of the time that the node goes by; in doubt, its counter carries the last trusted time on."""
        return self._error_ms if self.doubts_clock else self.clock.error_ms(self.engine.now_ms)

    def _kernel_ms(self) -> int:
        """The time in which the kernel's plan is told."""
        return int(self.engine.now_ms + self.error_ms())

    def now(self) -> int:
        """The time that the node goes by; it never goes back."""
        shown = self._kernel_ms()
        if shown > self._shown_ms:
            self._shown_ms = shown
        return self._shown_ms

    def crash(self, kept_permille: int) -> None:
        """The process ends: what was not durable is lost, and the body stops before the line if it can."""
        self.disk.crash(kept_permille)
        self.core = None
        self.engaged = False
        self.inbox.clear()
        self.armed = None
        if self.held is not None and not self.passed:
            self._brake()
        self.held, self.stopped = None, False

    def restart(self) -> None:
        """A new process: it stays silent until every promise in its log is over (rule P11)."""
        self.core = self.engine.new_core(self)
        self._shown_ms = 0
        self.silent_until_ms = max(self.now(), self._promised_until_ms() + 2 * self.engine.case.eps_ms)
        self.arrived_ms = self.silent_until_ms
        self.paused_until_ms = 0

    def _promised_until_ms(self) -> int:
        """The latest lease among the proposals that the log shows as signed."""
        ends: dict[bytes, int] = {}
        latest = 0
        for record in self.disk.records():
            message = decode(record)
            body = message.body
            if isinstance(body, Proposal):
                ends[message.digest] = max(entry.lease_end_ms for entry in body.batch)
            elif isinstance(body, Vote):
                latest = max(latest, ends.get(body.proposal, latest))
        return latest

    # Each tick.

    def tick(self) -> None:
        engine, core, body = self.engine, self.core, self.body
        if core is None or body is None or body.gone:
            return
        self._watch_clock()
        now = self.now()
        if now < self.silent_until_ms:
            return
        if not self.engaged:
            if self.done:
                return
            core.engage(ZONE, SESSION, now)
            self.engaged = True
        s, v = body.at(engine.now_ms)
        if self.done and s > body.clear_mm + _GONE_MM:
            core.disengage(now)
            self.engaged = False
            self.carry_out()
            engine.leave(self)
            return
        silent = self._silent(now)
        turn = self._turn_of_others(now)
        self.waits_turn = bool(turn)
        if self.held is not None and not self.passed and (self.stopped or silent or self.doubts_clock):
            core.release("stopped" if self.stopped else "unsafe", now)
            self.carry_out()
            if self.core is None:
                return
        core.tick(self._local(now, s, v, silent, turn))
        self.carry_out()

    def _watch_clock(self) -> None:
        """Compare the clock with the time that the processor counts; a jump ends trust until it is mended."""
        if self.doubts_clock:
            return
        error_ms = self.clock.error_ms(self.engine.now_ms)
        if abs(error_ms - self._error_ms) > _CLOCK_TRUST_MS:
            self.doubts_clock = True
        else:
            self._error_ms = error_ms

    def trust_clock_again(self) -> None:
        """The clock is synchronised: the own plan is told in its time from here on."""
        self.doubts_clock = False
        self._error_ms = self.clock.error_ms(self.engine.now_ms)
        body = self.body
        waits = self.core is not None and body is not None and not body.gone and self.held is None
        if waits and self._body().at(self.engine.now_ms)[0] < 0.0:
            self._brake()

    def _local(self, now: int, s: float, v: float, silent: tuple[str, ...], turn: tuple[str, ...]) -> Local:
        body, held = self._body(), self.held
        cleared = self.done or s >= body.clear_mm
        if held is None and cleared:
            self.done = True
        if cleared:
            phase = Phase.CLEARED
        elif held is None and s > 0.0:
            phase = Phase.OCCUPYING
        else:
            phase = Phase.WAITING if v <= MOVING else Phase.APPROACH
        blind = self.engine.now_ms < self.blind_until_ms
        return Local(
            now_ms=now, phase=phase, path_id=f"p{body.path}", arrived_ms=self.arrived_ms,
            eta_ms=now + (int(-s / max(v, 1.0)) if s < 0.0 else 0), plan=body.plan.raw,
            wants_commit=held is None and not cleared and s <= 0.0 and not self.doubts_clock,
            pnr_passed=held is not None and self.passed, cleared=cleared, perceived=silent,
            blocking=(*(f"silent:{name}" for name in silent), *turn), estimate_ok=not blind and not self.doubts_clock,
        )  # fmt: skip

    def _silent(self, now: int) -> tuple[str, ...]:
        """Bodies that may come in the way and that nobody's word accounts for."""
        engine, own = self.engine, self.body
        then = engine.now_ms - _SEEN_AFTER_MS
        found: tuple[str, ...] = ()
        heard = None
        for body in engine.bodies:
            if body is own or body.gone or then < body.since_ms + _CONFIRM_MS:
                continue
            s, v = body.at(then)
            if s >= body.clear_mm or (v <= MOVING and s <= 0.0):
                continue
            if heard is None:
                heard = self.core.heard(now) if self.core is not None else {}
            intent = heard.get(body.name)
            plan = None if intent is None else engine.roads.plan(intent.plan)
            if plan is None or abs(plan.at(now - _SEEN_AFTER_MS)[0] - s) > _SAME_PLACE_MM:
                found += (body.name,)
        return found

    def _turn_of_others(self, now: int) -> tuple[str, ...]:
        """With nobody to be heard, one at a time in the order in which they stand (what rule P9 asks of the eyes).

        Whoever came before may take ``_TURN_MS`` to start; a body that moves starts the count anew.
        """
        engine, core = self.engine, self.core
        if core is None or core.heard(now):
            self._stood.clear()
            return ()
        t = engine.now_ms
        others = [b for b in engine.bodies if b is not self.body and not b.gone and b.at(t)[0] < b.clear_mm]
        if not others:
            return ()
        for body in [*others, self._body()]:
            if body.at(t)[1] > MOVING:
                self._stood.pop(body.name, None)
                self._still_ms = t
            else:
                self._stood.setdefault(body.name, t)
        names = {body.name for body in others}
        mine = (self._stood.get(self.name, t + 1), self.name)
        before = sum((stood, name) < mine for name, stood in self._stood.items() if name in names)
        if self.held is None and t - self._still_ms < max(_SETTLED_MS, before * _TURN_MS):
            return ("turn",)
        return ()

    # Effects, in the order of Ready; a crash may come between any two.

    def carry_out(self) -> None:
        """Do what the core asks until it asks no more or the node has crashed."""
        core = self.core
        while core is not None and core is self.core:
            ready = core.ready()
            if not ready:
                return
            if not self._do(ready):
                self.engine.crashed(self)
                return
            core.advance(ready)

    def _do(self, ready: Ready) -> bool:
        """False: the node crashed on the way."""
        point = CRASH_POINTS[self.armed.amount] if self.armed is not None and ready.to_persist else ""
        for record in ready.to_persist:
            self.disk.append(record)
        if point in ("before_sync", "torn_tail"):
            return False
        if ready.to_persist:
            self.disk.sync()
        if point == "after_sync":
            return False
        for index, raw in enumerate(ready.to_send):
            self.engine.broadcast(self, raw)
            if point == "after_first_send" and index == 0:
                return False
        if point in ("after_first_send", "before_apply"):
            return False
        for effect in ready.to_apply:
            if isinstance(effect, Adopt):
                self._adopt(effect)
            elif isinstance(effect, Drop):
                self._drop(effect)
            else:
                self.engine.observer.accused(self, effect)
        for kind, detail in ready.notes:
            self.engine.noted(self.name, kind, detail)
        return True

    def _adopt(self, effect: Adopt) -> None:
        engine, body = self.engine, self._body()
        engine.observer.adopted(self, effect)
        self.held, self.passed, self.stopped, self.braking = effect, False, False, False
        body.follow(engine.roads.own(effect.plan), self.error_ms())
        engine.schedule_body(body)
        if self.pauses is not None:
            engine.pause_at_lease_end(self, effect.lease_end_ms)

    def _drop(self, effect: Drop) -> None:
        self.engine.observer.dropped(self, effect)
        if effect.reason == "cleared":
            self.done = True
        elif not self.passed and not self.stopped:
            self._brake()
        self.held, self.stopped = None, False

    # Kernel.

    def at_no_return(self) -> None:
        """The last moment at which the vehicle can stop before the line: go on only by right."""
        core = self.core
        up = core is not None and self.paused_until_ms <= self.engine.now_ms
        if up and core is not None and self.held is not None and not self.stopped and core.may_enter(self.now()):
            self.passed = True
            return
        if not self.passed and not self.braking:
            self.stopped = self.held is not None
            self._brake()

    def _brake(self) -> None:
        self.braking = True
        body, engine = self._body(), self.engine
        s, v = body.at(engine.now_ms)
        body.follow(engine.roads.own(braking(body.path, self._kernel_ms(), s, v)), self.error_ms())
        engine.schedule_body(body)

    def _body(self) -> Body:
        invariant(self.body is not None, f"{self.name} has no body yet")
        return cast("Body", self.body)

    def hear(self, raw: bytes) -> None:
        """One datagram from the channel."""
        core = self.core
        if core is None or not self.engaged:
            return
        if self.paused_until_ms > self.engine.now_ms:
            if len(self.inbox) < _INBOX_MAX:
                self.inbox.append(raw)
            return
        core.step(raw, self.now())
        self.carry_out()
