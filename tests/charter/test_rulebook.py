"""The choice by rules: a pre-order, its compiled form, and what no charter may change."""

from __future__ import annotations

import random
from itertools import product

import pytest

from fleet.charter.model import default_charter
from fleet.charter.rulebook import (
    SAFETY_TIER,
    SOFT_RULES,
    Rulebook,
    arrays,
    at_least_as_good,
    choose,
    closure,
    compiled,
    default_rulebook,
    layers,
)
from fleet.errors import CharterError


def random_edges(draw: random.Random, count: int, share: float) -> list[tuple[int, int]]:
    order = draw.sample(range(count), count)
    return [(order[i], order[j]) for i in range(count) for j in range(i + 1, count) if draw.random() < share]


def random_plans(draw: random.Random, plans: int, rules: int) -> list[list[int]]:
    return [[draw.choice((0, 0, 1, 2, 3)) for _ in range(rules)] for _ in range(plans)]


def strictly(x: list[int], y: list[int], above: list[list[int]]) -> bool:
    return at_least_as_good(x, y, above) and not at_least_as_good(y, x, above)


def test_the_pre_order_is_transitive_and_reflexive_over_random_rulebooks() -> None:
    draw = random.Random(1)
    for _ in range(300):
        rules = draw.randint(1, 6)
        above = closure(rules, random_edges(draw, rules, draw.random()))
        plans = random_plans(draw, 7, rules)
        better = [[at_least_as_good(x, y, above) for y in plans] for x in plans]
        assert all(better[i][i] for i in range(7))
        assert all(better[i][k] for i, j, k in product(range(7), repeat=3) if better[i][j] and better[j][k])


def test_a_refinement_preserves_every_strict_preference_over_random_rulebooks() -> None:
    """More priorities, and the compiled ranks, may decide what was open; they turn nothing round."""
    draw = random.Random(2)
    strict = 0
    for _ in range(400):
        rules = draw.randint(2, 7)
        edges = random_edges(draw, rules, draw.random())
        order = [r for _, r in sorted((rank, r) for r, rank in enumerate(ranks_of(rules, edges)))]
        more = [(a, b) for i, a in enumerate(order) for b in order[i + 1 :] if draw.random() < 0.4]
        above, refined = closure(rules, edges), closure(rules, edges + more)
        weights = [draw.randint(1, 9) for _ in range(rules)]
        book = arrays([str(r) for r in range(rules)], [2] * rules, ranks_of(rules, edges), weights)
        plans = random_plans(draw, 6, rules)
        for x, y in product(plans, repeat=2):
            if strictly(x, y, above):
                strict += 1
                assert strictly(x, y, refined)
                assert choose(book, [y, x]).tied == (1,)
    assert strict > 2000


def ranks_of(rules: int, edges: list[tuple[int, int]]) -> list[int]:
    return layers([str(r) for r in range(rules)], [(str(a), str(b)) for a, b in edges])


def test_the_choice_does_not_depend_on_the_order_of_the_plans_but_for_ties() -> None:
    draw = random.Random(3)
    book = default_charter().compiled()
    for _ in range(100):
        plans = random_plans(draw, 6, len(book.names))
        turned = list(reversed(plans))
        one, other = choose(book, plans), choose(book, turned)
        assert {tuple(plans[i]) for i in one.tied} == {tuple(turned[i]) for i in other.tied}


def test_no_amount_of_delay_is_worth_a_finding_of_the_verifier() -> None:
    book = default_charter().compiled()
    unsafe, late = [0] * len(book.names), [0] * len(book.names)
    unsafe[book.names.index("unverified")] = 1
    late[book.names.index("delay")] = 10**15
    choice = choose(book, [unsafe, late])
    assert (choice.index, book.tier_of_rank(choice.rank)) == (1, 0)


def test_weights_count_only_within_the_soft_tier() -> None:
    book = compiled(default_rulebook(), {"delay": 600, "stops": 400})
    names = book.names

    def plan(**violated: int) -> list[int]:
        return [violated.get(name, 0) for name in names]

    assert choose(book, [plan(delay=1000), plan(stops=1000)]).index == 1
    assert choose(book, [plan(delay=1000), plan(delay=200, stops=1000)]).index == 1
    assert choose(book, [plan(delay=1000, energy=9), plan(delay=1000)]).tied == (0, 1)  # energy weighs nothing
    assert choose(book, [plan(without_plan=1), plan(delay=9_000, stops=9_000, starved_ms=9)]).index == 1


def test_one_plan_or_equal_plans_need_no_decision() -> None:
    book = default_charter().compiled()
    zero = [0] * len(book.names)
    assert (choose(book, [zero]).rank, choose(book, [zero, zero]).tied) == (-1, (0, 1))
    with pytest.raises(CharterError, match="no plans"):
        choose(book, [])


@pytest.mark.parametrize(
    ("change", "match"),
    [
        ({"safety": SAFETY_TIER[1:]}, "no charter changes it"),
        ({"safety": ()}, "safety tier is empty"),
        ({"safety": tuple(reversed(SAFETY_TIER))}, "in this order"),
        ({"duty": ("unverified",)}, "twice"),
        ({"duty": ("delay",), "soft": ()}, "weighed by votes"),
        ({"duty": ("speeding",)}, "speeding"),
        ({"priorities": (("delay", "unverified"),)}, "safety tier goes before the soft tier"),
        ({"priorities": (("starved_ms", "unverified"),)}, "safety tier goes before the duty tier"),
        ({"priorities": (("over_brake_mmps2", "unverified"),)}, "cyclic"),
        ({"priorities": (("starved_ms", "without_plan"), ("without_plan", "starved_ms"))},
         "cyclic: (starved_ms > without_plan > starved_ms|without_plan > starved_ms > without_plan)"),
        ({"priorities": (("delay", "delay"),)}, "cyclic: delay > delay"),
        ({"priorities": (("delay", "mirth"),)}, "no rule of this book"),
    ],
)  # fmt: skip
def test_rulebooks_that_weaken_safety_or_contradict_themselves_are_refused(
    change: dict[str, object], match: str
) -> None:
    book = default_rulebook()
    parts = {name: getattr(book, name) for name in ("safety", "duty", "soft", "priorities")}
    with pytest.raises(CharterError, match=match):
        Rulebook(**{**parts, **change})  # type: ignore[arg-type]


def test_every_soft_rule_is_a_term_of_the_welfare_that_planners_maximise() -> None:
    from planners.welfare import Welfare

    Welfare.of_thousandths(dict.fromkeys(SOFT_RULES, 200), 60.0)
