"""``fleet hil``: the checks on a bench, whatever the bench is. Cases in, outcomes with figures out.

Latency distributions, jitter, emergency stop, dead man, brakes, the conformance suite, the failsafe table with
its triggers in every phase, agreement of two nodes, evidence. A case that this bench cannot show is *skipped*
with the reason, never passed; a bench that is not there skips everything. On a real vehicle nothing runs unless
the bench interlock is closed, and it is asked again before every case.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from fleet.errors import HardwareError
from hardware.bench import Bench
from hardware.conformance import Case as Conformance
from hardware.conformance import ConformanceError, NotPossible, pace
from hardware.conformance_cases import CASES
from hardware.failsafe import TABLE, Phase
from hardware.gate import EMERGENCY_NS, STALE_NS
from hardware.preflight import BRAKE_SHARE_MIN

AGREEING = 2
TESTS = {"estop": ("latency", "emergency stop to actuator"), "brake": ("brakes", "deceleration of an emergency stop")}
"""Preflight's records -> the cases that are such a test."""


@dataclass(frozen=True, slots=True)
class Suite:
    """How much of it. Numbers of ``full`` are those of the design; ``smoke`` takes under 3 minutes on any bench."""

    name: str
    latencies: int
    intervals: int
    stops: int
    every_cause: bool
    """Else the first cause of each row."""


