"""The oracles can see: each defect of mutants.py is caught by some seed."""

from __future__ import annotations

import pytest

from tests.protocol.measure_mutants import caught
from tests.protocol.mutants import MUTANTS, SEEDS_MAX, Mutant

QUICK = ("no_persist", "no_fsync", "majority_vote", "lock_per_epoch")
"""Caught within a few seeds; the rest take longer."""


def by_name(mutant: Mutant) -> str:
    return mutant.name


@pytest.mark.parametrize("mutant", [m for m in MUTANTS if m.name in QUICK or m.case], ids=by_name)
def test_a_mutant_is_caught_at_once(mutant: Mutant) -> None:
    assert caught(mutant, range(1, 25)) is not None


@pytest.mark.soak
@pytest.mark.parametrize("mutant", [m for m in MUTANTS if m.name not in QUICK and not m.case], ids=by_name)
def test_every_mutant_is_caught(mutant: Mutant) -> None:
    assert caught(mutant, range(1, SEEDS_MAX + 1)) is not None
