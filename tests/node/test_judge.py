"""What one vehicle refuses to sign (rules P1, P4, P10), who must be asked, and mutants of the judge."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence

import msgspec
import pytest

from fleet.node import judge as judge_module
from fleet.node.bodies import heard_body, wire_body
from fleet.node.judge import ZoneJudge
from fleet.protocol.records import LiveTube
from fleet.protocol.table import Phase
from fleet.protocol.wire import Entry
from hardware.base import Track
from planners.interface import Body, Commitment
from planners.timed_path import TimedPath
from planners.zone_map import ErrorBudget
from tests.node.scenes import (
    CAR,
    FRONT_M,
    approach,
    before_line,
    body,
    entries_of,
    intent,
    junction,
    local,
    planned,
    proposal,
    through,
    track,
    tube,
)  # fmt: skip

A = approach("a", "S_straight", 150.0, 13.0)
B = approach("b", "E_straight", 150.0, 13.0)
C = approach("c", "N_left", 130.0, 13.0)
HELD = b"\7" * 32


def ask(
    entries: Sequence[Entry],
    known: Sequence[LiveTube],
    *,
    me: TimedPath = A,
    tracks: Sequence[Track] = (),
    decide_ms: int = 300,
) -> tuple[str, ...]:
    """The reasons of the vehicle that drives ``me`` against a proposal of ``entries`` at time 0."""
    judge = junction().judge(me.vehicle, tracks)
    return judge.verify(proposal(entries, coordinator=me.vehicle, decide_ms=decide_ms), known, local(me))


def alone() -> list[Entry]:
    return entries_of(planned({"a": A}))


def kinds(reasons: Sequence[str]) -> set[str]:
    return {reason.partition(":")[0] for reason in reasons}


def later(entry: Entry, ms: int) -> Entry:
    """The same motion ``ms`` later."""
    plan = TimedPath.decode(entry.plan)
    return Entry(entry.vehicle, dataclasses.replace(plan, t0_ms=plan.t0_ms + ms).encode(), entry.lease_end_ms + ms)


# --- plans


def test_the_plans_of_the_planner_that_ships_are_signed_by_everybody() -> None:
    entries = entries_of(planned({"a": A, "b": B, "c": C}))
    assert [entry.vehicle for entry in entries] == ["a", "b", "c"]
    for me in (A, B, C):
        assert ask(entries, [tube(A), tube(B), tube(C)], me=me) == ()


def test_a_plan_that_does_not_start_where_the_vehicle_is_driving_is_refused() -> None:
    [entry] = alone()
    plan = TimedPath.decode(entry.plan)
    shifts = {
        "place": dataclasses.replace(plan, s0_mm=plan.s0_mm + 100),
        "speed": dataclasses.replace(plan, v0_mmps=plan.v0_mmps + 100),
        "early": dataclasses.replace(plan, segments=((250, 1500), *plan.segments)),
    }
    for moved in shifts.values():
        assert ask([Entry("a", moved.encode(), entry.lease_end_ms + 2000)], [tube(A)]) == ("start:a",)
    other = entries_of(planned({"a": through("a", "S_left", 150.0, 13.0)}))
    assert "start:a" in ask(other, [tube(A)]), "nor one on another path"


def test_the_plan_must_coincide_until_the_decision_not_only_at_its_beginning() -> None:
    """Made for a decision at 300 ms, it leaves the approach then; for a decision at 2 s that is too early."""
    near = approach("a", "S_straight", before_line("S_straight", 30.0), 13.0)
    entries = entries_of(planned({"a": near}, decide_ms=300))
    assert ask(entries, [tube(near)], me=near, decide_ms=300) == ()
    assert ask(entries, [tube(near)], me=near, decide_ms=2000) == ("start:a",)


def test_what_others_drive_is_taken_from_their_announcement_and_the_own_from_the_own_state() -> None:
    entries = entries_of(planned({"a": A, "b": B}))
    elsewhere = approach("b", "E_straight", 148.0, 13.0)
    assert "start:b" in ask(entries, [tube(A), tube(elsewhere)])
    judge = junction().judge("a")
    reasons = judge.verify(
        proposal(entries, coordinator="a"), [tube(A), tube(B)], local(approach("a", "S_straight", 148.0, 13.0))
    )
    assert "start:a" in reasons


def test_a_lease_that_ends_before_the_vehicle_is_out_is_refused() -> None:
    [entry] = alone()
    road, plan = junction().roads.get("S_straight"), TimedPath.decode(entry.plan)
    passage = junction().passage("S_straight")
    cleared = passage.exit_s_m + 5 * 5.0 + CAR.body.rear_overhang_m
    assert cleared < road.length_m
    arrays = plan.arrays()
    ms = next(t for t in range(60_000) if arrays.at(t * 1e-3)[0] > cleared)
    assert ask([Entry("a", entry.plan, ms + 11)], [tube(A)]) == ()
    assert ask([Entry("a", entry.plan, ms + 8)], [tube(A)]) == ("lease:a",)


def test_overlapping_plans_are_refused_whether_in_one_batch_or_against_a_live_one() -> None:
    one, other = alone()[0], entries_of(planned({"b": B}))[0]
    assert kinds(ask([one, other], [tube(A), tube(B)])) == {"overlap"}
    for kind in ("certificate", "promise"):
        live = tube(TimedPath.decode(other.plan), kind, lease_end_ms=other.lease_end_ms)
        assert kinds(ask([one], [tube(A), tube(B), live])) == {"overlap"}


def test_a_plan_moved_in_time_is_refused_where_it_runs_into_a_live_one_and_only_there() -> None:
    one, other = alone()[0], entries_of(planned({"b": B}))[0]
    answers = {}
    for ms in (0, 200, 20_000):
        moved = later(other, ms)
        live = tube(TimedPath.decode(moved.plan), "certificate", lease_end_ms=moved.lease_end_ms)
        answers[ms] = ask([one], [tube(A), live])
    assert kinds(answers[0]) == kinds(answers[200]) == {"overlap"}
    assert answers[20_000] == ()


def test_of_a_vehicle_with_a_live_tube_the_announced_approach_does_not_count() -> None:
    """Its approach stands at the line for ever; what matters is what it adopted."""
    standing = approach("b", "S_straight", before_line("S_straight", 20.0), 5.0)
    [entry] = entries_of(planned({"a": approach("a", "S_straight", 150.0, 10.0)}))
    me = approach("a", "S_straight", 150.0, 10.0)
    assert kinds(ask([entry], [tube(me), tube(standing)], me=me)) == {"overlap"}
    leaving = tube(
        through("b", "S_straight", before_line("S_straight", 20.0), 10.0), "certificate", lease_end_ms=20_000
    )
    assert ask([entry], [tube(me), tube(standing), leaving], me=me) == ()


def test_a_follower_that_adapts_does_not_keep_its_leader_from_going() -> None:
    behind = approach("b", "S_straight", 138.0, 13.5)
    assert ask(alone(), [tube(A), tube(behind)]) == ()


def test_a_vehicle_nobody_here_has_heard_is_refused() -> None:
    assert ask(entries_of(planned({"a": A, "b": B})), [tube(A)]) == ("unheard:b",)


@pytest.mark.parametrize("raw", [b"", b"\0", b"junk" * 20, b"\xff" * 480, A.encode()[:-1], A.encode() + b"\0"])
def test_garbage_plan_bytes_are_refused_without_an_exception(raw: bytes) -> None:
    assert ask([Entry("a", raw, 20_000)], [tube(A)]) == ("not_a_plan:a",)
    odd = LiveTube("b", raw, 20_000, b"", "approach", wire_body(CAR))
    assert "start:b" in ask(entries_of(planned({"a": A, "b": B})), [tube(A), odd])


def test_plans_of_another_vehicle_or_on_no_path_of_the_map_are_refused() -> None:
    assert ask([Entry("b", A.encode(), 20_000)], [tube(A), tube(B)]) == ("not_a_plan:b",)
    lost = dataclasses.replace(TimedPath.decode(alone()[0].plan), path_id="nowhere")
    assert ask([Entry("a", lost.encode(), 20_000)], [tube(A)]) == ("not_a_plan:a",)


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"segments": ((60_000, 2**20),)}, "accel"),
        ({"segments": ((1, 0),) * 64}, "end"),
        ({"segments": ((0, 0), (30_000, 0))}, "segments"),
    ],
)
def test_plans_that_no_vehicle_can_drive_are_refused(change: dict[str, object], reason: str) -> None:
    plan = dataclasses.replace(A, **change)  # type: ignore[arg-type]
    me = dataclasses.replace(plan)
    reasons = ask([Entry("a", plan.encode(), 100_000)], [tube(me)], me=me)
    assert reason in kinds(reasons)


def test_a_plan_that_never_leaves_the_zone_is_refused() -> None:
    inside = approach("a", "S_straight", 150.0, 13.0, stop_s_m=junction().passage("S_straight").exit_s_m)
    assert ask([Entry("a", inside.encode(), 60_000)], [tube(inside)], me=inside) == ("never_clears:a",)
    out = approach("a", "S_straight", 400.0, 13.0, stop_s_m=math.inf)
    assert ask([Entry("a", out.encode(), 60_000)], [tube(out)], me=out) == ("not_through_zone:a",)


def test_plans_announced_at_other_zones_count_but_not_of_who_follows() -> None:
    entries = alone()
    for path_id, s_m, answer in (("S_straight", 175.0, {"overlap"}), ("S_straight", 120.0, set())):
        judge = junction().judge("a")
        slow = approach("z", path_id, s_m, 1.0, stop_s_m=s_m + 20.0)
        judge.beyond = lambda now_ms, slow=slow: [Commitment(body("z"), slow)]
        assert kinds(judge.verify(proposal(entries), [tube(A)], local(A))) == answer


def test_bodies_as_peers_describe_them_are_what_is_checked() -> None:
    """A body with a longer front on the same plan does not fit the gap that a car fits."""
    one, other = alone()[0], entries_of(planned({"b": B}))[0]

    def clear(length_mm: int, ms: int) -> bool:
        moved = TimedPath.decode(later(other, ms).plan)
        wire = msgspec.structs.replace(wire_body(CAR), length_mm=length_mm, rear_mm=1050)
        live = LiveTube("b", moved.encode(), 60_000, HELD, "certificate", wire)
        return not ask([one], [tube(A), live])

    first = next(ms for ms in range(0, 20_000, 50) if clear(5000, ms))
    assert first > 0 and clear(5000, first) and not clear(12_000, first)


# --- silent road users


def line(path_id: str) -> float:
    return junction().passage(path_id).line_s_m


def test_a_silent_road_user_that_may_come_while_the_vehicle_passes_stops_the_vote() -> None:
    assert ask(alone(), [tube(A)], tracks=[track("E_straight", line("E_straight") - 60.0, 12.0)]) == ("silent:a:1",)


def test_one_that_is_too_far_to_come_in_time_does_not() -> None:
    near = approach("a", "S_straight", before_line("S_straight", 25.0), 10.0)
    entries = entries_of(planned({"a": near}))
    assert ask(entries, [tube(near)], me=near, tracks=[track("E_straight", line("E_straight") - 150.0, 13.0)]) == ()
    assert ask(entries, [tube(near)], me=near, tracks=[track("E_straight", line("E_straight") - 50.0, 13.0)]) != ()


def test_one_that_stands_behind_its_line_waits() -> None:
    assert ask(alone(), [tube(A)], tracks=[track("E_straight", line("E_straight") - 1.0, 0.0)]) == ()


def test_in_the_own_lane_one_behind_is_ignored_and_one_ahead_refused() -> None:
    front = 150.0 + FRONT_M
    assert ask(alone(), [tube(A)], tracks=[track("S_straight", front - 15.0, 13.0)]) == ()
    assert ask(alone(), [tube(A)], tracks=[track("S_straight", front + 20.0, 13.0)]) == ("silent:a:1",)


def test_one_that_stands_in_the_zone_or_right_behind_it_is_in_the_way() -> None:
    assert ask(alone(), [tube(A)], tracks=[track("E_straight", line("E_straight") + 6.0, 0.0)]) == ("silent:a:1",)
    behind = junction().passage("S_straight").exit_s_m + 5.0 + 4.0
    assert ask(alone(), [tube(A)], tracks=[track("S_straight", behind, 0.0)]) == ("exit_blocked:a",)
    assert ask(alone(), [tube(A)], tracks=[track("S_straight", behind + 9.0, 0.0)]) == ()


# --- members


def required(batch: Sequence[Entry], *intents: object) -> frozenset[str]:
    peers = {one.vehicle: one for one in intents}  # type: ignore[attr-defined]
    return junction().judge("a").required_members(batch, peers, local(A))


def test_holders_and_heads_of_lanes_must_agree_and_followers_of_the_uncommitted_need_not() -> None:
    head, follower = B, approach("f", "E_left", 130.0, 13.0)
    behind_me = approach("m", "S_left", 130.0, 13.0)
    holder = through("h", "W_straight", 200.0, 10.0)
    found = required(
        alone(), intent("a", A), intent("b", head), intent("f", follower), intent("m", behind_me),
        intent("h", holder, phase=Phase.COMMITTED, held=HELD),
    )  # fmt: skip
    assert found == {"a", "b", "h"}


def test_a_follower_behind_a_holder_must_agree_and_so_must_one_that_holds_itself() -> None:
    holder = through("b", "E_straight", 200.0, 10.0)
    follower = approach("f", "E_left", 180.0, 8.0)
    committed = intent("b", holder, phase=Phase.COMMITTED, held=HELD)
    assert required(alone(), intent("a", A), committed, intent("f", follower)) == {"a", "b", "f"}
    holding = intent("f", through("f", "E_left", 130.0, 8.0), phase=Phase.COMMITTED, held=HELD)
    assert required(alone(), intent("a", A), intent("b", B), holding) == {"a", "b", "f"}


def test_who_is_past_every_common_area_or_never_meets_need_not_be_asked() -> None:
    past = through("p", "E_straight", junction().passage("E_straight").exit_s_m + 8.0, 10.0)
    apart = approach("n", "N_straight", 150.0, 13.0)
    cleared = intent("q", through("q", "W_straight", 240.0, 10.0), phase=Phase.CLEARED)
    assert required(
        alone(), intent("a", A), intent("p", past, phase=Phase.CROSSING, held=HELD), intent("n", apart), cleared
    ) == {"a"}
    inside = through("p", "E_straight", junction().passage("E_straight").line_s_m, 10.0)
    assert required(alone(), intent("a", A), intent("p", inside, phase=Phase.CROSSING, held=HELD)) == {"a", "p"}


@pytest.mark.parametrize("raw", [b"", b"junk", B.encode()[:-1]])
def test_garbage_in_an_intent_makes_no_member_and_no_exception(raw: bytes) -> None:
    assert required(alone(), intent("a", A), intent("b", raw)) == {"a"}
    assert required([Entry("a", raw, 20_000)], intent("a", A), intent("b", B)) == frozenset()


# --- mutants


def _never(*_: object, **__: object) -> list[object]:
    return []


def test_canary_a_judge_that_overlooks_silent_road_users_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    seen = [track("E_straight", line("E_straight") - 60.0, 12.0)]
    assert ask(alone(), [tube(A)], tracks=seen) != ()
    monkeypatch.setattr(judge_module, "silent_threats", _never)
    assert ask(alone(), [tube(A)], tracks=seen) == ()


def test_canary_a_judge_that_does_not_check_leases_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    short = [Entry("a", alone()[0].plan, 1000)]
    assert ask(short, [tube(A)]) == ("lease:a",)
    monkeypatch.setattr(judge_module, "EPS_S", -math.inf)
    assert ask(short, [tube(A)]) == ()


def test_canary_a_judge_that_does_not_compare_with_the_announced_plan_is_noticed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    plan = TimedPath.decode(alone()[0].plan)
    ahead = Entry("a", dataclasses.replace(plan, s0_mm=plan.s0_mm + 2000).encode(), 30_000)
    assert ask([ahead], [tube(A)]) == ("start:a",)
    monkeypatch.setattr(ZoneJudge, "_coincides", lambda *_: True)
    assert ask([ahead], [tube(A)]) == ()


def test_canary_a_judge_that_knows_no_live_tubes_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    other = entries_of(planned({"b": B}))[0]
    live = tube(TimedPath.decode(other.plan), "certificate", lease_end_ms=other.lease_end_ms)
    assert ask(alone(), [tube(A), live]) != ()
    monkeypatch.setattr(ZoneJudge, "_others", _never)
    assert ask(alone(), [tube(A), live]) == ()


def test_canary_a_judge_without_error_budgets_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    """Some gap is refused only because bodies may be off their plans; without budgets it would be signed."""

    def bare(name: str, wire: object) -> Body:
        found = heard_body(name, wire)  # type: ignore[arg-type]
        return dataclasses.replace(found, budget=ErrorBudget(1e-6, 1e-6)) if name == "b" else found

    one, other = alone()[0], entries_of(planned({"b": B}))[0]
    lives = [
        tube(TimedPath.decode(later(other, ms).plan), "certificate", lease_end_ms=60_000) for ms in range(0, 3000, 20)
    ]
    honest = [bool(ask([one], [tube(A), live])) for live in lives]
    monkeypatch.setattr(judge_module, "heard_body", bare)
    mutant = [bool(ask([one], [tube(A), live])) for live in lives]
    assert any(is_refused and not was for is_refused, was in zip(honest, mutant, strict=True))
    assert not any(was and not is_refused for is_refused, was in zip(honest, mutant, strict=True))


def test_canary_members_without_holders_are_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    holder = intent("h", through("h", "W_straight", 200.0, 10.0), phase=Phase.COMMITTED, held=HELD)
    assert "h" in required(alone(), intent("a", A), holder)
    monkeypatch.setattr("fleet.node.lanes.Lanes.meet", lambda *_: False)
    assert "h" not in required(alone(), intent("a", A), holder)


# --- two versions of a plan, and vehicles that fell silent


def test_p7_nobody_else_of_a_batch_gets_what_one_of_it_may_still_use() -> None:
    batch, known = entries_of(planned({"a": A, "b": B})), [tube(A), tube(B)]
    assert ask(batch, known) == ()
    alone_first = entries_of(planned({"b": B}))[0]  # without a, b was given the time that a is to have now
    old = TimedPath.decode(alone_first.plan)
    held = dataclasses.replace(tube(old, "certificate", lease_end_ms=alone_first.lease_end_ms), proposal_hash=HELD)
    a_plan = next(TimedPath.decode(entry.plan) for entry in batch if entry.vehicle == "a")
    assert junction().judge("a").clash(Commitment(body("a"), a_plan), Commitment(body("b"), old), 0)
    assert ask(batch, [*known, held]) == ("old_tube:a:b",)
    own = [entry for entry in batch if entry.vehicle == "b"]
    assert "old_tube" not in kinds(ask(own, [*known, held])), "its own old tube is not in a vehicle's own way"


@pytest.mark.parametrize(
    ("ahead_m", "speed_mps", "cleared"), [(60.0, 12.0, False), (2.0, 0.0, True), (-6.0, 0.0, False), (-6.0, 3.0, False)]
)
def test_p8_a_silent_vehicle_is_cleared_only_where_it_stands_behind_its_line(
    ahead_m: float, speed_mps: float, cleared: bool
) -> None:
    seen = [track("E_straight", line("E_straight") - ahead_m, speed_mps)]
    judge = junction().judge("a", seen)
    assert judge.not_cleared({"b": intent("b", B)}) == (() if cleared else ("silent:b",))
    assert judge.not_cleared({}) == ()


def test_p8_a_silent_vehicle_that_nobody_sees_on_its_way_cannot_reach_the_zone() -> None:
    assert junction().judge("a").not_cleared({"b": intent("b", B)}) == ()