SUITES = {one.name: one for one in (Suite("smoke", 1_000, 400, 20, False), Suite("full", 10_000, 10_000, 200, True))}


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of one case; ``status`` is passed, failed, skipped or error."""

    group: str
    name: str
    status: str
    text: str = ""
    figures: Mapping[str, float] = field(default_factory=dict)
    seconds: float = 0.0


@dataclass(frozen=True, slots=True)
class _Case:
    group: str
    name: str
    run: Callable[[], Mapping[str, float]]


def spread(samples: Sequence[float], unit: float = 1e3) -> dict[str, float]:
    """Count, median, 99th percentile and maximum, in ms by default."""
    ranked = sorted(samples)
    half, most = (ranked[math.ceil(share * len(ranked)) - 1] * unit for share in (0.5, 0.99))
    return {"count": len(ranked), "p50_ms": half, "p99_ms": most, "max_ms": ranked[-1] * unit}


def case_names(bench: Bench, suite: Suite, word: str = "") -> list[str]:
    return [f"{case.group}: {case.name}" for case in _cases(bench, suite, word)]


def run_suite(bench: Bench, suite: Suite, clock: Callable[[], float], word: str = "") -> Iterator[Outcome]:
    """Run every case with ``word`` in its name; ``clock`` gives seconds. Whatever happens, the bench is closed.

    Raises
    ------
    HardwareError
        A real vehicle whose bench interlock is open.
    """
    cases = _cases(bench, suite, word)
    if bench.info.missing:
        yield from (Outcome(case.group, case.name, "skipped", bench.info.missing) for case in cases)
        return
    try:
        if bench.info.real and not bench.interlock():
            raise HardwareError(
                f"bench {bench.info.name}: the interlock is open; close it (wheels free, area roped off, a hand on "
                "the button) or test against a simulated vehicle"
            )
        for case in cases:
            if bench.info.real and not bench.interlock():
                yield Outcome(case.group, case.name, "error", "the bench interlock was opened")
                continue
            begun = clock()
            yield _outcome(case, clock, begun)
    finally:
        bench.close()


def _outcome(case: _Case, clock: Callable[[], float], begun: float) -> Outcome:
    try:
        figures = case.run()
    except NotPossible as reason:
        return Outcome(case.group, case.name, "skipped", str(reason), {}, clock() - begun)
    except _Wrong as wrong:
        return Outcome(case.group, case.name, "failed", str(wrong), wrong.figures, clock() - begun)
    except ConformanceError as wrong:
        return Outcome(case.group, case.name, "failed", str(wrong), {}, clock() - begun)
    except Exception as error:  # noqa: BLE001 - a bench that breaks is an error of one case, and the rest goes on
        return Outcome(case.group, case.name, "error", f"{type(error).__name__}: {error}", {}, clock() - begun)
    return Outcome(case.group, case.name, "passed", "", figures, clock() - begun)


class _Wrong(Exception):  # noqa: N818 - an outcome
    def __init__(self, text: str, figures: Mapping[str, float]) -> None:
        super().__init__(text)
        self.figures = figures


def _cases(bench: Bench, suite: Suite, word: str) -> list[_Case]:
    found = [_Case("conformance", case.name, _conformance(bench, case)) for case in CASES]
    found += [
        _Case("latency", "command to actuator", lambda: _latency(bench, suite.latencies)),
        _Case("latency", "jitter of the control loop", lambda: _jitter(bench, suite.intervals)),
        _Case("latency", "emergency stop to actuator", lambda: _estop(bench, suite.stops)),
        _Case("latency", "dead man", lambda: _deadman(bench, suite.stops)),
        _Case("brakes", "deceleration of an emergency stop", lambda: _brakes(bench)),
    ]
    for row in TABLE:
        for cause in row.causes if suite.every_cause else row.causes[:1]:
            found += [_Case("failsafe", f"{cause} while {phase.value}", _trial(bench, cause, phase)) for phase in Phase]
    found += [
        _Case("agreement", f"{AGREEING} nodes cross by agreement", lambda: _agreement(bench)),
        _Case("evidence", "what the bench leaves behind can be checked", lambda: _evidence(bench)),
    ]
    return [case for case in found if word in f"{case.group}: {case.name}"]


def _conformance(bench: Bench, case: Conformance) -> Callable[[], Mapping[str, float]]:
    def run() -> Mapping[str, float]:
        case.run(bench.rig)
        return {}

    return run


def _trial(bench: Bench, cause: str, phase: Phase) -> Callable[[], Mapping[str, float]]:
    def run() -> Mapping[str, float]:
        found = bench.trial(cause, phase)
        if found is None:
            raise NotPossible(f"{cause} cannot be brought about on the bench {bench.info.name}")
        figures = {} if found.latency_s is None else {"latency_ms": found.latency_s * 1e3}
        if not found.reached:
            raise HardwareError(found.effect)
        if found.effect:
            raise _Wrong(found.effect, figures)
        return figures

    return run


def _latency(bench: Bench, count: int) -> Mapping[str, float]:
    return _below(spread(bench.latency_s(count)), "p99_ms", bench.info.output_latency_s * 1e3)


def _jitter(bench: Bench, count: int) -> Mapping[str, float]:
    period_s = bench.tick_period_s
    late = [abs(interval - period_s) for interval in bench.tick_intervals_s(count)]
    return _below(spread(late), "p99_ms", 0.5e3 * period_s)


def _estop(bench: Bench, count: int) -> Mapping[str, float]:
    return _below(spread(bench.estop_latency_s(count)), "max_ms", bench.info.output_latency_s * 1e3)


def _deadman(bench: Bench, count: int) -> Mapping[str, float]:
    samples = bench.deadman_s(count)
    limit_s = STALE_NS * 1e-9 + bench.tick_period_s + bench.info.output_latency_s
    figures = _below(spread(samples), "max_ms", limit_s * 1e3)
    if min(samples) < 0.5 * STALE_NS * 1e-9:
        raise _Wrong(f"braked after {min(samples):.3f} s already: not by silence", figures)
    return figures


def _brakes(bench: Bench) -> Mapping[str, float]:
    """The slope of the speed once the brakes have built up; the way to standstill is told beside it."""
    vehicle = bench.vehicle
    samples: list[tuple[float, float]] = []
    with bench.rig(pace(vehicle, 0.4)) as rig:
        rig.start()
        rig.send(0.0, ticks=5)
        speed, x, y = rig.speed, rig.state.x_m, rig.state.y_m
        rig.vehicle.estop("brake test")
        bound_s = EMERGENCY_NS * 1e-9 + rig.stop_time_s(0.5 * vehicle.limits.brake_mps2_max)
        end_ns = rig.now_ns + (bound_s + rig.lag_s) * 1e9
        while not rig.stands and rig.now_ns < end_ns:
            rig.tick()
            samples.append((rig.state.stamp_ns * 1e-9, rig.speed))
        way_m = math.hypot(rig.state.x_m - x, rig.state.y_m - y)
    steady = [(at, v) for at, v in samples if 0.15 * speed <= v <= 0.85 * speed]
    if len(steady) < 2:
        raise _Wrong("it hardly braked, or too briefly to measure", {"speed_mps": speed, "way_m": way_m})
    brake = (steady[0][1] - steady[-1][1]) / (steady[-1][0] - steady[0][0])
    figures = {"speed_mps": speed, "way_m": way_m, "brake_mps2": brake}
    least = BRAKE_SHARE_MIN * vehicle.limits.brake_mps2_max
    if brake < least:
        raise _Wrong(f"{brake:.2f} m/s2, at least {least:.2f} wanted", figures)
    return figures


def _agreement(bench: Bench) -> Mapping[str, float]:
    figures = dict(bench.agree(AGREEING))
    if figures.get("contacts", 1.0) or figures.get("crossed", 0.0) < AGREEING:
        raise _Wrong(f"{figures.get('crossed', 0):.0f} crossed, {figures.get('contacts', 1):.0f} contacts", figures)
    return figures


def _evidence(bench: Bench) -> Mapping[str, float]:
    files = bench.evidence()
    if not files:
        raise NotPossible(f"the bench {bench.info.name} leaves no evidence")
    return dict.fromkeys(files, 1.0)


def _below(figures: dict[str, float], name: str, limit: float) -> dict[str, float]:
    if figures[name] > limit:
        raise _Wrong(f"{name} {figures[name]:.2f}, limit {limit:.2f}", figures)
    return {**figures, "limit_ms": limit}
