"""Silence safety (S7): take a safe run, delete, delay, double or reorder any deliveries; it stays safe."""

from __future__ import annotations

import random

import msgspec

from sim.faults.case import Case
from sim.faults.engine import Engine

_SHARES = (0.002, 0.01, 0.05, 0.2, 0.5)
_LATER_MS = (5, 60, 400, 3_000)


def variant(case: Case, deliveries: int, index: int) -> Case:
    """The ``index``-th variant of a case with so many deliveries: single ones, few, many, or a whole stretch."""
    rng = random.Random(f"{case.profile}:{case.seed}:silence:{index}")
    chosen = _chosen(rng, deliveries)
    kind = rng.randrange(4)
    lost: list[int] = []
    moved: list[tuple[int, int]] = []
    doubled: list[tuple[int, int]] = []
    for number in chosen:
        what = kind if kind < 3 else rng.randrange(3)
        if what == 0:
            lost.append(number)
        elif what == 1:
            moved.append((number, 1 + rng.randrange(rng.choice(_LATER_MS))))
        else:
            doubled.append((number, rng.randrange(rng.choice(_LATER_MS))))
    return msgspec.structs.replace(case, lost=tuple(lost), moved=tuple(moved), doubled=tuple(doubled))


def run_variants(case: Case, deliveries: int, count: int) -> tuple[list[tuple[int, str, str]], int]:
    """Safety violations of ``count`` variants, and the events they took. What is late is no violation here."""
    found, events = [], 0
    for index in range(count):
        out = Engine(variant(case, deliveries, index)).run()
        events += out.total
        found += [(v.t_ms, v.rule, f"variant {index}: {v.text}") for v in out.violations if not v.rule.startswith("L")]
    return found, events


def _chosen(rng: random.Random, deliveries: int) -> list[int]:
    """Numbers of deliveries, from 1."""
    roll = rng.randrange(3)
    if roll == 0:
        return sorted(rng.sample(range(1, deliveries + 1), min(deliveries, rng.randint(1, 5))))
    if roll == 1:
        share = rng.choice(_SHARES)
        return [number for number in range(1, deliveries + 1) if rng.random() < share]
    first = rng.randint(1, max(1, deliveries))
    return list(range(first, min(deliveries, first + rng.randint(5, 400)) + 1))
