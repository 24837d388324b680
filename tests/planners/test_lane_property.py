"""Random maps, counts, speeds and bodies in lanes: shapely finds no conflict in what planners answer.

With the free-space cases of ``test_free_property.py`` these are 2,000. The long version (100,000 cases, by projection
about half an hour of CPU time):
``pytest -m soak tests/planners/test_lane_property.py``.
"""

from __future__ import annotations

import itertools
from dataclasses import replace
from functools import lru_cache

import numpy as np
import pytest
import shapely

from planners.check_fast import FastVerifier
from planners.interface import Commitment, JointPlanner, Request
from planners.registry import PLANNERS
from planners.zone_map import ZoneMap
from tests.planners import oracle
from tests.planners.lane_scenes import MAPS, Site, as_judged, crowd, site

_BLOCK = 150
_STEP_S = 0.25


@lru_cache(maxsize=8)
def planner_of(name: str, seed: int) -> JointPlanner:
    ground = site(seed)
    return PLANNERS[name](ground.zone_map, ground.conflicts)


def name_of(seed: int) -> str:
    """Every thirtieth case is refined, the others are of ``welfare`` and ``first_come`` in turn."""
    return "welfare+refine" if seed % 30 == 7 else ("welfare", "first_come")[seed % 2]


def contacts(zone_map: ZoneMap, plans: list[Commitment], from_s: float) -> list[tuple[str, str]]:
    """Pairs whose outlines (with error budgets) overlap at a sampled time, by shapely alone."""
    if len(plans) < 2:
        return []
    times = np.arange(from_s, max(c.plan.end_ms for c in plans) * 1e-3, _STEP_S)
    shapes = [oracle.outlines(zone_map, c, times) for c in plans]
    here = [oracle.present(zone_map, c, times) for c in plans]
    found = []
    for a, b in itertools.combinations(range(len(plans)), 2):
        both = here[a] & here[b]
        if both.any() and shapely.intersects(shapes[a][both], shapes[b][both]).any():
            found.append((plans[a].plan.vehicle, plans[b].plan.vehicle))
    return found


def planned(planner: JointPlanner, asked: list[Request], *, twice: bool) -> list[Commitment]:
    """Plans of a crowd; ``twice``: its first half first, which the others then have to keep clear of."""
    half = len(asked) // 2 if twice else 0
    live: list[Commitment] = []
    for part in (asked[:half], asked[half:]):
        bodies = {one.body.vehicle: one.body for one in part}
        live += [Commitment(bodies[plan.vehicle], plan) for plan in planner.plan(part, live, now_ms=0).plans]
    return live


def judge(ground: Site, place: int, seed: int) -> tuple[int, int]:
    """Plan and judge one case; (vehicles, plans)."""
    asked = crowd(ground, seed)
    plans = planned(planner_of(name_of(seed), place), asked, twice=seed % 5 == 0)
    switch_ms = max((one.switch_ms for one in asked), default=0)
    case = f"site {place} ({ground.zone_map.name}), crowd {seed}, {name_of(seed)}"
    assert contacts(ground.zone_map, plans, switch_ms * 1e-3) == [], case
    judged = [as_judged(ground, c) for c in plans]
    assert FastVerifier(ground.zone_map).joint(judged, [], from_ms=switch_ms) == (), case
    return len(asked), len(plans)


@pytest.mark.parametrize("place", range(10))
def test_shapely_finds_no_conflict_in_plans_of_random_crowds(place: int) -> None:
    counts = [judge(site(place), place, seed) for seed in range(_BLOCK * place, _BLOCK * (place + 1))]
    asked, made = np.sum(counts, axis=0)
    assert asked > 2 * _BLOCK
    assert made > 0.9 * asked


@pytest.mark.soak
@pytest.mark.parametrize("place", range(100, 200))
def test_shapely_finds_no_conflict_in_a_hundred_thousand_crowds(place: int) -> None:
    for seed in range(1000 * place, 1000 * (place + 1)):
        judge(site(place), place, seed)


@pytest.mark.parametrize("place", range(len(MAPS)))
def test_shapely_sees_a_contact_where_one_is(place: int) -> None:
    ground = site(place)
    one, other = (next(c for seed in range(n, 99) if (c := crowd(ground, seed)))[0] for n in (0, 50))
    ghost = replace(one.approach, vehicle=other.body.vehicle)
    pair = [Commitment(one.body, one.approach), Commitment(other.body, ghost)]
    assert contacts(ground.zone_map, pair, 0.3) == [(one.body.vehicle, other.body.vehicle)]
