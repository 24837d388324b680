"""VCG: the order that loses the least by what everybody says, and payments that make saying the truth the best.

Vehicle i pays what the others lose because it has a stake (Clarke's rule), which is the marginal welfare of
:mod:`planners.marginal`. The order is found in a model of one place that one vehicle after another uses; the plans are
the planner's. Payments go to nobody among the vehicles: they are accounting and an oracle, not a currency.

Static only: who arrives later is not in the model, and with arrivals a lie can pay (Rey, Levin and Dixit). The suite
keeps that case.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from fleet.mechanism.interface import (
    OFFICE,
    URGENCY_MAX,
    URGENCY_WEIGHT,
    Choice,
    Claim,
    Due,
    Meter,
    Situation,
)

if TYPE_CHECKING:
    from planners._order_cells import Model

SLOT_MS, FOLLOW_MS = 2_000, 1_500
"""From one vehicle to the next through a crossing, and behind one of the same approach (saturation flow of 2,400/h)."""
EXACT_MAX = 8
"""Vehicles ordered exactly; those who came later follow by arrival. Also the most that payments are found for."""
_NODES_MAX = 20_000
_FAR_MS = SLOT_MS * (EXACT_MAX + 1)


def worth(urgency_milli: int) -> int:
    """What a second of a vehicle counts, in thousandths of one without urgency."""
    return URGENCY_MAX + URGENCY_WEIGHT * urgency_milli


def slot_model(claims: tuple[Claim, ...]) -> tuple[Model, np.ndarray]:
    """The order model (and least times) of vehicles that use one place one after another; times in ms."""
    from planners._order_cells import Model  # compiled code: loaded where it is needed

    count = len(claims)
    tau = np.tile(np.array([0.0, float(_FAR_MS)]), (count, 1))
    weight = np.array([worth(claim.urgency_milli) / 1000.0 for claim in claims])
    after = np.full((count, count, 2), -np.inf)
    leader, last = np.full(count, -1, dtype=np.int64), dict[str, int]()
    for j, claim in enumerate(claims):
        for i, other in enumerate(claims):
            if i != j:
                after[i, j] = tau[i] + (FOLLOW_MS if other.approach == claim.approach else SLOT_MS)
        leader[j] = last.get(claim.approach, -1)
        last[claim.approach] = j
    endless = np.full(count, np.inf)
    none = np.zeros(count + 1, dtype=np.int64)
    model = Model(tau, weight[:, None] * tau, after, np.empty((0, 2)), none, endless, weight * 1e6, leader)
    return model, np.zeros(count)


class Vcg:
    """The least weighted delay by what is said; everybody pays what its stake costs the others."""

    name = "vcg"
    summary = "least weighted delay by what is said; everybody owes what its stake costs the others (oracle)"
    promises = frozenset(
        "bounded_work determinism monotonicity starvation_bound no_deficit no_misreport_gain no_whitewash_gain "
        "efficiency".split()
    )
    limits: tuple[str, ...] = (
        "exact budget balance: payments leave a surplus, which belongs to nobody among the vehicles",
        "collusion-proofness: two that overstate together can pay less than they gain",
        "strategy-proofness with arrivals: it is static (Rey, Levin and Dixit)",
        "anonymity among equals: ties go by arrival, then name",
    )
    accounts = False

    def decide(self, situation: Situation, meter: Meter) -> Choice:
        """See :class:`fleet.mechanism.interface.Mechanism`; exact for the first ``EXACT_MAX``."""
        claims = situation.claims[:EXACT_MAX]
        count = len(claims)
        meter.spend(count * count + len(situation.claims))
        order = np.arange(count, dtype=np.int64)
        if count > 1:
            from planners._order_search import search

            model, low = slot_model(claims)
            best, out = order.copy(), np.zeros(2, dtype=np.int64)
            search(model, order, 0, count, low, _NODES_MAX, 0.0, best, out)
            order = best
        ranks = [situation.claims[int(k)] for k in order] + list(situation.claims[EXACT_MAX:])
        return Choice(tuple(claim.vehicle for claim in ranks), tuple(claim.urgency_milli for claim in ranks))

    def dues(self, situation: Situation, first: str, meter: Meter) -> tuple[Due, ...]:
        """What ``first``'s stake costs the others, in ms of an ordinary vehicle's delay, to the office."""
        claims = situation.claims[:EXACT_MAX]
        meter.spend(len(claims) ** 3 + len(situation.claims))
        number = next((k for k, claim in enumerate(claims) if claim.vehicle == first), None)
        if number is None or len(claims) < 2:
            return ()
        from planners.marginal import marginal_welfare

        units = round(float(marginal_welfare(*slot_model(claims)).payment[number]))
        return (Due(first, OFFICE, units),) if units > 0 else ()
