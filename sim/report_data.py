"""What the report page shows, as one compact JSON object: the page computes nothing but pictures.

Trajectories are resampled to at most 10 Hz and stored as base64 of little-endian int16: positions as
differences in units that fit, headings in 1e-4 rad, speeds in cm/s, distances to the first line in dm.
Runs too long for :data:`BYTES_MAX` are thinned in time, and the page says so.
"""

from __future__ import annotations

import base64
import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from sim.decision_log import Decision
from sim.group_metrics import group_panel
from sim.metric_defs import BY_NAME, Expectation, Metric
from sim.metrics import Analysis, delay_by_approach
from sim.phases import phase_class
from sim.run_folder import RunFolder
from sim.scene import Scene
from sim.summary import shown

Floats = npt.NDArray[np.float64]

BYTES_MAX = 3_000_000
"""Of trajectory data in the page; the rest of a page is some 100 kB."""
_RATE_S = 0.1
_SAMPLE_BYTES = 5 * 2 * 4 / 3
_AGREEMENT_COUNT_MAX = 4_000
_EVENT_COUNT_MAX = 400
_LISTED = (
    "contact",
    "alarm",
    "response",
    "fallback",
    "breach",
    "refusal",
    "abort",
    "quarantine",
    "escalation",
    "charter",
)
WAIT_CROSSING_S, WAIT_LANE_S = 5.0, 3.0
"""A vehicle that came this soon after another left the ground it needed is taken to have waited for it."""
_WAIT_DELAY_S = 0.5
_NO_DISTANCE = -32_768
_BEFORE = ("setup",)
"""Parts of the timings that lie before the clock of ``wall_s`` starts."""


def page_data(
    folder: RunFolder, scene: Scene, decisions: Sequence[Decision], analysis: Analysis, checks: Sequence[Expectation]
) -> dict[str, Any]:
    """The object that the template embeds."""
    notes = [f"left out: {_left_out(item)}" for item in folder.manifest.get("left_out", ())]
    timings = folder.manifest.get("timings_s", {})
    ticks = _ticks(scene, notes)
    agreements = agreement_list(decisions)
    if len(agreements) > _AGREEMENT_COUNT_MAX:
        notes.append(f"the first {_AGREEMENT_COUNT_MAX:,} of {len(agreements):,} agreements are shown")
    return {
        "map": _map(folder),
        "tick": {"t0": float(ticks[0]), "dt": float(ticks[1] - ticks[0]) if len(ticks) > 1 else 1.0, "n": len(ticks)},
        "phases": [
            {"name": name.replace("_", " "), "key": phase_class(name)[0], "colour": phase_class(name)[1]}
            for name in scene.phase_names
        ],
        "vehicles": _vehicles(folder, scene, analysis, ticks),
        "agreements": agreements[:_AGREEMENT_COUNT_MAX],
        "events": _events(decisions, analysis, notes),
        "metrics": [_metric(metric, checks) for metric in analysis.metrics],
        "harm": {**_harm(folder, analysis), "group": _group(decisions, analysis)},
        "timings": sorted((item for item in timings.items() if item[0] not in _BEFORE), key=lambda item: -item[1]),
        "before_s": sum(timings.get(name, 0.0) for name in _BEFORE),
        "wall_s": folder.manifest.get("wall_s", 0.0),
        "notes": notes,
    }


def _left_out(item: object) -> str:
    return f"{item.get('what')} ({item.get('why')})" if isinstance(item, dict) else str(item)


