"""Published free-space instances: read strictly, planned, judged, written and drawn; and ``fleet plan``."""

from __future__ import annotations

import json
import math
import re
from pathlib import Path

import numpy as np
import pytest
import shapely

from fleet.cli.main import run
from fleet.errors import ConfigError
from planners.free_space import Disc
from sim.free_space_file import STEP_M, load_instance
from sim.free_space_result import judge, solve_instance
from sim.plan_bench_free import as_markdown, rows_of, solve_folder

TWO = """
agents:
  - {start: [5, 10, 0], name: agent0, goal: [20, 10, 0]}
  - {start: [20, 15, 3.14], name: agent1, goal: [5, 13, 3.14]}
map:
  dimensions: [30, 30]
  obstacles:
    - [12.5, 10.5]
"""


def written(tmp_path: Path, text: str = TWO) -> Path:
    path = tmp_path / "instance.yaml"
    path.write_text(text, encoding="utf-8")
    return path


def oracle(instance: Path, plan: dict) -> list[str]:  # type: ignore[type-arg]
    """Judge a plan.json by shapely alone: ends, speed, turning, obstacles, vehicles (every 0.05 time units).

    An obstacle has the published radius, or at least that less the tolerated overlap and 1.1 cm.
    """
    problem = load_instance(instance)
    found, bodies = [], []
    ends = [agent["states"][-1][0] for agent in plan["agents"]]
    times = np.arange(0.0, max(ends) + 0.1, 0.05)
    left = {
        tuple(one["obstacle"]): 0.8 - max(o["overlap_m"] for o in plan["tolerated"] if o["obstacle"] == one["obstacle"])
        for one in plan["tolerated"]
    }
    discs = [
        shapely.Point(o.x_m, o.y_m).buffer(left.get((o.x_m, o.y_m), 0.811) - 0.011, quad_segs=64)
        for o in problem.obstacles
        if isinstance(o, Disc)
    ]
    for vehicle, agent in zip(problem.vehicles, plan["agents"], strict=True):
        t, x, y, yaw = np.array(agent["states"]).T
        yaw = np.unwrap(yaw)
        found += [f"{agent['name']}: order"] if agent["name"] != vehicle.name else []
        for row, pose in ((0, vehicle.start), (-1, vehicle.goal)):
            off = max(abs(x[row] - pose[0]), abs(y[row] - pose[1]), abs(math.remainder(yaw[row] - pose[2], math.tau)))
            found += [f"{agent['name']}: {off:.1e} off"] if off > 1e-6 else []
        dt, way, turn = np.diff(t), np.hypot(np.diff(x), np.diff(y)), np.abs(np.diff(yaw))
        found += [f"{agent['name']}: step"] if len(dt) and dt.max() > 0.1 + 1e-9 else []
        found += [f"{agent['name']}: speed"] if (way > STEP_M * dt * (1 + 1e-9)).any() else []
        found += [f"{agent['name']}: turn"] if (turn > way / 3.0 + 1e-9).any() else []
        px, py, p = (np.interp(times, t, values) for values in (x, y, yaw))
        c, s = np.cos(p), np.sin(p)
        corners = [
            np.stack((px + u * c - v * s, py + u * s + v * c), axis=1) for u, v in ((2, 1), (2, -1), (-1, -1), (-1, 1))
        ]
        bodies.append(shapely.polygons(np.stack(corners, axis=1)))
        found += [f"{agent['name']}: obstacle" for disc in discs if shapely.intersects(bodies[-1], disc).any()]
    found += [
        f"{plan['agents'][a]['name']} and {plan['agents'][b]['name']}"
        for a in range(len(bodies))
        for b in range(a)
        if shapely.intersects(bodies[a], bodies[b]).any()
    ]
    return found


def test_plan_writes_what_an_oracle_accepts(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    instance, out, picture = written(tmp_path), tmp_path / "new" / "plan.json", tmp_path / "plan.png"
    assert run(["plan", str(instance), "--out", str(out), "--picture", str(picture), "--quiet"]) == 0
    plan = json.loads(out.read_text(encoding="utf-8"))
    assert plan["solved"] is True
    assert plan["instance"] == "instance.yaml"
    assert oracle(instance, plan) == []
    ends = [agent["states"][-1][0] for agent in plan["agents"]]
    assert plan["flowtime"] == pytest.approx(sum(ends) * STEP_M)
    assert plan["makespan"] == pytest.approx(max(ends) * STEP_M)
    assert plan["planning_s"] > 0.0
    assert picture.read_bytes().startswith(b"\x89PNG")
    assert "2 vehicles" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("name", "tolerated"),
    [
        ("map_50by50_obst25_agents5_ex0", 0),
        ("map_50by50_obst0_agents10_ex1", 0),
        ("map_100by100_obst50_agents20_ex3", 0),
        ("map_50by50_obst25_agents20_ex0", 2),
        ("map_100by100_obst50_agents25_ex1", 1),
    ],
)
def test_published_instances_are_solved(shared_data: Path, tmp_path: Path, name: str, tolerated: int) -> None:
    instance, out = shared_data / "clmapf" / f"{name}.yaml", tmp_path / "plan.json"
    assert run(["plan", str(instance), "--out", str(out), "--quiet"]) == 0
    plan = json.loads(out.read_text(encoding="utf-8"))
    assert oracle(instance, plan) == []
    assert len(plan["tolerated"]) == tolerated


