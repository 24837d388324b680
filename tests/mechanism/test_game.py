"""What selfishness costs: much where claims are believed for nothing, little where they are paid in karma."""

from __future__ import annotations

from fleet.mechanism.game import FLEET, SELFISH, Game
from fleet.mechanism.registry import guarded


def test_the_price_of_anarchy_is_high_without_a_mechanism_and_low_with_karma() -> None:
    selfish = Game(guarded("stated"), strategies=dict.fromkeys(range(FLEET), SELFISH)).meetings(4_000)
    karma = Game(guarded("karma")).meetings(4_000)
    assert selfish.anarchy > 1.3
    assert 1.0 <= karma.anarchy <= 1.1
    assert karma.drift == 0


def test_the_same_seed_plays_the_same_game() -> None:
    one, two = (Game(guarded("karma"), seed=9).meetings(300) for _ in range(2))
    assert one.balances == two.balances
    assert [player.cost_ms for player in one.players] == [player.cost_ms for player in two.players]
