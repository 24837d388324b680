"""Runs on a site: vehicles change places, back out, meet a blocked lane, lose their radio; and what is refused."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest

from fleet.errors import ConfigError
from planners.check_timed import HEADING_RAD
from sim.records import RunLog, Summary
from sim.runner import RunOptions, run
from sim.scenario import Overrides, Scenario, load_scenario, override
from sim.stage import build_stage

SWAP = """
name: swap
map: {site: {border_m: [0, 0, 36, 16]}}
demand:
  tasks:
    - {id: A, start: [6, 8, 0], goal: [30, 8, 0]}
    - {id: B, start: [30, 8, 3.14159], goal: [6, 8, 3.14159]}
    - {id: C, start: [18, 2.5, 0], goal: [11, 2.5, 0]}
world: kinematic
"""
"""A and B change places; C backs up by seven metres."""


def scenario(tmp_path: Path, text: str) -> Scenario:
    file = tmp_path / "s.yaml"
    file.write_text(text)
    return load_scenario(str(file))


def driven(tmp_path: Path, wanted: Scenario) -> Summary:
    out = tmp_path / "run"
    return run(wanted, out, RunOptions(out, progress=False, mcap=False))


def metric(summary: Summary, name: str) -> float:
    return next(float(one.value) for one in summary.metrics if one.name == name and one.value is not None)


@pytest.fixture
def samples(monkeypatch: pytest.MonkeyPatch) -> dict[str, list[float]]:
    """What runs measure, besides what they keep."""
    kept: dict[str, list[float]] = {}
    plain = RunLog.sample

    def sample(log: RunLog, name: str, value: float) -> None:
        kept.setdefault(name, []).append(value)
        plain(log, name, value)

    monkeypatch.setattr(RunLog, "sample", sample)
    return kept


@pytest.mark.parametrize("world", ["kinematic", "bullet"])
def test_vehicles_change_places_and_back_up_by_agreement_within_their_error_budget(
    tmp_path: Path, world: str, samples: dict[str, list[float]]
) -> None:
    summary = driven(tmp_path, override(scenario(tmp_path, SWAP), Overrides(world=world)))
    assert (summary.status, metric(summary, "contacts"), metric(summary, "finished")) == (0, 0.0, 3.0)
    kinds = Counter(json.loads(line)["kind"] for line in (tmp_path / "run/decisions.jsonl").read_text().splitlines())
    assert kinds["commit"] >= 3
    assert kinds["breach"] == 0
    assert max(samples["tracking_longitudinal_m"]) < 0.35
    assert max(samples["tracking_lateral_m"]) < 0.12
    assert max(samples["tracking_ends_m"]) < 0.12 + HEADING_RAD * 3.95
    assert max(samples["goal_error_m"]) < 0.1
    speed = pq.read_table(tmp_path / "run/trajectories.parquet")["speed_mps"].to_numpy()
    assert speed.min() < -1.0  # C drove backwards


def test_the_same_seed_gives_the_same_bytes(tmp_path: Path) -> None:
    logs = []
    for name in ("one", "two"):
        out = tmp_path / name
        run(scenario(tmp_path, SWAP), out, RunOptions(out, progress=False, mcap=False))
        logs.append((out / "decisions.jsonl").read_bytes() + (out / "trajectories.parquet").read_bytes())
    assert logs[0] == logs[1]


def test_without_radio_everybody_stands(tmp_path: Path) -> None:
    wanted = override(scenario(tmp_path, SWAP), Overrides(dead=True, duration_s=6.0))
    summary = driven(tmp_path, wanted)
    assert (metric(summary, "contacts"), metric(summary, "finished")) == (0.0, 0.0)
    assert np.abs(pq.read_table(tmp_path / "run/trajectories.parquet")["speed_mps"].to_numpy()).max() < 0.05


def test_a_node_that_dies_under_way_stands_and_the_others_go_around_it(tmp_path: Path) -> None:
    text = SWAP.replace("36, 16", "36, 20") + "faults: [{vehicle: A, crash_s: 8.0}]\nduration_s_max: 80.0\n"
    text += "expectations: {contacts: 0, finished: 2}\n"
    summary = driven(tmp_path, scenario(tmp_path, text))
    assert summary.status == 0, summary.verdict
    notes = [json.loads(line) for line in (tmp_path / "run/decisions.jsonl").read_text().splitlines()]
    given_back = [n["detail"]["reason"] for n in notes if n["kind"] == "release" and n["node"] != "A"]
    assert any(reason.startswith("released:") for reason in given_back)


@pytest.mark.soak
@pytest.mark.parametrize("name", ["depot", "blocked_lane"])
@pytest.mark.parametrize("world", ["kinematic", "bullet"])
@pytest.mark.parametrize("seed", range(1, 6))
def test_ready_sites_finish_under_loss_without_contact(tmp_path: Path, name: str, world: str, seed: int) -> None:
    wanted = override(load_scenario(name), Overrides(world=world, seed=seed, loss=0.3, burst=5.0, delay_ms=50.0))
    assert driven(tmp_path, wanted).status == 0


ALONE = "demand: {tasks: [{id: A, start: [8, 8, 0], goal: [30, 8, 0]}]}"
TWO = ALONE.replace("}]}", "}, {id: B, start: [9, 8, 0], goal: [30, 14, 0]}]}")


def task(line: str) -> str:
    return f"name: s\nmap: {{site: {{border_m: [0, 0, 40, 20]}}}}\nworld: kinematic\n{line}\n"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            task(ALONE + "\nobstacles: [[[9, 7], [10, 7], [10, 9]]]"),
            "vehicle A: with its error budget and margins, its start .* obstacle",
        ),
        (
            task(ALONE + "\nobstacles: [[[29, 5], [35, 5], [32, 12]]]"),
            "vehicle A: with its error budget and margins, its goal .* obstacle",
        ),
        (
            task(
                ALONE + "\n"
                "obstacles: [[[19, 0], [20, 0], [20, 7], [19, 7]], [[19, 9], [20, 9], [20, 20], [19, 20]]]"
            ),
            "vehicle A: finds no way",
        ),
        (task("demand: {tasks: []}"), "demand.tasks: the list is empty"),
        (
            task(
                "demand: {tasks: ["
                + ", ".join(f"{{id: V{n}, start: [8, 8, 0], goal: [30, 8, 0]}}" for n in range(500))
                + "]}"
            ),
            "500 vehicles; at most 32",
        ),
        (
            task(TWO),
            "vehicle A: .* overlaps the start of B",
        ),
        (task("demand: {tasks: [{id: A, start: [8, .nan, 0], goal: [30, 8, 0]}]}"), "nan is not a finite number"),
        (task("demand: {count: 3}"), "map.site needs demand.tasks"),
        (
            task(ALONE).replace("20]", "20], turn_radius_m: 2"),
            "turn_radius_m: 2 m; vehicle A turns no tighter than",
        ),
    ],
    ids=["start", "goal", "gate", "nobody", "500", "two starts", "nan", "count", "radius"],
)  # fmt: skip
def test_what_cannot_be_on_a_site_names_vehicle_and_reason(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        build_stage(scenario(tmp_path, text))
