"""Fleets with different charters in whole runs: what they agree under, and what they do if nothing is common."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path

import pytest

from fleet.errors import CharterError, ConfigError
from sim.decision_log import Decision, read_decisions
from sim.scenario import SCENARIOS, load_scenario
from tests.sim.whole_runs import Outcome, drive, write_scenario

CHARTERS = SCENARIOS / "charters"


def charter_id(name: str) -> str:
    from fleet.node.charter_files import read_line

    return read_line(CHARTERS / f"{name}.json")[0].charter.charter_id().hex()


def records(run: Outcome, *kinds: str) -> list[Decision]:
    return [record for record in read_decisions(run.out) if record.kind in kinds]


def test_the_charters_that_ship_are_one_line_and_a_stranger() -> None:
    from fleet.node.charter_files import read_line

    lines = {name: read_line(CHARTERS / f"{name}.json") for name in ("base", "north", "south", "stranger")}
    assert lines["north"][1] == lines["south"][1] == lines["base"][0]
    assert len(lines["stranger"]) == 1
    assert lines["stranger"] != lines["base"]


@pytest.fixture(scope="module")
def two(tmp_path_factory: pytest.TempPathFactory) -> Outcome:
    return drive("two_fleets", tmp_path_factory.mktemp("two") / "out", world="kinematic")


def test_with_a_common_ancestor_both_fleets_agree_under_it_and_nobody_crosses_by_sight(two: Outcome) -> None:
    two.safe()
    base = charter_id("base")
    spoken: dict[str, str] = {}
    under: Counter[str] = Counter()
    for record in records(two, "charter", "commit"):
        if record.kind == "charter":
            spoken[record.node] = record.detail["to"]
        elif record.node[0] == "s" or record.node in {"n2", "n3"}:
            under[spoken[record.node]] += 1
    assert under == {base: 5}
    assert records(two, "fallback", "escalation") == []


def test_when_the_others_have_gone_a_fleet_drives_by_its_own_charter_again(two: Outcome) -> None:
    spoken = {name: charter_id("north") for name in ("n4", "n5")}
    for record in records(two, "charter"):
        if record.node in spoken:
            spoken[record.node] = record.detail["to"]
    assert set(spoken.values()) == {charter_id("north")}
    assert {record.node for record in records(two, "commit")} >= {"n4", "n5"}


def test_manifest_and_report_say_whose_charter_is_which(two: Outcome) -> None:
    assert two.manifest["charter_id"] == charter_id("north")
    shown = {(one["name"], one["of"]) for one in two.manifest["charters"]}
    assert shown == {("north", "all others"), ("south", "s1 s2 s3")}
    page = (two.out / "report.html").read_text(encoding="utf-8")
    assert "base charter: base " in page


@pytest.fixture(scope="module")
def strange(tmp_path_factory: pytest.TempPathFactory) -> Outcome:
    return drive("strange_fleets", tmp_path_factory.mktemp("strange") / "out", world="kinematic")


def test_with_nothing_in_common_they_cross_by_sight_and_people_are_called(strange: Outcome) -> None:
    strange.safe()
    escalated = records(strange, "escalation")
    assert {record.node[0] for record in escalated} == {"n", "s"}
    assert {record.detail["reason"] for record in escalated} == {"charter_mismatch"}
    assert len(records(strange, "fallback")) >= 3
    page = (strange.out / "report.html").read_text(encoding="utf-8")
    assert "unknown here; all way stop by sight" in page


def test_no_agreement_ever_has_members_of_both_strange_fleets(strange: Outcome) -> None:
    proposals = records(strange, "proposal")
    assert proposals
    assert all(len({name[0] for name in record.detail["members"]}) == 1 for record in proposals)


TWO = "map: {builtin: four_way}\nworld: kinematic\ndemand: {vehicles: [{id: a, approach: N, movement: straight}]}\n"


@pytest.mark.parametrize(
    ("keys", "why"),
    [
        ("charter: nowhere.json\n", "charter: nowhere.json: No such file"),
        ("fleets: [{charter: CHARTERS/base.json, vehicles: [b]}]\n", "no vehicle 'b' in demand.vehicles; known: a"),
        ("fleets: [{charter: CHARTERS/base.json, vehicles: []}]\n", "length >= 1"),
        ("planner: reactive\nrollout: [{at_s: 1, charter: CHARTERS/base.json}]\n", "only vehicles that agree"),
    ],
)
def test_scenarios_that_name_charters_or_vehicles_wrongly_are_refused(tmp_path: Path, keys: str, why: str) -> None:
    file = write_scenario(tmp_path, TWO + keys.replace("CHARTERS", str(CHARTERS)))
    with pytest.raises(ConfigError, match=why):
        load_scenario(str(file))


def test_a_draft_is_driven_by_only_where_the_scenario_says_so(tmp_path: Path) -> None:
    document = json.loads((CHARTERS / "base.json").read_text())["line"][0]["charter"]
    (tmp_path / "draft.json").write_text(json.dumps(document))
    file = write_scenario(tmp_path, TWO + "charter: draft.json\n")
    with pytest.raises(CharterError, match="allow_draft"):
        drive(file, tmp_path / "out")
    assert not (tmp_path / "out").exists()
    file = write_scenario(tmp_path, TWO + "charter: draft.json\nallow_draft: true\nduration_s_max: 1.0\n", "t")
    assert drive(file, tmp_path / "t").manifest["charter_id"] == charter_id("base")


def test_a_vehicle_is_in_one_fleet_only_and_expired_charters_are_not_driven_by(tmp_path: Path) -> None:
    fleet = f"{{charter: {CHARTERS}/base.json, vehicles: [a]}}"
    with pytest.raises(ConfigError, match="in two fleets"):
        drive(write_scenario(tmp_path, TWO + f"fleets: [{fleet}, {fleet}]\n"), tmp_path / "out")
    document = json.loads((CHARTERS / "base.json").read_text())["line"][0]["charter"] | {"not_after_s": 1000}
    (tmp_path / "old.json").write_text(json.dumps(document))
    keys = TWO + "charter: old.json\nallow_draft: true\nduration_s_max: 0.5\nstart_unix_s: "
    with pytest.raises(CharterError, match="expired at 1000"):
        drive(write_scenario(tmp_path, keys + "1000\n"), tmp_path / "out")
    drive(write_scenario(tmp_path, keys + "999\n"), tmp_path / "out")


@pytest.mark.soak
@pytest.mark.parametrize("name", ["two_fleets", "strange_fleets"])
@pytest.mark.parametrize("seed", range(1, 11))
def test_fleets_of_different_charters_never_touch_whatever_the_radio_loses(
    tmp_path: Path, name: str, seed: int
) -> None:
    run = drive(name, tmp_path / "out", world="kinematic", seed=seed, loss=0.3, burst=5.0, delay_ms=50.0)
    assert run.metric("contacts") == 0
    assert run.metric("unfinished") == 0
