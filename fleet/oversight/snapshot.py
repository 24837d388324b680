"""What a monitor of the group sees, once or twice a second: frozen facts of every vehicle, in whole numbers.

Whoever fills them in says where they come from: a simulation has the truth, a vehicle has what it hears and sees.
Monitors never ask for more, so that both are judged alike.
"""

from __future__ import annotations

from dataclasses import dataclass

ORDER, BODY, EXIT = "order", "body", "exit"
"""Why one vehicle waits for another: its turn comes later; the other stands in its way; the other stands where it
would have to come to stand behind the zone."""
CAUSES = (ORDER, BODY, EXIT)
STANDING_MMPS = 100
"""Slower is standing: encoders and filters of stationary vehicles show less."""


@dataclass(frozen=True, slots=True, order=True)
class Wait:
    """``vehicle`` must move before the one that has this in its ``waits`` can."""

    vehicle: str
    cause: str


@dataclass(frozen=True, slots=True)
class VehicleView:
    """One vehicle at one instant.

    Attributes
    ----------
    zone : str
        That it deals with; empty: none.
    approach, operator, vehicle_class, software : str
        The groups by which fairness and common causes are looked at.
    speed_mmps : int
    travelled_mm : int
        Along its path. What does not grow is no progress.
    standing_since_ms : int
        -1: it moves.
    waits_since_ms : int
        When it announced itself at its zone; -1: it has passed or deals with none.
    waits : tuple of Wait
        Whom it waits for now.
    holds : bool
        An agreed plan through the zone is its own.
    passed_over : int
        Vehicles that came to its zone later from elsewhere and have been given a plan, while it has none.
    unheard_ms : int
        For so long no other at its zone has heard it, although it says something; 0: it is heard, or alone.
    failing : str
        Why it does not do what it should (dead, fallback, breach, override); empty: it does.
    """

    vehicle: str
    zone: str = ""
    approach: str = ""
    operator: str = ""
    vehicle_class: str = ""
    software: str = ""
    speed_mmps: int = 0
    travelled_mm: int = 0
    standing_since_ms: int = -1
    waits_since_ms: int = -1
    waits: tuple[Wait, ...] = ()
    holds: bool = False
    passed_over: int = 0
    unheard_ms: int = 0
    failing: str = ""


@dataclass(frozen=True, slots=True)
class Passed:
    """One vehicle that has left a zone since the last snapshot.

    ``delay_ms`` is what it lost against driving alone; ``planned_delay_ms`` what it would have lost by the plan of
    greatest welfare, found when it first asked; -1: not known.
    """

    vehicle: str
    approach: str
    operator: str
    vehicle_class: str
    at_ms: int
    delay_ms: int
    planned_delay_ms: int = -1


@dataclass(frozen=True, slots=True)
class Accused:
    """Somebody who has provably said two things that exclude each other; ``evidence``: hexadecimal digest."""

    vehicle: str
    evidence: str
    kind: str


@dataclass(frozen=True, slots=True)
class Accounts:
    """What all accounts of a mechanism hold together, and what was ever issued, less what was withdrawn."""

    held: int
    issued: int


@dataclass(frozen=True, slots=True)
class GroupView:
    """The fleet at one instant; ``period_ms`` is the time from one snapshot to the next."""

    now_ms: int
    period_ms: int
    vehicles: tuple[VehicleView, ...]
    passed: tuple[Passed, ...] = ()
    accused: tuple[Accused, ...] = ()
    accounts: Accounts | None = None
