"""One vehicle in three languages: the vehicle file, the planner's record, and the integers in an intent."""

from __future__ import annotations

from functools import lru_cache

from fleet.protocol.wire import VehicleBody
from hardware.vehicle import Vehicle
from planners.interface import Body
from planners.zone_map import ErrorBudget, Footprint, MotionLimits

FULL_SIZE_LENGTH_M = 5.0
_CLASS_CHARS_MAX = 24
LATERAL_SHARE = 0.85
"""Part of a vehicle's lateral acceleration that plans may use; the rest is for tracking."""
_SIDE_MARGIN_M = 0.045
_ALONG_MARGIN_M = 0.1


def scale_of(vehicle: Vehicle) -> float:
    """Size relative to a car of 5 m, at most 1: distances of the node's rules shrink with model cars."""
    return min(1.0, max(0.01, vehicle.body.length_m / FULL_SIZE_LENGTH_M)) if vehicle.body.length_m < 1.0 else 1.0


def planner_body(name: str, vehicle: Vehicle) -> Body:
    """The planner's view of a vehicle file."""
    body, limits, tracking = vehicle.body, vehicle.limits, vehicle.tracking
    return Body(
        name,
        Footprint(body.length_m, body.width_m, body.rear_overhang_m),
        MotionLimits(
            limits.speed_mps_max,
            limits.accel_mps2_plan,
            limits.brake_mps2_plan,
            LATERAL_SHARE * limits.lateral_accel_mps2_max,
            limits.jerk_mps3_max,
        ),
        ErrorBudget(tracking.lateral_m, tracking.longitudinal_m),
    )


@lru_cache(maxsize=4096)
def planning_body(body: Body) -> Body:
    """``body`` as planners are given it: with a wider budget than the verifier's, so that plans pass it.

    The verifier adds heading error, clock bounds, rounding and sampling to the budget (27 mm to the side,
    11 mm along and 5 ms of travel for a car on a straight); planners get that and a little more as
    plain margin.
    """
    size = min(1.0, body.footprint.length_m / FULL_SIZE_LENGTH_M)
    budget = ErrorBudget(
        body.budget.lateral_m + _SIDE_MARGIN_M * size,
        body.budget.longitudinal_m + _ALONG_MARGIN_M * size,
    )
    return Body(body.vehicle, body.footprint, body.limits, budget)


@lru_cache(maxsize=4096)
def judged_body(body: Body) -> Body:
    """The body that :func:`planning_body` made ``body`` of."""
    size = min(1.0, body.footprint.length_m / FULL_SIZE_LENGTH_M)
    budget = ErrorBudget(
        body.budget.lateral_m - _SIDE_MARGIN_M * size, body.budget.longitudinal_m - _ALONG_MARGIN_M * size
    )
    return Body(body.vehicle, body.footprint, body.limits, budget)


def wire_body(vehicle: Vehicle) -> VehicleBody:
    """A vehicle file as an intent tells it: milli-units, rounded so that nothing is claimed that is not there.

    Outline and error budgets are rounded up, limits down.
    """
    body, limits, tracking = vehicle.body, vehicle.limits, vehicle.tracking

    def up(value: float) -> int:
        return -int(-value * 1000.0 // 1.0)

    def down(value: float) -> int:
        return int(value * 1000.0 + 1e-9)

    return VehicleBody(
        vehicle.vehicle_class[:_CLASS_CHARS_MAX],
        up(body.length_m),
        up(body.width_m),
        up(body.rear_overhang_m),
        down(limits.speed_mps_max),
        down(limits.accel_mps2_plan),
        down(limits.brake_mps2_plan),
        down(LATERAL_SHARE * limits.lateral_accel_mps2_max),
        down(limits.jerk_mps3_max),
        up(tracking.lateral_m),
        up(tracking.longitudinal_m),
    )


@lru_cache(maxsize=4096)
def heard_body(name: str, body: VehicleBody) -> Body:
    """The planner's view of what a peer says of itself."""
    return Body(
        name,
        Footprint(body.length_mm * 1e-3, body.width_mm * 1e-3, body.rear_mm * 1e-3),
        MotionLimits(
            body.speed_mmps_max * 1e-3,
            body.accel_mmps2_max * 1e-3,
            body.brake_mmps2_max * 1e-3,
            body.lateral_mmps2_max * 1e-3,
            body.jerk_mmps3_max * 1e-3,
        ),
        ErrorBudget(body.budget_lateral_mm * 1e-3, body.budget_longitudinal_mm * 1e-3),
    )
