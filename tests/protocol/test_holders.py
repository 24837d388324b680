"""What holders may and must do: late ones, ones that change their plan, silent ones, ones with a doubtful clock."""

from __future__ import annotations

import pytest

from fleet.errors import LocalProtocolError
from fleet.protocol import limits
from fleet.protocol.table import Phase
from fleet.protocol.wire import Kind, Release, decode
from tests.protocol.harness import Car, World, intervals, violations


def holder(*names: str, seed: int = 0) -> tuple[World, Car]:
    """A world in which the first of ``names`` has just adopted a tube; the others do not want one."""
    world = World(seed)
    for name in names:
        car = world.add(name)
        car.wants = name == names[0]
        world.engage(car)
    world.run(5_000, lambda: world.cars[names[0]].adopted is not None)
    assert world.cars[names[0]].adopted is not None
    return world, world.cars[names[0]]


def notes(world: World, name: str, kind: str) -> list[dict[str, object]]:
    return [detail for _, who, said, detail in world.log if who == name and said == kind]


def kinds_known(world: World, of: str, by: str) -> set[str]:
    return {tube.kind for tube in world.cars[by].core.known_tubes(world.clock(world.cars[by])) if tube.vehicle == of}


# P6


def test_p6_a_late_holder_finishes_its_plan_and_is_an_obstacle_before_its_promise_dies() -> None:
    world, a = holder("a", "b")
    assert a.adopted is not None
    lease_end_ms = a.adopted.lease_end_ms
    a.overrides = {"pnr_passed": True, "cleared": False}
    world.run(lease_end_ms - world.tuning.eps_ms - 30 - world.now_ms)
    assert kinds_known(world, "a", "b") == {"certificate"}
    while world.now_ms < lease_end_ms + 500:
        world.run(5)
        assert kinds_known(world, "a", "b") & {"certificate", "occupancy"}, "never unaccounted for"
    assert a.adopted is not None and a.core.commitment is not None, "it goes on along its plan"
    assert a.core.phase is Phase.OCCUPYING and not a.core.may_enter(world.now_ms)
    assert kinds_known(world, "a", "b") == {"occupancy"}
    assert len(notes(world, "a", "overdue")) == 1
    a.overrides = {"pnr_passed": True, "cleared": True}
    world.run(60)
    assert a.done_ms is not None


def test_p6_a_holder_that_never_comes_out_asks_for_a_new_plan_in_the_end() -> None:
    world, a = holder("a", "b")
    assert a.adopted is not None
    lease_end_ms = a.adopted.lease_end_ms
    a.overrides = {"pnr_passed": True, "cleared": False, "phase": Phase.OCCUPYING, "wants_commit": False}
    world.run(lease_end_ms + limits.OVERDUE_MS_MAX + 100 - world.now_ms)
    assert a.adopted is None and a.core.phase is Phase.OCCUPYING
    assert {detail["reason"] for detail in notes(world, "a", "release")} == {"lease_end"}


def test_p6_even_its_own_wish_does_not_replace_a_plan_past_the_point_of_no_return() -> None:
    world, a = holder("a", "b")
    adopted = a.adopted
    a.overrides = {"pnr_passed": True, "wants_commit": True}
    world.run(600)
    assert a.adopted is adopted
    with pytest.raises(LocalProtocolError, match="point of no return"):
        a.core.release("no", world.now_ms)


# P7


def test_p7_while_somebody_may_not_know_the_new_plan_both_are_in_the_way() -> None:
    world, a = holder("a", "b", "c")
    old = a.adopted
    assert old is not None
    deaf = {"on": False}
    world.fault = lambda x, y, raw: () if deaf["on"] and y == "c" else (20,)
    a.overrides = {"wants_commit": True, "pnr_passed": False, "cleared": False}

    def voted() -> bool:
        return sum(who == "c" and kind == "vote" for _, who, kind, _ in world.log) == 2

    world.run(2_000, voted)
    deaf["on"] = True  # c has signed the new plan; whether a changed over it cannot know
    both = {tube.plan for tube in world.cars["c"].core.known_tubes(world.now_ms) if tube.vehicle == "a"}
    assert old.plan in both and len(both) >= 2, "safe with a on its old and on its new plan"
    world.run(200, lambda: a.adopted is not None and a.adopted is not old)
    assert a.adopted is not None and a.adopted.plan != old.plan
    released = [decode(raw).body for _, who, raw in world.air if who == "a" and decode(raw).kind is Kind.RELEASE]
    assert any(isinstance(r, Release) and old.proposal_hash in r.proposals for r in released)


