"""A mechanism that cannot block or harm: whatever it does, there is an order, and nobody waits for ever.

Bounded in steps, not in time, so that every vehicle and every replay decides alike. Mechanisms that ship count their
own steps and are proven to by the suite; a plug-in is run under a counter of its lines as well, which ends even an
endless loop. Errors, excess and nonsense mean first come, first served, with the reason noted.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from types import FrameType
from typing import Any, TypeVar

from fleet.mechanism.interface import (
    URGENCY_MAX,
    Choice,
    Due,
    Mechanism,
    Meter,
    OverBudget,
    Situation,
    by_arrival,
)

STEPS_MAX = 4_096
"""Steps of one decision: 32 claims, each looked at beside each other four times over."""
LINES_MAX = 50_000
"""Lines of a plug-in's decision: about 20 ms when counted."""
STARVATION_MS = 60_000
"""Of the default charter."""
LEAD_MS = 2_000
"""For each who waits, the bound is looked at so much sooner: as long as one takes to cross."""
_Answer = TypeVar("_Answer")


class Guarded:
    """Another mechanism, its defects turned into first come, first served."""

    def __init__(
        self, mechanism: Mechanism, *, starvation_ms: int = STARVATION_MS, steps_max: int = STEPS_MAX,
        lines_max: int | None = None,
    ) -> None:  # fmt: skip
        self.mechanism = mechanism
        self.name, self.accounts = mechanism.name, mechanism.accounts
        self.starvation_ms, self._steps_max, self._lines_max = starvation_ms, steps_max, lines_max
        self.steps = 0
        """Of the last decision."""
        self.failure = ""
        """Why the last dues were found to be none; empty: they were not."""

    def decide(self, situation: Situation) -> Choice:
        """The mechanism's choice, or first come, first served; who has waited too long goes before all."""
        try:
            choice = self._run(lambda meter: self.mechanism.decide(situation, meter))
            why = nonsense(situation, choice)
        except (
            Exception,
            OverBudget,
        ) as error:  # whatever it is, it is the mechanism's fault and may cost its privilege only
            choice, why = by_arrival(situation), _reason(error)
        return self._none_starves(situation, by_arrival(situation, why) if why else choice)

    def dues(self, situation: Situation, first: str) -> tuple[Due, ...]:
        """What ``first`` owes; none where the mechanism fails or asks for what cannot be."""
        self.failure = ""
        try:
            found = self._run(lambda meter: tuple(self.mechanism.dues(situation, first, meter)))
            self.failure = wrong_dues(situation, first, found, accounts=self.accounts)
        except (Exception, OverBudget) as error:  # as above
            found, self.failure = (), _reason(error)
        return () if self.failure else found

    def _run(self, call: Callable[[Meter], _Answer]) -> _Answer:
        meter = Meter(self._steps_max)
        try:
            return call(meter) if self._lines_max is None else counted(lambda: call(meter), self._lines_max)
        finally:
            self.steps = meter.steps

    def _none_starves(self, situation: Situation, choice: Choice) -> Choice:
        """Those who would soon have waited longer than the bound go first, by arrival, with full weight."""
        bound_ms = self.starvation_ms - LEAD_MS * len(situation.claims)
        late = [c.vehicle for c in situation.claims if situation.now_ms - c.arrived_ms >= bound_ms]
        if not late:
            return choice
        weights = dict(zip(choice.order, choice.weight_milli, strict=True)) | dict.fromkeys(late, URGENCY_MAX)
        order = (*late, *(name for name in choice.order if name not in set(late)))
        return Choice(order, tuple(weights[name] for name in order), choice.fallback)


def nonsense(situation: Situation, choice: Choice) -> str:
    """What is wrong with a choice, or empty."""
    if sorted(choice.order) != sorted(claim.vehicle for claim in situation.claims):
        return "nonsense:the order does not name everybody once"
    weights = choice.weight_milli
    whole = all(type(weight) is int and 0 <= weight <= URGENCY_MAX for weight in weights)
    if len(weights) != len(choice.order) or not whole:
        return f"nonsense:weights are not one whole number of 0..{URGENCY_MAX} for each"
    return ""


def wrong_dues(situation: Situation, first: str, dues: tuple[Due, ...], *, accounts: bool) -> str:
    """What is wrong with dues, or empty."""
    balance = {claim.vehicle: claim.balance for claim in situation.claims}
    if any(due.payer != first or type(due.units) is not int or due.units <= 0 for due in dues):
        return "nonsense:dues are positive whole numbers, owed by who went first"
    if accounts and sum(due.units for due in dues) > balance.get(first, 0):
        return "nonsense:more is due than the account holds"
    if accounts and any(due.payee not in balance or due.payee == first for due in dues):
        return "nonsense:dues go to others who wait"
    return ""


def counted(call: Callable[[], _Answer], lines_max: int) -> _Answer:
    """The answer of ``call``, which may run so many lines of Python; raises :class:`OverBudget` beyond."""
    left = lines_max

    def tracer(frame: FrameType, event: str, argument: Any) -> Any:
        nonlocal left
        left -= 1
        if left < 0:
            raise OverBudget(f"more than {lines_max} lines")
        return tracer

    before = sys.gettrace()
    sys.settrace(tracer)
    try:
        return call()
    finally:
        sys.settrace(before)


def _reason(error: BaseException) -> str:
    kind = "budget" if isinstance(error, OverBudget) else "error"
    return f"{kind}:{type(error).__name__}: {error}"[:120]
