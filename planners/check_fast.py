"""The independent verifier with compiled kernels: same answers as ``planners/check.py``, for vehicles.

Flattened ground and decoded commitments are kept, because a vehicle checks the same commitments at
every proposal. Everything that is not a loop over pieces or pairs is inherited from the plain twin.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from itertools import chain

import numpy as np
import numpy.typing as npt

from planners import _check, check_limits
from planners.check import COURSES_KEPT, Verifier, _duplicates, _pair_finding, gone_s
from planners.check_track import Finding, Floats, Outline
from planners.interface import Body, Commitment
from planners.timed_path import TimedPath
from planners.zone_map import ZoneMap

Ints = npt.NDArray[np.int64]


def _nothing() -> Floats:
    return np.zeros((0, 4))


@dataclass(frozen=True, slots=True)
class _Rows:
    """One commitment as rows for the kernels, or why it is unusable."""

    wrong: Finding | None
    path: int = 0
    pieces: Floats = field(default_factory=_nothing)
    segments: Floats = field(default_factory=_nothing)
    body: tuple[float, ...] = ()
    motion: tuple[float, ...] = ()
    course: tuple[float, ...] = ()


@dataclass(frozen=True, slots=True)
class _Batch:
    """Commitments as the kernels take them; the names are those of ``planners/_check.py``."""

    path: Ints
    t0_ms: Ints
    piece_at: Ints
    pieces: Floats
    segment_at: Ints
    segments: Floats
    body: Floats
    motion: Floats
    course: Floats


class FastVerifier(Verifier):
    """:class:`planners.check.Verifier`, compiled."""

    def __init__(self, zone_map: ZoneMap) -> None:
        super().__init__(zone_map)
        grounds = list(self._grounds.values())
        self._index = {key: k for k, key in enumerate(self._grounds)}
        self._count = np.array([len(g.rows) for g in grounds], dtype=np.int64)
        self._first = np.cumsum(self._count) - self._count
        self._step = np.array([g.step_m for g in grounds], dtype=np.float64)
        self._table = np.concatenate([g.table for g in grounds]) if grounds else np.zeros((0, 11))
        self._rows = lru_cache(COURSES_KEPT)(self._make_rows)

    def limits(self, body: Body, plan: TimedPath) -> tuple[Finding, ...]:
        c = Commitment(body, plan)
        rows = self._rows(c)
        return (rows.wrong,) if rows.wrong is not None else self._limits_of([c], _batch([c], [rows]))

    def pair(self, a: Commitment, b: Commitment, *, from_ms: int) -> Finding | None:
        rows = [self._rows(a), self._rows(b)]
        wrong = rows[0].wrong or rows[1].wrong
        if wrong is not None:
            return wrong
        found = self._sweep([a, b], _batch([a, b], rows), [(0, 1)], from_ms)
        return found[0] if found else None

    def joint(self, plans: Sequence[Commitment], others: Sequence[Commitment], *, from_ms: int) -> tuple[Finding, ...]:
        of_plans, of_others = [self._rows(c) for c in plans], [self._rows(c) for c in others]
        wrong_plans = {k: rows.wrong for k, rows in enumerate(of_plans) if rows.wrong is not None}
        planned = {c.plan.vehicle for c in plans}
        wrong_others = [rows.wrong for rows in of_others if rows.wrong is not None]
        mine = [c for k, c in enumerate(plans) if k not in wrong_plans]
        rest = [k for k, c in enumerate(others) if c.plan.vehicle not in planned and of_others[k].wrong is None]
        both = mine + [others[k] for k in rest]
        rows = [one for one in of_plans if one.wrong is None] + [of_others[k] for k in rest]
        batch = _batch(both, rows)
        names = [c.plan.vehicle for c in both]
        pairs = [(i, j) for i in range(len(mine)) for j in range(i + 1, len(both)) if names[i] != names[j]]
        limits = iter(self._by_plan(mine, batch))
        findings = [f for k in range(len(plans)) for f in ((wrong_plans[k],) if k in wrong_plans else next(limits))]
        return (*findings, *_duplicates(plans), *wrong_others, *self._sweep(both, batch, pairs, from_ms))

    def _make_rows(self, c: Commitment) -> _Rows:
        wrong = self._unusable(c.body, c.plan)
        if wrong is not None:
            return _Rows(wrong)
        course, ground, limits = self._course(c.plan), self._grounds[c.plan.path_id], c.body.limits
        outline = Outline.of(c.body, ground)
        return _Rows(
            None,
            self._index[c.plan.path_id],
            _table(course.pieces, 4),
            _table([(start, dt, a, float(stands)) for start, dt, a, stands in course.segments], 4),
            (outline.front_m, outline.back_m, outline.half_m, gone_s(course, ground, c.body)),
            (limits.speed_mps_max, limits.accel_mps2_max, limits.brake_mps2_max, limits.lateral_accel_mps2_max,
             limits.jerk_mps3_max, check_limits.step_mps2_max(c.body)),
            (course.end_s, course.v_end_mps, course.reverse_mps, course.reverse_s, ground.length_m),
        )  # fmt: skip

    def _limits_of(self, plans: Sequence[Commitment], batch: _Batch) -> tuple[Finding, ...]:
        return tuple(f for found in self._by_plan(plans, batch) for f in found)

    def _by_plan(self, plans: Sequence[Commitment], batch: _Batch) -> list[tuple[Finding, ...]]:
        """Findings of each of ``plans``, which are the first commitments of ``batch``."""
        out = np.empty((len(plans), len(check_limits.LIMIT_KINDS), 3))
        _check.violations(
            len(plans), self._table, self._first, self._count, self._step, batch.path, batch.piece_at, batch.pieces,
            batch.segment_at, batch.segments, batch.motion, batch.course, out,
        )  # fmt: skip
        any_found = np.any(~np.isnan(out[:, :, 0]), axis=1).tolist()
        return [
            check_limits.findings_of(out[k], c.plan.vehicle, c.plan.t0_ms) if any_found[k] else ()
            for k, c in enumerate(plans)
        ]

    def _sweep(
        self, commitments: Sequence[Commitment], batch: _Batch, pairs: list[tuple[int, int]], from_ms: int
    ) -> list[Finding]:
        status, out = np.empty(len(pairs), dtype=np.int64), np.empty((len(pairs), 3))
        _check.sweep_pairs(
            np.array(pairs, dtype=np.int64).reshape(-1, 2), from_ms, self._table, self._first, self._count, self._step,
            batch.path, batch.t0_ms, batch.piece_at, batch.pieces, batch.body, status, out,
        )  # fmt: skip
        found = []
        for k in np.flatnonzero(status).tolist():
            i, j = pairs[k]
            time_s, value = float(out[k, 2] + out[k, 0]), float(out[k, 1])
            finding = _pair_finding(
                int(status[k]), commitments[i].plan.vehicle, commitments[j].plan.vehicle, time_s, value
            )
            found += [finding] if finding is not None else []
        return found


def _batch(commitments: Sequence[Commitment], rows: Sequence[_Rows]) -> _Batch:
    return _Batch(
        np.array([r.path for r in rows], dtype=np.int64),
        np.array([c.plan.t0_ms for c in commitments], dtype=np.int64),
        _offsets([len(r.pieces) for r in rows]),
        np.concatenate([_nothing(), *[r.pieces for r in rows]]),
        _offsets([len(r.segments) for r in rows]),
        np.concatenate([_nothing(), *[r.segments for r in rows]]),
        _table([r.body for r in rows], 4),
        _table([r.motion for r in rows], 6),
        _table([r.course for r in rows], 5),
    )


def _offsets(counts: list[int]) -> Ints:
    out = np.zeros(len(counts) + 1, dtype=np.int64)
    np.cumsum(counts, out=out[1:])
    return out


def _table(rows: Sequence[tuple[float, ...]], width: int) -> Floats:
    return np.fromiter(chain.from_iterable(rows), np.float64, width * len(rows)).reshape(-1, width)