def test_p7_what_is_taken_from_a_holder_is_usable_only_after_its_signed_word() -> None:
    world, a = holder("a", "b")
    old = a.adopted
    assert old is not None
    world.fault = lambda x, y, raw: () if x == "a" else (20,)  # nothing of a arrives any more
    a.overrides = {"wants_commit": False, "pnr_passed": False, "cleared": False}
    a.core.release("test", world.now_ms)
    world.drain(a)
    world.cars["b"].wants = True
    world.run(3_000, lambda: world.cars["b"].adopted is not None)
    mine = world.cars["b"].adopted
    if mine is not None:
        assert intervals(mine.plan)[0][1] >= intervals(old.plan)[0][2], "the space given back unheard is not used"


def test_p7_a_new_plan_that_fails_leaves_the_old_one() -> None:
    world, a = holder("a", "b")
    old = a.adopted
    a.overrides = {"wants_commit": True, "pnr_passed": False, "cleared": False}
    world.cars["b"].overrides = {"has_contingency": False}
    world.run(800)
    assert any(kind == "proposal" and who == "a" and at > 10_400 for at, who, kind, _ in world.log)
    assert a.adopted is old and a.core.commitment is not None
    assert violations(world) == []


# P8


def test_p8_the_last_words_of_a_silent_vehicle_are_kept_for_perception_to_clear_it() -> None:
    world, a = holder("a", "b")
    b = world.cars["b"]
    a.off = True
    while "a" in b.core.heard(world.now_ms):
        world.run(20)
    assert set(b.core.silent(world.now_ms)) == {"a"}, "no gap between being heard and being missed"
    world.run(limits.FRESH_MS + 200)
    assert "a" not in b.core.heard(world.now_ms) and set(b.core.silent(world.now_ms)) == {"a"}
    b.wants = True
    b.overrides = {"blocking": ("silent:a",)}  # perception sees it rolling
    world.run(1_500)
    assert b.adopted is None, "a timeout alone excludes nobody"
    b.overrides = {}
    cleared_ms = world.now_ms
    world.run(4_000, lambda: b.adopted is not None)
    assert b.adopted is not None and world.now_ms - cleared_ms <= 3_000


def test_p8_who_cleared_the_zone_is_not_missed_and_who_speaks_again_is_a_peer_again() -> None:
    world, a = holder("a", "b")
    b = world.cars["b"]
    a.overrides = {"pnr_passed": True, "cleared": True}
    world.run(4_000)
    assert a.done_ms is not None and b.core.silent(world.now_ms) == {}
    world, a = holder("a", "b")
    b = world.cars["b"]
    a.overrides = {"cleared": False, "pnr_passed": False}
    a.off = True
    world.run(3_000)
    a.off = False
    world.run(200)
    assert b.core.silent(world.now_ms) == {} and "a" in b.core.heard(world.now_ms)


# P12


def test_p12_a_doubtful_clock_stops_all_signing_within_200_ms() -> None:
    world = World()
    for name in ("a", "b"):
        world.engage(world.add(name))
    world.run(250)
    a = world.cars["a"]
    a.overrides = {"clock_error_ms": world.tuning.eps_ms + 1}
    doubt_ms = world.now_ms
    world.run(2_000)
    assert [at for at, who, _ in world.air if who == "a" and at > doubt_ms + 200] == []
    assert world.persisted.get("a", []) == []
    a.overrides = {}
    world.run(1_000, world.all_adopted)
    assert world.all_adopted()


def test_p12_a_holder_that_doubts_its_clock_gives_its_tube_up_unless_it_can_no_longer_stop() -> None:
    for passed in (False, True):
        world, a = holder("a", "b")
        a.overrides = {"clock_error_ms": 1_000, "pnr_passed": passed, "cleared": False}
        world.run(100)
        assert (a.adopted is None) is not passed
        assert not any(decode(raw).kind is Kind.RELEASE for _, who, raw in world.air if who == "a")


def test_p12_a_step_back_of_the_clock_is_a_defect_of_the_caller_between_zones_too() -> None:
    world, a = holder("a", "b")
    a.core.disengage(world.now_ms)
    with pytest.raises(LocalProtocolError, match="time went back"):
        a.core.engage("zone-2", 7, world.now_ms - 200)
