"""What a joint planner is asked and what it answers; every planner and baseline has this one form.

The world clock is in seconds here; answers carry integer TimedPaths. A planner never decides what is
safe: its answer goes through the independent verifier (``planners/check.py``) on every vehicle.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from planners.timed_path import TimedPath
from planners.zone_map import Conflict, ErrorBudget, Footprint, MotionLimits


@dataclass(frozen=True, slots=True)
class Body:
    """A vehicle as planners see it."""

    vehicle: str
    footprint: Footprint
    limits: MotionLimits
    budget: ErrorBudget


@dataclass(frozen=True, slots=True)
class Request:
    """One vehicle that wants through a zone.

    ``approach`` is the plan it follows until told otherwise (it ends at standstill before the zone, or
    where the vehicle stands inside it). The answer must coincide with ``approach`` until ``switch_ms``:
    until then the vehicle cannot know whether the new plan was agreed.
    """

    body: Body
    approach: TimedPath
    switch_ms: int
    zone_id: str
    arrived_ms: int
    """When the vehicle first announced itself for the zone: the key of first-come order."""
    urgency: float
    stop_s_m: float
    """Where its front bumper must be able to stand at the plan's end: the line of the next zone on its
    path, or ``inf`` where none follows and the plan ends beyond the end of the path."""
    lane_leader: str | None = None
    """The vehicle directly ahead in the same lane, if any: order inside a lane is never changed."""


@dataclass(frozen=True, slots=True)
class Commitment:
    """A live plan of some vehicle that a new plan must be clear of."""

    body: Body
    plan: TimedPath


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why a vehicle got no plan this time."""

    vehicle: str
    reason: str


@dataclass(frozen=True, slots=True)
class JointPlan:
    """Plans in passing order, each clear of the commitments and of those before it."""

    plans: tuple[TimedPath, ...]
    refused: tuple[Refusal, ...]


class JointPlanner(Protocol):
    """A planner, named by ``--planner``."""

    name: str
    open_orders: bool
    """The passing order is chosen anew at every call: vehicles then ask for a plan only when they need one, drive by
    what they expect until then, and calls name everybody who has none yet. False: who comes asks at once."""

    def plan(self, requests: Sequence[Request], commitments: Sequence[Commitment], *, now_ms: int) -> JointPlan:
        """Plan ``requests`` jointly; deterministic in its arguments; bounded work, never a hang."""
        ...

    def approach(
        self,
        body: Body,
        path_id: str,
        state: tuple[float, float, float],
        *,
        now_ms: int,
        stop_s_m: float,
        leader: Commitment | None,
        guide: TimedPath | None = None,
    ) -> TimedPath:
        """The plan of a vehicle without agreement: drive on, stand with the front bumper at ``stop_s_m``.

        ``state`` is (s_m of the rear axle, v_mps, a_mps2): the plan begins with that acceleration and
        changes it no faster than the jerk limit allows. ``stop_s_m`` = inf: drive to the end of the path.
        The plan keeps behind ``leader``, and before the line no farther ahead than ``guide``, where that can still
        be: the plan that the vehicle expects to be agreed on in time. Where the vehicle cannot stop in time it
        brakes as hard as its limits allow.
        """
        ...


class Conflicts(Protocol):
    """Conflict geometry between two paths for two outlines."""

    def between(
        self,
        path_i: str,
        outline_i: tuple[Footprint, ErrorBudget],
        path_j: str,
        outline_j: tuple[Footprint, ErrorBudget],
    ) -> tuple[Conflict, ...]:
        """All connected conflict sets of the pair; (j, i) is the transpose of (i, j)."""
        ...
