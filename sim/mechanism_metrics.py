"""Metrics of a mechanism, from the truth and the decision log: whom delay hits, and what became of the accounts."""

from __future__ import annotations

from collections.abc import Sequence

from fleet.mechanism.accounts import gini
from fleet.mechanism.interface import URGENCY_WEIGHT
from sim.decision_log import Decision
from sim.run_folder import VehicleRecord

Values = dict[str, float | int | None]


def mechanism_metrics(vehicles: Sequence[VehicleRecord], decisions: Sequence[Decision], sim_s: float) -> Values:
    """Values of the definitions urgency-delay/1 and karma/1."""
    accounts: dict[str, int] | None = None
    opened: dict[str, int] | None = None
    closed: dict[str, int] | None = None
    settlements = fallbacks = 0
    for record in decisions:
        fallbacks += record.kind == "mechanism_fallback"
        if record.kind == "accounts_open":
            opened = {str(name): int(units) for name, units in record.detail["balances"].items()}
            accounts = dict(opened)
        elif record.kind == "accounts_close":
            closed = {str(name): int(units) for name, units in record.detail["balances"].items()}
        elif record.kind == "settlement" and accounts is not None and "refused" not in record.detail:
            settlements += 1
            accounts[record.node] -= int(record.detail["units"])
            accounts[str(record.detail["payee"])] += int(record.detail["units"])
    values: Values = {"karma_drift": None, "karma_gini": None}
    if opened is not None and closed is not None and accounts is not None:
        astray = sum(abs(closed.get(name, 0) - units) for name, units in accounts.items())
        values["karma_drift"] = abs(sum(closed.values()) - sum(opened.values())) + astray
        values["karma_gini"] = gini(closed.values())
    values["urgency_weighted_delay_s"] = weighted_delay_s(vehicles, sim_s)
    return values | {"settlements": settlements, "mechanism_fallbacks": fallbacks}


def weighted_delay_s(vehicles: Sequence[VehicleRecord], sim_s: float) -> float | None:
    """Mean delay by worth; who has not left by the end has been delayed at least until then."""
    total = weight = 0.0
    for one in vehicles:
        if one.free_flow_s is None or one.arrival_s > sim_s:
            continue
        delay_s = max(0.0, sim_s - one.arrival_s - one.free_flow_s) if one.delay_s is None else one.delay_s
        worth = 1.0 + URGENCY_WEIGHT * one.urgency
        total, weight = total + worth * delay_s, weight + worth
    return total / weight if weight else None
