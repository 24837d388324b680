"""Snapshots for tests."""

from __future__ import annotations

from fleet.oversight.snapshot import BODY, GroupView, Passed, VehicleView, Wait


def stands(name: str, *waits_for: str, cause: str = BODY, **more: object) -> VehicleView:
    """A vehicle that stands and waits."""
    waits = tuple(Wait(other, cause) for other in waits_for)
    return VehicleView(name, zone="J", standing_since_ms=0, waits=waits, **more)  # type: ignore[arg-type]


def view(now_ms: int, *vehicles: VehicleView, passed: tuple[Passed, ...] = (), **more: object) -> GroupView:
    """A snapshot of a watch that looks twice a second."""
    return GroupView(now_ms, 500, tuple(vehicles), passed, **more)  # type: ignore[arg-type]
