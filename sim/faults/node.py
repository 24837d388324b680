"""One honest vehicle of the fault simulator: the real core, a small kernel, a body, a clock and a disk.

What the driver does on a vehicle (fleet/node/driver.py) is done here in the fewest lines that keep its
contract with the core: look around, observe, tick, carry out in order, and a kernel that stops before the
line whenever the right to pass is not there at the point of no return. Perception is in eyes.py, crossing
without agreement in by_sight.py.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

from fleet.errors import invariant
from fleet.protocol import limits
from fleet.protocol.core import Core
from fleet.protocol.records import Adopt, Drop, Local, Ready
from fleet.protocol.restore import restore
from fleet.protocol.table import OBSTRUCTING, Phase
from sim.faults.body import MOVING, Body
from sim.faults.by_sight import BySight
from sim.faults.case import CRASH_POINTS, SESSION, ZONE, Fault, VehicleCase
from sim.faults.clock import Clock
from sim.faults.disk import Disk
from sim.faults.eyes import Eyes
from sim.faults.plans import approach, braking, clash

if TYPE_CHECKING:
    from sim.faults.engine import Engine

_GONE_MM = 15_000
_INBOX_MAX = 256
"""Datagrams that wait for a stopped process; further ones are lost."""
_CLOCK_TRUST_MS = 5
_DOUBT_MS = 1_000
"""The error that a clock may have, as its node says it, once it has been seen to jump."""


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
        self.eyes = Eyes(engine, self)
        self.sight = BySight(engine, self)
        self.passed = False
        """The kernel has let the vehicle go on beyond its point of no return."""
        self.stopped = False
        """The kernel has stopped it although a commitment is held."""
        self.braking = False
        """It brakes already: there is nothing more to do at the point of no return."""
        self.engaged = self.done = False
        self.arrived_ms = 0
        self.paused_until_ms = 0
        self.inbox: list[bytes] = []
        self.armed: Fault | None = None
        self.pauses: Fault | None = None
        """A stop that waits for the next lease."""
        self.blind_until_ms = 0
        self.doubts_clock = False
        self._moving_ms: int | None = None
        """Since when this process has seen the own vehicle move (true ms)."""
        self._shown_ms = 0
        self._error_ms = self.clock.error_ms(engine.now_ms)
        self.laps = 0

    @property
    def waits_turn(self) -> bool:
        """It cannot agree, but for somebody silent that it sees: its turn comes by sight."""
        return bool(self.eyes.waiting) or bool(self.eyes.threats) or self.sight.active

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
        self._moving_ms = None
        self.sight.enter()
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
        if (self.held is not None or self.sight.active) and not self.passed:
            self._brake()
        self.held, self.stopped = None, False
        self.sight.active = False

    def restart(self) -> None:
        """A new process: it knows what its log says (rule P11), and has seen nobody yet."""
        engine = self.engine
        self.core = engine.new_core(self)
        self._shown_ms = 0
        now = self.now()
        self.core.restore(restore(self.disk.records(), self.name, now, engine.case.eps_ms))
        self.arrived_ms = now
        self.paused_until_ms = 0
        self.eyes = Eyes(engine, self)
        self._moving_ms = None
        self.sight.enter()

    # Each tick.

    def tick(self) -> None:
        engine, core, body = self.engine, self.core, self.body
        if core is None or body is None or body.gone:
            return
        self._watch_clock()
        now = self.now()
        if not self.engaged:
            self._engage(core, now)
        s, v = body.at(engine.now_ms)
        if self.done and s > body.clear_mm + _GONE_MM:
            core.disengage(now)
            self.engaged = False
            self.carry_out()
            engine.leave(self)
            return
        self._look(now, s, v)
        if self.held is not None and not self.passed:
            why = self._why_not(now)
            if why:
                core.release(why, now)
                self.carry_out()
                if self.core is None:
                    return
        core.tick(self._local(now, s, v))
        self.carry_out()
        engine.observer.ticked(self)

    def _engage(self, core: Core, now: int) -> None:
        """Begin to listen; a commitment from before a restart is driven on only where nothing else is possible.

        Before the point of no return it is given back: the vehicle has not looked around while it was down.
        """
        core.engage(ZONE, SESSION, now)
        self.engaged = True
        held = core.commitment
        if held is None:
            return
        if self.passed:
            self.held = Adopt(held.proposal_hash, held.plan, held.lease_end_ms)
            self.engine.observer.resumed(self)
        else:
            core.release("restarted", now)

    def _look(self, now: int, s: float, v: float) -> None:
        """Use the eyes; whoever stands before its line and cannot agree may start by sight, or stops again."""
        self.eyes.look(now)
        if v <= MOVING:
            self._moving_ms = None
        elif self._moving_ms is None:
            self._moving_ms = self.engine.now_ms
        sight = self.sight
        if self.held is None and not self.done:
            sight.observe()
        if sight.active:
            if not self.passed and self.eyes.moving:
                sight.active = False
                self._brake()
            return
        if self.held is None and not self.done and s <= 0.0 and v <= MOVING and not self._unfit():
            raw = sight.may_start(now)
            if raw is not None:
                self._start_by_sight(raw)

    def _start_by_sight(self, raw: bytes) -> None:
        engine, body = self.engine, self._body()
        self.sight.active, self.passed, self.braking = True, False, False
        engine.noted(self.name, "by_sight", {})
        body.follow(engine.roads.own(raw), self.error_ms())
        engine.schedule_body(body)

    def _unfit(self) -> bool:
        """In doubt about time or place."""
        return self.doubts_clock or self.engine.now_ms < self.blind_until_ms

    def _why_not(self, now: int) -> str:
        """Why a commitment has to be given back before the point of no return; empty: it stands."""
        if self.stopped:
            return "stopped"
        if self.engine.now_ms < self.blind_until_ms:
            return "estimate"
        if self.eyes.threats:
            return f"silent:{self.eyes.threats[0]}"
        return self._occupied(now)

    def _occupied(self, now: int) -> str:
        """Whether somebody who crosses without agreement says that it will be in the way."""
        core, held, roads = self.core, self.held, self.engine.roads
        if core is None or held is None:
            return ""
        for name, intent in core.heard(now).items():
            if intent.phase in OBSTRUCTING and clash(roads.uses(held.plan), roads.uses(intent.plan)):
                return f"occupied:{name}"
        return ""

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
        if waits and not self.sight.active and self._body().at(self.engine.now_ms)[0] < 0.0:
            self._brake()

    def _local(self, now: int, s: float, v: float) -> Local:
        body, held, eyes = self._body(), self.held, self.eyes
        cleared = self.done or s >= body.clear_mm
        if held is None and cleared:
            self.done = True
            self.sight.active = False
        if cleared:
            phase = Phase.CLEARED
        elif self.sight.active:
            phase = Phase.FALLBACK
        elif held is None and s > 0.0:
            phase = Phase.OCCUPYING
        else:
            phase = Phase.WAITING if v <= MOVING else Phase.APPROACH
        bound = cleared or self.passed or self.sight.active or s > 0.0
        wants = held is None and not bound and self._may_leave_out()
        return Local(
            now_ms=now, phase=phase, path_id=f"p{body.path}", arrived_ms=self.arrived_ms,
            eta_ms=now + (int(-s / max(v, 1.0)) if s < 0.0 else 0), plan=body.plan.raw, wants_commit=wants,
            pnr_passed=held is not None and self.passed, cleared=cleared, perceived=eyes.threats,
            blocking=self._blocking(now), estimate_ok=self.engine.now_ms >= self.blind_until_ms,
            clock_error_ms=_DOUBT_MS if self.doubts_clock else 0,
        )  # fmt: skip

    def _may_leave_out(self) -> bool:
        """Of two that do not hear each other, only one that moves may leave out one that stands (rule P8).

        The one that stands sees it move and gives back what it holds; two that both stand go by sight.
        """
        moving_ms = self._moving_ms
        return not self.eyes.waiting or (moving_ms is not None and self.engine.now_ms - moving_ms >= limits.SHOWN_MS)

    def _blocking(self, now: int) -> tuple[str, ...]:
        """Bodies that nothing accounts for, and vehicles that fell silent and are not seen to stand (rule P8)."""
        eyes, core = self.eyes, self.core
        threats = eyes.threats
        fell_silent = core.silent(now) if core is not None else {}
        if not fell_silent:
            return tuple([f"silent:{name}" for name in threats])
        gone = [name for name in fell_silent if name in eyes.moving and name not in threats]
        return tuple([f"silent:{name}" for name in (*threats, *gone)])

    # Effects, in the order of Ready; a crash may come between any two.

    def carry_out(self) -> None:
        """Do what the core asks until it asks no more or the node has crashed."""
        core = self.core
        while core is not None and core is self.core:
            ready = core.ready()
            if not ready:  # the usual case
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
        self.sight.active = False
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
        """The last moment at which the vehicle can stop before the line: go on only by right, and by what is seen."""
        core = self.core
        up = core is not None and self.engaged and self.paused_until_ms <= self.engine.now_ms
        if up and core is not None and not self.passed and self._may_pass(core):
            self.passed = True
            return
        if not self.passed and not self.braking:
            self.stopped = self.held is not None
            self.sight.active = False
            self._brake()

    def _may_pass(self, core: Core) -> bool:
        now = self.now()
        self.eyes.look(now)
        if self.sight.active:
            return not self.eyes.moving and not self._unfit()
        return self.held is not None and not self.stopped and core.may_enter(now) and not self._why_not(now)

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
