"""What a mechanism may promise, and the check of each: a figure, its limit, and whether it holds.

Each check plays the mechanism as vehicles run it, behind its guard, but counts what the guard had to mend.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from fleet.mechanism.game import EARLY_MS, FLEET, HONEST, OVERBID, SELFISH, WHITEWASH, Game
from fleet.mechanism.guard import LINES_MAX, STEPS_MAX, Guarded, counted, nonsense
from fleet.mechanism.interface import CLAIMS_MAX, OFFICE, Claim, Meter, OverBudget, Situation
from fleet.mechanism.karma import BALANCE_MAX
from fleet.mechanism.static_game import arrivals_gain_ms, misreport_gain_ms, raised, situations

MEETINGS = 12_000
DEVIATORS = range(4)
"""So many of the fleet deviate together in name only; more than one, so that luck averages out."""
_LUCK = 0.05
"""Share by which two means over the deviators' meetings may differ by chance alone (measured with the lottery)."""
_SLOTS_PER_HOUR = 1_800
EFFICIENCY_MIN = 0.95


@dataclass(frozen=True, slots=True)
class Finding:
    """One property of one mechanism. ``figure`` is None where nothing could be measured."""

    name: str
    text: str
    figure: float | None
    limit: float | None
    unit: str
    holds: bool
    note: str = ""


Check = Callable[[Guarded, Callable[[], Guarded]], Finding]


def bounded_work(guarded: Guarded, again: Callable[[], Guarded]) -> Finding:
    """Steps and lines of one decision and its dues with as many claims as there can be."""
    claims = [
        Claim(f"v{k:02d}", 1_000 * k, f"a{k % 4}", 100 * (k % 11), queue=8, balance=BALANCE_MAX)
        for k in range(CLAIMS_MAX)
    ]
    situation = Situation.of("full", 1, 40_000, claims)
    steps, note = 0, ""
    try:
        for call in (
            lambda meter: guarded.mechanism.decide(situation, meter),
            lambda meter: guarded.mechanism.dues(situation, "v00", meter),
        ):
            meter = Meter(STEPS_MAX)
            counted(lambda call=call, meter=meter: call(meter), LINES_MAX)  # type: ignore[misc]
            steps = max(steps, meter.steps)
    except (Exception, OverBudget) as error:
        note = f"{type(error).__name__}: {error}"[:80]
    holds = not note
    return Finding("bounded_work", f"steps for {CLAIMS_MAX} claims", steps, STEPS_MAX, "", holds, note)


def determinism(guarded: Guarded, again: Callable[[], Guarded]) -> Finding:
    """The same claims to the same and to a fresh instance, listed in another order."""
    differ, other = 0, again()
    for situation in situations(11, 60):
        first = _raw(guarded, situation)
        shuffled = Situation.of(situation.zone_id, situation.session, situation.now_ms, list(situation.claims[::-1]))
        differ += any(_raw(one, copy.deepcopy(shuffled)) != first for one in (guarded, other))
    return Finding("determinism", "situations decided in two ways, of 60", differ, 0, "", differ == 0)


def anonymity(guarded: Guarded, again: Callable[[], Guarded]) -> Finding:
    """Names change nothing; or, of a lottery, give nobody better chances."""
    draw, changed, count = np.random.default_rng(12), 0, 60
    for situation in situations(12, count):
        names = [claim.vehicle for claim in situation.claims]
        new = dict(zip(names, (f"w{k}" for k in draw.permutation(len(names)).tolist()), strict=True))
        renamed = replace(situation, claims=tuple(replace(c, vehicle=new[c.vehicle]) for c in situation.claims))
        expected, found = _raw(guarded, situation), _raw(guarded, renamed)
        changed += not expected or [new[name] for name in expected] != list(found)
    if not changed:
        return Finding("anonymity", f"renamings that change the order, of {count}", 0, 0, "", True)
    score, limit = _name_score(guarded), 4.5
    text = "names that go first too often, in standard deviations"
    return Finding(
        "anonymity", text, score, limit, "", score <= limit, f"{changed} of {count} renamings change the order"
    )


