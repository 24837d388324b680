"""Paths of arcs: one text for one path, the same geometry for planner and verifier, and times that fit."""

from __future__ import annotations

import math
import random

import numpy as np
import pytest

from fleet.errors import PlanError
from planners.arc_path import ArcPath
from planners.arcs import Arcs
from planners.check_timed import Line, motion_findings, tube_of
from planners.free_space import FreePath, FreeVehicle
from planners.free_timing import standing, stopping, timed
from planners.interface import Body
from planners.zone_map import ErrorBudget, Footprint, MotionLimits

BODY = Body("a", Footprint(5.0, 1.8, 1.05), MotionLimits(36.0, 2.6, 4.5, 3.0, 15.0), ErrorBudget(0.12, 0.35))
VEHICLE = FreeVehicle("a", (0, 0, 0), (0, 0, 0), 4.0, 1.0, 1.8, 5.0, 1.4, ramp_s=0.5, dwell_s=0.9)
THERE_AND_BACK = FreePath(
    "a", (3.0, 4.0, 0.5), ((1.4, 0.0, 0.0), (4.0, 0.2, 1.4), (1.9, 0.0, 0.0), (3.0, -0.1, -1.4), (0.2, 0.0, -1.4))
)


def drawn(seed: int) -> ArcPath:
    chance = random.Random(seed)
    arcs = [(chance.choice((-1, 1)) * chance.uniform(0.1, 9.0), chance.uniform(-0.3, 0.3)) for _ in range(seed % 12)]
    return ArcPath.of((chance.uniform(-50, 50), chance.uniform(-50, 50), chance.uniform(-3, 3)), arcs)


@pytest.mark.parametrize("seed", range(12))
def test_a_path_reads_back_as_itself_and_lies_where_the_verifier_has_it(seed: int) -> None:
    path = drawn(seed)
    assert ArcPath.parse(path.text) == path
    at = np.linspace(-1.0, path.length_m + 1.0, 40)
    for one, other in zip(Arcs(path).poses(at), Line(path).poses(at), strict=True):
        assert np.abs(one - other).max() < 1e-9


@pytest.mark.parametrize(
    "change",
    [
        lambda text: text[:-1],
        lambda text: text + "A",
        lambda text: text + "=",
        lambda text: text.replace("arcs:", "arc:"),
        lambda text: "arcs:",
        lambda text: "arcs:" + "\u00e4" * 8,
        lambda text: "arcs:" + "A" * 400,
        lambda text: "arcs:" + "AQAAAAA" * 30,
    ],
)
def test_anything_but_the_one_form_is_refused(change) -> None:
    with pytest.raises(PlanError):
        ArcPath.parse(change(drawn(5).text))


def test_random_text_is_refused_or_canonical() -> None:
    chance = random.Random(1)
    letters = "ABCabc019-_="
    for _ in range(3000):
        text = "arcs:" + "".join(chance.choice(letters) for _ in range(chance.randint(0, 40)))
        try:
            assert ArcPath.parse(text).text == text
        except PlanError:
            continue


def test_ramps_end_where_the_steps_of_speed_do_and_stand_at_the_cusp() -> None:
    tube = tube_of(BODY, timed(THERE_AND_BACK, VEHICLE, 2000))
    assert motion_findings(tube, 0.2) == []
    assert tube.path.cusps_m == (pytest.approx(5.6, abs=2e-3),)
    end = tube.poses(np.array([tube.end_s]))
    wanted = THERE_AND_BACK.states(0.1)[-1]
    assert [float(v[0]) for v in end] == pytest.approx(wanted[1:], abs=5e-3)
    before = THERE_AND_BACK.arrival_s + 2.0
    assert tube.end_s == pytest.approx(before + VEHICLE.ramp_s, abs=0.05)


def test_driving_through_a_cusp_too_fast_or_too_tight_is_found() -> None:
    plan = timed(THERE_AND_BACK, VEHICLE, 2000)
    (ramp, accel), through = plan.segments[1], [(12_000, 0)]
    rushed = tube_of(BODY, type(plan)("a", plan.path_id, 0, 0, 0, ((ramp, accel), *through, (ramp, -accel))))
    assert {"cusp", "beyond_path"} <= set(motion_findings(rushed, 0.2))
    assert "curvature" in motion_findings(tube_of(BODY, plan), 0.15)
    fast = type(plan)("a", plan.path_id, 0, 0, 2500, ((1000, -2500),))
    assert "speed" in motion_findings(tube_of(BODY, fast), 0.2)


def test_stopping_ends_on_the_own_path_at_standstill() -> None:
    plan = timed(THERE_AND_BACK, VEHICLE, 2000)
    stop = stopping(plan, 5000, 2000)
    s_m, v_mps, _ = stop.arrays().at(stop.end_ms * 1e-3)
    assert (stop.path_id, v_mps) == (plan.path_id, pytest.approx(0.0, abs=1e-3))
    assert s_m - plan.arrays().at(5.0)[0] == pytest.approx(1.4**2 / 4.0, abs=5e-3)
    assert standing("a", (1.0, 2.0, math.pi), 7).segments == ()
