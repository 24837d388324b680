"""The tutorial of a charter's life, executed line by line; and what each step refuses."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from pathlib import Path

import pytest

from fleet.cli.charter_log import CharterLog
from fleet.cli.main import run
from sim.decision_log import check_chain, read_decisions

TUTORIAL = Path(__file__).resolve().parents[2] / "docs" / "tutorial" / "a-charters-life.md"


def blocks(text: str) -> Iterator[str]:
    """Commands in their order: indented lines, joined where they go on; a file between ``<<END`` and ``END`` whole."""
    lines = [line[4:] for line in text.splitlines() if line.startswith("    ")]
    while lines:
        line = lines.pop(0)
        while line.endswith("\\"):
            line = line[:-1] + lines.pop(0).strip()
        if line.endswith("<<END"):
            end = lines.index("END")
            line, lines = "\n".join([line, *lines[:end]]), lines[end + 1 :]
        yield line


def carry_out(command: str) -> int:
    """Status of one command, run in the present folder."""
    file = re.fullmatch(r"cat > (\S+) <<END\n(.*)", command, re.DOTALL)
    if file:
        Path(file.group(1)).write_text(file.group(2) + "\n", encoding="utf-8")
        return 0
    words = shlex.split(command)
    assert words[0] == "fleet", command
    return run([*words[1:], "--quiet"] if words[1:3] in (["charter", "gate"], ["charter", "vote"]) else words[1:])


def test_the_tutorial_takes_a_charter_from_draft_to_roll_out_and_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    commands = list(blocks(TUTORIAL.read_text(encoding="utf-8")))
    assert sum("charter vote" in command for command in commands) == 9
    for command in commands:
        assert carry_out(command) == 0, f"{command}\n{capsys.readouterr().err}"
    said = capsys.readouterr().out
    assert "your ballot" in said
    assert "decisions that change" in said
    assert "all checked" in said

    records = [record for record in read_decisions(tmp_path / "runs/rollout") if record.kind == "charter"]
    states = [record.detail["state"] for record in records]
    assert {"rollout_ordered", "rollout", "rollback_ordered", "rollback"} <= set(states)
    choices = [record for record in read_decisions(tmp_path / "runs/rollout") if record.kind == "choice"]
    assert {record.detail["rule"] for record in choices} <= {"delay", "stops", "without_plan"}
    assert len(choices) >= 3
    assert check_chain(tmp_path / "runs/rollout").bad_line is None
    assert_swapped_safely(tmp_path / "runs/rollout")

    events = [str(record["event"]) for record in CharterLog(tmp_path / "charters").read()]
    assert events.count("ballot") == 9
    assert events[-1] == "rollback"
    assert "refused" not in events


def assert_swapped_safely(folder: Path) -> None:
    """Nobody changes its charter between a commit and the end of what it holds."""
    holding: set[str] = set()
    swaps = 0
    for record in read_decisions(folder):
        if record.kind == "commit":
            holding.add(record.node)
        elif record.kind in {"release", "clear", "cleared"}:
            holding.discard(record.node)
        elif record.kind == "charter" and record.detail["state"] in {"rollout", "rollback"}:
            swaps += 1
            assert record.node not in holding, record
    assert swaps >= 4
