"""The state diagram in DESIGN.md is drawn from the table; ``--rewrite`` draws it anew."""

from __future__ import annotations

from pathlib import Path

import pytest

from fleet.protocol.table import TRANSITIONS, Event

DESIGN = Path(__file__).parents[2] / "fleet" / "protocol" / "DESIGN.md"
BEGIN, END = "```mermaid\n", "```\n"


def diagram() -> str:
    """All transitions that change the phase, as a Mermaid state diagram; those between the same two share an arrow."""
    arrows: dict[tuple[str, str], list[str]] = {}
    for (before, event), following in TRANSITIONS.items():
        if before is not following:
            arrows.setdefault((before.name, following.name), []).append(event.name)
    lines = ["stateDiagram-v2", "    [*] --> APPROACH"]
    for (before, following), events in sorted(arrows.items()):
        lines.append(f"    {before} --> {following}: {', '.join(sorted(events))}")
    return "\n".join(lines) + "\n"


def test_the_diagram_shows_the_table(request: pytest.FixtureRequest) -> None:
    text = DESIGN.read_text()
    head, _, rest = text.partition(BEGIN)
    shown, _, tail = rest.partition(END)
    if request.config.getoption("--rewrite"):
        DESIGN.write_text(head + BEGIN + diagram() + END + tail)
        return
    assert shown == diagram(), "draw it anew: pytest tests/protocol/test_design.py --rewrite"


def test_every_event_is_in_the_table() -> None:
    assert {event for _, event in TRANSITIONS} == set(Event)
