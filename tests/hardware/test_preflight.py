"""Preflight: every check can fail, and what is not known has failed."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from xml.etree import ElementTree

import pytest

from fleet.cli import main
from hardware.preflight import CHECKS, Facts, fact_names, failed, judge
from hardware.vehicle import load_vehicle

CAR = load_vehicle("car")
GOOD = Facts(
    clock_error_s=0.001, position_std_m=0.02, yaw_std_rad=0.002, state_age_s=0.02, estop_released=True,
    estop_test_age_s=3600.0, brake_test_age_s=3600.0, brake_test_mps2=6.8, echo_error_rad=0.001, battery=0.8,
    temperature_c=40.0, firmware="7.1", firmware_expected="7.1", config_digest="ab", config_digest_expected="ab",
    key_left_s=1e5, charter_id="c1", charter_id_expected="c1", peers_heard=2, peers_expected=1, supervisor_up=True,
    speed_mps=0.0, manual=False,
)  # fmt: skip
BAD = {
    "clock_error_s": 0.011, "position_std_m": 0.5, "state_age_s": 0.3, "estop_released": False,
    "estop_test_age_s": 90_000.0, "brake_test_age_s": 90_000.0, "brake_test_mps2": 5.0, "echo_error_rad": -0.2,
    "battery": 0.1, "temperature_c": 90.0, "firmware": "7.0", "firmware_expected": "8", "config_digest": "cd",
    "config_digest_expected": "ef", "key_left_s": 60.0, "charter_id": "c2", "charter_id_expected": "c3",
    "peers_heard": 0, "peers_expected": 3, "supervisor_up": False, "speed_mps": -0.4, "manual": True,
}  # fmt: skip
UNJUDGED = {"yaw_std_rad"}
"""Recorded only."""


def test_a_vehicle_with_everything_in_order_may_drive() -> None:
    assert failed(judge(GOOD, CAR)) == ()


@pytest.mark.parametrize("name", [name for name in fact_names() if name not in UNJUDGED])
def test_a_fact_that_is_unknown_or_bad_fails_a_check_and_says_what_to_do(name: str) -> None:
    for value in (None, BAD[name]):
        results = judge(dataclasses.replace(GOOD, **{name: value}), CAR)
        bad = [one for one in results if not one.passed]
        assert len(bad) == 1, f"{name} = {value}"
        assert bad[0].todo and bad[0].limit


def test_no_number_is_no_pass() -> None:
    nan = float("nan")
    numbers = {name: nan for name in fact_names() if isinstance(getattr(GOOD, name), float) and name not in UNJUDGED}
    found = failed(judge(dataclasses.replace(GOOD, **numbers), CAR))
    assert {"clock", "localisation", "state", "battery", "temperature", "key", "standstill", "echo"} <= set(found)


def test_nothing_known_is_nothing_passed() -> None:
    assert len(failed(judge(Facts(), CAR))) == len(CHECKS)


def test_the_command_from_an_empty_folder_to_may_drive(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:  # fmt: skip
    state, office = tmp_path / "v1", tmp_path / "office.key"
    check = ["preflight", "car", "--state", str(state), "--peers", "0"]
    assert main.run([*check, "--junit", str(tmp_path / "p.xml")]) == 3
    assert "must not move" in capsys.readouterr().out
    suite = ElementTree.parse(tmp_path / "p.xml").getroot()
    assert int(suite.get("failures", 0)) >= 5 and int(suite.get("tests", 0)) == len(CHECKS)
    for args in (
        ["keys", "new", str(office), "--owner", "office"],
        ["keys", "new", str(state / "key.json"), "--owner", "v1"],
        ["keys", "enrol", str(state / "key.json.request"), "--authority", str(office),
         "--register", str(state / "keys.json")],
        ["hil", "car", "--bench", "mock", "--only", "emergency stop", "--state", str(state), "--quiet"],
        [*check, "--accept", "anna"],
    ):  # fmt: skip
        assert main.run(args) == 0
    capsys.readouterr()
    assert main.run([*check, "--json"]) == 0
    report = json.loads(capsys.readouterr().out)
    assert report["passed"] and report["vehicle"] == "v1"
    assert main.run(["preflight", "bus", "--state", str(state), "--id", "v1", "--peers", "0"]) == 3
    assert "FAIL  configuration is the accepted one" in capsys.readouterr().out
    assert main.run(["preflight", "car", "--state", str(state), "--id", "v2", "--peers", "0"]) == 3
    assert "FAIL  own key counts" in capsys.readouterr().out
