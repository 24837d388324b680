"""Who is ahead of whom in one lane, and whose paths still meet."""

from __future__ import annotations

import pytest

from fleet.node.lanes import Lanes
from tests.node.scenes import approach, body, junction, through

A, B = body("a"), body("b")


def lanes() -> Lanes:
    return Lanes(junction().conflicts, junction().book)


def test_on_one_path_the_lead_is_the_difference() -> None:
    assert lanes().lead_m("S_left", A, 100.0, "S_left", B, 130.0) == 30.0
    assert lanes().lead_m("S_left", A, 130.0, "S_left", B, 100.0) == -30.0


@pytest.mark.parametrize(("s_i", "s_j"), [(100.0, 130.0), (200.0, 180.0), (220.0, 221.0)])
def test_on_a_shared_approach_the_lead_is_the_way_between_and_opposite_for_the_other(s_i: float, s_j: float) -> None:
    one = lanes().lead_m("S_left", A, s_i, "S_straight", B, s_j)
    other = lanes().lead_m("S_straight", B, s_j, "S_left", A, s_i)
    assert one == pytest.approx(s_j - s_i, abs=0.5)
    assert other == pytest.approx(-(s_j - s_i), abs=0.5)


def test_on_a_shared_exit_the_lead_is_found_too() -> None:
    """From the west and from the south by a right turn, both leave eastwards."""
    paths = junction().zone_map.paths
    straight, right = paths["W_straight"], paths["S_right"]
    assert straight.destination == right.destination
    s_i, s_j = straight.length_m - 100.0, right.length_m - 80.0
    assert lanes().lead_m("W_straight", A, s_i, "S_right", B, s_j) == pytest.approx(20.0, abs=0.5)


def test_vehicles_of_crossing_lanes_have_no_lead() -> None:
    assert lanes().lead_m("S_straight", A, 200.0, "E_straight", B, 200.0) is None
    assert lanes().lead_m("S_straight", A, 200.0, "N_straight", B, 300.0) is None


def test_following_is_by_where_the_plans_have_the_vehicles_now() -> None:
    ahead, behind = through("a", "S_straight", 120.0, 5.0), through("b", "S_left", 100.0, 13.0)
    assert lanes().follows(0.0, (B, behind), (A, ahead))
    assert not lanes().follows(0.0, (A, ahead), (B, behind))
    across = through("b", "E_straight", 100.0, 13.0)
    assert not lanes().follows(0.0, (B, across), (A, ahead))


def test_the_leader_is_the_next_one_ahead_and_the_first_has_none() -> None:
    places = {"a": ("S_straight", 200.0), "b": ("S_left", 170.0), "c": ("S_right", 150.0), "d": ("E_left", 190.0)}
    plans = {name: (body(name), approach(name, path_id, s, 5.0).encode()) for name, (path_id, s) in places.items()}
    assert lanes().leaders(0.0, plans) == {"b": "a", "c": "b"}
    assert lanes().leaders(0.0, {**plans, "b": (B, b"garbage")}) == {"c": "a"}


def test_paths_that_cross_meet_until_one_is_past_and_opposite_right_turns_never_do() -> None:
    assert lanes().meet(("S_straight", A, 200.0), ("E_straight", B, 200.0))
    past = junction().passage("E_straight").exit_s_m + A.footprint.rear_m + 2.0
    assert not lanes().meet(("S_straight", A, 200.0), ("E_straight", B, past))
    assert not lanes().meet(("S_straight", A, past), ("E_straight", B, 200.0))
    assert not lanes().meet(("S_right", A, 100.0), ("N_right", B, 100.0))
    assert lanes().meet(("S_right", A, 200.0), ("W_straight", B, 200.0)), "they merge"


def test_meeting_is_mutual() -> None:
    for path_i in junction().zone_map.paths:
        for path_j in ("S_left", "E_straight", "N_right"):
            if path_i != path_j:
                one = lanes().meet((path_i, A, 230.0), (path_j, B, 240.0))
                assert one == lanes().meet((path_j, B, 240.0), (path_i, A, 230.0)), (path_i, path_j)
