"""A mechanism can neither block a tick nor leave anybody out."""

from __future__ import annotations

import contextlib
from dataclasses import replace

import pytest

from fleet.mechanism.guard import Guarded
from fleet.mechanism.interface import Choice, Claim, Due, Meter, Situation, by_arrival
from fleet.mechanism.karma import Karma
from fleet.mechanism.registry import BUILT_IN
from tests.mechanism.plug_ins import Counterfeits, Endless, Fair


def situation(*waits_ms: int, balance: int = 12) -> Situation:
    claims = [Claim(f"v{k}", 100_000 - wait, f"a{k}", 100 * k, balance=balance) for k, wait in enumerate(waits_ms)]
    return Situation.of("z", 1, 100_000, claims)


class Broken(Fair):
    def __init__(self, answer: object) -> None:
        self.answer = answer

    def decide(self, situation: Situation, meter: Meter) -> Choice:
        if isinstance(self.answer, BaseException):
            raise self.answer
        return self.answer  # type: ignore[return-value]


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        (ValueError("no"), "error:ValueError"), (None, "error:AttributeError"), (Choice((), ()), "nonsense"),
        (Choice(("v0", "v0", "v1"), (0, 0, 0)), "nonsense"), (Choice(("v0", "v1", "v2"), (0, 0)), "nonsense"),
        (Choice(("v0", "v1", "v2"), (0, 0, 1001)), "nonsense"), (Choice(("v0", "v1", "v2"), (0, 0, 0.5)), "nonsense"),
    ],
)  # fmt: skip
def test_whatever_a_mechanism_answers_there_is_an_order(answer: object, reason: str) -> None:
    asked = situation(3_000, 2_000, 1_000)
    choice = Guarded(Broken(answer)).decide(asked)
    assert choice.order == by_arrival(asked).order
    assert choice.fallback.startswith(reason)


def test_too_many_steps_mean_first_come_first_served() -> None:
    class Busy(Fair):
        def decide(self, situation: Situation, meter: Meter) -> Choice:
            while True:
                with contextlib.suppress(Exception):  # a mechanism must not be able to swallow this
                    meter.spend()

    assert Guarded(Busy()).decide(situation(1, 2)).fallback.startswith("budget")


def test_an_endless_plug_in_is_ended_by_its_lines() -> None:
    guarded = Guarded(Endless(), lines_max=2_000)
    assert guarded.decide(situation(5, 4)).fallback.startswith("budget:OverBudget: more than 2000 lines")


def test_dues_that_cannot_be_are_none_and_the_reason_is_kept() -> None:
    guarded = Guarded(Counterfeits())
    assert guarded.dues(situation(3, 2, 1), "v0") == ()
    assert "others who wait" in guarded.failure
    assert guarded.dues(situation(3, 2, 1, balance=1), "v0") == ()
    assert "more is due than the account holds" in guarded.failure


@pytest.mark.parametrize("name", list(BUILT_IN))
def test_who_has_waited_too_long_goes_first_under_every_mechanism(name: str) -> None:
    asked = situation(59_000, 1_000, 500)
    choice = Guarded(BUILT_IN[name](), starvation_ms=60_000).decide(asked)
    assert choice.order[0] == "v0"
    assert choice.weight_milli[0] == 1_000


def test_karma_pays_its_bid_to_who_waits_longest_elsewhere_and_never_beyond_a_cap() -> None:
    asked = situation(4_000, 3_000, 2_000)
    bidder = replace(asked.claims[2], urgency_milli=500)
    full = replace(asked.claims[0], balance=38)
    asked = replace(asked, claims=(full, asked.claims[1], bidder))
    assert Karma().decide(asked, Meter(100)).order[0] == "v2"
    assert Karma().dues(asked, "v2", Meter(100)) == (Due("v2", "v0", 2), Due("v2", "v1", 3))
