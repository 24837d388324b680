"""Voting gains nothing from lies, knows no names, and wastes nothing; the mean shows that the checks bite."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from fractions import Fraction
from itertools import permutations

import pytest

from fleet.charter.voting import aggregate, amendment_passes, in_thousandths, median, voted_weights
from fleet.errors import CharterError

Rule = Callable[[Sequence[Sequence[int]]], Sequence[Fraction]]


def utilitarian(ballots: Sequence[Sequence[int]]) -> Sequence[Fraction]:
    return aggregate("utilitarian", ballots)


def markets(ballots: Sequence[Sequence[int]]) -> Sequence[Fraction]:
    return aggregate("independent_markets", ballots)


def mean(ballots: Sequence[Sequence[int]]) -> Sequence[Fraction]:
    """What is not offered: here only to be refused."""
    return [Fraction(sum(column), len(ballots)) for column in zip(*ballots, strict=True)]


def vote(draw: random.Random, values: int) -> list[int]:
    cuts = sorted(draw.randint(0, 1000) for _ in range(values - 1))
    return [b - a for a, b in zip([0, *cuts], [*cuts, 1000], strict=True)]


def profile(draw: random.Random) -> list[list[int]]:
    values = draw.randint(2, 5)
    return [vote(draw, values) for _ in range(draw.randint(2, 9))]


def distance(ballot: Sequence[int], outcome: Sequence[Fraction]) -> Fraction:
    return sum((abs(a - b) for a, b in zip(ballot, outcome, strict=True)), Fraction(0))


def profiles_with_a_profitable_lie(rule: Rule, profiles: int, lies: int, seed: int) -> int:
    """Half of the lies are drawn anywhere, half are the truth exaggerated."""
    draw = random.Random(seed)
    found = 0
    for _ in range(profiles):
        truth = profile(draw)
        before = [distance(ballot, rule(truth)) for ballot in truth]
        gained = False
        for _ in range(lies):
            i = draw.randrange(len(truth))
            lie = vote(draw, len(truth[0]))
            if draw.random() < 0.5:
                share = draw.random()
                lie = in_thousandths([a + Fraction(share) * (b - a) for a, b in zip(truth[i], lie, strict=True)])
            after = rule([*truth[:i], lie, *truth[i + 1 :]])
            gained |= distance(truth[i], after) < before[i]
        found += gained
    return found


def test_no_lie_pays_under_the_utilitarian_phantoms_in_300_profiles_by_200_misreports() -> None:
    assert profiles_with_a_profitable_lie(utilitarian, 300, 200, seed=1) == 0


def test_no_lie_pays_under_independent_markets() -> None:
    assert profiles_with_a_profitable_lie(markets, 60, 60, seed=2) == 0


def test_under_the_mean_a_lie_pays_in_every_profile() -> None:
    assert profiles_with_a_profitable_lie(mean, 300, 200, seed=1) == 300


def test_the_mean_is_refused_by_name() -> None:
    with pytest.raises(CharterError, match="gains from lies"):
        aggregate("mean", [[500, 500]])


@pytest.mark.parametrize("rule", [utilitarian, markets])
def test_outcomes_add_up_and_know_neither_voters_nor_values_by_name(rule: Rule) -> None:
    draw = random.Random(3)
    for _ in range(100):
        truth = profile(draw)
        outcome = rule(truth)
        assert sum(outcome) == 1000
        assert sum(in_thousandths(outcome)) == 1000
        assert rule(draw.sample(truth, len(truth))) == outcome
        turn = draw.sample(range(len(truth[0])), len(truth[0]))
        assert rule([[ballot[j] for j in turn] for ballot in truth]) == [outcome[j] for j in turn]


def test_the_utilitarian_outcome_has_the_least_sum_of_distances_so_it_is_pareto_optimal() -> None:
    draw = random.Random(4)
    grid = [(a, b, 1000 - a - b) for a in range(0, 1001, 20) for b in range(0, 1001 - a, 20)]
    for _ in range(25):
        truth = [vote(draw, 3) for _ in range(draw.randint(2, 7))]
        best = sum(distance(ballot, utilitarian(truth)) for ballot in truth)
        assert all(best <= sum(sum(abs(a - b) for a, b in zip(ballot, point, strict=True)) for ballot in truth)
                   for point in [*grid, *map(tuple, truth)])  # fmt: skip


def test_unanimous_voters_get_what_they_want() -> None:
    for rule in (utilitarian, markets):
        assert rule([[700, 200, 100]] * 5) == [700, 200, 100]


def test_independent_markets_give_single_minded_blocs_their_proportion() -> None:
    for sizes in permutations((4, 2, 1)):
        ballots = [
            [1000 * (value == bloc) for value in range(3)] for bloc, size in enumerate(sizes) for _ in range(size)
        ]
        assert markets(ballots) == [Fraction(1000 * size, 7) for size in sizes]
    ballots = [[1000, 0]] * 4 + [[0, 1000]] * 3
    assert utilitarian(ballots) == [1000, 0]  # the utilitarian rule promises no proportion


def test_two_colluders_of_seven_move_the_mean_far_and_the_utilitarian_phantoms_little() -> None:
    truth = [[390, 610], [395, 605], [400, 600], [400, 600], [405, 595], [410, 590], [400, 600]]
    lies = [*truth[:5], [0, 1000], [0, 1000]]
    assert [float(rule(truth)[0]) for rule in (mean, utilitarian)] == [400.0, 400.0]
    assert round(float(mean(lies)[0])) == 284
    assert round(float(utilitarian(lies)[0])) == 395


def test_a_twin_of_each_rule_that_moves_the_phantoms_in_small_steps_agrees() -> None:
    draw = random.Random(5)
    for _ in range(20):
        truth = profile(draw)
        n = len(truth)
        by_hand = {
            utilitarian: lambda k, t, n=n: min(1.0, max(0.0, t * (n + 1) - k)),
            markets: lambda k, t, n=n: min(1.0, k * t),
        }
        for rule, phantom in by_hand.items():
            low, high = 0.0, 1.0
            for _ in range(60):
                t = (low + high) / 2
                medians = [sorted([*column, *(1000 * phantom(k, t) for k in range(n + 1))])[n]
                           for column in zip(*truth, strict=True)]  # fmt: skip
                low, high = (low, t) if sum(medians) >= 1000 else (t, high)
            assert [float(value) for value in rule(truth)] == pytest.approx(medians, abs=1e-6)


@pytest.mark.parametrize(
    "ballots", [[], [[500, 501]], [[500, 500], [1000]], [[-1, 1001]], [[500, 500]] * 65]
)  # fmt: skip
def test_ballots_off_the_simplex_are_refused(ballots: list[list[int]]) -> None:
    with pytest.raises(CharterError, match="voting"):
        aggregate("utilitarian", ballots)


def test_the_median_of_a_single_number_cannot_be_moved_beyond_by_exaggeration() -> None:
    draw = random.Random(6)
    for _ in range(200):
        truth = [draw.randint(1, 100) for _ in range(draw.randint(1, 8))]
        before = median(truth)
        for i, wish in enumerate(truth):
            for lie in (1, 100, draw.randint(1, 100)):
                after = median([*truth[:i], lie, *truth[i + 1 :]])
                assert abs(after - wish) >= abs(before - wish)


def test_an_amendment_needs_two_thirds_and_no_veto() -> None:
    assert amendment_passes(4, 6, []) == ""
    assert "3 of 5 operators" in amendment_passes(3, 5, [])
    assert amendment_passes(4, 5, []) == ""
    assert amendment_passes(5, 5, ["sam"]) == "vetoed by safety reviewer sam"
    assert amendment_passes(0, 0, []) != ""


def test_weights_by_name_cover_values_that_a_ballot_leaves_out() -> None:
    assert voted_weights("utilitarian", ("delay", "stops"), [{"delay": 1000}, {"delay": 1000}, {"stops": 1000}]) == {
        "delay": 1000, "stops": 0,
    }  # fmt: skip
