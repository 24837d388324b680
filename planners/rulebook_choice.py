"""The choice by rules among thousands of plans: the same answer as the charter's own, on arrays.

Takes the flat arrays that a charter is compiled to; knows nothing else of charters.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from fleet.errors import PlanError

Ints = npt.NDArray[np.int64]
VIOLATION_MAX = 2**50
"""Weighted sums of so much stay within 64 bits: a rank holds at most 8 rules of weight 1000."""


def best_plans(violations: Ints, rows: Sequence[Sequence[tuple[int, int]]]) -> Ints:
    """Indices of the plans that nothing is better than, in order.

    Parameters
    ----------
    violations : int64 [rule, plan]
        0 or more, at most ``VIOLATION_MAX``; one row per rule, since ranks are looked at one after another.
    rows : sequence of sequence of (rule, weight)
        By rank, the highest first.

    Raises
    ------
    PlanError
        No plans, or an array of another form.
    """
    if violations.ndim != 2 or violations.dtype != np.int64 or violations.shape[1] == 0:
        raise PlanError(
            f"violations are {violations.dtype} of shape {violations.shape}; they must be int64 [rule, plan]"
        )
    alive: Ints | None = None
    for row in rows:
        sums = _sums(violations, row, alive)
        left = np.flatnonzero(sums == sums.min())
        alive = left if alive is None else alive[left]
        if len(alive) == 1:
            break
    return np.arange(violations.shape[1]) if alive is None else alive


def _sums(violations: Ints, row: Sequence[tuple[int, int]], alive: Ints | None) -> Ints:
    """Weighted violations of one rank, of the plans that are left."""
    columns = [violations[rule] if alive is None else violations[rule].take(alive) for rule, _ in row]
    if len(row) == 1:  # its weight changes nothing
        return columns[0]
    total: Ints = sum(
        (weight * column for (_, weight), column in zip(row, columns, strict=True)), np.zeros_like(columns[0])
    )
    return total
