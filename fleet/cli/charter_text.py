"""Charters, differences and consequences as text for people."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from fleet.charter.model import Charter
from sim.charter_gate import Outcome


def shown(charter: Charter) -> list[str]:
    """A charter in a dozen lines."""
    book = charter.rulebook
    people = ", ".join(f"{one.name} ({one.role.replace('_', ' ')})" for one in charter.signatories)
    weights = ", ".join(f"{name} {weight / 10:g} %" for name, weight in charter.weights_milli.items() if weight)
    until = f" until {charter.not_after_s}" if charter.not_after_s else ""
    rows = {
        "charter": f"{charter.name}, id {charter.charter_id().hex()}",
        "amends": charter.parent or "nothing: the first of its line",
        "valid": f"from {charter.not_before_s}{until} (unix s)",
        "safety tier": " > ".join(book.safety),
        "duty tier": ", ".join(book.duty) + "".join(f"; {high} > {low}" for high, low in book.priorities),
        "soft tier": f"{weights}; starvation bound {charter.starvation_bound_s} s; voted by {charter.voting_rule}",
        "mechanism": f"{charter.mechanism}, fallback {charter.fallback}",
        "joint plans": f"the best by the rulebook of: {', '.join(charter.candidates)}",
        "commitments": f"notice {charter.commitments.notice_ms} ms, stake {charter.commitments.stake_points}",
        "breach": ", then ".join(charter.commitments.ladder),
        "norms": ", ".join(f"{norm.name} {norm.status} ({norm.owner})" for norm in charter.norms) or "none",
        "oversight": f"{', '.join(sorted(charter.oversight.triggers))}; audit {charter.oversight.audit_ppm} ppm;"
        f" at most {charter.oversight.queue_max} open cases",
        "signatures": f"{charter.signatures_min} of {len(charter.signatories)}: {people}" if people else "nobody named",
    }
    width = max(len(name) for name in rows)
    return [f"{name:<{width}}  {text}" for name, text in rows.items()]


def differences(old: Charter, new: Charter) -> list[str]:
    """One line per value that differs, by its key."""
    before, after = dict(_flat("", old.document())), dict(_flat("", new.document()))
    found = []
    for key in sorted({*before, *after}):
        if before.get(key) != after.get(key):
            found.append(f"{key}: {before.get(key, 'absent')} -> {after.get(key, 'absent')}")
    return found


def _flat(key: str, value: object) -> Iterator[tuple[str, str]]:
    if isinstance(value, dict):
        for name, item in value.items():
            yield from _flat(f"{key}.{name}" if key else str(name), item)
    elif isinstance(value, list):
        yield key, ", ".join(str(item) if not isinstance(item, list) else " > ".join(item) for item in value) or "none"
    else:
        yield key, str(value)


def consequence_table(outcomes: Mapping[str, Outcome]) -> list[str]:
    """What each charter does, one line each."""
    head = ("charter", "mean delay s", "longest wait s", "stops/vehicle", "energy kJ/km", "contacts")
    rows = [
        (
            label, f"{one.mean_delay_ms / 1000:.2f}", f"{one.wait_ms_max / 1000:.1f}", f"{one.stops_milli / 1000:.2f}",
            f"{one.energy_j_per_km / 1000:.0f}", str(one.contacts),
        )
        for label, one in outcomes.items()
    ]  # fmt: skip
    return table(head, rows)


def gate_table(report: Mapping[str, object]) -> list[str]:
    """Runs of the gate under the parent and under the draft."""
    head = ("scenario", "mean delay s", "longest wait s", "contacts", "unfinished", "decisions that change")
    rows = []
    runs = report["runs"]
    for run in runs if isinstance(runs, list) else []:
        old, new, changes = run["parent"], run["draft"], run["changes"]
        rows.append(
            (
                run["scenario"], _pair(old, new, "mean_delay_ms", 1000, 2), _pair(old, new, "wait_ms_max", 1000, 1),
                _pair(old, new, "contacts", 1, 0), _pair(old, new, "unfinished", 1, 0),
                f"{changes['changed']} of {changes['proposals']}",
            )
        )  # fmt: skip
    return table(head, rows)


def _pair(old: Mapping[str, int], new: Mapping[str, int], name: str, unit: int, digits: int) -> str:
    return f"{old[name] / unit:.{digits}f} -> {new[name] / unit:.{digits}f}"


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    """Aligned columns."""
    widths = [max(len(row[k]) for row in (head, *rows)) for k in range(len(head))]
    return [
        "  ".join(f"{cell:<{width}}" for cell, width in zip(row, widths, strict=True)).rstrip() for row in (head, *rows)
    ]
