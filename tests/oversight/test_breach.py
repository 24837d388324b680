"""A broken plan is found in one to two seconds, tracking noise is not; and a correct vehicle can always answer."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fleet.node.signing import Signer, simulation_seed, verify_with
from fleet.oversight.breach import Cusum, breach_ms, place_mm
from fleet.oversight.breach_case import (
    BreachCase,
    GivenBack,
    Sighting,
    SignedCommitment,
    acknowledgement_statement,
    judge,
    release_statement,
)
from planners.timed_path import TimedPath

ALLOWANCE_MM = 500
PLAN = TimedPath("a", "N.straight", 1_000, 5_000, 8_000, ((3_000, 500), (4_000, -1_000), (8_000, 0)))
NAMES = ("a", "b", "c", "d", "e")
SIGNERS = {name: Signer(simulation_seed(3, name)) for name in NAMES}
KEYS = {name: signer.public_key for name, signer in SIGNERS.items()}


@given(st.integers(1_000, 16_000))
def test_the_place_by_whole_numbers_is_that_of_the_plan(at_ms: int) -> None:
    found = place_mm(PLAN, at_ms)
    assert found is not None
    assert abs(found - 1000.0 * PLAN.arrays().at(at_ms * 1e-3)[0]) <= 1.0


def test_nothing_is_promised_before_the_plan_or_after_its_end() -> None:
    assert place_mm(PLAN, 999) is None
    assert place_mm(PLAN, PLAN.end_ms + 1) is None


@pytest.mark.parametrize(
    ("offset_mps2", "least_s", "most_s"), [(-3.0, 0.8, 1.4), (-1.0, 1.5, 2.1), (1.0, 1.5, 2.1), (-6.0, 0.5, 1.1)]
)
def test_a_vehicle_that_leaves_its_plan_is_found_in_time(offset_mps2: float, least_s: float, most_s: float) -> None:
    """At 10 Hz, with 0.1 m of noise on every fix: 200 breakers, the slowest within the bound."""
    rng = np.random.default_rng(5)
    times = []
    for _ in range(200):
        sums = Cusum(ALLOWANCE_MM)
        for k in range(100):
            wrong_m = 0.5 * offset_mps2 * (0.1 * k) ** 2 + 0.1 * rng.standard_normal()
            if sums.take(100 * k, round(1000.0 * wrong_m)):
                times.append(0.1 * k)
                break
    assert len(times) == 200
    assert least_s <= min(times) and max(times) <= most_s


def test_an_hour_of_honest_tracking_raises_no_alarm() -> None:
    """Ten vehicle-hours at 10 Hz: errors of 0.2 m (allowed: 0.5 m) that last 1 s, one fix in 200 3 m off."""
    rng = np.random.default_rng(7)
    alarms, slow = 0, np.zeros(10)
    sums = [Cusum(ALLOWANCE_MM) for _ in range(10)]
    for k in range(36_000):
        slow = 0.9 * slow + np.sqrt(1.0 - 0.81) * 0.2 * rng.standard_normal(10)
        bad = 3.0 * (rng.random(10) < 0.005)
        for one, value in zip(sums, np.rint(1000.0 * (slow + bad)).astype(int).tolist(), strict=True):
            alarms += one.take(100 * k, value) and one.found_ms == 100 * k
    assert alarms == 0


def signed_plan(plan: TimedPath = PLAN, by: str = "a") -> SignedCommitment:
    bare = SignedCommitment("a", "c" * 64, "0" * 16, plan.encode(), ALLOWANCE_MM)
    return replace(bare, signature=SIGNERS[by].sign(bare.statement()))


def saw(observer: str, wrong_mm: int, *, from_ms: int = 1_000, to_ms: int = 9_000) -> list[Sighting]:
    """``observer`` signs that the vehicle was so far off, ten times a second."""
    found = []
    for stamp_ms in range(from_ms, to_ms, 100):
        promised = place_mm(PLAN, stamp_ms)
        assert promised is not None
        bare = Sighting(observer, "a", PLAN.path_id, stamp_ms, promised + wrong_mm)
        found.append(replace(bare, signature=SIGNERS[observer].sign(bare.statement())))
    return found


def status(*sightings: list[Sighting], commitment: SignedCommitment | None = None, **more: object) -> str:
    case = BreachCase(commitment or signed_plan(), tuple(one for seen in sightings for one in seen), **more)  # type: ignore[arg-type]
    return judge(case, KEYS, verify_with).status


def test_a_breach_that_two_have_seen_is_upheld_and_one_witness_is_not_enough() -> None:
    assert status(saw("b", -3_000), saw("c", -2_800)) == "upheld"
    assert status(saw("b", -3_000)) == "attested"
    assert status(saw("b", 300), saw("c", -300)) == "unproven"
    assert status(saw("b", -3_000), saw("c", -2_800), saw("d", 100)) == "contested"


def test_who_came_too_late_to_be_sure_speaks_neither_for_nor_against() -> None:
    late = saw("d", -3_000, from_ms=1_300, to_ms=1_700)  # four samples: not enough for a breach by themselves
    assert status(saw("b", -3_000), saw("c", -2_800), late) == "upheld"


def test_what_is_not_signed_by_whom_it_names_counts_for_nothing() -> None:
    two = saw("b", -3_000), saw("c", -3_000)
    assert status(*two, commitment=signed_plan(by="b")) == "unproven"
    assert status(saw("b", -3_000), [replace(one, observer="d") for one in two[0]]) == "attested"
    assert status(saw("b", -3_000), [replace(one, s_mm=0) for one in two[1]]) == "attested"
    strange = TimedPath("b", PLAN.path_id, PLAN.t0_ms, PLAN.s0_mm, PLAN.v0_mmps, PLAN.segments)
    assert status(*two, commitment=signed_plan(strange)) == "unproven"
    bare = SignedCommitment("a", "", "", b"\xff\x00", 0)
    nonsense = replace(bare, signature=SIGNERS["a"].sign(bare.statement()))
    assert status(*two, commitment=nonsense) == "unproven"


def test_the_accused_does_not_count_as_its_own_witness() -> None:
    assert status(saw("b", -3_000), saw("c", -3_000), saw("a", 0)) == "upheld"
    assert status(saw("b", -3_000), saw("a", -3_000)) == "attested"


def given_back(heard_ms: int, witness: str = "d") -> GivenBack:
    release = release_statement("a", PLAN.encode(), heard_ms - 50)
    heard = SIGNERS[witness].sign(acknowledgement_statement(release, witness, heard_ms))
    return GivenBack("a", PLAN.encode(), heard_ms - 50, SIGNERS["a"].sign(release), witness, heard_ms, heard)


def test_who_gave_its_plan_back_in_time_has_answered_and_who_did_so_later_has_not() -> None:
    seen = saw("b", -3_000, from_ms=4_000), saw("c", -3_000, from_ms=4_000)
    assert status(*seen, given_back=given_back(3_900)) == "answered"
    assert status(*seen, given_back=given_back(4_500)) == "upheld"
    assert status(*seen, given_back=replace(given_back(3_900), heard_ms=3_000)) == "upheld"
    assert status(*seen, given_back=given_back(3_900, witness="a")) == "upheld"


LIES = st.lists(st.tuples(st.integers(-40_000, 40_000), st.integers(10, 60), st.integers(2, 30)), max_size=3)


@settings(max_examples=40, deadline=None)
@given(LIES, st.lists(st.integers(-ALLOWANCE_MM, ALLOWANCE_MM), min_size=4, max_size=4), st.booleans())
def test_a_correct_vehicle_can_always_defend_itself(
    lies: list[tuple[int, int, int]], errors_mm: list[int], everybody_lies: bool
) -> None:
    """It keeps within its budget. One liar alone never has a case upheld; nor do several, as soon as one honest
    observer who watched speaks. Liars replay and alter what others signed as well."""
    liars = ("b", "c") if everybody_lies else ("b",)
    told: list[Sighting] = []
    for wrong_mm, first, count in lies:
        for liar in liars:
            told += saw(liar, wrong_mm, from_ms=100 * first, to_ms=100 * (first + count))
    honest: list[Sighting] = []
    for k, error_mm in enumerate(errors_mm):
        honest += saw("d", error_mm, from_ms=1_000 + 2_000 * k, to_ms=3_000 + 2_000 * k)
    forged = [replace(one, s_mm=one.s_mm + 5_000) for one in honest[:10]]
    defended = BreachCase(signed_plan(), (*told, *forged, *honest))
    assert judge(defended, KEYS, verify_with).status in {"contested", "unproven"}
    if not everybody_lies:
        assert judge(BreachCase(signed_plan(), (*told, *forged)), KEYS, verify_with).status != "upheld"


def test_the_time_of_a_breach_is_that_of_the_first_accuser() -> None:
    seen = [(stamp_ms, place_mm(PLAN, stamp_ms) or 0) for stamp_ms in range(1_000, 3_000, 100)]
    assert breach_ms(PLAN, ALLOWANCE_MM, seen) is None
    late = [(stamp_ms, s_mm - (2_000 if stamp_ms > 2_000 else 0)) for stamp_ms, s_mm in seen]
    assert breach_ms(PLAN, ALLOWANCE_MM, late) == 2_500
