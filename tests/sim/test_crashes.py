"""Nodes that die and come back while their bodies drive on; and what a run leaves behind of its secrets."""

from __future__ import annotations

import json
from pathlib import Path

import msgspec
import pytest

from fleet.errors import ConfigError
from fleet.node.signing import simulation_seed
from fleet.node.stable_log import StableLog
from fleet.node.stable_media import FileMedium
from fleet.protocol.wire import Kind, decode
from sim.crashes import Crash, Crashes, check_faults
from sim.runner import RunOptions, run
from sim.scenario import Control, Scenario, load_scenario

SEED = 3


def crashed(*faults: Crash, store: str = "memory") -> Scenario:
    control = Control(store="files" if store == "files" else "memory")
    base = load_scenario("four_way")
    changed = msgspec.structs.replace(base, world="kinematic", seed=SEED, faults=faults, control=control)
    return msgspec.structs.replace(changed, demand=msgspec.structs.replace(base.demand, count=4))


def decisions(folder: Path, node: str) -> list[tuple[int, str, dict[str, object]]]:
    lines = [json.loads(line) for line in (folder / "decisions.jsonl").read_text().splitlines()]
    return [(line["t_ms"], line["kind"], line["detail"]) for line in lines if line["node"] == node]


def test_a_node_that_dies_and_comes_back_endangers_nobody_and_finishes(tmp_path: Path) -> None:
    scenario = crashed(Crash(vehicle="v001", crash_s=11.0, restart_s=13.0), store="files")
    summary = run(scenario, tmp_path / "run", RunOptions(tmp_path / "run", progress=False))
    assert summary.status == 0, "everybody finished, no contact"
    said = decisions(tmp_path / "run", "v001")
    assert [kind for _, kind, _ in said if kind in {"crash", "restart"}] == ["crash", "restart"]
    assert not [kind for at, kind, _ in said if 11_000 < at < 13_000], "a dead node decides nothing"
    promises = [at for at, kind, _ in said if kind in {"vote", "commit"} and at >= 13_000]
    assert min(promises) >= 13_000 + 2_000 + 20
    medium = FileMedium(tmp_path / "run" / "store" / "v001.log")
    kinds = [decode(raw).kind for raw in StableLog(medium, lambda records, now_ms: records).records]
    medium.close()
    assert kinds.count(Kind.VOTE) == sum(kind == "vote" for _, kind, _ in said)
    for path in (tmp_path / "run").rglob("*"):  # X10: the seeds of no vehicle are in any file of the run
        data = path.read_bytes() if path.is_file() else b""
        for index in range(4):
            seed = simulation_seed(SEED, f"v{index:03}")
            assert seed not in data and seed.hex().encode() not in data, path.name


@pytest.mark.parametrize(("vehicle", "down_s"), [("v002", 2.0), ("v003", 6.0)])
def test_who_follows_a_vehicle_that_dies_inside_the_zone_does_not_run_into_it(
    tmp_path: Path, vehicle: str, down_s: float
) -> None:
    """Those behind are past their points of no return: they stop off their plans, which then account for nobody."""
    base = load_scenario("four_way")
    fault = Crash(vehicle=vehicle, crash_s=22.0, restart_s=22.0 + down_s)
    scenario = msgspec.structs.replace(base, world="kinematic", faults=(fault,), duration_s_max=240.0)
    summary = run(scenario, tmp_path / "run", RunOptions(tmp_path / "run", progress=False, mcap=False))
    assert summary.status == 0, "everybody finished, no contact"


def test_without_its_log_a_node_stays_quiet_for_the_longest_lease(tmp_path: Path) -> None:
    scenario = crashed(Crash(vehicle="v001", crash_s=8.0, restart_s=9.0, log_lost=True))
    scenario = msgspec.structs.replace(scenario, duration_s_max=40.0)
    run(scenario, tmp_path / "run", RunOptions(tmp_path / "run", progress=False, mcap=False))
    said = [(at, kind) for at, kind, _ in decisions(tmp_path / "run", "v001")]
    assert (9_000, "restart") in said
    assert not [at for at, kind in said if kind in {"vote", "proposal", "commit"} and at >= 9_000]


@pytest.mark.parametrize(
    ("faults", "text"),
    [
        ([Crash(vehicle="a", crash_s=4.0, restart_s=4.0)], r"faults\[0\]\.restart_s: 4 s is not after crash_s"),
        (
            [Crash(vehicle="a", crash_s=4.0), Crash(vehicle="a", crash_s=9.0)],
            r"faults\[1\]\.crash_s: a is down already",
        ),
        ([Crash(vehicle="a", crash_s=4.0, log_lost=True)], "says nothing without restart_s"),
    ],
)
def test_faults_that_make_no_sense_are_refused(faults: list[Crash], text: str) -> None:
    with pytest.raises(ConfigError, match=text):
        check_faults("x.yaml", faults)


def test_each_switch_comes_once_in_order() -> None:
    schedule = Crashes([Crash(vehicle="b", crash_s=1.0, restart_s=2.0), Crash(vehicle="a", crash_s=2.0)])
    assert schedule.due(999) == []
    assert [(one.vehicle, one.on) for one in schedule.due(1_000)] == [("b", False)]
    assert {(one.vehicle, one.on) for one in schedule.due(5_000)} == {("a", False), ("b", True)}
    assert schedule.due(9_000) == []
