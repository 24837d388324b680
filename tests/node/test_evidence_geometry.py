"""Where signed plans put bodies, for evidence: by hand on a straight path."""

from __future__ import annotations

from fleet.node.bodies import wire_body
from fleet.node.evidence_geometry import MapGeometry
from fleet.node.plan_book import PlanBook
from fleet.node.road import Roads
from hardware.vehicle import load_vehicle
from planners.paths import pose_at
from planners.timed_path import TimedPath
from sim.scenario import load_scenario
from sim.stage import build_stage


def test_overlap_and_deviation_on_the_four_way_crossing() -> None:
    zone_map = build_stage(load_scenario("four_way")).zone_map
    geometry = MapGeometry(PlanBook(Roads(zone_map)))
    body = wire_body(load_vehicle("car"))
    across, along = "N_straight", "E_straight"
    length_m = zone_map.paths[across].length_m

    def plan(path_id: str, t0_ms: int) -> bytes:
        return TimedPath("v", path_id, t0_ms, round(1000.0 * (0.5 * length_m - 40.0)), 10_000, ((8_000, 0),)).encode()

    assert geometry.overlap(plan(across, 400), body, plan(along, 0)), "both are in the middle at once"
    assert not geometry.overlap(plan(across, 400), body, plan(along, 3_000)), "three seconds later it is clear"
    assert not geometry.overlap(plan(across, 0), body, b"no plan")
    x, y, _ = pose_at(zone_map.paths[across], 0.5 * length_m)
    place = (round(1000.0 * x), round(1000.0 * y))
    assert geometry.deviation_mm(plan(across, 0), 4_000, *place) in range(60)
    assert geometry.deviation_mm(plan(across, 0), 3_000, *place) in range(9_900, 10_100)
    assert geometry.deviation_mm(b"no plan", 0, 0, 0) is None
