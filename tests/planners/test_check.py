"""The verifier against shapely, against itself with planted defects, and against plans no planner would make."""

from __future__ import annotations

import math
import time
from dataclasses import replace

import numpy as np
import pytest

from fleet.errors import PlanError
from planners import check_gap, check_limits, check_track
from planners.check import Finding, Verifier
from planners.interface import Body, Commitment
from planners.timed_path import TimedPath
from planners.zone_map import ErrorBudget, Footprint, Passage
from tests.planners.oracle import BUDGET, FOOTPRINT, LIMITS, body, commitment, crossing, gaps, map_of, path_of

CROSSING = crossing()
ALONG_M = check_track.QUANTUM_M + check_track.SLACK_M + 0.5 * FOOTPRINT.width_m * math.sin(check_track.YAW_ERROR_RAD)
"""What the verifier adds to the longitudinal budget of a car on a straight path, clock aside."""


@pytest.fixture(scope="module")
def verifier() -> Verifier:
    return Verifier(CROSSING)


def kinds(findings: tuple[Finding, ...]) -> list[str]:
    return [finding.kind for finding in findings]


def gentle(seconds: float) -> list[tuple[int, int]]:
    """Stand for a while, then accelerate as fast as the rule on jerk allows, to 10 m/s."""
    return [(round(seconds * 1e3), 0), (174, 1300), (3672, 2600), (174, 1300), (30_000, 0)]


# --- overlap -------------------------------------------------------------------------------------


def test_crossing_at_the_same_time_is_an_overlap_and_one_after_the_other_is_not(verifier: Verifier) -> None:
    a = commitment("a", "straight0", 60.0, 10.0, [(20_000, 0)])
    b = commitment("b", "straight1", 60.0, 10.0, [(20_000, 0)])
    late = commitment("b", "straight1", 30.0, 10.0, [(20_000, 0)])
    found = verifier.pair(a, b, from_ms=0)
    assert found is not None
    assert (found.kind, found.vehicle, found.other) == ("overlap", "a", "b")
    assert 2.5 < found.time_s < 4.0
    assert verifier.pair(a, late, from_ms=0) is None


def test_the_gap_that_is_accepted_ends_where_the_stated_inflation_begins(verifier: Verifier) -> None:
    """Standing one behind the other: refused at 2 mm less than the sum of margins, accepted at 2 mm more."""
    for excess_m, accepted in ((-0.002, False), (0.002, True)):
        bumper_gap = 2.0 * (BUDGET.longitudinal_m + ALONG_M) + excess_m
        rear = commitment("a", "straight0", 20.0, 0.0, [(1000, 0)])
        front = commitment("b", "straight0", 20.0 + FOOTPRINT.length_m + bumper_gap, 0.0, [(1000, 0)])
        assert (verifier.pair(rear, front, from_ms=0) is None) is accepted


def test_the_clock_bound_grows_with_speed(verifier: Verifier) -> None:
    """At 12 m/s two clocks off by 5 ms take 12 cm; a gap 6 cm above the margins at rest is refused."""
    gap = 2.0 * (BUDGET.longitudinal_m + ALONG_M) + 0.06
    for speed, accepted in ((0.0, True), (12.0, False)):
        rear = commitment("a", "straight0", 10.0, speed, [(20_000, 0)])
        front = commitment("b", "straight0", 10.0 + FOOTPRINT.length_m + gap, speed, [(20_000, 0)])
        assert (verifier.pair(rear, front, from_ms=0) is None) is accepted


def brief_overlap() -> tuple[Commitment, Commitment]:
    """A fast small body whose corner clips a standing one for about 20 ms, between two samples 0.1 s apart."""
    small = {"footprint": Footprint(0.4, 0.3, 0.1), "budget": ErrorBudget(0.0, 0.0)}
    mover = commitment("a", "fast", 0.0, 33.0, [(3_000, 0)], **small)
    stander = commitment("b", "slow", 49.85, 0.0, [(3_000, 0)], **small)
    return mover, stander


def brief_map() -> object:
    fast = path_of("fast", (0.0, 0.0, 0.0), [(100.0, 0.0)], limit_mps=40.0)
    return map_of(fast, path_of("slow", (50.0 + 1.2, -50.0, math.pi / 2.0), [(100.0, 0.0)]))


