"""Turns at the lines without radio (rule P9), by what one vehicle sees."""

from __future__ import annotations

from fleet.node.right_of_way import APPROACH_MPS2, PATIENCE_S, TIE_S, YIELDING_MPS2, RightOfWay
from hardware.base import Track
from tests.node.scenes import ZONE, junction, track


def at_line(path_id: str, speed_mps: float = 0.0, *, short_m: float = 1.0, track_id: int = 1) -> Track:
    return track(path_id, junction().passage(path_id).line_s_m - short_m, speed_mps, track_id=track_id)


class Watcher:
    """A vehicle that waits at the south arm and looks every 100 ms."""

    def __init__(self, approach: str = "S") -> None:
        self.rule = RightOfWay(junction().roads, 1.0)
        self.approach, self.now_ms = approach, 0
        self.around = junction().around()

    def look(self, seconds: float, *tracks: Track) -> None:
        for _ in range(round(10 * seconds)):
            self.now_ms += 100
            self.around.update(self.now_ms, tracks, ())
            self.rule.observe(self.now_ms, self.around, ZONE, f"{self.approach}_straight")

    def why_not(self, since_ms: int) -> str:
        return self.rule.may_enter(self.now_ms, self.around, ZONE, self.approach, since_ms)

    @property
    def yields(self) -> bool:
        return self.rule.must_yield(self.around, ZONE, self.approach)


def test_alone_at_an_empty_zone_a_vehicle_may_enter_once_it_has_been_empty_for_a_moment() -> None:
    watcher = Watcher()
    watcher.look(0.1)
    assert watcher.why_not(0) == "zone_occupied", "one look is not enough"
    watcher.look(0.3)
    assert watcher.why_not(0) == ""


def test_nobody_enters_while_somebody_is_in_the_zone_even_if_that_one_stands() -> None:
    for speed in (0.0, 5.0):
        watcher = Watcher()
        watcher.look(2.0, at_line("E_straight", speed, short_m=-6.0))
        assert watcher.why_not(0) == "zone_occupied"
        watcher.look(0.2)
        assert watcher.why_not(0) == "zone_occupied"
        watcher.look(0.3)
        assert watcher.why_not(0) == ""


def test_who_stopped_first_goes_first() -> None:
    watcher = Watcher()
    watcher.look(1.0)
    watcher.look(1.0, at_line("W_straight"))  # since 1.1 s
    assert watcher.why_not(since_ms=1100 + int(1000 * TIE_S) + 100) == "not_my_turn"
    assert watcher.why_not(since_ms=1100 - int(1000 * TIE_S) - 100) == ""


def test_a_tie_goes_by_the_order_of_approaches_which_both_know() -> None:
    """E before N before S before W: exactly one of two that stopped together goes."""
    for mine, other in (("S", "E"), ("S", "W"), ("E", "S"), ("N", "S")):
        watcher = Watcher(mine)
        watcher.look(1.0)
        watcher.look(1.0, at_line(f"{other}_straight"))
        assert (watcher.why_not(since_ms=1200) == "") is (mine < other)


def test_one_that_does_not_take_its_turn_loses_it() -> None:
    watcher = Watcher()
    watcher.look(PATIENCE_S - 0.5, at_line("E_straight"))
    assert watcher.why_not(since_ms=2000) == "not_my_turn"
    watcher.look(1.0, at_line("E_straight"))
    assert watcher.why_not(since_ms=2000) == ""


def test_one_that_is_gone_for_a_second_no_longer_waits() -> None:
    watcher = Watcher()
    watcher.look(1.0, at_line("E_straight"))
    assert watcher.why_not(since_ms=5000) == "not_my_turn"
    watcher.look(0.9)
    assert watcher.why_not(since_ms=5000) == "not_my_turn", "it may be hidden"
    watcher.look(0.3)
    assert watcher.why_not(since_ms=5000) == ""


def test_one_that_waits_on_the_own_approach_is_no_rival() -> None:
    watcher = Watcher()
    watcher.look(1.0, at_line("S_left"))
    assert watcher.why_not(since_ms=5000) == ""


def test_nobody_enters_before_one_that_no_longer_looks_like_stopping() -> None:
    room = 20.0
    for factor, answer in ((1.0, ""), (1.6, "rushing")):
        watcher = Watcher()
        watcher.look(1.0, at_line("E_straight", factor * (2.0 * YIELDING_MPS2 * room) ** 0.5, short_m=room))
        assert watcher.why_not(0) == answer
        assert watcher.yields is bool(answer), "and who has started stops again"


def test_vehicles_of_this_project_approach_without_radio_so_that_they_look_like_stopping() -> None:
    for room in (1.0, 5.0, 20.0, 60.0):
        watcher = Watcher()
        watcher.look(1.0, at_line("E_straight", (2.0 * APPROACH_MPS2 * room) ** 0.5, short_m=room))
        assert watcher.why_not(0) == ""


def test_while_starting_the_later_in_order_yields_to_one_that_starts_too_and_the_earlier_does_not() -> None:
    for mine, other in (("S", "E"), ("E", "S")):
        watcher = Watcher(mine)
        watcher.look(0.3, at_line(f"{other}_straight", 1.0, short_m=0.3))
        assert watcher.yields is (mine > other)


def test_while_starting_everybody_yields_to_one_that_is_inside_and_moves() -> None:
    for mine, other in (("S", "E"), ("E", "S")):
        watcher = Watcher(mine)
        watcher.look(0.3, at_line(f"{other}_straight", 2.0, short_m=-3.0))
        assert watcher.yields
    watcher = Watcher("S")
    watcher.look(0.3, at_line("E_straight", 0.0, short_m=0.3))
    assert not watcher.yields, "one that stands at its line is no reason"


def test_all_stand_says_whether_anything_moves_in_the_zone_or_rushes_to_it() -> None:
    for tracks, answer in (
        ([], True),
        ([at_line("E_straight", 0.0, short_m=-5.0)], True),
        ([at_line("E_straight", 2.0, short_m=-5.0)], False),
        ([at_line("E_straight", 2.0, short_m=20.0)], True),
        ([at_line("E_straight", 13.0, short_m=20.0)], False),
    ):
        watcher = Watcher()
        watcher.look(0.2, *tracks)
        assert watcher.rule.all_stand(watcher.around, ZONE) is answer
