"""The mechanism of a scenario decides on the vehicles, and its accounts can be checked from the run's files alone."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from fleet.cli.main import run
from sim.decision_log import read_decisions
from sim.run_folder import KARMA, RunFolder

SCENARIO = """\
name: urgent
map: {{builtin: four_way, arm_m: 80}}
demand:
  vehicles:
    - {{id: n, approach: N, movement: straight}}
    - {{id: e, approach: E, movement: straight, arrival_s: 0.3}}
    - {{id: s, approach: S, movement: left, arrival_s: 0.6}}
    - {{id: w, approach: W, movement: straight, arrival_s: 0.9}}
world: {world}
planner: {planner}
mechanism: {mechanism}
urgency: [{{vehicle: w, evidence: {evidence}}}]
attackers: [{attackers}]
seed: 3
duration_s_max: 90
expectations: {{contacts: 0, finished: all}}
"""


def drive(folder: Path, mechanism: str, **changes: str) -> dict[str, float]:
    """Delays of a run by vehicle; it must end well."""
    words = {"world": "kinematic", "planner": "first_come", "evidence": "none", "attackers": ""} | changes
    file = folder / "s.yaml"
    file.write_text(SCENARIO.format(mechanism=mechanism, **words), encoding="utf-8")
    out = folder / "run"
    assert run(["run", str(file), "--out", str(out), "--no-mcap", "--quiet"]) == 0
    return {one.id: one.delay_s or 0.0 for one in RunFolder.load(out).vehicles}


def kinds(folder: Path) -> dict[str, list[dict[str, object]]]:
    found: dict[str, list[dict[str, object]]] = {}
    for record in read_decisions(folder / "run"):
        found.setdefault(record.kind, []).append({"node": record.node, **record.detail})
    return found


def test_an_urgent_vehicle_goes_sooner_pays_for_it_and_the_accounts_check_out(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    plain, karma = tmp_path / "plain", tmp_path / "karma"
    plain.mkdir()
    karma.mkdir()
    before = drive(plain, "lottery", planner="first_come")
    after = drive(karma, "karma")
    assert after["w"] <= min(before["w"], min(after[name] for name in "nes")) + 0.5
    noted = kinds(karma)
    assert {"claim", "settlement", "accounts_open", "accounts_close"} <= noted.keys()
    assert "mechanism_fallback" not in noted
    assert all(entry["node"] != entry["payee"] for entry in noted["settlement"])
    metrics = {row["name"]: row["value"] for row in json.loads((karma / "run" / "metrics.json").read_text())}
    assert metrics["karma_drift"] == 0
    assert metrics["settlements"] == len(noted["settlement"])
    assert metrics["urgency_weighted_delay_s"] is not None
    assert json.loads((karma / "run" / "run.json").read_text())["mechanism"] == "karma"

    capsys.readouterr()
    assert run(["mechanism", "accounts", str(karma / "run")]) == 0
    file = karma / "run" / KARMA
    file.write_text(file.read_text().replace('"units":', '"units":1'), encoding="utf-8")
    assert run(["mechanism", "accounts", str(file)]) == 3
    assert "FAULT" in capsys.readouterr().out
    file.write_text("{}\n", encoding="utf-8")
    assert run(["mechanism", "accounts", str(file)]) == 2


def test_an_emergency_credential_is_noted_and_goes_first(tmp_path: Path) -> None:
    late = drive(tmp_path, "emergency_only", evidence="emergency")
    assert late["w"] <= min(late.values()) + 0.5
    claims = {str(entry["node"]): entry for entry in kinds(tmp_path)["claim"]}
    assert claims["w"]["evidence"] == "emergency"
    assert claims["n"]["evidence"] == "none"


@pytest.mark.soak
@pytest.mark.parametrize("world", ["kinematic", "bullet"])
@pytest.mark.parametrize("mechanism", ["emergency_only", "karma", "vcg", "lottery", "max_pressure", "stated"])
def test_every_mechanism_runs_in_both_worlds_with_every_attack_and_without_contact(
    tmp_path: Path, world: str, mechanism: str
) -> None:
    attackers = (
        "{kind: overbidder, vehicle: n}, {kind: whitewasher, vehicle: e}, {kind: late_arrival_liar, vehicle: s}"
    )
    drive(tmp_path, mechanism, world=world, planner="welfare", attackers=attackers)
    roles = {one.id: one.role for one in RunFolder.load(tmp_path / "run").vehicles}
    assert roles == {"n": "overbidder", "e": "whitewasher", "s": "late_arrival_liar", "w": "honest"}


@pytest.mark.parametrize(
    ("text", "error"),
    [
        ("planner: tile_reservation", "mechanism: karma needs a planner whose order it can decide"),
        ("attackers: [{kind: overbidder, vehicle: nobody}]", "attackers[0].vehicle: no vehicle 'nobody'"),
        ("urgency: [{vehicle: nobody}]", "urgency[0].vehicle: no vehicle 'nobody'"),
    ],
)
def test_what_does_not_fit_together_is_refused(
    tmp_path: Path, text: str, error: str, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "s.yaml"
    head = "name: x\nmap: {builtin: four_way}\ndemand: {count: 2}\nworld: kinematic\nmechanism: karma\n"
    file.write_text(head + text + "\n", encoding="utf-8")
    assert run(["run", str(file), "--out", str(tmp_path / "run"), "--quiet"]) == 2
    assert error in capsys.readouterr().err
