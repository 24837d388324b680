"""What a joint plan costs the fleet, taken from the plans themselves."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from planners.blocking import TimeGrid
from planners.interface import JointPlan
from planners.order_model import OrderModel
from planners.profile import arrays_of
from planners.timed_path import TimedPath
from planners.welfare import Welfare

_STANDING_MPS = 0.005


@dataclass(frozen=True, slots=True)
class Value:
    """One joint plan: its cost (minus its welfare), and each vehicle's wait; inf for those without a plan."""

    cost: float
    wait_s: tuple[float, ...]


def value_of(model: OrderModel, answer: JointPlan, grid: TimeGrid, welfare: Welfare) -> Value:
    """The value of ``answer`` to the requests of ``model``."""
    plans = {plan.vehicle: plan for plan in answer.plans}
    total, waits = 0.0, []
    for v, request in enumerate(model.requests):
        plan = plans.get(request.body.vehicle)
        if plan is None:
            total += float(model.tables.refused[v])
            waits.append(math.inf)
            continue
        clear_s, speed, stands, lost = driven(plan, request.switch_ms, float(model.clear_m[v]))
        slow = max(0.0, float(model.free_mps[v]) - speed)
        clear_s += slow * slow / (2.0 * float(model.accel_mps2[v]) * float(model.free_mps[v]))
        delay = clear_s - grid.base_ms * 1e-3 - float(model.clear_s[v])
        age = float(model.age_s[v])
        traits = np.array([stands]), np.array([lost])
        total += float(welfare.cost(np.array([delay]), traits, request.urgency, age)[0])
        waits.append(age + delay)
    return Value(total, tuple(waits))


def driven(plan: TimedPath, switch_ms: int, clear_m: float) -> tuple[float, float, float, float]:
    """(when it is at ``clear_m``, its speed there, whether it stands after ``switch_ms`` before that, J/kg braked
    away)."""
    knots = arrays_of(plan)
    t, s, v, a = knots.t_s.tolist(), knots.s_m.tolist(), knots.v_mps.tolist(), knots.a_mps2.tolist()
    stands, lost = 0.0, 0.0
    for k in range(len(t) - 1):
        if s[k + 1] >= clear_m:
            speed = math.sqrt(max(0.0, v[k] * v[k] + 2.0 * a[k] * (clear_m - s[k])))
            return t[k] + 2.0 * (clear_m - s[k]) / max(1e-9, v[k] + speed), speed, stands, lost
        if t[k + 1] > switch_ms * 1e-3:
            if v[k] < _STANDING_MPS and t[k + 1] > t[k] + 0.1:
                stands = 1.0
            lost += max(0.0, 0.5 * (v[k] ** 2 - v[k + 1] ** 2))
    return math.inf, 0.0, stands, lost
