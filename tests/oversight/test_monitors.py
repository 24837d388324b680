"""Each monitor finds its harm, says nothing of health, and answers with one of four responses."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fleet.charter.model import default_charter
from fleet.charter.terms import Monitors
from fleet.oversight.common_cause import CommonCauseMonitor
from fleet.oversight.efficiency import AnarchyMonitor
from fleet.oversight.fairness import FairnessMonitor, StarvationMonitor, Window, gini_milli, jain_milli
from fleet.oversight.findings import CALL_PERSON, FIRST_COME, QUARANTINE_KEY, RAISE_HEADWAY, RESPONSES, Finding
from fleet.oversight.integrity import IntegrityMonitor
from fleet.oversight.monitors import GONE_MS, INSIST_MS, GroupMonitors
from fleet.oversight.snapshot import Accounts, Accused, Passed, VehicleView
from tests.oversight.views import stands, view

LIMITS = Monitors().thresholds


def test_there_are_four_responses_and_none_is_physical() -> None:
    assert RESPONSES == ("raise_headway", "first_come", "quarantine_key", "call_person")
    with pytest.raises(Exception, match="no response"):
        Finding("gridlock", ("a",), 0, 1, 0, "ms", "brake", "")


@given(st.lists(st.integers(0, 10**6), min_size=2, max_size=12))
def test_jain_and_gini_agree_with_their_definitions(shares: list[int]) -> None:
    total, count = sum(shares), len(shares)
    if total == 0:
        assert (jain_milli(shares), gini_milli(shares)) == (1000, 0)
        return
    assert abs(jain_milli(shares) - 1000 * total**2 / (count * sum(x * x for x in shares))) <= 1
    apart = sum(abs(x - y) for x in shares for y in shares)
    assert abs(gini_milli(shares) - 1000 * apart / (2 * count * total)) <= 1


def through(count: int, delays_ms: dict[str, int], planned_ms: int = -1) -> tuple[Passed, ...]:
    return tuple(
        Passed(f"{approach}{k}", approach, "one", "car", 1_000 * k, delay_ms, planned_ms)
        for k in range(count)
        for approach, delay_ms in delays_ms.items()
    )


def test_an_approach_that_pays_for_the_others_is_found_and_an_even_fleet_is_not() -> None:
    for delays, kinds in (
        ({"n": 4_000, "e": 4_000, "s": 5_000}, set()),
        ({"n": 300, "e": 300, "s": 60_000}, {"jain", "gini"}),
        ({"n": 0, "e": 0, "s": 900}, set()),  # nobody really waits
    ):
        window = Window()
        monitor = FairnessMonitor(LIMITS, window)
        snapshot = view(60_000, passed=through(12, delays))
        window.take(snapshot)
        assert {finding.kind for finding in monitor.look(snapshot)} == kinds


def test_few_samples_say_nothing_about_fairness() -> None:
    window = Window()
    snapshot = view(60_000, passed=through(7, {"n": 0, "s": 90_000}))
    window.take(snapshot)
    assert not FairnessMonitor(LIMITS, window).look(snapshot)


def test_what_passed_before_the_window_is_forgotten() -> None:
    window = Window(10_000)
    window.take(view(20_000, passed=(Passed("a", "n", "", "", 9_999, 0), Passed("b", "n", "", "", 10_001, 0))))
    assert [one.vehicle for one in window.passed] == ["b"]


def test_whoever_waits_beyond_the_bound_is_found_until_it_has_a_plan() -> None:
    monitor = StarvationMonitor(60_000)
    waiting = stands("a", waits_since_ms=0)
    assert not monitor.look(view(60_000, waiting))
    assert monitor.look(view(60_500, waiting))[0].response == FIRST_COME
    assert not monitor.look(view(60_500, VehicleView("a", zone="J", waits_since_ms=0, holds=True)))
    assert monitor.longest_ms == 60_500


def test_the_price_of_anarchy_is_what_was_lost_over_what_had_to_be() -> None:
    for delay_ms, price in ((3_300, 1_100), (6_000, 2_000), (1_500, 1_000)):
        window = Window()
        monitor = AnarchyMonitor(LIMITS, window)
        snapshot = view(60_000, passed=through(40, {"n": delay_ms}, planned_ms=3_000))
        window.take(snapshot)
        found = monitor.look(snapshot)
        assert monitor.price_milli == price
        assert bool(found) is (price > LIMITS["price_of_anarchy_milli_max"])


def test_several_failures_of_one_software_are_a_common_cause_and_scattered_ones_are_not() -> None:
    def fleet(failing: set[int]) -> list[VehicleView]:
        return [
            VehicleView(f"v{k}", software="old" if k < 4 else "new", failing="dead" if k in failing else "")
            for k in range(16)
        ]

    assert not CommonCauseMonitor(LIMITS).look(view(0, *fleet({0, 7, 12})))
    found = CommonCauseMonitor(LIMITS).look(view(0, *fleet({0, 1, 3})))
    assert found[0].response == RAISE_HEADWAY
    assert found[0].who[0] == "software old"


def test_a_few_failures_in_a_fleet_of_one_software_say_nothing_and_half_of_it_does() -> None:
    def fleet(failing: int) -> list[VehicleView]:
        return [VehicleView(f"v{k}", software="one", failing="dead" if k < failing else "") for k in range(8)]

    assert not CommonCauseMonitor(LIMITS).look(view(0, *fleet(3)))
    assert CommonCauseMonitor(LIMITS).look(view(0, *fleet(4)))


def test_a_monoculture_is_found_by_the_charters_share_only() -> None:
    fleet = [VehicleView(f"v{k}", software="one" if k else "two") for k in range(10)]
    assert not CommonCauseMonitor(LIMITS).look(view(0, *fleet))
    found = CommonCauseMonitor(Monitors({"monoculture_milli_max": 800}).thresholds).look(view(0, *fleet))
    assert (found[0].kind, found[0].figure) == ("monoculture", 900)


def test_accounts_that_do_not_add_up_end_the_mechanism() -> None:
    monitor = IntegrityMonitor(LIMITS)
    assert not monitor.look(view(0, accounts=Accounts(400, 400)))
    assert monitor.look(view(500, accounts=Accounts(401, 400)))[0].response == FIRST_COME


def test_an_equivocator_is_told_once_with_its_proof_and_loses_its_key() -> None:
    monitors = GroupMonitors(default_charter())
    proof = Accused("liar", "ab" * 32, "vote")
    told = monitors.look(view(0, accused=(proof,))).new
    assert [(one.response, one.evidence) for one in told] == [(QUARANTINE_KEY, "ab" * 32)]
    assert not monitors.look(view(500, accused=(proof,))).new


def test_one_that_nobody_hears_and_one_that_is_passed_over_are_excluded() -> None:
    monitor = IntegrityMonitor(LIMITS)
    assert not monitor.look(view(0, VehicleView("a", zone="J", unheard_ms=500, passed_over=6)))
    for lonely in (VehicleView("a", zone="J", unheard_ms=1_500), VehicleView("a", zone="J", passed_over=7)):
        assert monitor.look(view(0, lonely))[0].response == CALL_PERSON


def test_a_jam_is_told_once_insists_on_a_person_and_is_over_when_it_has_gone() -> None:
    monitors = GroupMonitors(default_charter())
    jam = stands("a", "b", cause="order"), stands("b", "a", cause="order")
    told = [(t, one.response) for t in range(0, 20_000, 500) for one in monitors.look(view(t, *jam)).new]
    assert told == [(1_500, FIRST_COME), (1_500 + INSIST_MS, CALL_PERSON)]
    gone = [(t, one.kind) for t in range(20_000, 25_000, 500) for one in monitors.look(view(t)).over]
    assert gone == [(19_500 + GONE_MS, "gridlock")]
