"""SUMO as a peer: how it is found, what it is given, and (where it is installed) what it answers."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from fleet.errors import ConfigError
from sim.maps.builtin import build
from sim.peer_sumo import CONTROLLERS, Sumo, _exit, _lane, find_sumo

PROGRAMS = find_sumo(os.environ.get("ACCORD_TEST_SUMO"))
needs_sumo = pytest.mark.skipif(PROGRAMS is None, reason="no sumo on the path, in SUMO_HOME or ACCORD_TEST_SUMO")


def test_the_folder_named_must_hold_the_programs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ConfigError, match="holds no sumo and netconvert"):
        find_sumo(str(tmp_path))
    monkeypatch.delenv("SUMO_HOME", raising=False)
    monkeypatch.setenv("PATH", str(tmp_path))
    assert find_sumo() is None
    (tmp_path / "bin").mkdir()
    for name in ("sumo", "netconvert"):
        (tmp_path / "bin" / name).touch(mode=0o755)
    monkeypatch.setenv("SUMO_HOME", str(tmp_path))
    assert find_sumo() == tmp_path / "bin" == find_sumo(str(tmp_path / "bin"))
    monkeypatch.delenv("SUMO_HOME")
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    assert find_sumo() == tmp_path / "bin"


def test_movements_lead_where_they_do_on_our_map() -> None:
    for path in build("four_way").paths:
        assert _exit(path.origin, path.movement) == path.destination


def test_turns_have_the_outer_lanes() -> None:
    assert [_lane(way, 3) for way in ("right", "straight", "left")] == [0, 1, 2]
    assert {_lane(way, 1) for way in ("right", "straight", "left")} == {0}


def test_a_program_that_fails_is_one_line(tmp_path: Path) -> None:
    for name in ("sumo", "netconvert"):
        (tmp_path / name).write_text("#!/bin/sh\necho 'Error: no such network' >&2\necho 'Quitting' >&2\nexit 1\n")
        (tmp_path / name).chmod(0o755)
    table = tmp_path / "t.csv"
    table.write_text("arrival_s,approach,movement\n0.0,N,left\n", encoding="utf-8")
    with pytest.raises(ConfigError, match="netconvert failed: Error: no such network"):
        Sumo(tmp_path, tmp_path).run(CONTROLLERS[0], table, 1, 1)


@needs_sumo
@pytest.mark.parametrize("controller", CONTROLLERS, ids=lambda one: one.name)
def test_a_lone_vehicle_is_hardly_delayed_and_two_that_meet_are(tmp_path: Path, controller: object) -> None:
    assert PROGRAMS is not None
    sumo = Sumo(PROGRAMS, tmp_path)
    table = tmp_path / "t.csv"
    table.write_text("arrival_s,approach,movement\n1.0,N,straight\n100.0,E,left\n", encoding="utf-8")
    trips = sumo.run(controller, table, 1, 1)  # type: ignore[arg-type]
    assert [(trip.approach, trip.scheduled_s) for trip in trips] == [("N", 1.0), ("E", 100.0)]
    assert all(-1.0 < trip.delay_s < 45.0 for trip in trips)
    rows = [f"{k * 0.5},{arm},straight\n" for k in range(20) for arm in "NE"]
    table.write_text("arrival_s,approach,movement\n" + "".join(rows), encoding="utf-8")
    many = sumo.run(controller, table, 1, 1)  # type: ignore[arg-type]
    assert sum(trip.delay_s for trip in many) / len(many) > 5.0