def _ticks(scene: Scene, notes: list[str]) -> Floats:
    """The page's instants: every 0.1 s, or coarser if that would be too much data."""
    if not len(scene.t_s):
        return np.zeros(1)
    begin, end = float(scene.t_s[0]), float(scene.t_s[-1])
    present_s = sum(
        float(scene.t_s[scene.rows[hi - 1]] - scene.t_s[scene.rows[lo]])
        for lo, hi in zip(scene.start[:-1].tolist(), scene.start[1:].tolist(), strict=True)
        if hi > lo
    )
    step = max(_RATE_S, math.ceil(present_s * _SAMPLE_BYTES / BYTES_MAX * 10.0) / 10.0)
    if step > _RATE_S:
        notes.append(f"the replay is thinned to one sample per {step:g} s; trajectories.parquet has every one")
    count = math.floor((end - begin) / step + 1e-6) + 1
    return np.asarray(begin + step * np.arange(count), dtype=np.float64)


def _map(folder: RunFolder) -> dict[str, Any]:
    def flat(ring: Floats) -> list[float]:
        return [round(float(value), 2) for value in ring.ravel()]

    zones = [{"id": zone_id, "rings": [flat(ring) for ring in rings]} for zone_id, rings in folder.map.zones]
    paths = [flat(path.points[:: max(1, round(2.0 / path.step_m)), :2]) for path in folder.map.paths.values()]
    lanes, obstacles = ([flat(ring) for ring in rings] for rings in (folder.map.lanes, folder.map.obstacles))
    return {"name": folder.map.name, "lanes": lanes, "zones": zones, "paths": paths, "obstacles": obstacles}


def _int16(values: Floats) -> str:
    return base64.b64encode(np.clip(np.rint(values), -32_767, 32_767).astype("<i2").tobytes()).decode()


def _vehicles(folder: RunFolder, scene: Scene, analysis: Analysis, ticks: Floats) -> list[dict[str, Any]]:
    out: list[dict[str, Any]] = []
    for v, record in enumerate(scene.vehicles):
        rows = scene.rows[scene.start[v] : scene.start[v + 1]]
        item: dict[str, Any] = {
            "id": record.id,
            "cls": record.vehicle_class,
            "l": record.length_m,
            "w": record.width_m,
            "role": record.role,
            "from": record.origin,
            "to": record.destination,
            "arrival": record.arrival_s,
            "departure": record.departure_s,
            "delay": record.delay_s,
            "wait": round(analysis.waits_s.get(record.id, 0.0), 2),
            "stops": analysis.stops.get(record.id, 0),
        }
        t = scene.t_s[rows]
        chosen = (
            np.flatnonzero((ticks >= t[0] - 1e-6) & (ticks <= t[-1] + 1e-6)) if len(t) else np.empty(0, dtype=np.int64)
        )
        item["k0"], item["n"] = (int(chosen[0]), len(chosen)) if len(chosen) else (0, 0)
        if len(chosen):
            item |= _samples(folder, scene, v, ticks[chosen])
        out.append(item)
    return out


def _samples(folder: RunFolder, scene: Scene, v: int, at: Floats) -> dict[str, Any]:
    rows = scene.rows[scene.start[v] : scene.start[v + 1]]
    record, t, state = scene.vehicles[v], scene.t_s[rows], scene.state[rows]
    xy = np.column_stack([np.interp(at, t, state[:, 0]), np.interp(at, t, state[:, 1])])
    stride = float(np.abs(np.diff(xy, axis=0)).max()) if len(at) > 1 else 0.0
    unit = max(0.001, math.ceil(stride / 32.0) * 0.001)
    whole = np.rint(xy / unit)
    yaw = np.interp(at, t, np.unwrap(state[:, 2]))
    lines = folder.map.paths[record.path_id].lines if record.path_id in folder.map.paths else ()
    line_m, leave_m = (lines[0][1], lines[0][2]) if lines else (0.0, 0.0)
    distance = np.full(len(at), float(_NO_DISTANCE))
    if not np.isnan(scene.lane[rows, 0]).any():
        front = np.interp(at, t, scene.lane[rows, 0]) + record.length_m - record.rear_m
        distance = np.clip((line_m - front) * 10.0, -32_767, 32_767)
    phase = scene.phase[rows[np.searchsorted(t, at + 1e-6, side="right") - 1]]
    turns = np.flatnonzero(np.diff(phase, prepend=-1))
    return {
        "unit": unit,
        "x0": int(whole[0, 0]),
        "y0": int(whole[0, 1]),
        "xy": _int16(np.diff(whole, axis=0).ravel()),
        "yaw": _int16(np.arctan2(np.sin(yaw), np.cos(yaw)) * 1e4),
        "v": _int16(np.interp(at, t, state[:, 3]) * 100.0),
        "d": base64.b64encode(np.rint(distance).astype("<i2").tobytes()).decode(),
        "span": [round(leave_m - line_m, 1)] if lines else [],
        "phase": [[int(k), int(phase[k])] for k in turns],
    }


