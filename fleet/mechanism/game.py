"""Two small worlds in which any mechanism is played: vehicles that meet in pairs, and queues at a junction.

They know a mechanism only through its interface, as vehicles do. Delays are in ms; a *cost* is delay times what a
second of that vehicle is worth, in ms of a vehicle without urgency, and what is paid to the office.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from fleet.mechanism.equilibrium import Equilibrium, Population, solve
from fleet.mechanism.guard import Guarded
from fleet.mechanism.interface import OFFICE, URGENCY_MAX, URGENCY_WEIGHT, Claim, Due, Situation
from fleet.mechanism.karma import ENDOWMENT, bid_milli
from fleet.mechanism.vcg import SLOT_MS, worth

PATIENCE = 0.98
"""What the next crossing counts against this one, to those whose table is used."""
URGENT_SHARE = 0.5
FLEET = 40
HONEST, OVERBID, WHITEWASH, SELFISH = "honest", "overbidder", "whitewasher", "selfish"
EARLY_MS = 20_000
"""How much earlier an arrival liar claims to have come."""
_PAIR_MS = 120_000


def table() -> Equilibrium:
    """The bids of honest vehicles, urgencies being worth 1 and 10."""
    return solve(Population((1.0, 1.0 + URGENCY_WEIGHT), (1.0 - URGENT_SHARE, URGENT_SHARE), PATIENCE))


@dataclass(slots=True)
class Player:
    """One vehicle over many crossings."""

    name: str
    strategy: str = HONEST
    early_ms: int = 0
    cost_ms: float = 0.0
    paid_ms: float = 0.0
    crossings: int = 0
    wait_ms_max: int = 0

    @property
    def mean_ms(self) -> float:
        """Cost and payments per crossing."""
        return (self.cost_ms + self.paid_ms) / max(1, self.crossings)


@dataclass(slots=True)
class Game:
    """A fleet, its accounts and one mechanism."""

    guarded: Guarded
    seed: int = 1
    strategies: Mapping[int, str] = field(default_factory=dict)
    """Player -> strategy; the others are honest."""
    early: Mapping[int, int] = field(default_factory=dict)
    """Player -> ms by which it claims to have arrived earlier."""
    binding: bool = True
    """Whether accounts are bound to enrolled names. False: a fresh name gets a fresh endowment."""
    players: list[Player] = field(init=False)
    balances: dict[str, int] = field(init=False)
    minted: int = 0
    office: int = 0
    _fresh: int = 0
    random_ms: float = 0.0
    """Cost if lots decided, and the least cost, of the meetings played."""
    optimal_ms: float = 0.0
    fallbacks: int = 0

    def __post_init__(self) -> None:
        self.players = [Player(f"v{k:02d}", self.strategies.get(k, HONEST), self.early.get(k, 0)) for k in range(FLEET)]
        self.balances = {player.name: ENDOWMENT for player in self.players}

    @property
    def drift(self) -> int:
        """Units made or lost; without binding those that fresh names brought are not counted."""
        return sum(self.balances.values()) - FLEET * ENDOWMENT - self.minted

    @property
    def gap_closed(self) -> float:
        """Of the way from lots to the least cost."""
        cost = sum(player.cost_ms for player in self.players)
        return (self.random_ms - cost) / (self.random_ms - self.optimal_ms)

    @property
    def anarchy(self) -> float:
        """Price of anarchy: the cost over the least cost."""
        return sum(player.cost_ms for player in self.players) / self.optimal_ms

    def meetings(self, count: int) -> Game:
        """Pairs at random: who goes second waits for one slot."""
        draw = np.random.default_rng([self.seed, 1])
        for number in range(count):
            pair = draw.choice(FLEET, 2, replace=False).tolist()
            urgent = (draw.random(2) < URGENT_SHARE).tolist()
            luck, after_ms = draw.random(2).tolist(), draw.permutation(2).tolist()
            now_ms = number * _PAIR_MS + 1_000
            two = [self.players[k] for k in pair]
            said = [self._said(p, u, x) for p, u, x in zip(two, urgent, luck, strict=True)]
            claims = [
                Claim(name, now_ms - after - player.early_ms, f"a{k}", urgency, balance=self.balances.get(name, 0))
                for k, (player, (name, urgency), after) in enumerate(zip(two, said, after_ms, strict=True))
            ]
            situation = Situation.of("pair", self.seed, now_ms, claims)
            choice = self.guarded.decide(situation)
            self.fallbacks += bool(choice.fallback)
            second = 1 if choice.order[0] == said[0][0] else 0
            value = [SLOT_MS * worth(URGENCY_MAX * u) / 1000.0 for u in urgent]
            two[second].cost_ms += value[second]
            self.random_ms += 0.5 * sum(value)
            self.optimal_ms += min(value)
            self._settle(self.guarded.dues(situation, choice.order[0]), two[1 - second])
            for player in two:
                player.crossings += 1
        return self

    def queues(self, slots: int, load: float = 0.8, approaches: int = 4) -> Game:
        """One place that one vehicle uses per slot; arrivals at random, at most one of a player at a time."""
        draw = np.random.default_rng([self.seed, 2])
        waiting: dict[str, tuple[Player, Claim, float]] = {}
        away = list(range(FLEET))
        for slot in range(slots):
            now_ms = (slot + 1) * SLOT_MS
            for _ in range(int(draw.poisson(load))):
                if not away:
                    break
                player = self.players[away.pop(int(draw.integers(len(away))))]
                urgent = bool(draw.random() < URGENT_SHARE)
                name, urgency = self._said(player, urgent, float(draw.random()))
                claim = Claim(name, now_ms - player.early_ms, f"a{int(draw.integers(approaches))}", urgency)
                waiting[name] = (player, claim, worth(URGENCY_MAX * urgent) / 1000.0)
            if waiting:
                first = self._serve(waiting, now_ms)
                player, claim, value = waiting.pop(first)
                waited = now_ms - claim.arrived_ms - player.early_ms
                player.wait_ms_max = max(player.wait_ms_max, waited)
                player.cost_ms += waited * value
                player.crossings += 1
                away.append(self.players.index(player))
        return self

    def _serve(self, waiting: Mapping[str, tuple[Player, Claim, float]], now_ms: int) -> str:
        """Who goes now: the first of the choice that nobody stands in front of."""
        length: dict[str, int] = {}
        for _, claim, _ in waiting.values():
            length[claim.approach] = length.get(claim.approach, 0) + 1
        claims = [
            Claim(
                c.vehicle, c.arrived_ms, c.approach, c.urgency_milli, queue=length[c.approach],
                balance=self.balances.get(c.vehicle, 0),
            )
            for _, c, _ in waiting.values()
        ]  # fmt: skip
        situation = Situation.of("queue", self.seed, now_ms, claims)
        choice = self.guarded.decide(situation)
        self.fallbacks += bool(choice.fallback)
        heads: dict[str, str] = {}
        for _, claim, _ in waiting.values():  # in the order in which they really came
            heads.setdefault(claim.approach, claim.vehicle)
        first = next(name for name in choice.order if name in heads.values())
        self._settle(self.guarded.dues(situation, first), waiting[first][0])
        return first

    def _said(self, player: Player, urgent: bool, luck: float) -> tuple[str, int]:
        """(the name under which it comes, the urgency that it says)."""
        name = player.name
        if player.strategy == WHITEWASH:
            self._fresh += 1
            name = f"{player.name}n{self._fresh}"
            self.balances[name] = 0 if self.binding else ENDOWMENT
            self.minted += self.balances[name]
        if player.strategy != HONEST:
            return name, URGENCY_MAX
        if self.guarded.accounts:
            return name, bid_milli(table().bid(self.balances[name], int(urgent), luck))
        return name, URGENCY_MAX * urgent

    def _settle(self, dues: tuple[Due, ...], payer: Player) -> None:
        for due in dues:
            if due.payee == OFFICE:
                self.office += due.units
                payer.paid_ms += due.units
            else:
                self.balances[due.payer] -= due.units
                self.balances[due.payee] += due.units
