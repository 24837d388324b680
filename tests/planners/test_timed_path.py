"""TimedPath: one value, one sequence of bytes; positions follow from the integers alone."""

from __future__ import annotations

from contextlib import suppress

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fleet.errors import PlanError
from planners.timed_path import DURATION_MS_MAX, SEGMENT_COUNT_MAX, TimedPath

names = st.text(max_size=40)
segments = st.lists(st.tuples(st.integers(1, 9000), st.integers(-9000, 9000)), max_size=SEGMENT_COUNT_MAX)
plans = st.builds(
    TimedPath, names, names, st.integers(0, 2**40 - 1), st.integers(-(2**38), 2**38), st.integers(0, 10**6),
    segments.map(tuple),
)  # fmt: skip
USUAL = TimedPath(
    "car07", "N_straight", 125_300, 41_250, 11_840,
    ((1500, 0), (379, -1348), (1010, -2700), (379, -1349), (4100, 0), (379, 1299), (1040, 2600), (12_000, 0)),
)  # fmt: skip


@given(plans)
def test_bytes_say_the_plan_and_nothing_else(plan: TimedPath) -> None:
    raw = plan.encode()
    assert TimedPath.decode(raw) == plan
    assert TimedPath.decode(raw).encode() == raw


def test_a_usual_plan_is_small() -> None:
    assert len(USUAL.encode()) <= 60


@given(plans, st.integers(0, 400), st.integers(1, 255))
def test_no_other_bytes_decode_to_the_same_plan(plan: TimedPath, at: int, flip: int) -> None:
    raw = bytearray(plan.encode())
    raw[at % len(raw)] ^= flip
    with suppress(PlanError):
        assert TimedPath.decode(bytes(raw)) != plan


@pytest.mark.parametrize("cut", range(len(USUAL.encode())))
def test_truncated_bytes_are_refused(cut: int) -> None:
    with pytest.raises(PlanError):
        TimedPath.decode(USUAL.encode()[:cut])


def test_malformed_bytes_are_refused_with_the_reason() -> None:
    raw = USUAL.encode()
    with pytest.raises(PlanError, match="1 bytes too many"):
        TimedPath.decode(raw + b"\0")
    with pytest.raises(PlanError, match="version 2"):
        TimedPath.decode(b"\2" + raw[1:])
    with pytest.raises(PlanError, match="shortest form"):
        TimedPath.decode(b"\1\x80\0" + raw[2:])
    long = TimedPath("a", "b", 0, 0, 0, ((1, 0),) * (SEGMENT_COUNT_MAX + 1))
    with pytest.raises(PlanError, match="65 segments"):
        TimedPath.decode(long.encode())
    slow = TimedPath("a", "b", 0, 0, 0, ((DURATION_MS_MAX + 1, 0),))
    with pytest.raises(PlanError, match="longer"):
        TimedPath.decode(slow.encode())


def test_values_that_do_not_fit_are_refused() -> None:
    with pytest.raises(PlanError, match="outside"):
        TimedPath("a", "b", -1, 0, 0, ()).encode()
    with pytest.raises(PlanError, match="outside"):
        TimedPath("a", "b", 0, 0, 2**40, ()).encode()


@settings(max_examples=50)
@given(st.integers(0, 20_000), st.lists(st.tuples(st.integers(1, 3000), st.integers(-4500, 2600)), max_size=12))
def test_knots_follow_from_integration(v0: int, parts: list[tuple[int, int]]) -> None:
    plan = TimedPath("a", "b", 5000, 1000, v0, tuple(parts))
    arrays = plan.arrays()
    assert len(arrays.t_s) == len(parts) + 1
    assert arrays.t_s[-1] == pytest.approx(plan.end_ms * 1e-3)
    assert (arrays.v_mps >= 0.0).all()
    for k, (dt_ms, a_mmps2) in enumerate(parts):
        v, dt = arrays.v_mps[k], dt_ms * 1e-3
        fine = np.linspace(0.0, dt, 200)
        speeds = v + a_mmps2 * 1e-3 * fine
        assert arrays.s_m[k + 1] - arrays.s_m[k] == pytest.approx(0.5 * (speeds[0] + speeds[-1]) * dt, abs=1e-9)
        middle = arrays.at(arrays.t_s[k] + 0.5 * dt)
        assert middle[1] == pytest.approx(max(0.0, v + 0.5 * a_mmps2 * 1e-3 * dt))


def test_constant_speed_is_assumed_outside_the_plan() -> None:
    arrays = TimedPath("a", "b", 1000, 0, 2000, ((1000, 1000),)).arrays()
    assert arrays.at(0.0) == (-2.0, 2.0, 0.0)
    assert arrays.at(3.0) == (2.5 + 3.0, 3.0, 0.0)