def agreement_list(decisions: Sequence[Decision]) -> list[dict[str, Any]]:
    """Proposals with their votes, certificates and commits, joined by ``detail.proposal``; times in ms."""
    found: dict[str, dict[str, Any]] = {}
    for record in decisions:
        key = str(record.detail.get("proposal", ""))
        if not key:
            continue
        if record.kind == "proposal" and key not in found:
            detail = record.detail
            found[key] = {
                "t": record.time_ms,
                "node": record.node,
                "key": key[:12],
                "zone": str(detail.get("zone", "")),
                "members": [str(name) for name in detail.get("members", ())],
                "vehicles": [str(name) for name in detail.get("batch", ())] or [record.node],
                "votes": [],
                "cert": None,
                "commits": [],
                "aborts": [],
                "why": "",
            }
        agreement = found.get(key)
        if agreement is None:
            continue
        if record.kind == "vote":
            agreement["votes"].append([record.time_ms, record.node, record.detail.get("accept") is not False])
        elif record.kind == "certificate" and agreement["cert"] is None:
            agreement["cert"] = record.time_ms
        elif record.kind == "commit":
            agreement["commits"].append([record.time_ms, record.node])
        elif record.kind == "refusal":
            agreement["votes"].append([record.time_ms, record.node, False])
            agreement["why"] = agreement["why"] or f"{record.node}: {reasons_of(record.detail)}"
        elif record.kind == "abort":
            agreement["aborts"].append([record.time_ms, record.node])
            agreement["why"] = agreement["why"] or reasons_of(record.detail)
    return list(found.values())


def reasons_of(detail: Mapping[str, Any]) -> str:
    """The reasons of a record as text: its ``reasons``, ``reason`` or ``why``, else all that is plain and no hash."""
    for key in ("reasons", "reason", "why"):
        value = detail.get(key)
        if value:
            return ", ".join(str(item) for item in value) if isinstance(value, list) else str(value)
    return ", ".join(
        f"{key} {value}" for key, value in detail.items() if key != "proposal" and not isinstance(value, (list, dict))
    )


def _events(decisions: Sequence[Decision], analysis: Analysis, notes: list[str]) -> list[dict[str, Any]]:
    events: list[dict[str, Any]] = [
        {
            "t": contact.time_s,
            "kind": "contact",
            "node": contact.a,
            "other": contact.b,
            "text": f"{contact.a} and {contact.b} touched{' (an honest front)' if contact.by_honest else ''}",
        }
        for contact in analysis.contacts
    ]
    others = [record for record in decisions if record.kind in _LISTED and record.kind != "contact"]
    others.sort(key=lambda record: (_LISTED.index(record.kind), record.time_ms))
    if len(others) > _EVENT_COUNT_MAX:
        notes.append(f"{_EVENT_COUNT_MAX} of {len(others):,} events are listed, gravest first; decisions.jsonl has all")
    for record in others[:_EVENT_COUNT_MAX]:
        events.append(
            {"t": record.time_ms * 1e-3, "kind": record.kind, "node": record.node, "text": _event_text(record)}
        )
    return sorted(events, key=lambda event: (event["t"], event["kind"], event["node"]))


