"""Tables of a benchmark, row by row: with a progress bar, and going on where an interrupted one stopped.

Rows are kept in a file as soon as they are known, under the digest of the code that made them; so a row that is
taken over is the row that would be measured again.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import msgspec

import fleet
import planners
import sim
from sim.progress import Progress


@dataclass(frozen=True, slots=True)
class Row:
    """One line of a table."""

    name: str
    """Unique in its section, and different for a different amount of work."""
    cells: Callable[[], list[str]]


@dataclass(frozen=True, slots=True)
class Section:
    """One table of a benchmark, as Markdown: what it shows, its columns, its rows, and what stands below."""

    name: str
    about: str
    columns: tuple[str, ...]
    rows: tuple[Row, ...]
    below: str = ""


class _Known(msgspec.Struct):
    """A row in the file of an interrupted run."""

    code: str
    section: str
    row: str
    cells: list[str]


@cache
def code_digest() -> str:
    """Of all Python sources of the project's packages."""
    whole = hashlib.sha256()
    for package in (fleet, planners, sim):
        for path in sorted(Path(package.__path__[0]).rglob("*.py")):
            whole.update(path.read_bytes())
    return whole.hexdigest()[:16]


def measure(sections: Sequence[Section], kept: Path, shown: bool) -> str:
    """All tables as Markdown.

    ``kept`` is the file of rows; it goes when all are there. ``shown``: a progress bar on standard error.
    """
    known = _read(kept)
    parts, done = [], 0
    with Progress(shown) as progress:
        progress.start("measuring", sum(len(section.rows) for section in sections), "rows")
        for section in sections:
            lines = [f"| {' | '.join(section.columns)} |", "| " + "--- | " * len(section.columns)]
            for row in section.rows:
                progress.count(done, f"{section.name}: {row.name}")
                cells = known.get((section.name, row.name))
                if cells is None:
                    cells = row.cells()
                    _keep(kept, _Known(code_digest(), section.name, row.name, cells))
                lines.append(f"| {' | '.join(cells)} |")
                done += 1
            below = f"\n{section.below}\n" if section.below else ""
            parts.append(f"## {section.name}\n\n{section.about}\n\n" + "\n".join(lines) + f"\n{below}")
    kept.unlink(missing_ok=True)
    return "\n".join(parts)


def _read(kept: Path) -> dict[tuple[str, str], list[str]]:
    found = {}
    for line in kept.read_bytes().splitlines() if kept.exists() else ():
        try:
            one = msgspec.json.decode(line, type=_Known)
        except msgspec.MsgspecError:
            continue  # cut short by the interruption: measured again
        if one.code == code_digest():
            found[one.section, one.row] = one.cells
    return found


def _keep(kept: Path, row: _Known) -> None:
    kept.parent.mkdir(parents=True, exist_ok=True)
    with kept.open("ab") as file:
        file.write(msgspec.json.encode(row) + b"\n")
