"""Crossing by sight: without radio one at a time (rule P9), and out of a jam inside a zone."""

from __future__ import annotations

import pytest
import shapely
from shapely.affinity import rotate, translate

from fleet.node import sight as sight_module
from fleet.node.right_of_way import RightOfWay
from fleet.node.sight import JAM_MS, WAIT_MS
from tests.node.scenes import FRONT_M, REAR_M, Fleet, before_line, junction, track


def starts(*arms: str, room_m: float = 60.0, v_mps: float = 12.0) -> dict[str, tuple[str, float, float]]:
    return {arm.lower(): (f"{arm}_straight", before_line(f"{arm}_straight", room_m), v_mps) for arm in arms}


def run(fleet: Fleet, seconds: float) -> tuple[int, list[str]]:
    """(most vehicles in the zone at one time, who has left it in that order)."""
    most, left = 0, []
    while fleet.now_ms < 1000 * seconds:
        fleet.tick()
        most = max(most, len(fleet.inside()))
        for name, node in fleet.nodes.items():
            if name not in left and node.rear_s_m > junction().passage(node.road.path.path_id).exit_s_m:
                left.append(name)
    return most, left


def unable_to_agree(fleet: Fleet) -> Fleet:
    """Nobody signs anything."""
    for node in fleet.nodes.values():
        node._parts.judge.verify = lambda *_: ("unwilling",)  # type: ignore[method-assign]
    return fleet


def fallbacks(fleet: Fleet) -> dict[str, int]:
    return {name: now_ms for now_ms, name, kind, _ in fleet.notes if kind == "fallback"}


def test_alone_with_a_dead_radio_a_vehicle_agrees_with_itself_as_long_as_it_sees_nobody() -> None:
    fleet = Fleet(starts("S"), radio=False)
    assert run(fleet, 12.0) == (1, ["s"])
    assert fallbacks(fleet) == {}


@pytest.mark.parametrize("arms", [("S", "E"), ("E", "W"), ("S", "N", "E", "W")])
def test_symmetric_vehicles_without_radio_stop_and_cross_one_at_a_time(arms: tuple[str, ...]) -> None:
    fleet = Fleet(starts(*arms), radio=False)
    most, left = run(fleet, 25.0 + 12.0 * len(arms))
    assert most == 1
    assert left == sorted(name.lower() for name in arms), "a tie goes by the order of approaches"
    assert all(node.counters.no_contingency == 0 for node in fleet.nodes.values())


def test_without_radio_the_first_to_stop_goes_first_whatever_its_approach() -> None:
    fleet = Fleet({**starts("W", room_m=40.0, v_mps=8.0), **starts("E", room_m=110.0)}, radio=False)
    most, left = run(fleet, 45.0)
    assert most == 1 and left == ["w", "e"]


def test_before_crossing_by_sight_every_vehicle_stands_at_its_line_for_a_while() -> None:
    fleet = unable_to_agree(Fleet(starts("S", "E"), radio=False))
    stood: dict[str, int] = {}
    while fleet.now_ms < 40_000:
        fleet.tick()
        for name, node in fleet.nodes.items():
            if node.kernel.status.v_mps < 0.1 and name not in stood:
                stood[name] = fleet.now_ms
                assert 0.0 <= junction().passage(node.road.path.path_id).line_s_m - node.front_s_m < 3.0
    begun = fallbacks(fleet)
    assert set(begun) == {"s", "e"}
    assert all(begun[name] >= stood[name] + WAIT_MS - 100 for name in begun)
    assert [name for _, name in sorted((ms, name) for name, ms in begun.items())] == ["e", "s"]


def test_nobody_crosses_by_sight_while_a_silent_vehicle_stands_in_the_zone() -> None:
    fleet = Fleet(starts("S"), radio=False)
    middle = 0.5 * (junction().passage("E_straight").line_s_m + junction().passage("E_straight").exit_s_m)
    fleet.extra = (track("E_straight", middle + 2.5, 0.0, track_id=99),)
    most, left = run(fleet, 25.0)
    assert most == 0 and left == []
    fleet.extra = ()
    most, left = run(fleet, 45.0)
    assert left == ["s"]


