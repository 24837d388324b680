"""Every error the project raises, and the invariant that survives ``python -O``.

Expected outcomes (an infeasible plan, a refused vote, a deactivated actuator) are values, never
exceptions. The command line turns any ``FleetError`` into one line and exit status 2.
"""

from __future__ import annotations


class FleetError(Exception):
    """A known failure; its text carries the value, the limit and what to do."""


class ConfigError(FleetError):
    """A file or option that cannot be used; names file, line, key, value and limit."""


class CharterError(FleetError):
    """A charter that is malformed, unsigned, expired or weaker than the safety tier."""


class LocalProtocolError(FleetError):
    """This node was about to break a rule of the protocol; nothing was sent."""


class RemoteProtocolError(FleetError):
    """Bytes from a peer that are not a valid message; the one error type of the parser."""


class PlanError(FleetError):
    """A planning problem that is malformed (not merely infeasible)."""


class HardwareError(FleetError):
    """Misuse of a vehicle interface, such as a command in a state that forbids motion."""


class InvariantError(AssertionError):
    """A defect in this program: a condition that no input may falsify was false."""


def invariant(condition: bool, text: str) -> None:
    """Raise :class:`InvariantError` with ``text`` unless ``condition``; kept under ``python -O``."""
    if not condition:
        raise InvariantError(text)
