"""Preflight: the checks that must all pass before a vehicle may move. Data, and one judgement over facts.

A fact that is not known fails its check: nobody drives on a guess. Facts are gathered elsewhere (the command
line, the ROS 2 backend); this module only judges, and the guard lets nothing out while a check fails.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, fields

from hardware.limits import STANDSTILL_MPS
from hardware.monitor import BATTERY_MIN, CLOCK_ERROR_S_MAX, TEMPERATURE_C_MAX
from hardware.vehicle import Vehicle

DAY_S = 86_400.0
KEY_LEFT_S_MIN = 3_600.0
"""A key must count for at least so long: nobody's certificate should end in the middle of a drive."""
ECHO_RAD_MAX = 0.03
BRAKE_SHARE_MIN = 0.9
"""Of the guaranteed deceleration; contingencies count on 0.8 of it."""
STATE_AGE_S_MAX = 0.1


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """What is known of a vehicle now; None: unknown."""

    clock_error_s: float | None = None
    position_std_m: float | None = None
    yaw_std_rad: float | None = None
    state_age_s: float | None = None
    estop_released: bool | None = None
    estop_test_age_s: float | None = None
    """Since the whole emergency stop loop was tested last with success."""
    brake_test_age_s: float | None = None
    brake_test_mps2: float | None = None
    echo_error_rad: float | None = None
    """Between the steering that was asked for at standstill and the measured one."""
    battery: float | None = None
    temperature_c: float | None = None
    firmware: str | None = None
    firmware_expected: str | None = None
    config_digest: str | None = None
    config_digest_expected: str | None = None
    key_left_s: float | None = None
    """For how long the vehicle's own certificate still counts; negative: over or revoked."""
    charter_id: str | None = None
    charter_id_expected: str | None = None
    peers_heard: int | None = None
    peers_expected: int | None = None
    supervisor_up: bool | None = None
    speed_mps: float | None = None
    manual: bool | None = None


@dataclass(frozen=True, slots=True)
class Check:
    """One line of the preflight.

    Attributes
    ----------
    value : callable
        From facts to what is judged; None: unknown.
    fits : callable
        Whether a known value passes, for this vehicle.
    limit : callable
        What would pass, for people.
    todo : str
        What to do about a failure.
    """

    name: str
    title: str
    value: Callable[[Facts], object]
    fits: Callable[[Facts, Vehicle], bool]
    limit: Callable[[Facts, Vehicle], str]
    todo: str


@dataclass(frozen=True, slots=True)
class Result:
    name: str
    title: str
    passed: bool
    value: str
    limit: str
    todo: str


def _least(value: float | None) -> float:
    return -1.0 if value is None else value


def _most(value: float | None) -> float:
    return float("inf") if value is None else value


def _same(found: object, expected: object) -> bool:
    return expected is not None and found == expected


def std_m_max(vehicle: Vehicle) -> float:
    """Position uncertainty with which the error budget still holds: half of its lateral part."""
    return 0.5 * vehicle.tracking.lateral_m


