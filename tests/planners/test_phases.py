"""Signal phases from the map: the usual ones on usual junctions, and never two that collide by right."""

from __future__ import annotations

from functools import lru_cache

import pytest

from planners.conflicts import ConflictTables
from planners.phases import Phase, phases_of
from planners.zone_map import ErrorBudget, Footprint, ZoneMap
from planners.zones import build_zone_map
from sim.maps.builtin import build

CAR = (Footprint(5.0, 1.8, 1.05), ErrorBudget(0.15, 0.15))


@lru_cache
def junction(name: str) -> tuple[ZoneMap, ConflictTables]:
    source = build(name)
    return build_zone_map(name, source.paths, [(path.path_id, *CAR) for path in source.paths])


def phases(name: str, zone_id: str = "zone0") -> tuple[Phase, ...]:
    return phases_of(*junction(name), zone_id)


def test_crossroads_with_one_lane_have_two_phases_in_which_left_turns_yield() -> None:
    first, second = phases("four_way")
    assert first.paths == {f"{arm}_{way}" for arm in "EW" for way in ("left", "straight", "right")}
    assert second.paths == {f"{arm}_{way}" for arm in "NS" for way in ("left", "straight", "right")}
    assert first.yielding == {"E_left", "W_left"} and second.yielding == {"N_left", "S_left"}


def test_lanes_of_their_own_give_left_turns_a_phase_of_their_own() -> None:
    found = phases("four_way_3lane")
    assert [sorted(phase.paths) for phase in found] == [
        ["E_left", "W_left"],
        ["E_straight", "W_straight"],
        ["N_left", "S_left"],
        ["N_straight", "S_straight"],
    ]
    assert all(not phase.yielding for phase in found)


def test_a_side_road_and_a_ramp_have_green_alone() -> None:
    through, side = phases("t_junction")
    assert through.paths == {"E_left", "E_straight", "W_right", "W_straight"} and through.yielding == {"E_left"}
    assert side.paths == {"S_left", "S_right"} and not side.yielding
    assert [phase.paths for phase in phases("merge")] == [{"main_straight"}, {"ramp_straight"}]


@pytest.mark.parametrize("name", ["four_way", "four_way_3lane", "roundabout", "corridor3"])
def test_every_path_has_green_and_nobody_meets_another_with_the_same_right(name: str) -> None:
    zone_map, tables = junction(name)
    for zone_id, zone in zone_map.zones.items():
        found = phases_of(zone_map, tables, zone_id)
        assert found == phases_of(zone_map, tables, zone_id)
        assert set().union(*(phase.paths for phase in found)) == {passage.path_id for passage in zone.passages}
        for phase in found:
            firm = sorted(phase.paths - phase.yielding)
            for k, one in enumerate(firm):
                for other in firm[k + 1 :]:
                    assert not meeting_places(zone_map, tables, zone_id, one, other), (one, other)


def meeting_places(zone_map: ZoneMap, tables: ConflictTables, zone_id: str, one: str, other: str) -> list[float]:
    """Places on path ``one``, before it leaves the zone, at which it crosses or merges with ``other``."""
    passage = next(p for p in zone_map.passages[one] if p.zone_id == zone_id)
    found = []
    for table in tables.between(one, CAR, other, CAR):
        if table.kind in ("crossing", "merging"):
            found += [
                (table.first_bin + k) * table.step_m for k in range(len(table.lo_m)) if table.lo_m[k] <= table.hi_m[k]
            ]
    return [s_m for s_m in found if passage.line_s_m - 4.0 < s_m < passage.exit_s_m]


def test_the_junctions_of_a_corridor_are_alike() -> None:
    for zone_id in ("zone0", "zone1", "zone2"):
        assert len(phases("corridor3", zone_id)) == 2
