"""How voted numbers come about: moving phantoms for weights, the median for single numbers, two thirds for amendments.

Freeman, Pennock, Peters, Wortman Vaughan, "Truthful aggregation of budget proposals" (J. Economic Theory 193, 2021).
n voters each name weights that add up to 1. n + 1 *phantoms* are weights of nobody; for each value the outcome is the
median of the n votes and the n + 1 phantoms. The phantoms move up together with a time t until the medians add up
to 1. Whoever wants the outcome near to his own ballot in the sum of absolute differences gains nothing by a lie,
whatever the others do. The mean has no such property, and is not offered.

``utilitarian``: the phantoms rise one after another, phantom k within its part of the time. The outcome has the least
sum of distances to all ballots; Pareto-optimal.
``independent_markets``: phantom k is at min(1, k t). Voters who care for one value each get it in proportion;
not Pareto-optimal in general.

Everything is exact: ballots in integers, outcomes in fractions. :func:`in_thousandths` rounds once, at the end; what
that may be worth to a liar is below one thousandth per value.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Mapping, Sequence
from fractions import Fraction

from fleet.charter.model import VOTING_RULES, WEIGHT_SUM_MILLI
from fleet.errors import CharterError

BALLOTS_MAX = 64
Profile = Sequence[Sequence[int]]
"""Ballots [voter][value], each non-negative integers that add up to ``WEIGHT_SUM_MILLI``."""


def aggregate(rule: str, ballots: Profile) -> list[Fraction]:
    """The outcome by one of ``VOTING_RULES``, in thousandths; adds up to 1000 exactly.

    Raises
    ------
    CharterError
        No ballots, ballots of different lengths or off the simplex, or a rule that is not offered.
    """
    if rule not in VOTING_RULES:
        reason = "; the mean gains from lies and is refused" if rule == "mean" else ""
        raise CharterError(f"voting rule {rule!r} is unknown; known: {', '.join(VOTING_RULES)}{reason}")
    if not 1 <= len(ballots) <= BALLOTS_MAX:
        raise CharterError(f"voting: {len(ballots)} ballots; there must be 1 to {BALLOTS_MAX}")
    for ballot in ballots:
        if len(ballot) != len(ballots[0]) or min(ballot) < 0 or sum(ballot) != WEIGHT_SUM_MILLI:
            raise CharterError(
                f"voting: ballot {list(ballot)} is outside the simplex of {WEIGHT_SUM_MILLI} thousandths"
            )
    columns = [sorted(column) for column in zip(*ballots, strict=True)]
    return utilitarian(columns) if rule == VOTING_RULES[0] else independent_markets(columns)


def utilitarian(columns: Sequence[Sequence[int]]) -> list[Fraction]:
    """``columns`` [value][voter], each sorted.

    While phantom k moves, k of them have arrived at the top and the others are at 0; so the median of a value is the
    moving one, kept between the value's k-th and (k+1)-th vote.
    """
    count = len(columns[0])
    below = [0] * len(columns)
    for k in range(count + 1):
        above = [column[k] if k < count else WEIGHT_SUM_MILLI for column in columns]
        if sum(above) >= WEIGHT_SUM_MILLI:
            return _level(below, above)
        below = above
    raise CharterError("voting: phantoms at the top leave too little; this cannot be")


def _level(below: Sequence[int], above: Sequence[int]) -> list[Fraction]:
    """The x at which max(below, min(above, x)) add up, and those."""
    marks = sorted({*below, *above})
    at = bisect_left(marks, WEIGHT_SUM_MILLI, key=lambda x: _clamped(below, above, x))
    if _clamped(below, above, marks[at]) == WEIGHT_SUM_MILLI:
        return [Fraction(max(low, min(high, marks[at]))) for low, high in zip(below, above, strict=True)]
    low_x, high_x = marks[at - 1], marks[at]
    start = _clamped(below, above, low_x)
    moving = sum(low <= low_x and high >= high_x for low, high in zip(below, above, strict=True))
    x = low_x + Fraction(WEIGHT_SUM_MILLI - start, moving)
    return [max(Fraction(low), min(Fraction(high), x)) for low, high in zip(below, above, strict=True)]


def _clamped(below: Sequence[int], above: Sequence[int], x: int) -> int:
    return sum(max(low, min(high, x)) for low, high in zip(below, above, strict=True))


def independent_markets(columns: Sequence[Sequence[int]]) -> list[Fraction]:
    """``columns`` [value][voter], each sorted. Phantom k is at min(1, k t): between two times at which a phantom meets
    a vote or the top, all medians are straight lines."""
    count = len(columns[0])
    levels = sorted({vote for column in columns for vote in column} | {WEIGHT_SUM_MILLI})
    times = sorted({Fraction(level, k) for level in levels for k in range(1, count + 1)} | {Fraction(0)})
    at = bisect_left(times, Fraction(WEIGHT_SUM_MILLI), key=lambda t: sum(_medians(columns, t), Fraction(0)))
    after = _medians(columns, times[at])
    if sum(after) == WEIGHT_SUM_MILLI:
        return after
    before = _medians(columns, times[at - 1])
    share = Fraction(WEIGHT_SUM_MILLI - sum(before)) / (sum(after) - sum(before))
    return [low + share * (high - low) for low, high in zip(before, after, strict=True)]


def _medians(columns: Sequence[Sequence[int]], t: Fraction) -> list[Fraction]:
    """Of each value's n votes and n + 1 phantoms: the greatest of n + 1 of them that all lie below the others."""
    count = len(columns[0])
    top, bottom = WEIGHT_SUM_MILLI * t.denominator, t.denominator
    phantoms = [min(top, k * t.numerator) for k in range(count + 1)]
    found = []
    for column in columns:
        merged = sorted([*phantoms, *(vote * bottom for vote in column)])
        found.append(Fraction(merged[count], bottom))
    return found


def median(values: Sequence[int]) -> int:
    """The lower median, for single numbers such as the starvation bound: strategy-proof for single-peaked wishes."""
    if not values:
        raise CharterError("voting: the median of no ballots")
    return sorted(values)[(len(values) - 1) // 2]


def in_thousandths(outcome: Sequence[Fraction]) -> list[int]:
    """Integers with the same sum: rounded down, what is left goes to the largest remainders (the first, if equal)."""
    found = [int(value) for value in outcome]
    left = WEIGHT_SUM_MILLI - sum(found)
    order = sorted(range(len(found)), key=lambda i: (found[i] - outcome[i], i))
    for i in order[:left]:
        found[i] += 1
    return found


def voted_weights(rule: str, names: Sequence[str], ballots: Sequence[Mapping[str, int]]) -> dict[str, int]:
    """The weights of a charter by the ballots; a value that a ballot does not name has weight 0 on it."""
    profile = [[ballot.get(name, 0) for name in names] for ballot in ballots]
    return dict(zip(names, in_thousandths(aggregate(rule, profile)), strict=True))


def amendment_passes(yes: int, entitled: int, vetoes: Sequence[str]) -> str:
    """Empty, or why an amendment does not pass: two thirds of all operators, and no safety reviewer against it."""
    if vetoes:
        return f"vetoed by safety reviewer {', '.join(sorted(vetoes))}"
    if 3 * yes < 2 * entitled or not entitled:
        return f"{yes} of {entitled} operators in favour; two thirds are {-(-2 * entitled // 3)}"
    return ""