def test_an_overlap_of_20_ms_between_samples_is_found() -> None:
    zone_map = brief_map()
    a, b = brief_overlap()
    dense = gaps(zone_map, a, b, np.arange(0.0, 3.0, 1e-4))
    touching_s = np.count_nonzero(dense == 0.0) * 1e-4
    assert 0.015 < touching_s < 0.03, "the scene must be what it claims"
    assert gaps(zone_map, a, b, np.arange(0.0, 3.0, 0.1)).min() > 0.0, "a sampler at 0.1 s must miss it"
    found = Verifier(zone_map).pair(a, b, from_ms=0)
    assert found is not None
    assert found.kind == "overlap"


def test_following_through_a_bend_at_one_metre_is_decided_within_a_tenth_of_the_budget(
    verifier: Verifier, monkeypatch: pytest.MonkeyPatch
) -> None:
    gap = 2.0 * (BUDGET.longitudinal_m + ALONG_M) + 1.0
    rear = commitment("a", "right0", 50.0, 6.0, [(40_000, 0)])
    front = commitment("b", "right0", 50.0 + FOOTPRINT.length_m + gap, 6.0, [(40_000, 0)])
    monkeypatch.setattr(check_gap, "EVALUATION_COUNT_MAX", check_gap.EVALUATION_COUNT_MAX // 10)
    assert verifier.pair(rear, front, from_ms=0) is None


def test_when_the_budget_of_evaluations_is_spent_the_answer_is_a_refusal(
    verifier: Verifier, monkeypatch: pytest.MonkeyPatch
) -> None:
    gap = 2.0 * (BUDGET.longitudinal_m + ALONG_M) + 1.0
    rear = commitment("a", "right0", 50.0, 6.0, [(40_000, 0)])
    front = commitment("b", "right0", 50.0 + FOOTPRINT.length_m + gap, 6.0, [(40_000, 0)])
    monkeypatch.setattr(check_gap, "EVALUATION_COUNT_MAX", 5)
    found = verifier.pair(rear, front, from_ms=0)
    assert found is not None
    assert found.kind == "undecided"


def test_a_plan_that_ended_at_standstill_stands_for_ever(verifier: Verifier) -> None:
    stopped = commitment("a", "straight0", 90.0, 4.5, [(1000, -4500)])
    for start_ms in (2_000, 500_000):
        other = commitment("b", "straight0", 20.0, 10.0, [(20_000, 0)], t0_ms=start_ms)
        found = verifier.pair(stopped, other, from_ms=0)
        assert found is not None
        assert found.time_s > start_ms * 1e-3


def test_a_body_beyond_the_end_of_its_path_is_gone_once_its_rear_bumper_is(verifier: Verifier) -> None:
    """It leaves at t = 1.105 s (11.05 m at 10 m/s); until then it is in the way, even after its plan's end."""
    leaver = commitment("a", "straight0", 190.0, 10.0, [(1000, 0)])
    outside = commitment("b", "straight0", 201.1, 0.0, [(1000, 0)])
    assert verifier.pair(leaver, commitment("b", "straight0", 190.0, 0.0, [(1000, 0)]), from_ms=1106) is None
    assert verifier.pair(leaver, commitment("b", "straight0", 195.0, 0.0, [(1000, 0)]), from_ms=1100) is not None
    assert verifier.pair(leaver, outside, from_ms=0) is None, "a body that starts beyond the end is gone at once"


def test_times_before_from_ms_and_before_a_start_are_not_judged(verifier: Verifier) -> None:
    a = commitment("a", "straight0", 60.0, 10.0, [(20_000, 0)])
    b = commitment("b", "straight1", 60.0, 10.0, [(20_000, 0)])
    assert verifier.pair(a, b, from_ms=8_000) is None
    assert verifier.pair(a, replace(b, plan=replace(b.plan, t0_ms=8_000)), from_ms=0) is None


# --- against shapely -----------------------------------------------------------------------------


def random_map(rng: np.random.Generator) -> object:
    """Two paths of lines and arcs through about the same place."""
    paths = []
    for name in ("p", "q"):
        parts = []
        while sum(length for length, _ in parts) < 50.0:
            parts.append((float(rng.uniform(3.0, 15.0)), float(rng.choice([0.0, 1.0])) * float(rng.uniform(-0.2, 0.2))))
        yaw = float(rng.uniform(-math.pi, math.pi))
        x, y = float(rng.normal(0.0, 3.0)), float(rng.normal(0.0, 3.0))
        paths.append(path_of(name, (x - 25.0 * math.cos(yaw), y - 25.0 * math.sin(yaw), yaw), parts))
    return map_of(*paths)


def random_commitment(rng: np.random.Generator, vehicle: str, path_id: str) -> Commitment:
    speed = float(rng.uniform(0.0, 15.0))
    segments, v = [], round(speed * 1e3)
    for _ in range(int(rng.integers(1, 5))):
        dt, a = int(rng.integers(100, 2500)), int(rng.integers(-4500, 2600))
        if v * 1000 + a * dt < 0:
            a = -(v * 1000 // dt)
        v += a * dt // 1000
        segments.append((dt, a))
    footprint = Footprint(float(rng.uniform(1.0, 12.0)), float(rng.uniform(0.5, 2.6)), 0.3)
    budget = ErrorBudget(float(rng.uniform(0.0, 0.3)), float(rng.uniform(0.0, 0.6)))
    start_ms = int(rng.integers(0, 3000))
    return commitment(
        vehicle, path_id, float(rng.uniform(0.0, 30.0)), speed, segments, start_ms, footprint=footprint, budget=budget
    )


def random_scene(seed: int) -> tuple[object, Commitment, Commitment]:
    rng = np.random.default_rng(seed)
    zone_map = random_map(rng)
    path = "q" if rng.random() < 0.8 else "p"
    return zone_map, random_commitment(rng, "a", "p"), random_commitment(rng, "b", path)


def disagreement(verdict: Finding | None, zone_map: object, a: Commitment, b: Commitment) -> str:
    """Why shapely cannot agree with the verdict; empty if it can.

    Accepted: no touch at any sampled time, outlines inflated by budget and clock. Refused: at the time
    that the finding names, outlines inflated by all margins do touch.
    """
    start = max(a.plan.t0_ms, b.plan.t0_ms) * 1e-3
    if verdict is None:
        end = max(a.plan.end_ms, b.plan.end_ms, start * 1e3) * 1e-3 + 5.0
        margins = {"clock_s": check_track.CLOCK_ERROR_S}
        touched = gaps(zone_map, a, b, np.arange(start, end, 0.02), **margins) == 0.0
        return "accepted, but they touch" if touched.any() else ""
    if verdict.kind != "overlap":
        return f"not decided: {verdict}"
    grounds = [check_track.Ground.of(zone_map.paths[c.plan.path_id]) for c in (a, b)]
    extra = [check_track.Outline.of(c.body, g) for c, g in zip((a, b), grounds, strict=True)]
    both = list(zip(extra, (a.body, b.body), strict=True))
    along = max(o.front_m - own.footprint.front_m - own.budget.longitudinal_m for o, own in both)
    across = max(o.half_m - 0.5 * own.footprint.width_m - own.budget.lateral_m for o, own in both)
    margins = {"along_m": along, "across_m": across, "clock_s": check_track.CLOCK_ERROR_S}
    apart = float(gaps(zone_map, a, b, np.array([verdict.time_s]), **margins)[0])
    return f"refused at {apart:.4f} m" if apart > 1e-6 else ""


def count_disagreements(seeds: range) -> tuple[int, int, list[str]]:
    accepted, refused, wrong = 0, 0, []
    for seed in seeds:
        zone_map, a, b = random_scene(seed)
        verdict = Verifier(zone_map).pair(a, b, from_ms=0)
        accepted, refused = accepted + (verdict is None), refused + (verdict is not None)
        text = disagreement(verdict, zone_map, a, b)
        wrong += [f"seed {seed}: {text}"] if text else []
    return accepted, refused, wrong


def test_no_accepted_pair_touches_and_no_refusal_is_invented_in_2000_random_scenes() -> None:
    accepted, refused, wrong = count_disagreements(range(2000))
    assert not wrong, wrong[:5]
    assert accepted > 400
    assert refused > 400


def test_without_inflation_shapely_objects(monkeypatch: pytest.MonkeyPatch) -> None:
    """The oracle can see the defect it is there to see."""
    plain = check_track.Outline(FOOTPRINT.front_m, FOOTPRINT.rear_m, 0.5 * FOOTPRINT.width_m)

    def bare(body: Body, ground: check_track.Ground) -> check_track.Outline:
        f = body.footprint
        return check_track.Outline(f.front_m, f.rear_m, 0.5 * f.width_m)

    assert bare(body("a"), check_track.Ground.of(CROSSING.paths["straight0"])) == plain
    monkeypatch.setattr(check_track.Outline, "of", staticmethod(bare))
    assert any("accepted, but they touch" in text for text in count_disagreements(range(300))[2])


def test_with_too_small_a_bound_on_motion_the_brief_overlap_is_missed(monkeypatch: pytest.MonkeyPatch) -> None:
    a, b = brief_overlap()
    honest = check_gap._least
    monkeypatch.setattr(check_gap, "_least", lambda alpha, beta, h: 0.5 * honest(alpha, beta, h))
    assert Verifier(brief_map()).pair(a, b, from_ms=0) is None


def test_without_the_bound_on_turning_shapely_objects(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(check_gap, "_drift", lambda now, ground, h: (0.0, 0.0))
    assert any("accepted, but they touch" in text for text in count_disagreements(range(500))[2])


# --- limits --------------------------------------------------------------------------------------


Segments = list[tuple[int, int]]


def limits_of(verifier: Verifier, path_id: str, s0_m: float, v0_mps: float, segments: Segments) -> list[str]:
    c = commitment("a", path_id, s0_m, v0_mps, segments)
    return kinds(verifier.limits(c.body, c.plan))


def test_a_plan_within_all_limits_has_no_findings(verifier: Verifier) -> None:
    assert limits_of(verifier, "straight0", 20.0, 0.0, gentle(1.0)) == []
    assert limits_of(verifier, "straight0", 20.0, 9.0, [(300, -2250), (1700, -4500), (300, -2250)]) == []
    assert limits_of(verifier, "straight0", 20.0, 0.0, []) == []


@pytest.mark.parametrize(
    ("v0_mps", "segments", "expected"),
    [
        (13.0, [(1000, 1500), (20_000, 0)], ["speed"]),
        (5.0, [(2000, 3000), (20_000, 0)], ["accel"]),
        (10.0, [(2000, -5000)], ["brake"]),
        (10.0, [(1000, -4500), (2000, 2600), (20_000, 0)], ["jerk"]),
        (10.0, [(1000, 0)], ["end"]),
        (2.0, [(1000, -4000)], ["speed"]),
    ],
)
def test_each_limit_is_found_alone(
    verifier: Verifier, v0_mps: float, segments: list[tuple[int, int]], expected: list[str]
) -> None:
    assert limits_of(verifier, "straight0", 20.0, v0_mps, segments) == expected


def test_a_bend_limits_speed_by_lateral_acceleration(verifier: Verifier) -> None:
    """3 m/s2 at 15 m radius is 6.71 m/s."""
    assert limits_of(verifier, "right0", 20.0, 6.7, [(40_000, 0)]) == []
    found = verifier.limits(body("a"), TimedPath("a", "right0", 0, 20_000, 7_200, ((40_000, 0),)))
    assert kinds(found) == ["lateral"]
    assert found[0].value == pytest.approx(7.2**2 / 15.0)
    assert found[0].time_s == pytest.approx((83.25 - 20.0) / 7.2, abs=0.05)


def test_a_limit_that_drops_for_one_metre_is_seen_between_knots() -> None:
    path = path_of("p", (0.0, 0.0, 0.0), [(100.0, 0.0)])
    limit = path.limit_mps.copy()
    limit[200:205] = 8.0
    verifier = Verifier(map_of(replace(path, limit_mps=limit)))
    assert limits_of(verifier, "p", 0.0, 10.0, [(20_000, 0)]) == ["speed"]
    assert limits_of(verifier, "p", 52.0, 10.0, [(20_000, 0)]) == []


def test_a_start_above_the_limit_is_excused_only_while_it_brakes_hard(verifier: Verifier) -> None:
    brakes = [(300, -2000), (600, -4000), (300, -2000), (20_000, 0)]
    assert limits_of(verifier, "straight0", 0.0, 16.0, brakes) == []
    assert limits_of(verifier, "straight0", 0.0, 16.0, [(3000, -800), (20_000, 0)]) == ["speed"]


@pytest.mark.parametrize("jerk", [2.0, 5.0, 15.0, 40.0])
def test_every_change_spread_over_one_mean_segment_passes_the_rule_on_jerk(jerk: float) -> None:
    verifier = Verifier(map_of(path_of("p", (0.0, 0.0, 0.0), [(900.0, 0.0)])))
    limits = replace(LIMITS, jerk_mps3_max=jerk)
    exact = ErrorBudget(0.0, 0.0)
    for before, after in ((-4500, 2600), (2600, -4500), (0, 2600), (-4500, -1000)):
        spread_ms = math.ceil(abs(after - before) / jerk)
        segments = [(1500, before), (spread_ms, (before + after) // 2), (1500, after)]
        c = commitment("a", "p", 0.0, 25.0, segments, limits=limits, budget=exact)
        assert "jerk" not in kinds(verifier.limits(c.body, c.plan))


def test_a_staircase_cannot_hide_a_jerk(verifier: Verifier) -> None:
    steps = [(2, a) for a in range(-4000, 2600, 500)]
    assert limits_of(verifier, "straight0", 20.0, 10.0, [(1000, -4500), *steps, (1000, 2600), (30_000, 0)]) == ["jerk"]


def test_a_stop_ends_the_chain_of_accelerations_but_starting_off_does_not(verifier: Verifier) -> None:
    stop = [(1000, -4500), (2000, 0)]
    assert limits_of(verifier, "straight0", 20.0, 4.5, [*stop, *gentle(0.1)]) == []
    limits = replace(LIMITS, accel_mps2_max=9.0)
    c = commitment("a", "straight0", 20.0, 4.5, [*stop, (1000, 8000), (25_000, 0)], limits=limits)
    assert "jerk" in kinds(Verifier(CROSSING).limits(c.body, c.plan))


def test_a_stop_rounded_to_milliseconds_is_a_stop(verifier: Verifier) -> None:
    assert limits_of(verifier, "straight0", 20.0, 9.999, [(2223, -4500)]) == []
    assert limits_of(verifier, "straight0", 20.0, 10.001, [(2222, -4500)]) == []


# --- joint, leases, start, contingency -----------------------------------------------------------


def test_joint_reports_limits_and_every_overlapping_pair_once(verifier: Verifier) -> None:
    a = commitment("a", "straight0", 60.0, 10.0, [(20_000, 0)])
    b = commitment("b", "straight1", 42.0, 14.5, [(20_000, 0)])
    c = commitment("c", "straight0", 60.0, 10.0, [(20_000, 0)])
    old_a = commitment("a", "straight1", 60.0, 10.0, [(20_000, 0)])
    found = verifier.joint([a, b], [c, old_a], from_ms=0)
    assert [(f.kind, f.vehicle, f.other) for f in found] == [
        ("speed", "b", ""), ("overlap", "a", "b"), ("overlap", "a", "c"), ("overlap", "b", "c"),
    ]  # fmt: skip
    assert verifier.joint([a], [old_a], from_ms=0) == (), "what a plan replaces is not in its way"
    assert kinds(verifier.joint([a, old_a], [], from_ms=0)) == ["segments"], "two plans of one vehicle"


def test_clears_gives_the_times_of_both_bumpers(verifier: Verifier) -> None:
    passage = Passage("z", "straight0", line_s_m=90.0, exit_s_m=110.0)
    through = commitment("a", "straight0", 60.0, 10.0, [(20_000, 0)], t0_ms=5_000)
    times = verifier.clears(through, passage)
    assert times == pytest.approx((5.0 + (30.0 - FOOTPRINT.front_m) / 10.0, 5.0 + (50.0 + FOOTPRINT.rear_m) / 10.0))
    at_line = commitment("a", "straight0", 90.0 - FOOTPRINT.front_m - 10.0, 10.0, [(2000, -5000)])
    assert verifier.clears(at_line, passage) is None
    inside = commitment("a", "straight0", 95.0, 0.0, [(2000, 0)], t0_ms=7_000)
    assert verifier.clears(inside, passage) == (7.0, math.inf)
    assert verifier.clears(through, replace(passage, path_id="straight1")) is None


def test_start_matches_within_the_longitudinal_budget_of_position_and_speed(verifier: Verifier) -> None:
    plan = TimedPath("a", "straight0", 1_000, 20_000, 10_000, ((10_000, 0),))
    assert verifier.start_matches(plan, 40.4, 10.0, 3_000, BUDGET) is None
    assert verifier.start_matches(plan, 40.0, 10.9, 3_000, BUDGET) is None
    late = verifier.start_matches(plan, 40.6, 10.0, 3_000, BUDGET)
    assert late is not None
    assert (late.kind, late.value) == ("start", pytest.approx(0.6))
    assert verifier.start_matches(plan, 40.3, 10.5, 3_000, BUDGET) is not None


def test_contingency_is_the_stopping_distance_after_the_delay(verifier: Verifier) -> None:
    reach = 50.0 + FOOTPRINT.front_m + 10.0 * 0.2 + 100.0 / (2 * 7.0)
    args = {"delay_s": 0.2, "brake_mps2": 7.0}
    assert verifier.contingency(body("a"), 50.0, 10.0, reach + 1e-9, **args) is None
    found = verifier.contingency(body("a"), 50.0, 10.0, reach - 0.01, **args)
    assert found is not None
    assert (found.kind, found.value) == ("zone", pytest.approx(reach))
    assert verifier.contingency(body("a"), 50.0, math.nan, 1e9, **args) is not None
    with pytest.raises(PlanError, match="brake_mps2"):
        verifier.contingency(body("a"), 50.0, 10.0, 60.0, delay_s=0.2, brake_mps2=0.0)


# --- bad input -----------------------------------------------------------------------------------

BIG = 2**40 - 1
ABSURD = [
    TimedPath("a", "nowhere", 0, 0, 0, ()),
    TimedPath("a", "straight0", 0, 0, 0, ((0, 0),)),
    TimedPath("a", "straight0", 0, 0, 0, ((-5, 0),)),
    TimedPath("a", "straight0", 0, 0, 0, ((1, 0),) * 65),
    TimedPath("a", "straight0", 0, 0, 0, ((600_001, 0),)),
    TimedPath("a", "straight0", BIG, BIG, BIG, ((9_000, BIG), (9_000, -BIG)) * 32),
    TimedPath("a", "straight0", 0, -BIG, BIG, ((9_375, BIG),) * 64),
    TimedPath("a", "straight0", 0, 0, BIG, ((9_375, -BIG), (1, BIG)) * 32),
    TimedPath("a", "straight0", 0, 0, 2**60, ((1, 1),)),
    TimedPath("a", "straight0", 0, 0, -1, ((1, 1),)),
    TimedPath("a", "right0", BIG, 0, 0, ((9_000, 4_000), (300, -BIG)) * 32),
]


@pytest.mark.parametrize("plan", ABSURD)
def test_absurd_plans_are_findings_and_cost_no_time(verifier: Verifier, plan: TimedPath) -> None:
    bad, good = Commitment(body("a"), plan), commitment("b", "straight1", 10.0, 10.0, [(20_000, 0)])
    begin = time.process_time()
    assert verifier.limits(bad.body, plan)
    assert verifier.joint([bad, good], [], from_ms=0)
    assert verifier.joint([good], [bad], from_ms=0) or verifier.limits(bad.body, plan)
    verifier.pair(bad, good, from_ms=0)
    verifier.start_matches(plan, 0.0, 0.0, 0, BUDGET)
    verifier.clears(bad, Passage("z", "straight0", 90.0, 110.0))
    assert time.process_time() - begin < 2.0


def test_absurd_bodies_are_findings(verifier: Verifier) -> None:
    plan = TimedPath("a", "straight0", 0, 20_000, 0, ())
    for bad in (
        Body("a", Footprint(math.nan, 1.8, 1.0), LIMITS, BUDGET),
        Body("a", Footprint(5.0, -1.8, 1.0), LIMITS, BUDGET),
        Body("a", FOOTPRINT, LIMITS, ErrorBudget(math.inf, 0.5)),
        Body("a", FOOTPRINT, replace(LIMITS, jerk_mps3_max=0.0), BUDGET),
        Body("not a", FOOTPRINT, LIMITS, BUDGET),
    ):
        assert kinds(verifier.limits(bad, plan)) == ["segments"]
        assert verifier.pair(Commitment(bad, plan), commitment("b", "straight2", 0.0, 0.0, []), from_ms=0) is not None


def test_a_map_that_is_not_finite_is_refused() -> None:
    path = path_of("p", (math.nan, 0.0, 0.0), [(10.0, 0.0)])
    with pytest.raises(PlanError, match="finite"):
        Verifier(map_of(path))


def test_a_finding_reads_as_one_line_with_value_limit_and_unit() -> None:
    text = str(Finding("lateral", "v3", "", 8.3234, 3.456789, 3.0))
    assert text == "lateral: v3 at 8.323 s: 3.457 m/s2, limit 3 m/s2"
    assert set(check_limits.LIMIT_KINDS) <= set(check_track.UNITS)
