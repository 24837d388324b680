"""The driver loop of a vehicle off the road: stand, agree, drive the agreed plan, stop when it no longer holds.

The same core, ports, log and radio as in lanes (driver.py); what differs is motion. Without agreement a
vehicle stands. With it, it drives its tube; it may stop in it at any time, for it keeps a slack in time from
everybody else. Whatever ends an agreement early (a body that no message accounts for, a peer that stopped
in the way, a vehicle that is not where its plan says) ends it at standstill on the own path. From there it
asks again, with everybody else.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from fleet.node.bodies import heard_body, planner_body
from fleet.node.effects import carry_out
from fleet.node.free_book import FreeBook
from fleet.node.free_judge import FreeJudge
from fleet.node.free_kernel import BRAKE_MPS2, FreeKernel
from fleet.node.free_planner import wanted_text
from fleet.node.hearing import Hearing
from fleet.node.kernel import Rest, usable
from fleet.node.parts import Counters, Noter
from fleet.node.stable_log import StableLog
from fleet.node.stopwatch import Stopwatch
from fleet.node.surroundings import Surroundings
from fleet.protocol.codec import Codec
from fleet.protocol.core import Core
from fleet.protocol.records import Adopt, Drop, Local
from fleet.protocol.table import Phase
from hardware.base import Applied, VehicleInterface
from hardware.vehicle import Vehicle
from planners.check_timed import Tube
from planners.free_space import Pose
from planners.free_timing import standing, stopping
from planners.interface import Body
from planners.timed_path import TimedPath

AGREE_MS = 50
LOOK_MS = 100
AT_GOAL_M, AT_GOAL_RAD = 0.6, 0.1
"""A vehicle that ends its plan within this of its goal has arrived."""
ALONE_MS = 2500
"""A vehicle that sees others and has heard nobody for so long takes its radio for dead."""
_NS = 1_000_000


@dataclass(frozen=True, slots=True)
class FreeParts:
    """What a node off the road is made of."""

    name: str
    vehicle: Vehicle
    hardware: VehicleInterface
    goal: Pose
    zone_id: str
    core: Core
    judge: FreeJudge
    book: FreeBook
    around: Surroundings
    note: Noter
    codec: Codec
    store: StableLog
    session: int
    watch: Stopwatch
    period_s: float


class FreeNode:
    """One vehicle's node."""

    def __init__(self, parts: FreeParts) -> None:
        self.name = parts.name
        self._parts = parts
        self.body: Body = planner_body(parts.name, parts.vehicle)
        self.kernel = FreeKernel(parts.vehicle, parts.period_s)
        self.counters = Counters()
        self.phase = Phase.APPROACH
        self.applied: Applied | None = None
        self.arrived = False
        self._hearing = Hearing(parts.name, parts.core, parts.codec, parts.book, parts.session)
        self._committed: Tube | None = None
        self._plan_raw = b""
        self._engaged_ms = -1
        self._breached = False
        self._wanted_text = wanted_text(parts.goal)
        self._clear_of: dict[tuple[bytes, bytes], bool] = {}

    @property
    def plan(self) -> TimedPath | None:
        """What the vehicle drives now."""
        return self.kernel.plan

    @property
    def listens(self) -> bool:
        return True

    @property
    def committed(self) -> bool:
        """Whether that is an agreed plan."""
        return self._committed is not None

    @property
    def phase_name(self) -> str:
        """For logs: the announced phase."""
        return self._parts.core.phase.name.lower() if self._engaged_ms >= 0 else "free"

    def tick(self, now_ms: int, inbox: list[bytes]) -> tuple[bytes, ...]:
        """One turn of the loop; returns the datagrams to broadcast."""
        parts, kernel, watch = self._parts, self.kernel, self._parts.watch
        now_ns = now_ms * _NS
        state = parts.hardware.read(now_ns)
        if kernel.plan is None:
            self._stand(now_ms, (state.x_m, state.y_m, state.yaw_rad))
        heading_error = kernel.locate(state, now_ms)
        watch.enter("protocol")
        for raw in inbox:
            parts.core.step(raw, now_ms)
        outbox = self._carry_out(now_ms) if inbox else ()
        watch.leave()
        if now_ms - parts.around.stamp_ms >= LOOK_MS:
            watch.enter("perception")
            self._look(now_ms)
            watch.leave()
        if now_ms % AGREE_MS == 0:
            self._engage(now_ms)
            self._keep_plan(now_ms, (state.x_m, state.y_m, state.yaw_rad))
            watch.enter("protocol")
            parts.core.tick(self._local(now_ms, usable(state, now_ns)))
            outbox += self._carry_out(now_ms)
            watch.leave()
        heading_error = kernel.locate(state, now_ms)
        self.applied = parts.hardware.write(kernel.command(now_ns, state, heading_error, parts.around), now_ns)
        self._watch(now_ms)
        return outbox

    # --- sensing

    def _look(self, now_ms: int) -> None:
        """Take new tracks, and see whether the agreement still stands."""
        parts = self._parts
        tracks = parts.hardware.perceive(now_ms * _NS)
        seen_ms = tracks[0].stamp_ns // _NS if tracks else now_ms
        parts.around.update(now_ms, tracks, self._hearing.places(now_ms, seen_ms))
        if self._committed is None:
            return
        why = self._why_stop(now_ms, self._committed)
        if why:
            self._abort(now_ms, why)

    def _why_stop(self, now_ms: int, tube: Tube) -> str:
        """What speaks against driving on; empty: nothing does."""
        status, budget = self.kernel.status, self.body.budget
        if abs(status.longitudinal_error_m) > 1.5 * budget.longitudinal_m:
            return "tracking"
        near = [why for why in self._parts.judge.unaccounted() if not self._is_far(why)]
        if near:
            return near[0]
        for peer, intent in sorted(self._hearing.heard(now_ms).items()):
            other = self._parts.book.tube(heard_body(peer, intent.body), intent.plan)
            if other is None or self._runs_into(tube, other, intent.plan, now_ms):
                return f"in_the_way:{peer}"
        return ""

    def _runs_into(self, tube: Tube, other: Tube, raw: bytes, now_ms: int) -> bool:
        """Whether what a peer announces now is in the way soon.

        Where a pair is clear to the end, it is compared once. Where it is not, the peer may yet change its
        mind: who was voted for in the same proposal stands until it has the certificate too.
        """
        key = (self._plan_raw, raw)
        if key not in self._clear_of:
            if len(self._clear_of) > 64:
                self._clear_of.clear()
            self._clear_of[key] = not self._parts.judge.clash(tube, other, now_ms)
        return not self._clear_of[key] and self._parts.judge.meet_soon(tube, other, now_ms)

    def _is_far(self, why: str) -> bool:
        """Whether a body that moves unaccounted for is so far off that the guard of the kernel is enough."""
        kind, _, name = why.partition(":")
        around, arcs = self._parts.around, self.kernel.arcs
        if arcs is None:
            return True
        x, y, _ = arcs.pose(self.kernel.status.s_m)
        for row, track in enumerate(around.tracks):
            named = f"t{track.track_id}" if kind == "silent" else around.peer_of[row]
            if named == name:
                return math.dist((x, y), around.table[row, :2].tolist()) > 15.0 + 3.0 * self.body.footprint.length_m
        return True

    # --- the plan

    def _engage(self, now_ms: int) -> None:
        if self._engaged_ms >= 0:
            return
        self._engaged_ms = now_ms
        core = self._parts.core
        core.engage(self._parts.zone_id, self._parts.session, now_ms)
        if core.commitment is not None:  # from before a restart: it stood still since, so its time is gone
            core.release("restarted", now_ms)

    def _keep_plan(self, now_ms: int, pose: Pose) -> None:
        """Arrival, and the place to stand after an early stop."""
        kernel, plan = self.kernel, self.kernel.plan
        if plan is None or now_ms <= plan.end_ms + 200 or not kernel.stands:
            return
        off_m, off_rad = math.dist(pose[:2], self._parts.goal[:2]), pose[2] - self._parts.goal[2]
        at_goal = off_m <= AT_GOAL_M and abs(math.remainder(off_rad, math.tau)) <= AT_GOAL_RAD
        self.arrived = self.arrived or at_goal
        free = self._committed is None and now_ms >= self._parts.core.frozen_until_ms(now_ms)
        if free and (plan.segments or self._moved_off(pose)):
            self._stand(now_ms, pose)
        elif self._committed is not None and not at_goal:
            self._abort(now_ms, "short_of_goal")

    def _moved_off(self, pose: Pose) -> bool:
        arcs = self.kernel.arcs
        return arcs is not None and math.dist(arcs.pose(0.0)[:2], pose[:2]) > 0.5 * self.body.budget.lateral_m

    def _stand(self, now_ms: int, pose: Pose) -> None:
        self._drive(standing(self.name, pose, now_ms))

    def _drive(self, plan: TimedPath) -> None:
        raw = plan.encode()
        arcs = self._parts.book.arcs(plan.path_id)
        if arcs is not None:
            self.kernel.follow(plan, arcs, self._parts.book.arrays(plan))
            self._plan_raw = raw

    def _stop(self, now_ms: int) -> None:
        """Drive on only as far as braking takes, on the own path; from where the vehicle is, not where it should be."""
        kernel = self.kernel
        if kernel.plan is None or kernel.arrays is None or kernel.road is None:
            return
        status = kernel.status
        s_mm = max(0, round(1000.0 * status.s_m))
        v_mmps = max(0, round(1000.0 * kernel.road.gear * status.v_mps))
        begun = TimedPath(self.name, kernel.plan.path_id, now_ms, s_mm, v_mmps, ())
        keep_s = status.s_m
        self._drive(stopping(begun, now_ms, round(1000.0 * BRAKE_MPS2)))
        status.s_m = keep_s

    # --- agreement

    def _local(self, now_ms: int, estimate_ok: bool) -> Local:
        kernel = self.kernel
        done = self.arrived and kernel.stands
        self.phase = Phase.CLEARED if done else Phase.WAITING if kernel.stands else Phase.APPROACH
        unaccounted = self._parts.judge.unaccounted()
        return Local(
            now_ms=now_ms,
            phase=self.phase,
            path_id=self._wanted_text,
            arrived_ms=self._engaged_ms,
            eta_ms=now_ms,
            plan=self._plan_raw,
            wants_commit=self._committed is None and kernel.stands and not done and self._holds_still(now_ms),
            pnr_passed=False,
            has_contingency=kernel.status.rest is not Rest.NONE,
            cleared=done,
            perceived=tuple(f"t{self._parts.around.tracks[row].track_id}" for row in self._unheard()[:8]),
            blocking=(*unaccounted, *self._radio_dead(now_ms), *self._silent(now_ms)),
            estimate_ok=estimate_ok,
        )

    def _holds_still(self, now_ms: int) -> bool:
        plan = self.kernel.plan
        return plan is not None and not plan.segments and plan.t0_ms <= now_ms

    def _unheard(self) -> list[int]:
        return self._parts.around.silent_rows()

    def _radio_dead(self, now_ms: int) -> tuple[str, ...]:
        """A vehicle that sees others and hears nobody agrees with nobody (rule P9): it stands until it hears."""
        around = self._parts.around
        if not around.tracks or self._hearing.heard(now_ms):
            return ()
        return ("radio",)

    def _silent(self, now_ms: int) -> tuple[str, ...]:
        """Vehicles that fell silent and are not seen to stand where they said (rule P8)."""
        judge = self._parts.judge
        gone = self._parts.core.silent(now_ms)
        return tuple(f"silent:{name}" for name, intent in gone.items() if not judge.stands_on_its_way(name, intent))

    def _carry_out(self, now_ms: int) -> tuple[bytes, ...]:
        parts = self._parts
        return carry_out(parts.core, parts.store, parts.note, now_ms, self._adopt, self._drop)

    def _adopt(self, now_ms: int, effect: Adopt) -> None:
        tube = self._parts.book.tube(self.body, effect.plan)
        if tube is None:
            return
        self._committed, self._breached = tube, False
        self._drive(tube.plan)

    def _drop(self, now_ms: int, effect: Drop) -> None:
        """The right is gone: stop, if the vehicle does not stand already."""
        if self._committed is None:
            return
        self._committed = None
        if not self.arrived:
            self._stop(now_ms)

    def _abort(self, now_ms: int, reason: str) -> None:
        """Give the agreement back and stop."""
        self.counters.aborts += 1
        if self._parts.core.commitment is not None:
            self._parts.core.release(reason, now_ms)  # its Drop, carried out with this tick, stops the vehicle

    # --- watching itself

    def _watch(self, now_ms: int) -> None:
        status, counters, budget = self.kernel.status, self.counters, self.body.budget
        if status.braking_for:
            counters.kernel_overrides += 1
        if self._committed is None:
            return
        beyond = abs(status.longitudinal_error_m) > budget.longitudinal_m or abs(status.lateral_m) > budget.lateral_m
        if beyond and not self._breached:
            self._breached = True
            counters.breaches += 1
            detail = {"lateral_m": round(status.lateral_m, 3), "longitudinal_m": round(status.longitudinal_error_m, 3)}
            self._parts.note(now_ms, "breach", detail)