CHECKS: tuple[Check, ...] = (
    Check("clock", "clock synchronised", lambda f: f.clock_error_s,
          lambda f, v: 0.0 <= _most(f.clock_error_s) <= CLOCK_ERROR_S_MAX,
          lambda f, v: f"error at most {CLOCK_ERROR_S_MAX * 1e3:.0f} ms", "start chrony or ptp4l and wait for it"),
    Check("localisation", "localisation certain", lambda f: f.position_std_m,
          lambda f, v: 0.0 <= _most(f.position_std_m) <= std_m_max(v),
          lambda f, v: f"std at most {std_m_max(v):.3f} m", "wait for the localisation, or move to where it works"),
    Check("state", "state fresh", lambda f: f.state_age_s,
          lambda f, v: 0.0 <= _most(f.state_age_s) <= STATE_AGE_S_MAX,
          lambda f, v: f"at most {STATE_AGE_S_MAX:g} s old", "see whether odometry is published"),
    Check("estop_released", "emergency stop released", lambda f: f.estop_released,
          lambda f, v: f.estop_released is True, lambda f, v: "released", "let the input go and reset"),
    Check("estop_test", "emergency stop loop tested", lambda f: f.estop_test_age_s,
          lambda f, v: 0.0 <= _most(f.estop_test_age_s) <= DAY_S, lambda f, v: "within 24 h",
          "fleet hil VEHICLE --suite smoke --state DIR, on the bench"),
    Check("brake_test", "brakes tested", lambda f: f.brake_test_mps2,
          lambda f, v: 0.0 <= _most(f.brake_test_age_s) <= DAY_S
          and _least(f.brake_test_mps2) >= BRAKE_SHARE_MIN * v.limits.brake_mps2_max,
          lambda f, v: f"{BRAKE_SHARE_MIN * v.limits.brake_mps2_max:.2f} m/s2 within 24 h",
          "fleet hil VEHICLE --suite smoke --state DIR, on the bench"),
    Check("echo", "steering follows", lambda f: f.echo_error_rad,
          lambda f, v: abs(_most(f.echo_error_rad)) <= ECHO_RAD_MAX,
          lambda f, v: f"within {ECHO_RAD_MAX:g} rad", "see whether the steering is powered and calibrated"),
    Check("battery", "battery", lambda f: f.battery, lambda f, v: _least(f.battery) >= 2.0 * BATTERY_MIN,
          lambda f, v: f"at least {2.0 * BATTERY_MIN:.0%}", "charge it"),
    Check("temperature", "temperature", lambda f: f.temperature_c,
          lambda f, v: _most(f.temperature_c) <= TEMPERATURE_C_MAX - 10.0,
          lambda f, v: f"at most {TEMPERATURE_C_MAX - 10.0:.0f} C", "let it cool"),
    Check("firmware", "firmware is the accepted one", lambda f: f.firmware,
          lambda f, v: _same(f.firmware, f.firmware_expected),
          lambda f, v: f.firmware_expected or "accepted by nobody yet", "fleet preflight VEHICLE --accept NAME"),
    Check("config", "configuration is the accepted one", lambda f: f.config_digest,
          lambda f, v: _same(f.config_digest, f.config_digest_expected),
          lambda f, v: f.config_digest_expected or "accepted by nobody yet", "fleet preflight VEHICLE --accept NAME"),
    Check("key", "own key counts", lambda f: f.key_left_s, lambda f, v: _least(f.key_left_s) >= KEY_LEFT_S_MIN,
          lambda f, v: "for at least 1 h more", "fleet keys new, then fleet keys enrol"),
    Check("charter", "charter known", lambda f: f.charter_id,
          lambda f, v: _same(f.charter_id, f.charter_id_expected),
          lambda f, v: f.charter_id_expected or "unknown", "install the fleet's charter"),
    Check("peers", "peers heard", lambda f: f.peers_heard,
          lambda f, v: f.peers_heard is not None and f.peers_heard >= _most(f.peers_expected),
          lambda f, v: f"at least {f.peers_expected}", "start the others; --peers 0 for a vehicle on its own"),
    Check("supervisor", "supervisor up", lambda f: f.supervisor_up, lambda f, v: f.supervisor_up is True,
          lambda f, v: "up", "see its output"),
    Check("manual", "nobody has taken over", lambda f: f.manual, lambda f, v: f.manual is False,
          lambda f, v: "no", "hand back to autonomy"),
    Check("standstill", "vehicle stands", lambda f: f.speed_mps,
          lambda f, v: abs(_most(f.speed_mps)) <= STANDSTILL_MPS,
          lambda f, v: f"at most {STANDSTILL_MPS:g} m/s", "stop it"),
)  # fmt: skip


def judge(facts: Facts, vehicle: Vehicle) -> tuple[Result, ...]:
    """Every check, in order; one that cannot be known has failed."""
    found = []
    for check in CHECKS:
        value = check.value(facts)
        passed = value is not None and check.fits(facts, vehicle)
        limit = check.limit(facts, vehicle)
        found.append(Result(check.name, check.title, passed, _shown(value), limit, "" if passed else check.todo))
    return tuple(found)


def failed(results: tuple[Result, ...]) -> tuple[str, ...]:
    """Names of the checks that failed, for ``Guard.activate``."""
    return tuple(result.name for result in results if not result.passed)


def fact_names() -> tuple[str, ...]:
    return tuple(field.name for field in fields(Facts))


def _shown(value: object) -> str:
    if value is None:
        return "unknown"
    return f"{value:.4g}" if isinstance(value, float) else str(value)
