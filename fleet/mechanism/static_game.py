"""One shot: some vehicles wait, each says an urgency, one after another goes. Who gains by a lie?"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

import numpy as np

from fleet.mechanism.guard import Guarded
from fleet.mechanism.interface import URGENCY_MAX, Claim, Situation
from fleet.mechanism.karma import BALANCE_MAX
from fleet.mechanism.vcg import FOLLOW_MS, SLOT_MS, worth

LIES = (0, 100, 250, 500, 750, 1000)


def situations(seed: int, count: int, size: int = 5) -> Iterator[Situation]:
    """Random ones of 2 to ``size`` vehicles; nobody has waited for long."""
    draw = np.random.default_rng([seed, 3])
    for number in range(count):
        claims, queue = [], dict[str, int]()
        for k in range(int(draw.integers(2, size + 1))):
            approach = f"a{int(draw.integers(4))}"
            queue[approach] = queue.get(approach, 0) + 1
            urgency, balance = int(draw.integers(0, 11)) * 100, int(draw.integers(BALANCE_MAX + 1))
            claims.append(Claim(f"v{k}", 1_000_000 + 700 * k, approach, urgency, balance=balance))
        claims = [replace(claim, queue=queue[claim.approach]) for claim in claims]
        yield Situation.of(f"zone{number}", seed, 1_000_000 + 700 * len(claims), claims)


def delays_ms(claims: Sequence[Claim], order: Sequence[str]) -> dict[str, int]:
    """When each goes if they go one after another in ``order``, nobody before who stands in front of it."""
    lanes: dict[str, list[Claim]] = {}
    for claim in claims:
        lanes.setdefault(claim.approach, []).append(claim)
    found: dict[str, int] = {}
    at_ms, last, rest = 0, "", list(order)
    while rest:
        name = next(n for n in rest if any(lane and lane[0].vehicle == n for lane in lanes.values()))
        rest.remove(name)
        approach = next(a for a, lane in lanes.items() if lane and lane[0].vehicle == name)
        lanes[approach].pop(0)
        at_ms += 0 if not last else FOLLOW_MS if approach == last else SLOT_MS
        found[name], last = at_ms, approach
    return found


def misreport_gain_ms(guarded: Guarded, seed: int, count: int) -> tuple[float, int, int]:
    """(greatest gain in ms of an ordinary vehicle's delay, profitable lies, lies tried)."""
    best, paying, tried = 0.0, 0, 0
    for situation in situations(seed, count):
        for k, truth in enumerate(situation.claims):
            honest = _cost_ms(guarded, situation, truth)
            for lie in LIES:
                if lie == truth.urgency_milli:
                    continue
                said = replace(truth, urgency_milli=lie)
                claims = (*situation.claims[:k], said, *situation.claims[k + 1 :])
                gain = honest - _cost_ms(guarded, replace(situation, claims=claims), truth)
                tried += 1
                paying += gain > 1e-6
                best = max(best, gain)
    return best, paying, tried


def arrivals_gain_ms(guarded: Guarded, seed: int, count: int) -> tuple[float, int, int]:
    """The same with arrivals: who comes later is not known when the first goes, and everybody pays when it goes."""
    draw = np.random.default_rng([seed, 4])
    best, paying, tried = 0.0, 0, 0
    for number in range(count):
        size = int(draw.integers(3, 6))
        comes = np.sort(draw.integers(0, 4, size)) * SLOT_MS
        claims = [
            Claim(f"v{k}", int(comes[k]), f"a{k}", int(draw.integers(0, 11)) * 100, balance=BALANCE_MAX)
            for k in range(size)
        ]
        for k, truth in enumerate(claims):
            honest = _dynamic_cost_ms(guarded, claims, truth, number)
            for lie in LIES:
                if lie != truth.urgency_milli:
                    said = [*claims[:k], replace(truth, urgency_milli=lie), *claims[k + 1 :]]
                    gain = honest - _dynamic_cost_ms(guarded, said, truth, number)
                    tried += 1
                    paying += gain > 1e-6
                    best = max(best, gain)
    return best, paying, tried


def social_cost_ms(claims: Sequence[Claim], order: Sequence[str]) -> float:
    """Of everybody together, by what is true."""
    late = delays_ms(claims, order)
    return sum(late[claim.vehicle] * worth(claim.urgency_milli) / 1000.0 for claim in claims)


def raised(situation: Situation, k: int) -> Situation:
    """The same with claim ``k`` as urgent, and as well covered, as can be."""
    more = replace(situation.claims[k], urgency_milli=URGENCY_MAX, balance=BALANCE_MAX)
    return replace(situation, claims=(*situation.claims[:k], more, *situation.claims[k + 1 :]))


def _cost_ms(guarded: Guarded, situation: Situation, truth: Claim) -> float:
    """What ``truth`` loses, all paying at once."""
    late = delays_ms(situation.claims, guarded.decide(situation).order)
    paid = 0 if guarded.accounts else sum(due.units for due in guarded.dues(situation, truth.vehicle))
    return late[truth.vehicle] * worth(truth.urgency_milli) / 1000.0 + paid


def _dynamic_cost_ms(guarded: Guarded, claims: Sequence[Claim], truth: Claim, number: int) -> float:
    now_ms, gone = 0, set[str]()
    while truth.vehicle not in gone:
        waiting = [claim for claim in claims if claim.arrived_ms <= now_ms and claim.vehicle not in gone]
        if waiting:
            situation = Situation.of(f"zone{number}", 0, now_ms, waiting)
            first = guarded.decide(situation).order[0]
            gone.add(first)
            if first == truth.vehicle:
                paid = 0 if guarded.accounts else sum(due.units for due in guarded.dues(situation, first))
                return (now_ms - truth.arrived_ms) * worth(truth.urgency_milli) / 1000.0 + paid
        now_ms += SLOT_MS
    return 0.0
