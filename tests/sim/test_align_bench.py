"""The alignment bench: its sections run, and the gates that its figures are held to."""

from __future__ import annotations

import re
from pathlib import Path

from fleet.cli.main import run


def figures(text: str, row: str) -> list[float]:
    """Numbers of the cells of a row of a Markdown table, by how the row begins."""
    line = next(line for line in text.splitlines() if line.startswith(f"| {row}"))
    return [float(number) for number in re.findall(r"[\d.]+", line.split("|")[2])]


def test_the_charter_section_prints_figures_that_keep_the_gates(tmp_path: Path) -> None:
    assert run(["bench", "alignment", "--section", "charter", "--quick", "--out", str(tmp_path)]) == 0
    text = (tmp_path / "alignment.md").read_text()
    votes, colluders = text.split("after two of seven")[0], text.split("after two of seven")[1]
    assert figures(votes, "utilitarian") == figures(votes, "independent_markets") == [0.0]
    assert figures(votes, "mean")[0] >= 27.0  # of 30, with a fifth of the misreports
    assert figures(colluders, "utilitarian")[0] > 0.37
    assert figures(colluders, "mean")[0] < 0.3
    for row in ("transitivity", "refinement keeps", "the compiled choice"):
        assert figures(text, row) == [0.0]
    assert figures(text, "sum: charter check")[0] < 3000.0  # us; the gate is 3 ms with the mechanism


def test_an_unknown_section_is_refused_with_the_known_ones(tmp_path: Path) -> None:
    assert run(["bench", "alignment", "--section", "nothing", "--out", str(tmp_path)]) == 2
    assert not (tmp_path / "alignment.md").exists()
