"""The story of one case, line by line: what the cores note, what the faults do, what is violated."""

from __future__ import annotations

from sim.faults.case import Case
from sim.faults.engine import Engine

_SHOWN = ("coordinator", "members", "batch", "reasons", "reason", "why", "missing")


def story(case: Case) -> tuple[str, int]:
    """Text, and the exit status: 3 where something is violated. Proposals are p1, p2, ... as they appear."""
    out = Engine(case, trace=True).run()
    names: dict[str, str] = {}
    lines = []
    rows = [(t, f"{who} {kind}{_words(detail, names)}") for t, who, kind, detail in out.trace]
    rows += [(v.t_ms, f"VIOLATION {v.rule}: {v.text}") for v in out.violations]
    for t_ms, text in sorted(rows, key=lambda row: row[0]):
        lines.append(f"{t_ms:6d} {text}")
    lines.append(f"digest {out.digest}")
    return "\n".join(lines), 3 if out.violations else 0


def _words(detail: dict[str, object], names: dict[str, str]) -> str:
    found = []
    proposals = [detail["proposal"]] if "proposal" in detail else detail.get("proposals", [])
    for proposal in proposals if isinstance(proposals, list) else []:
        found.append(names.setdefault(str(proposal), f"p{len(names) + 1}"))
    for key in _SHOWN:
        value = detail.get(key)
        if value:
            found.append(f"{key}={','.join(map(str, value)) if isinstance(value, list) else value}")
    return "".join(f" {word}" for word in found)
