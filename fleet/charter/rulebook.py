"""Rules in tiers, and the choice among joint plans: by the higher rule first, by weights only within a soft rank.

After Censi et al., "Liability, Ethics, and Culture-Aware Behavior Specification using Rulebooks" (ICRA 2019). A rule
measures how much a plan violates it (0: not at all). Priorities are a directed graph without cycles. Plan x is *at
least as good* as y if for each rule that y keeps better there is a rule of higher priority that x keeps better.
This is a pre-order: some pairs are neither better nor worse. A vehicle has to choose all the
same, so a rulebook is *compiled* to ranks, rules of one rank added up by weight, ranks compared in order. Every strict
preference of the pre-order is one of the compiled choice too (a property test says so on random rulebooks).

The safety tier is the same in every charter. It can be neither left out, nor put below, nor weighed.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType

from fleet.errors import CharterError

SAFETY, DUTY, SOFT = 0, 1, 2
"""Tiers. Nothing in a lower tier is ever given up for anything in a later one."""
TIER_NAMES = ("safety", "duty", "soft")
SAFETY_TIER = ("unverified", "over_speed_mmps", "over_brake_mmps2")
"""Its rules, in the order of priority. Not a matter of votes."""
SOFT_RULES = ("delay", "energy", "fairness", "stops", "urgency")
"""The welfare's terms; their weights are voted."""
METRICS: Mapping[str, str] = MappingProxyType(
    {
        "unverified": "findings of the independent verifier against the joint plan",
        "over_speed_mmps": "greatest excess over a vehicle's own speed limit",
        "over_brake_mmps2": "greatest excess over the braking that plans may ask for",
        "without_plan": "vehicles that were asked for and get no plan",
        "starved_ms": "waits beyond the starvation bound, added up",
        "overtaken": "pairs in which the later arrival clears the zone first",
        "delay": "ms lost against driving on alone, of all vehicles",
        "energy": "kinetic energy braked away, in ms of delay (100 J/kg = 1 s)",
        "fairness": "waits squared, in ms of delay (see the welfare)",
        "stops": "vehicles that come to stand, each 1000",
        "urgency": "ms lost, times the vehicle's urgency",
    }
)
"""Every rule that a charter may name -> what its violation counts; all are integers, 0 is no violation."""
RULES_MAX = 64


@dataclass(frozen=True, slots=True)
class Rulebook:
    """Rules by tier, and which of one tier goes before which.

    Attributes
    ----------
    safety, duty, soft : tuple of str
        Metrics of each tier. ``safety`` is ``SAFETY_TIER``.
    priorities : tuple of (higher, lower)
        Within tiers; across tiers the tier decides.
    """

    safety: tuple[str, ...]
    duty: tuple[str, ...]
    soft: tuple[str, ...]
    priorities: tuple[tuple[str, str], ...]

    def __post_init__(self) -> None:
        if self.safety != SAFETY_TIER:
            raise CharterError(
                f"rulebook safety tier is {', '.join(self.safety) or 'empty'}; it must be"
                f" {', '.join(SAFETY_TIER)}, in this order: no charter changes it"
            )
        names = (*self.safety, *self.duty, *self.soft)
        for name in names:
            if name not in METRICS:
                raise CharterError(f"rulebook rule {name!r} is unknown; known: {', '.join(sorted(METRICS))}")
            if names.count(name) > 1:
                raise CharterError(f"rulebook rule {name!r} stands there twice")
            if name in SOFT_RULES and name not in self.soft:
                raise CharterError(f"rulebook rule {name!r} is weighed by votes; it belongs into the soft tier")
        tier = self.tiers()
        for high, low in self.priorities:
            for name in (high, low):
                if name not in tier:
                    raise CharterError(f"rulebook priority {high} > {low}: {name!r} is no rule of this book")
            if tier[high] > tier[low]:
                raise CharterError(
                    f"rulebook priority {high} > {low}: the {TIER_NAMES[tier[low]]} tier goes before the"
                    f" {TIER_NAMES[tier[high]]} tier"
                )
        layers(names, self.edges())

    def tiers(self) -> dict[str, int]:
        """Rule -> its tier."""
        pairs = ((SAFETY, self.safety), (DUTY, self.duty), (SOFT, self.soft))
        return {name: tier for tier, names in pairs for name in names}

    def edges(self) -> tuple[tuple[str, str], ...]:
        """All priorities, those between the tiers and within the safety tier included."""
        chain = tuple(zip(self.safety, self.safety[1:], strict=False))
        across = [(a, b) for above, below in ((self.safety, self.duty), (self.safety, self.soft),
                  (self.duty, self.soft)) for a in above for b in below]  # fmt: skip
        return tuple(dict.fromkeys((*chain, *across, *self.priorities)))

    def document(self) -> dict[str, object]:
        """As canonical JSON holds it."""
        return {
            "duty": list(self.duty),
            "priorities": [list(pair) for pair in self.priorities],
            "safety": list(self.safety),
            "soft": list(self.soft),
        }


