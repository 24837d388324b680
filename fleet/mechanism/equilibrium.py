"""The stationary equilibrium of karma: what to bid with which balance and urgency, and how far from it a lie gets.

Model (Censi et al. 2019, Elokda et al. 2023): many vehicles meet in pairs at random; the higher bid goes first, equal
bids by lot; who yields loses its urgency in cost; who goes first pays its bid to who yields, as far as the cap of
that one's account allows. Everybody minimises discounted cost against the population. A policy and a distribution of
balances are an equilibrium when neither changes; *exploitability* is what the best deviation saves, as a share of
the cost, and says how near a computed pair is.

Symbols
-------
k, u, x    balance, number of the urgency, bid;  K, B  their maxima
d[k]       share of vehicles;  pi[k, u, x]  probability of a bid
T[x, k, k'] chance that the balance becomes k' when x is bid;  lose[x]  chance to yield
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import numpy.typing as npt

from fleet.errors import ConfigError
from fleet.mechanism.karma import BALANCE_MAX, BID_MAX, ENDOWMENT

Floats = npt.NDArray[np.float64]
ROUNDS = 1_500
_COLD, _WARM = 0.002, 1.0
"""Noise of choices at the end and at the beginning, in mean urgencies: slow cooling keeps bids from chasing each
other in a circle."""


@dataclass(frozen=True, slots=True)
class Population:
    """Who meets whom: urgencies and their shares, patience, and the accounts."""

    urgency: tuple[float, ...] = (0.0, 1.0)
    share: tuple[float, ...] = (0.5, 0.5)
    alpha: float = 0.95
    """What the next crossing counts against this one."""
    balance_max: int = BALANCE_MAX
    endowment: int = ENDOWMENT
    bid_max: int = BID_MAX

    def __post_init__(self) -> None:
        if len(self.urgency) != len(self.share) or abs(sum(self.share) - 1.0) > 1e-9:
            raise ConfigError(
                f"population: shares {self.share} do not fit urgencies {self.urgency}, or do not add up to 1"
            )
        if not 0.0 < self.alpha < 1.0:
            raise ConfigError(f"population: alpha {self.alpha} is not between 0 and 1")
        if not 0 < self.endowment <= self.balance_max:
            raise ConfigError(f"population: endowment {self.endowment} is not in 1..{self.balance_max}")


REFERENCE = Population()
"""Half of all crossings are urgent, the others do not mind waiting."""


@dataclass(frozen=True, slots=True)
class Equilibrium:
    """A policy, the balances under it, and what they achieve. Costs are per meeting and vehicle."""

    population: Population
    policy: Floats
    """[balance, urgency, bid]"""
    balances: Floats
    """[balance]"""
    cost: float
    random: float
    """If lots decided."""
    optimal: float
    """If the more urgent always went first."""
    exploitability: float

    @property
    def gap_closed(self) -> float:
        """Of the way from random to optimal, 1 being optimal."""
        return (self.random - self.cost) / (self.random - self.optimal)

    def bid(self, balance: int, urgency: int, luck: float) -> int:
        """Units to bid, with ``luck`` in [0, 1) where the table mixes."""
        row = self.policy[min(balance, self.population.balance_max), urgency]
        return min(int(np.searchsorted(np.cumsum(row), luck, side="right")), self.population.bid_max, balance)


    def reveals(self) -> tuple[int, ...]:
        """For each bid the urgency that it stands for, in thousandths of the greatest above the least; never falling.

        A bid is no measure of urgency: who has little to spend bids little. What it says is who bids so in
        equilibrium.
        """
        urgency, share = np.array(self.population.urgency), np.array(self.population.share)
        who = np.einsum("k,u,kux->ux", self.balances, share, self.policy)
        level = (urgency - urgency.min()) / max(1e-12, float(np.ptp(urgency)))
        mean = (level @ who) / np.maximum(who.sum(axis=0), 1e-9)
        found: list[int] = np.rint(1000.0 * np.maximum.accumulate(np.minimum(mean, 1.0))).astype(int).tolist()
        return tuple(found)


@lru_cache(maxsize=16)
def solve(population: Population = REFERENCE, rounds: int = ROUNDS) -> Equilibrium:
    """The equilibrium of a population: damped, slowly cooling best responses. About two CPU seconds."""
    urgency, share = np.array(population.urgency), np.array(population.share)
    allowed = _allowed(population)
    policy = np.repeat(allowed[:, None, :], len(urgency), axis=1).astype(float)
    policy /= policy.sum(axis=2, keepdims=True)
    balances = np.zeros(population.balance_max + 1)
    balances[population.endowment] = 1.0
    value = np.zeros((len(balances), len(urgency)))
    scale = float(urgency @ share)
    for number in range(rounds):
        moves, lose = _meetings(balances, policy, share)
        cost = _costs(urgency, share, population.alpha, moves, lose, value, allowed)
        value = _mean(policy, cost)
        noise = scale * _WARM * (_COLD / _WARM) ** min(1.0, number / (0.7 * rounds))
        likely = np.exp(-(cost - cost.min(axis=2, keepdims=True)) / noise)
        balances = _carried(balances, policy, share, moves)
        step = max(0.02, 0.3 / (1.0 + number / 100.0))
        policy = policy + step * (likely / likely.sum(axis=2, keepdims=True) - policy)
    for _ in range(300):
        balances = _carried(balances, policy, share, _meetings(balances, policy, share)[0])
    return _judged(population, policy, balances)


def long_run_cost(found: Equilibrium, policy: Floats, reset_to: int | None = None) -> float:
    """Mean cost per meeting of one vehicle that follows ``policy`` among those in equilibrium.

    ``reset_to``: before each meeting it takes a fresh identity whose account holds so much.
    """
    population = found.population
    urgency, share = np.array(population.urgency), np.array(population.share)
    moves, lose = _meetings(found.balances, found.policy, share)
    own = np.zeros(population.balance_max + 1)
    own[population.endowment if reset_to is None else reset_to] = 1.0
    if reset_to is None:
        chain = np.einsum("kux,u,xkb->kb", policy, share, moves)
        own = np.linalg.matrix_power(chain, 4096).T @ own
    paid: float = np.einsum("k,u,kux,u,x->", own / own.sum(), share, policy, urgency, lose)
    return float(paid)


def overbidding(population: Population) -> Floats:
    """The policy of bidding all that can be bid, always."""
    policy = np.zeros((population.balance_max + 1, len(population.urgency), population.bid_max + 1))
    for balance in range(population.balance_max + 1):
        policy[balance, :, min(balance, population.bid_max)] = 1.0
    return policy


def _allowed(population: Population) -> npt.NDArray[np.bool_]:
    found: npt.NDArray[np.bool_] = np.arange(population.bid_max + 1) <= np.arange(population.balance_max + 1)[:, None]
    return found


def _meetings(balances: Floats, policy: Floats, share: Floats) -> tuple[Floats, Floats]:
    """(T, lose) against the population; exact flows, so that units are conserved to rounding."""
    top, bids = len(balances) - 1, policy.shape[2]
    k = np.arange(top + 1)
    met = balances[:, None] * np.einsum("kux,u->kx", policy, share)
    total = met.sum(axis=0)
    moves, lose, below = np.zeros((bids, top + 1, top + 1)), np.zeros(bids), np.zeros(top + 1)
    for x in range(bids):
        won = below + 0.5 * met[:, x]
        below = below + met[:, x]
        paid = np.bincount(np.minimum(x, top - k), weights=won, minlength=x + 1)
        lost = total.copy()
        lost[:x] = 0.0
        lost[x] *= 0.5
        lose[x] = lost.sum()
        able = k[x:]
        for units in range(x + 1):
            moves[x, able, able - units] += paid[units]
        for other in range(x, bids):
            moves[x, able, np.minimum(able + other, top)] += lost[other]
    return moves, lose


def _costs(
    urgency: Floats, share: Floats, alpha: float, moves: Floats, lose: Floats, value: Floats,
    allowed: npt.NDArray[np.bool_],
) -> Floats:  # fmt: skip
    """[k, u, x]: cost now and later; inf where the bid is not covered."""
    later = np.einsum("xab,b->ax", moves, value @ share)
    cost = urgency[None, :, None] * lose[None, None, :] + alpha * later[:, None, :]
    found: Floats = np.where(allowed[:, None, :], cost, np.inf)
    return found


def _mean(policy: Floats, cost: Floats) -> Floats:
    found: Floats = (policy * np.where(np.isfinite(cost), cost, 0.0)).sum(axis=2)
    return found


def _carried(balances: Floats, policy: Floats, share: Floats, moves: Floats) -> Floats:
    after = balances @ np.einsum("kux,u,xkb->kb", policy, share, moves)
    found: Floats = after / after.sum()
    return found


def _judged(population: Population, policy: Floats, balances: Floats) -> Equilibrium:
    urgency, share = np.array(population.urgency), np.array(population.share)
    allowed = _allowed(population)
    moves, lose = _meetings(balances, policy, share)
    followed = best = np.zeros((len(balances), len(urgency)))
    for _ in range(int(14.0 / (1.0 - population.alpha))):
        followed = _mean(policy, _costs(urgency, share, population.alpha, moves, lose, followed, allowed))
        best = _costs(urgency, share, population.alpha, moves, lose, best, allowed).min(axis=2)
    weight = balances[:, None] * share
    paid = float((weight * followed).sum())
    exploitability = float((weight * (followed - best)).sum()) / paid if paid > 0.0 else 0.0
    cost = float(np.einsum("ku,kux,u,x->", weight, policy, urgency, lose))
    pairs = np.minimum(urgency[:, None], urgency[None, :])
    optimal = 0.5 * float(share @ pairs @ share)
    return Equilibrium(population, policy, balances, cost, 0.5 * float(urgency @ share), optimal, exploitability)
