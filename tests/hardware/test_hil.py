"""``fleet hil``: what fails is failed, what cannot be shown is skipped, and real hardware needs its interlock."""

from __future__ import annotations

import json
from pathlib import Path
from xml.etree import ElementTree

import pytest

from fleet.cli import hil, main
from fleet.errors import HardwareError
from hardware.bench import AbsentBench, BenchInfo
from hardware.failsafe import TABLE, Phase
from hardware.hil import SUITES, Suite, case_names, run_suite, spread
from hardware.mock import FaultSwitches
from hardware.vehicle import load_vehicle
from sim.hil.bench import VirtualBench

CAR = load_vehicle("car")
QUICK = Suite("quick", 50, 10, 2, False)


def bench(**info: object) -> VirtualBench:
    found = VirtualBench(CAR, "mock")
    found.info = BenchInfo(name="mock", **info)  # type: ignore[arg-type]
    return found


def run(on: VirtualBench | AbsentBench, word: str) -> dict[str, str]:
    return {one.name: one.status for one in run_suite(on, QUICK, lambda: 0.0, word)}


def test_the_suites_have_the_numbers_of_the_design() -> None:
    full = SUITES["full"]
    assert full.latencies >= 10_000 and full.stops >= 200 and full.every_cause
    names = case_names(bench(), full)
    assert sum(name.startswith("failsafe") for name in names) == len(Phase) * sum(len(row.causes) for row in TABLE)


@pytest.mark.parametrize("word", ["latency", "brakes", "agreement", "evidence", "failsafe: clock", "conformance"])
def test_the_mock_passes(word: str) -> None:
    found = run(bench(), word)
    assert found and set(found.values()) == {"passed"}


def test_the_kinematic_world_passes_but_for_what_it_cannot_show() -> None:
    found = VirtualBench(CAR, "sim")
    for word in ("brakes", "failsafe: estop", "conformance: silence", "agreement"):
        assert set(run(found, word).values()) == {"passed"}
    assert set(run(found, "failsafe: tracking").values()) == {"skipped"}


def test_a_vehicle_with_weak_brakes_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    real = FaultSwitches.reaches
    monkeypatch.setattr(
        FaultSwitches, "reaches", lambda self, driven, steer: (real(self, driven, steer)[0], 0.8 * driven.accel_mps2)
    )  # fmt: skip
    assert run(bench(), "brakes: ") == {"deceleration of an emergency stop": "failed"}


def test_a_real_vehicle_is_refused_while_the_interlock_is_open() -> None:
    real, closed = bench(real=True), []
    real.interlock = lambda: False  # type: ignore[method-assign]
    real.close = lambda: closed.append(True)  # type: ignore[method-assign,func-returns-value]
    with pytest.raises(HardwareError, match="interlock is open"):
        run(real, "brakes")
    assert closed == [True]


def test_an_interlock_opened_in_between_ends_it_as_an_error() -> None:
    real, asked = bench(real=True), []

    def interlock() -> bool:
        asked.append(True)
        return len(asked) < 4

    real.interlock = interlock  # type: ignore[method-assign]
    found = list(run(real, "conformance").values())
    assert found[:2] == ["passed", "passed"] and set(found[2:]) == {"error"}


def test_a_bench_that_is_not_there_skips_everything_and_passes_nothing(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(hil.BENCHES, "bridge", ("no_such_middleware.bench", "make", ""))
    xml = tmp_path / "out.xml"
    assert main.run(["hil", "car", "--bench", "bridge", "--junit", str(xml), "--quiet"]) == 3
    out = capsys.readouterr().out
    assert "skipped" in out and "pip install 'accord-fleet[ros]'" in out and "passed" not in out
    suite = ElementTree.parse(xml).getroot()
    assert suite.get("skipped") == suite.get("tests") and suite.get("failures") == "0"
    reasons = [skip.get("message", "") for skip in suite.iter("skipped")]
    assert len(reasons) == int(suite.get("tests", 0)) and all("install" in reason for reason in reasons)


def test_the_command_writes_junit_and_a_capability_report(tmp_path: Path) -> None:
    xml, report = tmp_path / "out" / "o.xml", tmp_path / "out" / "o.json"
    args = ["hil", "car", "--bench", "mock", "--only", "emergency stop", "--quiet"]
    assert main.run([*args, "--junit", str(xml), "--report", str(report)]) == 0
    suite = ElementTree.parse(xml).getroot()
    names = {prop.get("name") for prop in suite.iter("property")}
    assert {"vehicle", "bench", "config_digest", "real"} <= names
    assert all(case.find("system-out") is not None for case in suite if "latency" in case.get("classname", ""))
    found = json.loads(report.read_text())
    assert found["counts"]["failed"] == 0 and found["bench"] == "mock" and found["real"] is False
    case = next(case for case in found["cases"] if case["group"] == "latency")
    assert {"count", "p50_ms", "p99_ms", "max_ms", "limit_ms"} <= case["figures"].keys()
    assert main.run(["hil", "car", "--bench", "mock", "--set", "x"]) == 2
    assert main.run(["hil", "no_such_car", "--bench", "mock"]) == 2


def test_the_spread_of_samples() -> None:
    assert spread([0.001 * k for k in range(1, 101)]) == pytest.approx(
        {"count": 100, "p50_ms": 50.0, "p99_ms": 99.0, "max_ms": 100.0}
    )  # fmt: skip
    assert spread([0.004]) == pytest.approx({"count": 1, "p50_ms": 4.0, "p99_ms": 4.0, "max_ms": 4.0})