def layers(names: Sequence[str], edges: Sequence[tuple[str, str]]) -> list[int]:
    """Each rule's rank: 1 more than the highest rank of the rules that go before it.

    Raises
    ------
    CharterError
        The priorities are cyclic; the text names a cycle.
    """
    rank: dict[str, int] = {}
    above: dict[str, list[str]] = {name: [] for name in names}
    for high, low in edges:
        above[low].append(high)
    while len(rank) < len(names):
        ready = [name for name in names if name not in rank and all(high in rank for high in above[name])]
        if not ready:
            raise CharterError(f"rulebook priorities are cyclic: {' > '.join(_cycle(above, rank))}")
        found = {name: max((rank[high] + 1 for high in above[name]), default=0) for name in ready}
        rank.update(found)
    return [rank[name] for name in names]


def _cycle(above: Mapping[str, Sequence[str]], ranked: Mapping[str, int]) -> list[str]:
    at = next(name for name in above if name not in ranked)
    seen: list[str] = []
    while at not in seen:
        seen.append(at)
        at = next(high for high in above[at] if high not in ranked)
    return [*reversed(seen[seen.index(at) :]), seen[-1]]


@dataclass(frozen=True, slots=True)
class Compiled:
    """A rulebook as flat arrays, made once when a charter is read; the control loop sees nothing else.

    ``rank`` and ``weight`` are by rule; rules of weight 0 do not count. ``rows``: by rank, the (rule, weight) in it.
    """

    names: tuple[str, ...]
    tier: tuple[int, ...]
    rank: tuple[int, ...]
    weight: tuple[int, ...]
    rows: tuple[tuple[tuple[int, int], ...], ...]

    def tier_of_rank(self, rank: int) -> int:
        """Ranks never mix tiers."""
        return self.tier[self.rows[rank][0][0]]


def compiled(book: Rulebook, weights_milli: Mapping[str, int]) -> Compiled:
    """The arrays of ``book``; a rule outside the soft tier weighs 1 in its rank."""
    tiers = book.tiers()
    names = tuple(tiers)
    ranks = layers(names, book.edges())
    return arrays(
        names, tuple(tiers.values()), ranks, [weights_milli.get(n, 0) if tiers[n] == SOFT else 1 for n in names]
    )


def arrays(names: Sequence[str], tiers: Sequence[int], ranks: Sequence[int], weights: Sequence[int]) -> Compiled:
    """From ranks and weights by rule; ranks without a rule that counts are left out."""
    by_rank: dict[int, list[tuple[int, int]]] = {}
    for index, (rank, weight) in enumerate(zip(ranks, weights, strict=True)):
        if weight:
            by_rank.setdefault(rank, []).append((index, weight))
    rows = tuple(tuple(by_rank[rank]) for rank in sorted(by_rank))
    return Compiled(tuple(names), tuple(tiers), tuple(ranks), tuple(weights), rows)


@dataclass(frozen=True, slots=True)
class Choice:
    """``index`` is the plan chosen, the first of those that tie; ``rank`` decided (-1: all are equal)."""

    index: int
    rank: int
    tied: tuple[int, ...]


def choose(book: Compiled, violations: Sequence[Sequence[int]]) -> Choice:
    """The best of a few plans; ``violations`` [plan][rule]. Exact: integers only."""
    if not violations:
        raise CharterError("rulebook choice among no plans at all")
    alive = list(range(len(violations)))
    decided = -1
    for rank, row in enumerate(book.rows):
        if len(alive) == 1:
            break
        sums = [sum(weight * violations[plan][rule] for rule, weight in row) for plan in alive]
        least = min(sums)
        left = [plan for plan, value in zip(alive, sums, strict=True) if value == least]
        if len(left) < len(alive):
            alive, decided = left, rank
    return Choice(alive[0], decided, tuple(alive))


def at_least_as_good(x: Sequence[int], y: Sequence[int], above: Sequence[Sequence[int]]) -> bool:
    """The pre-order itself: x is at least as good as y. ``above`` [rule]: all rules of higher priority, closed."""
    return all(x[rule] <= y[rule] or any(x[high] < y[high] for high in above[rule]) for rule in range(len(x)))


def closure(count: int, edges: Sequence[tuple[int, int]]) -> list[list[int]]:
    """For each rule all that go before it, through any number of steps."""
    above = [{high for high, low in edges if low == rule} for rule in range(count)]
    changed = True
    while changed:
        changed = False
        for mine in above:
            more = set().union(*(above[high] for high in mine)) - mine
            changed |= bool(more)
            mine |= more
    return [sorted(mine) for mine in above]


def default_rulebook() -> Rulebook:
    """Nobody is left without a plan, nobody starves; then the welfare."""
    return Rulebook(SAFETY_TIER, ("without_plan", "starved_ms"), SOFT_RULES, (("without_plan", "starved_ms"),))
