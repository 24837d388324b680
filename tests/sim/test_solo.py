"""Free flow: what a movement takes alone, in both worlds, against what geometry and limits say."""

from __future__ import annotations

import importlib.util
import math
from pathlib import Path

import numpy as np
import pytest

from fleet.node.plan_book import PlanBook
from fleet.node.road import Roads
from hardware.vehicle import load_vehicle
from planners.registry import PLANNERS
from sim.kinematic_world import KinematicWorld
from sim.scenario import load_scenario
from sim.solo import free_flow_s, movement_of
from sim.stage import Actor, Stage, build_stage
from sim.world import World
from sim.worlds import make_world
from tests.sim.whole_runs import drive, write_scenario

CAR = load_vehicle("car")
REAR_M, FRONT_M = CAR.body.rear_overhang_m, CAR.body.length_m - CAR.body.rear_overhang_m
LIMIT_MPS = 13.89
has_bullet = importlib.util.find_spec("pybullet") is not None
WORLDS = ["kinematic", pytest.param("bullet", marks=pytest.mark.skipif(not has_bullet, reason="no pybullet"))]


@pytest.fixture(scope="module")
def stage() -> Stage:
    return build_stage(load_scenario("four_way"))


def actor(path_id: str, *, start_s_m: float = REAR_M, speed_mps: float = LIMIT_MPS, name: str = "a") -> Actor:
    return Actor(name, CAR, path_id, 0.0, start_s_m, speed_mps, "honest", True, False)


def measure(stage: Stage, *cast: Actor, world: World | None = None, planner: str = "first_come") -> list[float | None]:
    book = PlanBook(Roads(stage.zone_map))
    joint = PLANNERS[planner](stage.zone_map, stage.conflicts)
    found = free_flow_s(cast, world or KinematicWorld(), joint, book, 50, 1)
    return [found.get(movement_of(one)) for one in cast]


@pytest.mark.parametrize("world", WORLDS)
def test_straight_on_at_the_limit_takes_length_over_speed(stage: Stage, world: str) -> None:
    made = make_world(world)
    (took,) = measure(stage, actor("N_straight"), world=made)
    made.close()
    way_m = stage.zone_map.paths["N_straight"].length_m - REAR_M - FRONT_M
    assert took == pytest.approx(way_m / LIMIT_MPS, abs=0.1)


def test_from_standstill_it_takes_longer_by_half_the_time_of_acceleration(stage: Stage) -> None:
    flying, standing = measure(stage, actor("N_straight"), actor("N_straight", speed_mps=0.0))
    assert flying is not None
    assert standing is not None
    assert standing - flying == pytest.approx(0.5 * LIMIT_MPS / CAR.limits.accel_mps2_plan, abs=0.4)


def test_a_bend_costs_what_its_lateral_acceleration_allows(stage: Stage) -> None:
    """Slower than the limit all the way would be a bound from above, the limit one from below."""
    for name in ("N_left", "N_right"):
        (took,) = measure(stage, actor(name))
        path = stage.zone_map.paths[name]
        bend = np.sqrt(CAR.limits.lateral_accel_mps2_max / np.maximum(np.abs(path.kappa_1pm), 1e-9))
        least = float(np.sum(path.step_m / np.minimum(path.limit_mps, bend))) - (REAR_M + FRONT_M) / LIMIT_MPS
        assert took is not None
        assert least < took < least + 6.0


def test_who_else_is_measured_makes_no_difference(stage: Stage) -> None:
    """Movements are far apart; nobody follows anybody. Only the sensors' random numbers differ."""
    cast = [actor(f"{arm}_{turn}") for arm in "NESW" for turn in ("left", "straight", "right")]
    together = measure(stage, *cast)
    for one, among in zip(cast[:3], together[:3], strict=True):
        (alone,) = measure(stage, one)
        assert among == pytest.approx(alone, abs=0.05)


def test_arms_of_one_map_are_alike(stage: Stage) -> None:
    for turn in ("left", "straight", "right"):
        times = measure(stage, *(actor(f"{arm}_{turn}") for arm in "NESW"))
        assert max(times) - min(times) < 0.1  # type: ignore[type-var, operator]


def test_every_planner_measures_the_same_free_flow(stage: Stage) -> None:
    """Delay compares planners, so what it is counted from may not depend on them."""
    first, second = (measure(stage, actor("N_left"), planner=name) for name in sorted(PLANNERS)[:2])
    assert first == second


def test_equal_movements_are_driven_once(stage: Stage) -> None:
    class Counting(KinematicWorld):
        added = 0

        def add(self, *args, **kwargs) -> int:  # type: ignore[no-untyped-def]
            Counting.added += 1
            return super().add(*args, **kwargs)

    times = measure(stage, *(actor("N_right", name=f"v{k}") for k in range(5)), world=Counting())
    assert Counting.added == 1
    assert len(set(times)) == 1


@pytest.mark.parametrize("world", WORLDS)
def test_a_vehicle_alone_in_a_run_has_no_delay(tmp_path: Path, world: str) -> None:
    for movement in ("left", "straight", "right"):
        keys = f"map: {{builtin: four_way}}\nworld: {world}\ndemand:\n"
        keys += f"  vehicles: [{{id: a, approach: N, movement: {movement}}}]\n"
        run = drive(write_scenario(tmp_path, keys), tmp_path / "out")
        run.safe()
        assert math.isclose(run.metric("mean_delay_s"), 0.0, abs_tol=0.05)
