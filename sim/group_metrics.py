"""What the group's monitors found in a run, as metrics and for the report's panel; from the decision log."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from fleet.oversight.fairness import gini_milli
from sim.decision_log import Decision
from sim.run_folder import VehicleRecord

PRICE = "price_of_anarchy"
"""Also the name of the samples: the monitor's figure at each look, when it has one."""
_SHOWN_MAX = 200


def group_metrics(
    vehicles: Sequence[VehicleRecord], decisions: Sequence[Decision], samples: Mapping[str, Sequence[float]]
) -> dict[str, float | int | None]:
    """``alarms``, ``gridlocks``, ``gridlock_found_s_max``, ``cases``, ``gini`` and ``price_of_anarchy``."""
    alarms = [record for record in decisions if record.kind == "alarm"]
    gridlocks = [record for record in alarms if record.detail["finding"] == "gridlock"]
    first = {tuple(record.detail["who"]): record for record in reversed(gridlocks)}
    found_s = [(record.time_ms - int(record.detail["since_ms"])) * 1e-3 for record in first.values()]
    called = [r for r in decisions if r.kind == "response" and r.detail["response"] == "call_person"]
    prices = samples.get(PRICE) or ()
    return {
        "alarms": len(alarms),
        "gridlocks": len(first),
        "gridlock_found_s_max": max(found_s, default=None),
        "cases": len(called),
        "gini": _gini(vehicles),
        PRICE: prices[-1] if len(prices) else None,
    }


def _gini(vehicles: Sequence[VehicleRecord]) -> float | None:
    delays = [round(1000.0 * record.delay_s) for record in vehicles if record.delay_s is not None]
    return gini_milli(delays) * 1e-3 if len(delays) > 1 else None


def group_panel(decisions: Sequence[Decision]) -> list[dict[str, Any]]:
    """Every alarm with what was done about it, and when it was over; in the order of time."""
    rows: list[dict[str, Any]] = []
    for record in decisions:
        detail = record.detail
        if record.kind == "alarm":
            rows.append(
                {
                    "t": record.time_ms * 1e-3, "kind": detail["finding"], "who": detail["who"],
                    "figure": detail["figure"], "limit": detail["threshold"], "unit": detail["unit"],
                    "wants": detail["response"], "done": False, "over": None, "text": detail["text"],
                }
            )  # fmt: skip
        elif record.kind == "response" and rows and not detail.get("lifted"):
            rows[-1]["done"] |= rows[-1]["kind"] == detail["finding"]
        elif record.kind == "alarm_over":
            for row in rows:
                if (row["kind"], row["over"]) == (detail["finding"], None) and set(row["who"]) & set(detail["who"]):
                    row["over"] = record.time_ms * 1e-3
    return rows[:_SHOWN_MAX]
