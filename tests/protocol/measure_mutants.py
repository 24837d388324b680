"""Seeds that each mutant needs: ``python -m tests.protocol.measure_mutants SECONDS [NAME ...]`` prints a table.

SECONDS of processor time are spent on one mutant at most."""

from __future__ import annotations

import sys
import time
from pathlib import Path

import pytest

from fleet.errors import LocalProtocolError
from sim.faults.case import read_case
from sim.faults.draw import draw
from sim.faults.engine import Engine
from tests.protocol.mutants import MUTANTS, SEEDS_MAX, Mutant

CASES = Path(__file__).parents[1] / "sim" / "faults" / "testdata"


def caught(mutant: Mutant, seeds: range) -> tuple[int, str, str] | None:
    """(first seed, rule, text) that shows the mutant, 0 for its kept case; None: nothing does."""
    with pytest.MonkeyPatch.context() as patch:
        mutant.apply(patch)
        if mutant.case:
            violations = Engine(read_case(CASES / f"{mutant.case}.case")).run().violations
            return (0, violations[0].rule, violations[0].text) if violations else None
        for seed in seeds:
            try:
                violations = Engine(draw(seed, mutant.profile)).run().violations
            except LocalProtocolError as error:  # the core's own table of transitions stops it
                return seed, "table", str(error)
            if violations:
                return seed, violations[0].rule, violations[0].text
    return None


def main(cpu_s: float, names: list[str]) -> None:
    for mutant in MUTANTS:
        if names and mutant.name not in names:
            continue
        found, began, seed = None, time.process_time(), 0
        while found is None and seed < SEEDS_MAX and time.process_time() - began < cpu_s:
            seed += 1
            found = caught(mutant, range(seed, seed + 1))
        spent_s = time.process_time() - began
        row = f"{found[1]} | {found[0]} | {found[2]}" if found else f"missed | > {seed} |"
        print(f"| {mutant.name} | {mutant.profile} | {row} | {spent_s:.1f} s", flush=True)


if __name__ == "__main__":
    main(float(sys.argv[1]), sys.argv[2:])
