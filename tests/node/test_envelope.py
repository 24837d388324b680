"""The first clamp, and that the two clamps agree although they share nothing."""

from __future__ import annotations

import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fleet.node.envelope import Envelope
from hardware.base import Applied, Command
from hardware.limits import clamp
from hardware.vehicle import load_vehicle

CAR = load_vehicle("car")
wild = st.floats(-1e6, 1e6) | st.sampled_from([math.nan, math.inf, -math.inf, 0.0])


@settings(max_examples=200, deadline=None, derandomize=True)
@given(st.lists(st.tuples(st.integers(1, 300), st.floats(0.0, 45.0), wild, wild), min_size=1, max_size=20))
def test_whatever_is_asked_the_gate_finds_nothing_to_limit(asked: list[tuple[int, float, float, float]]) -> None:
    envelope, last, now_ms = Envelope(CAR), Applied(0.0, 0.0, ()), 0
    envelope.bound(0.0, 0.0, 0.0, 0.0)
    for elapsed_ms, speed, steer, accel in asked:
        now_ms += elapsed_ms
        found = envelope.bound(now_ms * 1e-3, speed, steer, accel)
        dt_s = min(0.2, elapsed_ms * 1e-3)
        answer = clamp(Command(0, *found), CAR, last, dt_s + 1e-9, speed)
        # A steering that a lower speed allowed may still be on its way back at the rate of the actuator.
        assert set(answer.limited_by) <= {"lateral_accel", "steer_rate"}
        assert answer.accel_mps2 == found[1]
        assert abs(found[0]) <= CAR.limits.steer_rad_max
        last = Applied(*found, ())


@pytest.mark.parametrize(
    ("speed", "steer", "accel", "want"),
    [
        (10.0, 0.0, 99.0, (0.0, 3.0)),  # jerk: 15 m/s3 for 0.2 s at the first call
        (10.0, 0.0, -99.0, (0.0, -7.0)),
        (36.0, 0.0, 1.0, (0.0, 0.0)),
        (0.0, 9.0, 0.0, (0.6, 0.0)),
        (10.0, math.nan, 1.0, (0.0, -7.0)),
    ],
)
def test_each_limit(speed: float, steer: float, accel: float, want: tuple[float, float]) -> None:
    assert Envelope(CAR).bound(1.0, speed, steer, accel) == pytest.approx(want)


def test_lateral_acceleration_and_steering_rate() -> None:
    envelope = Envelope(CAR)
    steer, _ = envelope.bound(0.0, 20.0, 0.5, 0.0)
    assert 400.0 * math.tan(steer) / CAR.body.wheelbase_m == pytest.approx(1.5 * CAR.limits.lateral_accel_mps2_max)
    turned, _ = envelope.bound(0.05, 1.0, 0.6, 0.0)
    assert turned - steer == pytest.approx(0.05 * CAR.limits.steer_rate_radps_max)
