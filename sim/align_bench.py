"""The sections of ``fleet bench alignment``: each measures one part of the group's alignment and returns its tables.

A section lives in a file of its own (``sim/align_bench_*.py``) and is imported when it runs.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Settings:
    """Options of ``fleet bench alignment``, for all its sections."""

    out: Path
    """Folder for pictures and files of runs."""
    quick: bool
    """Fewer samples: whether a section works, not its published figures."""
    say: Callable[[str], None]
    """Takes a line about progress."""


def _charter(settings: Settings) -> str:
    """Voting, rulebook, and what a charter costs on the way of a decision."""
    from sim.align_bench_charter import tables

    return tables(settings)


def _mechanism(settings: Settings) -> str:
    """Who goes first: equilibrium, promises, time, price of anarchy, attacks."""
    from sim.align_bench_mechanism import section

    return section(settings)


SECTIONS: dict[str, Callable[[Settings], str]] = {
    "charter": _charter,
    "mechanism": _mechanism,
}
"""Name -> what measures it and returns its tables as Markdown."""