def _name_score(guarded: Guarded, draws: int = 800) -> float:
    """How far the mean rank of any name is from the middle, roles being dealt anew each time."""
    names = [f"v{k}" for k in range(5)]
    ranks, draw = np.zeros(len(names)), np.random.default_rng(13)
    for number in range(draws):
        dealt = [names[int(k)] for k in draw.permutation(len(names))]
        claims = [Claim(n, 1_000_000 + 10_000 * number + k, f"a{k}", 500, balance=9) for k, n in enumerate(dealt)]
        order = guarded.decide(Situation.of(f"zone{number}", 1, 1_000_100 + 10_000 * number, claims)).order
        ranks += [order.index(name) for name in names]
    deviation = np.sqrt((len(names) ** 2 - 1) / 12.0 / draws)
    return float(np.abs(ranks / draws - 0.5 * (len(names) - 1)).max() / deviation)


def monotonicity(guarded: Guarded, again: Callable[[], Guarded]) -> Finding:
    """Claiming more, and being able to pay for it, never puts anybody further back."""
    worse = 0
    for situation in situations(14, 60):
        before = guarded.decide(situation).order
        for k, claim in enumerate(situation.claims):
            worse += guarded.decide(raised(situation, k)).order.index(claim.vehicle) > before.index(claim.vehicle)
    return Finding("monotonicity", "claims raised that went further back", worse, 0, "", worse == 0)


