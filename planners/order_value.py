"""What a joint plan costs the fleet, taken from the plans themselves."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from planners import _sequence
from planners.blocking import TimeGrid
from planners.order_model import OrderModel
from planners.profile import arrays_of
from planners.timed_path import TimedPath
from planners.welfare import Welfare
from planners.zone_map import Floats

TRAIT_COUNT = 4


@dataclass(frozen=True, slots=True)
class Value:
    """One joint plan: its cost (minus its welfare), and each vehicle's wait; inf for those without a plan."""

    cost: float
    wait_s: tuple[float, ...]


def value_of(model: OrderModel, plans: Mapping[int, TimedPath], grid: TimeGrid, welfare: Welfare) -> Value:
    """The value of ``plans`` (by the vehicle's number) to the requests of ``model``."""
    found = np.full((len(model.requests), TRAIT_COUNT), math.inf)
    for v, plan in plans.items():
        found[v] = driven(plan, model.requests[v].switch_ms, float(model.clear_m[v]), grid.base_ms)
    return value(model, found, welfare)


def value(model: OrderModel, found: Floats, welfare: Welfare) -> Value:
    """The same of what :func:`driven` says of each vehicle's plan; inf: it has none."""
    without = np.isinf(found[:, 0])
    clear_s, speed, stands, lost = np.where(without[:, None], 0.0, found).T
    slow = np.maximum(0.0, model.free_mps - speed)
    delay = clear_s + slow * slow / (2.0 * model.accel_mps2 * model.free_mps) - model.clear_s
    cost = welfare.cost(delay, (stands, lost), model.urgency, model.age_s)
    cost[without] = model.tables.refused[without]
    waits = model.age_s + delay
    waits[without] = math.inf
    return Value(float(sum(cost.tolist())), tuple(waits.tolist()))


def driven(plan: TimedPath, switch_ms: int, clear_m: float, base_ms: int) -> tuple[float, float, float, float]:
    """(when it is at ``clear_m``, after ``base_ms``; its speed there; whether it stands after ``switch_ms``; J/kg)."""
    knots = arrays_of(plan)
    found = np.zeros(TRAIT_COUNT)
    rows = np.array([knots.t_s - base_ms * 1e-3, knots.s_m, knots.v_mps, knots.a_mps2])
    _sequence.worth(rows, len(knots.t_s) - 1, (switch_ms - base_ms) * 1e-3, clear_m, found)
    return tuple(found.tolist())