@pytest.mark.soak
@pytest.mark.parametrize("clockwise", [False, True])
def test_all_published_instances(shared_data: Path, clockwise: bool) -> None:
    rows = rows_of(solve_folder(shared_data / "clmapf", clockwise=clockwise))
    assert sum(row.instances for row in rows) == 90
    assert sum(row.solved for row in rows) == 90
    assert max(row.cpu_s_max for row in rows) < 20.0


def test_a_start_in_an_obstacle_is_told_and_written(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    instance, out = written(tmp_path, TWO.replace("[12.5, 10.5]", "[6, 10.5]")), tmp_path / "plan.json"
    assert run(["plan", str(instance), "--out", str(out), "--picture", str(tmp_path / "p.png"), "--quiet"]) == 3
    plan = json.loads(out.read_text(encoding="utf-8"))
    assert (plan["solved"], plan["agents"], plan["flowtime"]) == (False, [], None)
    assert plan["unsolved"][0]["name"] == "agent0"
    assert "start (5, 10, 0) overlaps an obstacle" in plan["unsolved"][0]["reason"]
    assert "agent0" in capsys.readouterr().out


def test_clockwise_turns_poses_and_plan(tmp_path: Path) -> None:
    text = TWO.replace("[20, 10, 0]", "[20, 20, 1.57]")
    out = tmp_path / "plan.json"
    assert load_instance(written(tmp_path, text), clockwise=True).vehicles[0].goal == (20.0, 20.0, -1.57)
    assert run(["plan", str(written(tmp_path, text)), "--clockwise", "--out", str(out), "--quiet"]) == 0
    assert json.loads(out.read_text(encoding="utf-8"))["agents"][0]["states"][-1][3] == pytest.approx(1.57)


def test_the_verifier_has_the_last_word(tmp_path: Path) -> None:
    """A plan for one problem, judged on another with an obstacle in its way."""
    problem = load_instance(written(tmp_path))
    answer = solve_instance(problem)
    x, y = answer.plan.paths[0].states(0.1)[40, 1:3]
    changed = type(problem)(problem.vehicles, (*problem.obstacles, Disc(float(x), float(y), 0.3)), problem.border_m)
    assert judge(problem, answer.plan) == []
    assert any("agent0: meets disc 1" in finding for finding in judge(changed, answer.plan))


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("agents: []\nmap: {dimensions: [5, 5], obstacles: []}", "none"),
        ("map: {dimensions: [5, 5], obstacles: []}", "none"),
        (TWO.replace("goal: [20, 10, 0]", "goal: [20, .nan, 0]"), "not a finite number"),
        (TWO.replace("goal: [20, 10, 0]", "goal: [20, 10]"), "goal"),
        (TWO.replace("goal: [20, 10, 0]", "goal: [20, ten, 0]"), "ten"),
        (TWO.replace("dimensions: [30, 30]", "dimensions: [30, -30]"), "must be positive"),
        (TWO[: len(TWO) // 2], "YAML|missing"),
        (TWO.replace("name: agent1", "name: agent0"), "more than once"),
        ("\x00", "YAML"),
        ("- 1", "object"),
    ],
)
def test_a_bad_file_is_one_clear_line(tmp_path: Path, capsys: pytest.CaptureFixture[str], text: str, why: str) -> None:
    assert run(["plan", str(written(tmp_path, text)), "--out", str(tmp_path / "plan.json"), "--quiet"]) == 2
    said = capsys.readouterr()
    assert said.out == ""
    assert len(said.err.strip().splitlines()) == 1
    assert re.search(why, said.err), said.err


def test_bench_makes_a_row_per_size(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder, out = tmp_path / "clmapf", tmp_path / "out"
    folder.mkdir()
    for number, obstacle in ((0, "[6, 10.5]"), (2, "[12.5, 10.5]"), (3, "[6, 8.3]")):
        text = TWO.replace("[12.5, 10.5]", obstacle)
        (folder / f"map_30by30_obst1_agents2_ex{number}.yaml").write_text(text, encoding="utf-8")
    (row,) = rows_of(solve_folder(folder))
    assert (row.map, row.obstacles, row.vehicles, row.instances) == ("30by30", 1, 2, 3)
    assert (row.solved, row.tolerated, row.misplaced) == (2, 1, 1)
    assert 0.0 < row.cpu_s_median <= row.cpu_s_max
    assert "| 30by30 | 1 | 2 | 2 of 3 | 1 | 1 |" in as_markdown([row])
    assert run(["bench", "planning", "--section", "free-space", "--data", str(tmp_path), "--out", str(out)]) == 0
    everything, first = capsys.readouterr().out.split("Instances 0 to 2")
    assert "| 30by30 | 1 | 2 | 2 of 3 | 1 | 1 |" in everything
    assert "| 30by30 | 1 | 2 | 1 of 2 | 0 | 1 |" in first
    assert "1 of 2" in (out / "planning.md").read_text(encoding="utf-8")
    with pytest.raises(ConfigError, match="no published instance"):
        solve_folder(tmp_path)
