"""The gates of karma: almost all of the gap closed, and neither overbidding nor a fresh name pays."""

from __future__ import annotations

import numpy as np
import pytest

from fleet.errors import ConfigError
from fleet.mechanism.equilibrium import REFERENCE, Population, long_run_cost, overbidding, solve

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


@pytest.mark.parametrize("wrong", [{"alpha": 1.0}, {"share": (0.5, 0.6)}, {"endowment": 0}, {"endowment": 41}])
def test_populations_that_cannot_be_are_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(ConfigError, match="population"):
        Population(**wrong)  # type: ignore[arg-type]
