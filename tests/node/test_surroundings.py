"""What a node makes of its sensors: who speaks, who is silent, who may come and when."""

from __future__ import annotations

import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fleet.node.surroundings import STATIONARY_MPS, silent_threats
from hardware.base import Track
from tests.node.scenes import FRONT_M, ZONE, before_line, junction, track

LIMIT = 13.89


def line(path_id: str) -> float:
    return junction().passage(path_id).line_s_m


def threats(*tracks: Track, path_id: str = "S_straight", front_s_m: float = 200.0) -> list[tuple[int, float]]:
    j = junction()
    return silent_threats(j.around(tracks), j.roads, ZONE, path_id, front_s_m)


def test_a_track_next_to_an_announced_place_belongs_to_that_peer_and_others_are_silent() -> None:
    seen = track("E_straight", 200.0, 5.0)
    near, far = (seen.x_m + 2.0, seen.y_m), (seen.x_m + 3.0, seen.y_m)
    assert junction().around([seen], [("b", near)]).peer_of == ["b"]
    around = junction().around([seen], [("b", far)])
    assert around.peer_of == [None] and around.silent_rows() == [0]
    assert junction().around([seen]).silent_rows() == [0]


def test_the_nearest_of_two_peers_is_taken() -> None:
    seen = track("E_straight", 200.0, 5.0)
    heard = [("b", (seen.x_m + 2.0, seen.y_m)), ("c", (seen.x_m - 1.0, seen.y_m))]
    assert junction().around([seen], heard).peer_of == ["c"]


def test_a_standing_track_is_steadied_and_a_moving_one_is_not() -> None:
    around = junction().around()
    for k in range(60):
        noisy = track("E_straight", 200.0, 0.1)._replace(x_m=50.0 + 0.2 * (-1) ** k)
        around.update(100 * k, [noisy], ())
    assert around.table[0, 0] == pytest.approx(50.0, abs=0.05)
    around.update(6100, [noisy._replace(x_m=50.4, speed_mps=3.0)], ())
    assert around.table[0, 0] == 50.4
    around.update(6200, [noisy._replace(x_m=58.0, speed_mps=0.0)], ())
    assert around.table[0, 0] == 58.0, "a jump is no noise"


def test_a_track_before_the_line_may_be_on_every_path_of_its_approach_and_on_no_other() -> None:
    around = junction().around([track("S_left", 200.0, 5.0)])
    places = {place.path_id: place for place in around.placements(0)}
    assert set(places) == {"S_left", "S_right", "S_straight"}
    for place in places.values():
        assert place.front_s_m == pytest.approx(200.0, abs=0.2)
        assert place.front_s_m - place.rear_s_m == pytest.approx(5.0)


def test_a_track_across_the_lane_is_on_no_path() -> None:
    seen = track("S_straight", 200.0, 1.0)
    assert junction().around([seen._replace(yaw_rad=seen.yaw_rad + 0.7)]).placements(0) == ()
    assert junction().around([seen._replace(x_m=seen.x_m + 4.0)]).placements(0) == (), (
        "the oncoming lane heads the other way"
    )


@settings(max_examples=100, deadline=None, derandomize=True)
@given(st.floats(0.5, 25.0), st.floats(0.0, 200.0))
def test_the_earliest_arrival_is_that_of_full_acceleration_up_to_a_speeding_limit(v: float, distance: float) -> None:
    around = junction().around([track("E_straight", 100.0, v)])
    s, t, speed, cap = 0.0, 0.0, v, max(v, 1.2 * LIMIT)
    while s < distance:
        s, t, speed = s + speed * 1e-3, t + 1e-3, min(cap, speed + 3.5e-3)
    assert around.arrival_s(0, distance, LIMIT) == pytest.approx(t, abs=0.01)


def test_who_stands_never_arrives_and_who_is_there_is_there_now() -> None:
    around = junction().around([track("E_straight", 100.0, STATIONARY_MPS - 0.01), track("E_straight", 120.0, 5.0)])
    assert around.arrival_s(0, 10.0, LIMIT) == math.inf
    assert around.arrival_s(1, 0.0, LIMIT) == 0.0
    assert around.arrival_s(1, -3.0, LIMIT) == 0.0


def test_a_silent_road_user_that_approaches_on_another_arm_is_a_threat_from_its_earliest_arrival_on() -> None:
    [(row, arrival_s)] = threats(track("E_straight", line("E_straight") - 40.0, 10.0))
    assert row == 0 and 2.0 < arrival_s < 4.0


def test_one_that_stands_behind_its_line_is_none() -> None:
    assert threats(track("E_straight", line("E_straight") - 2.0, 0.0)) == []


@pytest.mark.parametrize("speed_mps", [0.0, 3.0])
def test_one_in_the_zone_is_a_threat_at_once_even_if_it_stands(speed_mps: float) -> None:
    assert threats(track("E_straight", line("E_straight") + 4.0, speed_mps)) == [(0, 0.0)]


def test_one_that_has_left_the_zone_is_none() -> None:
    left = junction().passage("E_straight").exit_s_m + 5.0 + 1.0
    assert threats(track("E_straight", left, 8.0)) == []


def test_one_behind_in_the_own_lane_cannot_get_in_the_way_and_one_ahead_is_in_it() -> None:
    front = before_line("S_straight", 40.0) + FRONT_M
    assert threats(track("S_straight", front - 12.0, 10.0), front_s_m=front) == []
    assert threats(track("S_straight", front + 12.0, 10.0), front_s_m=front) == [(0, 0.0)]
    assert threats(track("S_left", front - 12.0, 10.0), front_s_m=front) == [], "whatever it will turn to"


def test_a_peer_that_is_heard_is_no_silent_threat() -> None:
    seen = track("E_straight", line("E_straight") - 40.0, 10.0)
    around = junction().around([seen], [("b", (seen.x_m, seen.y_m))])
    assert silent_threats(around, junction().roads, ZONE, "S_straight", 200.0) == []


def test_those_ahead_come_nearest_first_with_their_gaps_and_speeds_along_the_path() -> None:
    j = junction()
    road, front = j.roads.get("S_straight"), 100.0
    far, near = track("S_straight", front + 35.0, 7.0), track("S_straight", front + 15.0, 4.0)
    crossing = track("S_straight", front + 25.0, 3.0)
    crossing = crossing._replace(yaw_rad=crossing.yaw_rad + 0.5 * math.pi, length_m=2.0)
    beside = track("N_straight", 300.0, 5.0)
    found = j.around([far, near, crossing, beside]).corridor(road, front, 1.0, 60.0)
    assert [one.row for one in found] == [1, 2, 0]
    assert [one.gap_m for one in found] == pytest.approx([10.0, 20.0 + 2.5 - 0.9, 30.0], abs=0.02)
    assert [one.speed_mps for one in found] == pytest.approx([4.0, 0.0, 7.0], abs=1e-9)
    assert [one.crossing for one in found] == [False, True, False]
    assert all(one.silent and one.peer is None for one in found)
    assert j.around().corridor(road, front, 1.0, 60.0) == []