def _event_text(record: Decision) -> str:
    """What an event says beside its kind."""
    detail = record.detail
    if record.kind == "alarm":
        return f"{detail['finding']}: {detail['text']}"
    if record.kind == "response":
        return f"{detail['response']} {'lifted' if detail.get('lifted') else 'for ' + str(detail['finding'])}"
    if record.kind == "charter":
        to = f"{detail.get('name', '')} {str(detail.get('to', detail.get('charter', '')))[:12]}".strip()
        heard = f", hearing {detail['peer']}" if detail.get("peer") else ""
        return f"{str(detail.get('state', '')).replace('_', ' ')}: {to}{heard}"
    if record.kind == "escalation" and "peer_charter" in detail:
        unknown = f"{detail['peer']} speaks {str(detail['peer_charter'])[:12]}"
        return f"{detail['reason']}: {unknown}, unknown here; {str(detail['response']).replace('_', ' ')}"
    return reasons_of(detail)


def _metric(metric: Metric, checks: Sequence[Expectation]) -> dict[str, Any]:
    definition = BY_NAME[metric.name]
    check = next((c for c in checks if c.metric == metric.name), None)
    return {
        "name": metric.name,
        "value": metric.value,
        "shown": shown(metric),
        "unit": metric.unit,
        "id": metric.definition,
        "text": definition.text,
        "group": definition.group,
        "expect": None if check is None else {"text": check.text.rsplit("expected ", 1)[1], "met": check.met},
    }


def _harm(folder: RunFolder, analysis: Analysis) -> dict[str, Any]:
    approaches = []
    for origin, mean, delays in delay_by_approach(folder.vehicles):
        p95 = float(np.percentile(np.array(delays), 95))
        approaches.append(
            {
                "name": origin,
                "n": len(delays),
                "mean": round(mean, 3),
                "p95": round(p95, 3),
                "max": round(delays[-1], 3),
            }
        )
    longest = sorted(analysis.waits_s.items(), key=lambda item: (-item[1], item[0]))[:6]
    return {
        "approaches": approaches,
        "jain": next((metric.value for metric in analysis.metrics if metric.name == "jain"), None),
        "longest": [[name, round(wait, 2)] for name, wait in longest if wait > 0.05],
        "waited": waited_for(folder, analysis),
    }


def _group(decisions: Sequence[Decision], analysis: Analysis) -> dict[str, Any]:
    values = {metric.name: metric.value for metric in analysis.metrics}
    return {"rows": group_panel(decisions), "gini": values.get("gini"), "price": values.get("price_of_anarchy")}


def waited_for(folder: RunFolder, analysis: Analysis) -> list[dict[str, Any]]:
    """Who held up whom: a delayed vehicle and the one that last left, shortly before, the ground it needed.

    A crossing vehicle goes before one in the same lane. The whole delay is put to that one vehicle: an
    attribution for the eye, not a counterfactual.
    """
    origin = {record.id: record.origin for record in folder.vehicles}
    best: dict[str, Any] = {}
    for encounter in analysis.encounters:
        limit = WAIT_CROSSING_S if encounter.crossing else WAIT_LANE_S
        if encounter.gap_s <= limit and (encounter.second not in best or encounter.crossing):
            best[encounter.second] = encounter
    rows = []
    for record in folder.vehicles:
        met = best.get(record.id)
        if met is not None and record.delay_s is not None and record.delay_s >= _WAIT_DELAY_S:
            rows.append(
                {
                    "who": record.id,
                    "for": met.first,
                    "s": round(record.delay_s, 2),
                    "gap": round(met.gap_s, 2),
                    "t": round(met.time_s, 2),
                    "lane": not met.crossing,
                    "from": record.origin,
                    "to": origin.get(met.first, ""),
                }
            )
    return sorted(rows, key=lambda row: (-row["s"], row["who"]))[:2_000]
