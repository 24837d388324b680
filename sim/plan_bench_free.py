"""The published free-space instances of a folder: how many are solved, how fast, at what flowtime.

One row per size of the map, obstacles and number of vehicles. Compilation comes before; every plan is
judged by the verifier, and a plan that it objects to is not solved. Instances whose own starts or goals
overlap an obstacle are counted apart: slightly (tolerated), or so much that nobody can solve them (misplaced).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median

from fleet.errors import ConfigError
from sim.free_space_file import load_instance, published_cost
from sim.free_space_result import Answer, solve_instance

_NAME = re.compile(r"map_(?P<map>\d+by\d+)_obst(?P<obstacles>\d+)_agents(?P<vehicles>\d+)_ex(?P<number>\d+)")


@dataclass(frozen=True, slots=True)
class Row:
    """Instances that differ only in their number; times (CPU) and costs are over the solved ones."""

    map: str
    obstacles: int
    vehicles: int
    instances: int
    tolerated: int
    """Solved instances with an obstacle that counts with less than its radius."""
    misplaced: int
    """Instances refused for a start or goal in collision."""
    solved: int
    cpu_s_median: float
    cpu_s_max: float
    flowtime_mean: float
    """In the published unit (metres at the step limit)."""


@dataclass(frozen=True, slots=True)
class Case:
    """One instance: its size, its number among those of that size, and what became of it."""

    size: tuple[str, int, int]
    number: int
    answer: Answer


def solve_folder(
    folder: Path, *, clockwise: bool = False, say: Callable[[str], None] = lambda _line: None
) -> list[Case]:
    """Plan every instance in ``folder``, one after the other; ``clockwise`` as in the reader.

    Raises
    ------
    ConfigError
        The folder has no published instance, or one that cannot be read.
    """
    cases: list[Case] = []
    paths = [(match, path) for path in sorted(folder.glob("*.yaml")) if (match := _NAME.fullmatch(path.stem))]
    if not paths:
        raise ConfigError(f"{folder}: no published instance (map_..by.._obst.._agents.._ex...yaml) in it")
    solve_instance(load_instance(paths[0][1]))
    for count, (match, path) in enumerate(paths, start=1):
        answer = solve_instance(load_instance(path, clockwise=clockwise))
        size = (match["map"], int(match["obstacles"]), int(match["vehicles"]))
        cases.append(Case(size, int(match["number"]), answer))
        how = "solved" if answer.solved else "; ".join((*(u.reason for u in answer.plan.unsolved), *answer.findings))
        say(f"{count} of {len(paths)}: {path.stem}: {answer.cpu_s:.3f} s, {how}")
    return cases


def rows_of(cases: Sequence[Case]) -> list[Row]:
    """One row per size, small maps first."""
    sizes = sorted({case.size for case in cases}, key=lambda size: (int(size[0].split("by")[0]), *size[1:]))
    return [_row(size, [case.answer for case in cases if case.size == size]) for size in sizes]


def _row(key: tuple[str, int, int], answers: list[Answer]) -> Row:
    solved = [answer for answer in answers if answer.solved]
    seconds = [answer.cpu_s for answer in solved] or [float("nan")]
    costs = [published_cost(answer.plan.flowtime_s) for answer in solved] or [float("nan")]
    tolerated = sum(bool(answer.tolerated) for answer in solved)
    misplaced = sum(bool(answer.plan.unsolved) and answer.plan.searches == 0 for answer in answers)
    return Row(
        *key, len(answers), tolerated, misplaced, len(solved), median(seconds), max(seconds), sum(costs) / len(costs)
    )


def free_space_tables(folder: Path, say: Callable[[str], None]) -> str:
    """Tables over all instances of ``folder`` and over numbers 0 to 2, for which figures of CL-CBS are known."""
    cases = solve_folder(folder, say=say)
    first = [case for case in cases if case.number <= 2]
    return f"{as_markdown(rows_of(cases))}\n\nInstances 0 to 2\n\n{as_markdown(rows_of(first))}"


def as_markdown(rows: list[Row]) -> str:
    """The rows as a Markdown table."""
    lines = [
        "| map | obstacles | vehicles | solved | tolerated | refused | CPU s, median | CPU s, max | flowtime |",
        "| --- | --- | --- | --- | --- | --- | --- | --- | --- |",
    ]
    lines += [
        f"| {row.map} | {row.obstacles} | {row.vehicles} | {row.solved} of {row.instances}"
        f" | {row.tolerated} | {row.misplaced} | {row.cpu_s_median:.3f} | {row.cpu_s_max:.3f}"
        f" | {row.flowtime_mean:.0f} |"
        for row in rows
    ]
    return "\n".join(lines)
