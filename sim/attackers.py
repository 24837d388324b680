"""Vehicles that use the mechanism against the others: what they say, and what is switched off for them to succeed.

Each drives as everybody does and is a member of every agreement; it lies only in what nobody can measure.

overbidder          claims the most at every crossing; without defence its bid need not be covered by its account
whitewasher         comes under a fresh identity and bids all; without defence a fresh account holds an endowment
late_arrival_liar   claims to have waited long before it came; without defence others believe it
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TypeVar

from fleet.errors import ConfigError
from fleet.mechanism.interface import URGENCY_MAX
from fleet.mechanism.karma import ENDOWMENT
from sim.demand import Arrival, chance, close
from sim.scenario import Attacker, Scenario, Urgency

LIE_MS = 50_000
"""So long the liar claims to have waited: before nearly everybody else, and not yet starved, which would be
looked at."""
_Entry = TypeVar("_Entry", Attacker, Urgency)
ALWAYS_THE_MOST = ("overbidder", "whitewasher")


def claims_ms(attacker: Attacker | None, now_ms: int) -> int:
    """Since when a vehicle that announces itself now says that it waits."""
    lies = attacker is not None and attacker.kind == "late_arrival_liar"
    return max(0, now_ms - LIE_MS) if lies else now_ms


def says_milli(attacker: Attacker | None, honest: int) -> int:
    """The urgency that it says, where an honest one would say ``honest``."""
    return URGENCY_MAX if attacker is not None and attacker.kind in ALWAYS_THE_MOST else honest


def opening_balance(attacker: Attacker | None, drawn: int) -> int:
    """What its account holds when it comes; ``drawn``: if it were honest."""
    if attacker is None or attacker.kind != "whitewasher":
        return drawn
    return 0 if attacker.defence else ENDOWMENT


def is_uncovered(attacker: Attacker | None) -> bool:
    """Whether its bids count without being paid for."""
    return attacker is not None and attacker.kind == "overbidder" and not attacker.defence


def is_witnessed(attacker: Attacker | None) -> bool:
    """Whether others hold what they heard against what it says of its arrival."""
    return attacker is None or attacker.kind != "late_arrival_liar" or attacker.defence


def entry_of(scenario: Scenario, entries: Sequence[_Entry], name: str) -> _Entry | None:
    """The first of the scenario's entries that fits the vehicle ``name``; shares are drawn from the seed."""
    for index, entry in enumerate(entries):
        kind = type(entry).__name__.lower()
        drawn = entry.share is not None and chance(scenario.seed, f"{kind} {index}", name) < entry.share
        if drawn or entry.vehicle == name:
            return entry
    return None


def urgency_of(scenario: Scenario, name: str) -> float:
    """How urgent a vehicle is in truth, 0 to 1."""
    entry = entry_of(scenario, scenario.urgency, name)
    return entry.level if entry else 0.0


def with_attackers(found: tuple[Arrival, ...], scenario: Scenario) -> tuple[Arrival, ...]:
    """``found`` with the roles of the scenario's attackers.

    Raises
    ------
    ConfigError
        An entry names a vehicle that does not come.
    """
    names = {arrival.vehicle_id for arrival in found}
    for key, entries in (("attackers", scenario.attackers), ("urgency", scenario.urgency)):
        for index, one in enumerate(entries):
            if one.vehicle is not None and one.vehicle not in names:
                where = f"{scenario.source}: {key}[{index}].vehicle"
                raise ConfigError(f"{where}: no vehicle {one.vehicle!r}{close(one.vehicle, names)}")
    changed = []
    for arrival in found:
        entry = entry_of(scenario, scenario.attackers, arrival.vehicle_id)
        changed.append(replace(arrival, role=entry.kind) if entry and arrival.role == "honest" else arrival)
    return tuple(changed)
