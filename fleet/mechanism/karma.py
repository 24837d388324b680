"""Karma: who goes first pays its bid to one that made way, and can use less urgency next time.

After Censi et al. 2019 and Elokda et al. 2023 ("pay bid to peer"). Bids are whole units of a capped account, at most
``BID_MAX`` and never more than is there; equal bids go by arrival. The peer paid is the one of another approach that
has waited longest; units beyond its cap go to the next one, and what nobody can take is not paid. So karma is neither
made nor lost. What to bid is the equilibrium's table (``fleet/mechanism/equilibrium.py``).
"""

from __future__ import annotations

from fleet.mechanism.interface import URGENCY_MAX, Choice, Claim, Due, Meter, Situation
from fleet.mechanism.orders import ranked

BALANCE_MAX = 40
"""Cap of an account: more than three endowments; the equilibrium hardly ever reaches it."""
ENDOWMENT = 12
"""Units per account at the start. With fewer, the urgent are broke too often; with more, karma is worth too little to
be saved (measured: fleet bench alignment)."""
BID_MAX = 10


def bid_units(urgency_milli: int) -> int:
    """The bid that a claim says: ``URGENCY_MAX`` is ``BID_MAX`` units."""
    return min(BID_MAX, max(0, (urgency_milli * BID_MAX + URGENCY_MAX // 2) // URGENCY_MAX))


def bid_milli(units: int) -> int:
    """How a bid of so many units is said."""
    return min(URGENCY_MAX, units * URGENCY_MAX // BID_MAX)


def covered(claim: Claim) -> int:
    """The bid that counts: no more than the account holds."""
    return min(bid_units(claim.urgency_milli), max(0, claim.balance))


LINEAR = tuple(bid_milli(units) for units in range(BID_MAX + 1))


class Karma:
    """Who bids most goes first and pays its bid to a peer.

    ``reveals``: for each bid from 0 to ``BID_MAX``, the urgency in thousandths that it stands for, never falling. A
    planner that weighs takes these; an order needs only the bids. The equilibrium knows them
    (:meth:`fleet.mechanism.equilibrium.Equilibrium.reveals`).
    """

    name = "karma"
    summary = "bids from capped accounts, paid to a peer that makes way (default for fleets with urgencies)"
    promises = frozenset(
        "bounded_work determinism anonymity monotonicity starvation_bound conservation no_deficit no_overbid_gain "
        "no_whitewash_gain efficiency".split()
    )
    limits: tuple[str, ...] = (
        "truthful bids in a single game: bidding is a strategy, the table is its equilibrium over many crossings",
        "vehicles of one owner can pay each other (collusion)",
        "who crosses too seldom to earn karma back has no reason to save it",
    )
    accounts = True

    def __init__(self, reveals: tuple[int, ...] = LINEAR) -> None:
        self.reveals = reveals

    def decide(self, situation: Situation, meter: Meter) -> Choice:
        """See :class:`fleet.mechanism.interface.Mechanism`."""
        bids = ranked(situation, meter, covered)
        return Choice(bids.order, tuple(self.reveals[units] for units in bids.weight_milli))

    def dues(self, situation: Situation, first: str, meter: Meter) -> tuple[Due, ...]:
        """The bid of ``first``, to those of other approaches that still wait, the longest waiting first."""
        payer = next((claim for claim in situation.claims if claim.vehicle == first), None)
        left = 0 if payer is None else covered(payer)
        found: list[Due] = []
        for claim in situation.claims:
            meter.spend()
            if left == 0 or payer is None:
                break
            if claim.approach == payer.approach:
                continue
            units = min(left, BALANCE_MAX - claim.balance)
            if units > 0:
                found.append(Due(first, claim.vehicle, units))
                left -= units
        return tuple(found)
