"""Nodes that die and come back while their bodies drive on: the scenario's ``faults``, and their schedule.

While a node is dead nobody commands the body: the gate of the hardware stops it by itself
(``hardware/gate.py``). Nothing of the node survives but its stable log.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated

import msgspec

from fleet.errors import ConfigError


class Crash(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """One vehicle's node dies at ``crash_s``."""

    vehicle: Annotated[str, msgspec.Meta(pattern=r"^[A-Za-z0-9_.-]{1,32}$")]
    crash_s: Annotated[float, msgspec.Meta(ge=0.0)]
    restart_s: Annotated[float, msgspec.Meta(gt=0.0)] | None = None
    """Left out: it stays dead."""
    log_lost: bool = False
    """The node comes back without its stable log, as with a new disk."""


class Switch(msgspec.Struct, frozen=True):
    """A node to be switched off or on."""

    at_ms: int
    vehicle: str
    on: bool
    log_lost: bool


def check_faults(source: str, faults: Sequence[Crash]) -> None:
    """Raise :class:`ConfigError` unless each restart follows its crash and no vehicle is down twice at once."""
    back_s: dict[str, float] = {}
    for index, fault in sorted(enumerate(faults), key=lambda pair: pair[1].crash_s):
        where = f"{source}: faults[{index}]"
        if fault.restart_s is not None and fault.restart_s <= fault.crash_s:
            raise ConfigError(f"{where}.restart_s: {fault.restart_s:g} s is not after crash_s, {fault.crash_s:g} s")
        if fault.log_lost and fault.restart_s is None:
            raise ConfigError(f"{where}.log_lost: says nothing without restart_s")
        if fault.crash_s < back_s.get(fault.vehicle, 0.0):
            raise ConfigError(f"{where}.crash_s: {fault.vehicle} is down already at {fault.crash_s:g} s")
        back_s[fault.vehicle] = float("inf") if fault.restart_s is None else fault.restart_s


class Crashes:
    """What is due when; in order of time, then vehicle."""

    def __init__(self, faults: Sequence[Crash]) -> None:
        found = [Switch(round(1000.0 * fault.crash_s), fault.vehicle, False, False) for fault in faults]
        for fault in faults:
            if fault.restart_s is not None:
                found.append(Switch(round(1000.0 * fault.restart_s), fault.vehicle, True, fault.log_lost))
        self._left = sorted(found, key=lambda one: (-one.at_ms, one.vehicle))

    def due(self, now_ms: int) -> list[Switch]:
        """Everything until ``now_ms`` that was not returned before."""
        found = []
        while self._left and self._left[-1].at_ms <= now_ms:
            found.append(self._left.pop())
        return found