def conservation(guarded: Guarded, again: Callable[[], Guarded]) -> Finding:
    """Units in all accounts together, before and after; accounts stay between 0 and the cap."""
    game = Game(guarded, seed=3).meetings(MEETINGS // 4)
    beyond = sum(not 0 <= balance <= BALANCE_MAX for balance in game.balances.values())
    made = game.drift + game.office
    text = "units made, lost, or paid to nobody among the vehicles"
    return Finding("conservation", text, made, 0, "", made == 0 and not beyond)


def no_deficit(guarded: Guarded, again: Callable[[], Guarded]) -> Finding:
    """Nobody is paid what nobody owes."""
    least, wrong = 0, 0
    for situation in situations(15, 60):
        for claim in situation.claims:
            try:
                dues = guarded.mechanism.dues(situation, claim.vehicle, Meter(STEPS_MAX))
            except (Exception, OverBudget):
                wrong += 1
                continue
            least = min([least, *(due.units for due in dues)])
            wrong += any(due.payer == OFFICE for due in dues)
    return Finding("no_deficit", "least payment", least, 0, "units", least >= 0 and not wrong)


def no_misreport_gain(guarded: Guarded, again: Callable[[], Guarded]) -> Finding:
    """Saying another urgency than the true one, once, all else being equal."""
    gain, paying, tried = misreport_gain_ms(guarded, 1, 60)
    text = f"profitable lies about urgency in one game, of {tried}"
    return Finding("no_misreport_gain", text, paying, 0, "", gain <= 1e-6, f"greatest gain {gain / 1000.0:.1f} s")


def no_arrivals_gain(guarded: Guarded, again: Callable[[], Guarded]) -> Finding:
    """The same where others arrive later: what no static mechanism promises."""
    gain, paying, tried = arrivals_gain_ms(guarded, 1, 40)
    text = f"profitable lies about urgency with arrivals, of {tried}"
    return Finding("no_arrivals_gain", text, paying, 0, "", gain <= 1e-6, f"greatest gain {gain / 1000.0:.1f} s")


def no_early_gain(guarded: Guarded, again: Callable[[], Guarded]) -> Finding:
    """Claiming to have come earlier, where others believe it."""
    honest = _mean_of(Game(guarded, seed=4).meetings(MEETINGS))
    liar = _mean_of(Game(guarded, seed=4, early=dict.fromkeys(DEVIATORS, EARLY_MS)).meetings(MEETINGS))
    gain, text = 1.0 - liar / honest, f"share of its cost that claiming to have come {EARLY_MS // 1000} s earlier saves"
    return Finding(
        "no_early_gain", text, gain, _LUCK, "", gain <= _LUCK, "if others believe it; witnesses are the defence"
    )


def no_overbid_gain(guarded: Guarded, again: Callable[[], Guarded]) -> Finding:
    """Claiming all that can be claimed, always, over many crossings."""
    honest = _mean_of(Game(guarded, seed=5).meetings(MEETINGS))
    greedy = _mean_of(Game(guarded, seed=5, strategies=dict.fromkeys(DEVIATORS, OVERBID)).meetings(MEETINGS))
    gain, text = 1.0 - greedy / honest, "share of its cost that always claiming the most saves"
    return Finding("no_overbid_gain", text, gain, 0.0, "", gain <= 0.0)


def no_whitewash_gain(guarded: Guarded, again: Callable[[], Guarded]) -> Finding:
    """A fresh name before every crossing, accounts being bound to enrolled names."""
    honest = _mean_of(Game(guarded, seed=6).meetings(MEETINGS))
    named = _mean_of(Game(guarded, seed=6, strategies=dict.fromkeys(DEVIATORS, OVERBID)).meetings(MEETINGS))
    best = min(honest, named)
    fresh = dict.fromkeys(DEVIATORS, WHITEWASH)
    bound = 1.0 - _mean_of(Game(guarded, seed=6, strategies=fresh).meetings(MEETINGS)) / best
    free = 1.0 - _mean_of(Game(guarded, seed=6, strategies=fresh, binding=False).meetings(MEETINGS)) / best
    bites = free > _LUCK or not guarded.accounts
    note = f"without binding: {free:.3f}" + ("" if bites else " (so this check proves nothing)")
    text = "share of its cost that a fresh name saves"
    return Finding("no_whitewash_gain", text, bound, _LUCK, "", bound <= _LUCK and bites, note)


def starvation_bound(guarded: Guarded, again: Callable[[], Guarded]) -> Finding:
    """The longest wait in an hour of queues at 0.8 of capacity, nine in ten claiming the most."""
    greedy = {k: OVERBID for k in range(FLEET) if k % 10}
    game = Game(guarded, seed=7, strategies=greedy).queues(_SLOTS_PER_HOUR)
    longest = max(player.wait_ms_max for player in game.players) / 1000.0
    limit = guarded.starvation_ms / 1000.0
    return Finding("starvation_bound", "longest wait in an hour at 0.8 capacity", longest, limit, "s", longest <= limit)


def efficiency(guarded: Guarded, again: Callable[[], Guarded]) -> Finding:
    """How much of the way from lots to the least cost is gone, everybody doing what is best for it."""
    lies = misreport_gain_ms(guarded, 1, 20)[1]
    selfish = (
        dict.fromkeys(range(FLEET), SELFISH) if lies and not guarded.accounts else dict.fromkeys(range(FLEET), HONEST)
    )
    gap = Game(guarded, seed=8, strategies=selfish).meetings(MEETINGS).gap_closed
    note = "everybody claims the most, as it pays" if SELFISH in selfish.values() else ""
    text = "of the way from lots to least weighted delay"
    return Finding("efficiency", text, gap, EFFICIENCY_MIN, "", gap >= EFFICIENCY_MIN, note)


def _mean_of(game: Game, players: Sequence[int] = DEVIATORS) -> float:
    return sum(game.players[k].mean_ms for k in players) / len(players) + 1e-9


def _raw(guarded: Guarded, situation: Situation) -> tuple[str, ...]:
    """The order without the guard's help; empty if it is none."""
    try:
        choice = guarded.mechanism.decide(situation, Meter(STEPS_MAX))
        return () if nonsense(situation, choice) else choice.order
    except (Exception, OverBudget):
        return ()


PROPERTIES: dict[str, tuple[str, Check]] = {
    "bounded_work": ("decides in a bounded number of steps", bounded_work),
    "determinism": ("the same claims, the same choice", determinism),
    "anonymity": ("names give nobody an advantage", anonymity),
    "monotonicity": ("claiming more never puts one further back", monotonicity),
    "conservation": ("units are neither made nor lost", conservation),
    "no_deficit": ("nobody is paid what nobody owes", no_deficit),
    "no_misreport_gain": ("a lie about urgency never pays in one game", no_misreport_gain),
    "no_overbid_gain": ("always claiming the most never pays over time", no_overbid_gain),
    "no_whitewash_gain": ("a fresh identity never pays", no_whitewash_gain),
    "starvation_bound": ("nobody waits longer than the charter's bound", starvation_bound),
    "efficiency": ("urgent vehicles lose little, even if all are selfish", efficiency),
    "no_arrivals_gain": ("a lie about urgency never pays where others arrive later", no_arrivals_gain),
    "no_early_gain": ("claiming an earlier arrival never pays", no_early_gain),
}
"""Name -> (what it says, its check). A mechanism's ``promises`` are of these names."""
