"""The gates of karma: almost all of the gap closed, and neither overbidding nor a fresh name pays."""

from __future__ import annotations

import numpy as np
import pytest

from fleet.errors import ConfigError
from fleet.mechanism.equilibrium import REFERENCE, Population, long_run_cost, overbidding, solve
from fleet.mechanism.interface import Choice, Claim, Meter, Situation
from fleet.mechanism.karma import Karma, bid_milli

POPULATIONS = (REFERENCE, Population((1.0, 10.0), (0.8, 0.2)))


@pytest.mark.parametrize("population", POPULATIONS)
def test_karma_closes_the_gap_and_no_deviation_pays(population: Population) -> None:
    found = solve(population)
    assert found.gap_closed >= 0.95
    assert 0.0 <= found.exploitability <= 1e-3
    assert found.balances @ np.arange(population.balance_max + 1) == pytest.approx(population.endowment, abs=1e-9)
    own = long_run_cost(found, found.policy)
    assert own == pytest.approx(found.cost, rel=1e-6)
    assert long_run_cost(found, overbidding(population)) > own
    assert long_run_cost(found, overbidding(population), reset_to=0) > own
    # Without binding a fresh name brings a fresh endowment, and must pay: else the line above proves nothing.
    assert long_run_cost(found, overbidding(population), reset_to=population.endowment) < 0.2 * own


def test_bids_are_covered_and_rise_with_urgency() -> None:
    found = solve(REFERENCE)
    for balance in range(REFERENCE.balance_max + 1):
        for luck in (0.0, 0.5, 0.999):
            low, high = (found.bid(balance, urgency, luck) for urgency in (0, 1))
            assert 0 <= low <= high <= min(balance, REFERENCE.bid_max)


def test_a_bid_reveals_who_bids_so_and_a_planner_that_weighs_is_told_that() -> None:
    reveals = solve(REFERENCE).reveals()
    assert len(reveals) == REFERENCE.bid_max + 1
    assert list(reveals) == sorted(reveals)
    assert reveals[0] < 50 < 950 < reveals[5]
    claims = [Claim("low", 0, "a", bid_milli(1), balance=9), Claim("high", 1, "b", bid_milli(5), balance=9)]
    choice = Karma(reveals).decide(Situation.of("z", 1, 2, claims), Meter(9))
    assert choice == Choice(("high", "low"), (reveals[5], reveals[1]))


@pytest.mark.parametrize("wrong", [{"alpha": 1.0}, {"share": (0.5, 0.6)}, {"endowment": 0}, {"endowment": 41}])
def test_populations_that_cannot_be_are_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(ConfigError, match="population"):
        Population(**wrong)  # type: ignore[arg-type]