def test_who_has_started_stops_again_for_one_that_rushes_in() -> None:
    fleet = unable_to_agree(Fleet(starts("S", room_m=30.0, v_mps=8.0), radio=False))
    while not fallbacks(fleet):
        fleet.tick()
        assert fleet.now_ms < 30_000
    line = junction().passage("E_straight").line_s_m
    while fleet.nodes["s"].kernel.status.v_mps < 0.3:
        fleet.tick()
    rushing = fleet.now_ms
    for _ in range(60):
        front = line - 45.0 + 0.015 * (fleet.now_ms - rushing)
        fleet.extra = (track("E_straight", front, 15.0, track_id=99),)
        fleet.tick()
    assert [kind for _, _, kind, _ in fleet.notes if kind == "fallback_yield"]
    assert fleet.inside() == [] and fleet.nodes["s"].kernel.status.v_mps < 0.1
    fleet.extra = ()
    assert run(fleet, 60.0)[1] == ["s"]


def outline(path_id: str, s_m: float) -> shapely.Polygon:
    x, y, yaw = junction().roads.get(path_id).pose(s_m)
    box = shapely.box(-REAR_M, -0.9, FRONT_M, 0.9)
    return translate(rotate(box, yaw, origin=(0, 0), use_radians=True), x, y)


def test_a_jam_inside_the_zone_comes_apart_by_one_vehicle_at_a_time() -> None:
    """Two vehicles switched on inside the zone, nose to side: no plan has room for its error budget."""
    passages = {name: junction().passage(path) for name, path in (("s", "S_straight"), ("e", "E_straight"))}
    at_e = passages["e"].line_s_m + 2.35
    across = outline("E_straight", at_e)
    at_s = next(s for s in (240.0 + 0.01 * k for k in range(2000)) if outline("S_straight", s).distance(across) < 0.42)
    fleet = Fleet({"s": ("S_straight", at_s, 0.0), "e": ("E_straight", at_e, 0.0)}, radio=True)
    while fleet.now_ms < 60_000:
        fleet.tick()
        assert sum(node.sight.active for node in fleet.nodes.values()) <= 1
        one, other = (outline(n.road.path.path_id, n.kernel.status.s_m) for n in fleet.nodes.values())
        assert not one.intersects(other), f"at {fleet.now_ms} ms"
    assert fallbacks(fleet), "it took somebody to creep"
    assert all(node.rear_s_m > passages[name].exit_s_m for name, node in fleet.nodes.items())


def _crossed(judge_says: tuple[str, ...], monkeypatch: pytest.MonkeyPatch) -> dict[str, int]:
    """Who crosses by sight, and when, if E's judge says so."""
    fleet = unable_to_agree(Fleet(starts("S", "E", room_m=20.0, v_mps=5.0), radio=False))
    node = fleet.nodes["e"]
    if judge_says:
        monkeypatch.setattr(node._parts.judge, "verify_alone", lambda *_, **__: judge_says)
    run(fleet, JAM_MS * 1e-3 + 20.0)
    monkeypatch.undo()
    return fallbacks(fleet)


def test_nobody_crosses_by_sight_on_a_plan_that_the_judge_refuses(monkeypatch: pytest.MonkeyPatch) -> None:
    assert "e" in _crossed((), monkeypatch)
    assert "e" not in _crossed(("overlap:e:s",), monkeypatch)


def test_canary_a_vehicle_that_does_not_wait_for_its_turn_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(RightOfWay, "may_enter", lambda *_: "")
    monkeypatch.setattr(RightOfWay, "must_yield", lambda *_: False)
    assert run(unable_to_agree(Fleet(starts("S", "E"), radio=False)), 30.0)[0] > 1


def test_canary_a_vehicle_that_agrees_with_itself_out_of_turn_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(RightOfWay, "silent_waits", lambda *_: False)
    assert run(Fleet(starts("S", "E"), radio=False), 30.0)[0] > 1


def test_canary_a_vehicle_that_does_not_wait_at_its_line_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sight_module, "WAIT_MS", 0)
    fleet = unable_to_agree(Fleet(starts("S", "E"), radio=False))
    run(fleet, 20.0)
    assert min(fallbacks(fleet).values()) < 8000 + WAIT_MS
