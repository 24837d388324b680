"""Who waits for whom, by the truth of a running simulation: bodies in the way, and turns that come later."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from fleet.node.bodies import scale_of
from fleet.node.road import Road
from fleet.oversight.snapshot import BODY, EXIT, ORDER, STANDING_MMPS, Wait
from planners.zone_map import Passage
from sim.car import Car

LOOK_M = 60.0
"""Farther bodies are in nobody's way who stands."""
QUEUE_GAP_M = 5.0
"""Who stands so close behind a standing body waits for it (model cars in proportion)."""
LINE_GAP_M = 4.0
"""Who stands so close to its line looks beyond the zone as well."""
REFUSAL_MS = 1_500
"""A refusal counts for so long unless it is repeated; proposals come several times a second."""
_ORDER_REASONS = ("yields_to", "blocked_by", "start_in_conflict")
Row = Sequence[float]
"""x_m, y_m, yaw_rad, speed_mps, ... of a body."""


class Refusals:
    """The latest reason why each vehicle got no plan."""

    def __init__(self) -> None:
        self._last: dict[str, tuple[int, str]] = {}

    def take(self, now_ms: int, refused: Sequence[tuple[str, str]], planned: Sequence[str]) -> None:
        """One answer of a joint planner: (vehicle, reason), and who got a plan."""
        for vehicle in planned:
            self._last.pop(vehicle, None)
        for vehicle, reason in refused:
            kind, _, other = reason.partition(":")
            if kind in _ORDER_REASONS and other:
                self._last[vehicle] = (now_ms, other)

    def blocker(self, vehicle: str, now_ms: int) -> str:
        """For whom ``vehicle`` waits by the planners' order; empty: nobody."""
        at_ms, other = self._last.get(vehicle, (-REFUSAL_MS, ""))
        return other if now_ms - at_ms < REFUSAL_MS else ""


def waits_of(
    car: Car, road: Road, rows: Mapping[str, Row], cars: Mapping[str, Car], order: str
) -> tuple[Wait, ...]:  # fmt: skip
    """Whom a vehicle waits for: one whose turn is first, and if it stands the nearest standing body in its way."""
    name = car.actor.vehicle_id
    found = {Wait(order, ORDER)} if order in cars and order != name else set()
    standing = rows[name][3] * 1e3 < STANDING_MMPS
    body = _in_the_way(car, road, rows, cars) if standing else None
    return tuple(sorted(found | ({body} if body is not None else set())))


def _in_the_way(car: Car, road: Road, rows: Mapping[str, Row], cars: Mapping[str, Car]) -> Wait | None:
    name, scale = car.actor.vehicle_id, scale_of(car.actor.vehicle)
    front_m, length_m = car.s_m + car.front_m, car.actor.vehicle.body.length_m
    passage = road.next_passage(car.s_m - car.actor.vehicle.body.rear_overhang_m)
    reach_m = QUEUE_GAP_M * scale
    if passage is not None and passage.line_s_m - front_m < LINE_GAP_M * scale:
        reach_m = max(reach_m, passage.exit_s_m - front_m + length_m + QUEUE_GAP_M * scale)
    x, y = rows[name][0], rows[name][1]
    best: tuple[float, str] | None = None
    for other in sorted(rows):
        row = rows[other]
        away_m = math.hypot(row[0] - x, row[1] - y)
        if other == name or away_m > min(LOOK_M * scale, reach_m + 2.0 * length_m) or row[3] * 1e3 >= STANDING_MMPS:
            continue
        gap_m = _gap_m(car, road, row, cars[other], away_m)
        if gap_m is not None and gap_m <= reach_m and (best is None or gap_m < best[0]):
            best = gap_m, other
    return None if best is None else Wait(best[1], _cause(passage, front_m + best[0]))


def _cause(passage: Passage | None, tail_m: float) -> str:
    return EXIT if passage is not None and tail_m >= passage.exit_s_m else BODY


def _gap_m(car: Car, road: Road, row: Row, other: Car, away_m: float) -> float | None:
    """From my front bumper to another body on my path; None: it is not on it, or not ahead."""
    s_m, aside_m, tangent = road.project(row[0], row[1], car.s_m + away_m)
    body, angle = other.actor.vehicle.body, row[2] - tangent
    # The body's middle lies ahead of its rear axle; its half outline along and across my path.
    middle_m = 0.5 * body.length_m - body.rear_overhang_m
    s_m, aside_m = s_m + middle_m * math.cos(angle), aside_m + middle_m * math.sin(angle)
    c, s = abs(math.cos(angle)), abs(math.sin(angle))
    along_m = 0.5 * (c * body.length_m + s * body.width_m)
    across_m = 0.5 * (s * body.length_m + c * body.width_m)
    if s_m <= car.s_m or abs(aside_m) > across_m + 0.5 * car.actor.vehicle.body.width_m:
        return None
    return max(0.0, s_m - along_m - car.s_m - car.front_m)
