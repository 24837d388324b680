"""A gridlock that really forms is found in time and ended; without the responses it stays."""

from __future__ import annotations

import json
from pathlib import Path

import msgspec
import pytest

from fleet.cli import main
from sim.crashes import Crash
from sim.decision_log import Decision, read_decisions
from sim.records import Summary
from sim.runner import RunOptions, run
from sim.scenario import load_scenario
from sim.trajectory_log import read_trajectories

BREAKER, CRASH_S = "v001", 13.0
pytestmark = pytest.mark.xdist_group("whole_runs")


def driven(out: Path, *, responses: bool, duration_s: float) -> tuple[Summary, list[Decision]]:
    scenario = load_scenario("four_way_insist")
    group = msgspec.structs.replace(scenario.group, responses=responses)
    scenario = msgspec.structs.replace(scenario, group=group, duration_s_max=duration_s)
    summary = run(scenario, out, RunOptions(out, progress=False, mcap=False))
    return summary, list(read_decisions(out))


def stood_still_s(out: Path, until_s: float) -> float:
    """When the last of all came to stand, by the true trajectories."""
    truth = read_trajectories(out)
    moving = (truth.t_s <= until_s) & (abs(truth.state[:, 3]) >= 0.1)
    return float(truth.t_s[moving].max())


def test_a_gridlock_is_found_within_two_seconds_and_resolved(tmp_path: Path) -> None:
    out = tmp_path / "on"
    summary, decisions = driven(out, responses=True, duration_s=60.0)
    alarms = [one for one in decisions if one.kind == "alarm"]
    assert [one.detail["finding"] for one in alarms] == ["gridlock"]
    assert alarms[0].detail["who"] == ["east", "north", "south", "west"]
    found_s = alarms[0].time_ms * 1e-3
    assert 0.0 < found_s - stood_still_s(out, found_s) <= 2.0
    assert [one.detail["response"] for one in decisions if one.kind == "response"] == ["first_come"]
    assert summary.status == 0 and not summary.failed, summary.failed
    assert not (out / "cases.jsonl").exists()
    assert "gridlock" in (out / "report.html").read_text()


def test_without_responses_the_same_gridlock_stays(tmp_path: Path) -> None:
    out = tmp_path / "off"
    summary, decisions = driven(out, responses=False, duration_s=40.0)
    values = {metric.name: metric.value for metric in summary.metrics}
    assert (values["finished"], values["contacts"]) == (0, 0)
    assert [one.detail["response"] for one in decisions if one.kind == "alarm"] == ["first_come", "call_person"]
    assert not [one for one in decisions if one.kind == "response"]
    assert stood_still_s(out, 40.0) < 20.0


def test_cases_for_a_person_are_kept_in_the_runs_folder(tmp_path: Path) -> None:
    from fleet.oversight.findings import CALL_PERSON, Finding
    from sim.group_watch import add_case

    finding = Finding("gridlock", ("a", "b"), 100, 1_900, 2_000, "ms", CALL_PERSON, "a -> b -> a")
    add_case(tmp_path, 1, 2_000, finding)
    add_case(tmp_path, 2, 3_000, finding)
    cases = [json.loads(line) for line in (tmp_path / "cases.jsonl").read_text().splitlines()]
    assert [(one["case"], one["time_ms"], one["status"]) for one in cases] == [(1, 2_000, "open"), (2, 3_000, "open")]


def test_a_body_whose_node_has_died_breaks_its_promise_and_one_witness_upholds_nothing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Its gate stops it in mid-plan, to which the others still hold it; one other vehicle was near."""
    scenario = load_scenario("four_way")
    faults = (Crash(vehicle=BREAKER, crash_s=CRASH_S),)
    demand = msgspec.structs.replace(scenario.demand, count=4)
    changes = {"world": "kinematic", "seed": 3, "faults": faults, "demand": demand, "duration_s_max": CRASH_S + 4.0,
               "group": msgspec.structs.replace(scenario.group, watch=True)}  # fmt: skip
    scenario = msgspec.structs.replace(scenario, **changes)
    out = tmp_path / "crash"
    run(scenario, out, RunOptions(out, progress=False, mcap=False))
    decisions = list(read_decisions(out))
    found = [one for one in decisions if one.kind == "alarm" and one.detail["finding"] == "breach"]
    assert [one.detail["who"] for one in found] == [[BREAKER]]
    assert 0.5 <= found[0].time_ms * 1e-3 - CRASH_S <= 2.1
    assert [one.detail["step"] for one in decisions if one.kind == "consequence"] == ["stake"]
    (case,) = (out / "evidence").glob("breach-*.json")
    assert main.run(["evidence", "verify", str(case), "--register", str(out / "evidence" / "keys.json")]) == 3
    assert f"attested: breach by {BREAKER}" in capsys.readouterr().out
