"""All placements of so many faults: no state is unsafe, and counts are exact, so that a change of the core shows."""

from __future__ import annotations

from typing import Any

import pytest

from fleet.protocol.ballot import Ballot
from sim.faults.model import Model
from sim.faults.model_check import Checker
from sim.faults.model_vehicle import Turn, Vehicles

WHOLE = (
    (Model(2, 6, 11), (698_798, 1_600_907, 902_110)),
    (Model(2, 4, 14), (185_924, 283_867, 97_944)),
    (Model(3, 3, 9), (126_898, 186_413, 59_516)),
    (Model(4, 2, 8, holds=False), (10_944, 12_530, 1_587)),
    (Model(2, 2, 12, liar=True), (5_958, 6_598, 641)),
    (Model(3, 1, 8, liar=True), (412, 447, 36)),
    (Model(2, 2, 12, late=2), (2_588, 3_067, 480)),
)
"""Model -> states, transitions, transitions into a state already known: a million states in all."""


@pytest.mark.parametrize(("model", "counts"), WHOLE, ids=lambda value: str(value) if isinstance(value, Model) else "")
def test_within_its_budget_of_faults_every_state_is_safe(model: Model, counts: tuple[int, int, int]) -> None:
    found = Checker(model).run()
    assert found.violations == []
    assert (found.states, found.transitions, found.merged) == counts
    assert found.committed > 0, "states in which nobody holds anything show nothing"


def test_a_split_fleet_in_which_only_one_moves_is_safe() -> None:
    """Rule P8: the one that moves may leave out the one that stands, and nothing else."""
    found = Checker(Model(2, 1, 24, split=22, moving=True)).run()
    assert found.violations == []
    assert (found.states, found.transitions, found.merged) == (639, 693, 55)
    assert found.committed > 0


def test_canary_two_that_stand_and_leave_each_other_out_are_found_unsafe(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Vehicles, "has_moved", lambda self, index, step: True)
    found = Checker(Model(2, 1, 10, split=10)).run()
    assert any("S1: v1 and v0 hold one place" in text for text in found.violations)


def test_without_eyes_one_lost_intent_lets_a_newcomer_take_a_holders_place() -> None:
    """Why rule P1 says heard *or perceived*: a holder speaks every 250 ms, and a newcomer listens for 300 ms."""
    found = Checker(Model(2, 1, 12, late=4, eyes=False)).run()
    assert any("('lose', 0, 1)" in text and "S1: v1 and v0" in text for text in found.violations)
    assert Checker(Model(2, 1, 12, late=4)).run().violations == []


def test_a_remembered_turn_is_what_the_core_does_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """All but the frozen core itself, whose bytes may differ between equal ones (frozen.py)."""
    remembered, again = Vehicles.turn, 0

    def both(self: Vehicles, *asked: Any) -> Turn:
        nonlocal again
        found = remembered(self, *asked)
        self._turns, kept = {}, self._turns
        fresh = remembered(self, *asked)
        self._turns, again = kept, again + 1
        assert (fresh.held, fresh.written, fresh.delivered, fresh.ticked) == (
            found.held, found.written, found.delivered, found.ticked
        )  # fmt: skip
        return found

    monkeypatch.setattr(Vehicles, "turn", both)
    for model in (Model(2, 2, 7), Model(2, 1, 8, liar=True), Model(3, 1, 6)):
        assert Checker(model).run().violations == []
    assert again > 2_000


def test_a_certificate_of_one_vote_is_found_unsafe(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Ballot, "complete", property(lambda b: bool(b.votes)))
    found = Checker(Model(2, 1, 8)).run()
    assert any(": S3: " in text for text in found.violations)
