"""Everything that is shown to users as an example works: ready scenarios, examples of --help, files in the docs."""

from __future__ import annotations

import importlib
import re
import shlex
from pathlib import Path

import click
import pytest

from fleet.cli.main import COMMANDS, cli
from hardware.vehicle import VEHICLES, load_vehicle
from sim.scenario import load_scenario, scenario_names
from sim.scenario_checks import MECHANISMS, PLANNERS, WORLDS
from tests.sim.whole_runs import drive, write_scenario

ROOT = Path(__file__).resolve().parents[1]
SIM_S = 12.0
"""Vehicles of the ready maps have met at their zones by then, or nearly."""


@pytest.mark.parametrize("name", scenario_names())
def test_every_ready_scenario_runs(tmp_path: Path, name: str) -> None:
    run = drive(name, tmp_path / "out", world="kinematic", duration_s=SIM_S)
    assert run.metric("simulated_s") == pytest.approx(SIM_S)
    assert run.metric("contacts") == 0
    assert run.metric("vehicles") >= 4
    site = load_scenario(name).map.site is not None
    assert run.truth.state[:, 3].max() > (1.0 if site else 3.0)
    # All that may be missed in so short a time is that everybody arrives, or that a gridlock has formed by then.
    late = ("finished", "gridlock", "delay") if name == "four_way_insist" else ("finished",)
    assert all(any(word in text for word in late) for text in run.manifest["failed"])


@pytest.mark.parametrize("name", scenario_names())
def test_every_ready_scenario_says_what_it_is_and_expects_safety(name: str) -> None:
    scenario = load_scenario(name)
    assert scenario.name == name
    assert scenario.description.endswith(".")
    assert {"contacts", "contacts_caused_by_honest"} & set(scenario.expectations)
    assert scenario.expectations["finished"] == "all"


@pytest.mark.parametrize("file", sorted(VEHICLES.glob("*.yaml")), ids=lambda file: file.stem)
def test_every_vehicle_that_ships_drives(tmp_path: Path, file: Path) -> None:
    keys = "map: {builtin: four_way}\nworld: kinematic\ndemand:\n  vehicles:\n"
    if load_vehicle(file.stem).body.length_m < 1.0:
        keys = "map: {builtin: four_way, arm_m: 12, lane_width_m: 0.2, speed_limit_mps: 0.7}\n" + keys.split("\n", 1)[1]
    keys += "    - {id: a, approach: N, movement: straight}\n    - {id: b, approach: E, movement: right}\n"
    run = drive(write_scenario(tmp_path, keys + f"vehicle: {file.stem}\n"), tmp_path / "out")
    run.safe()
    assert {vehicle["class"] for vehicle in run.vehicles} == {load_vehicle(file.stem).vehicle_class}


def examples(command: str) -> list[str]:
    """Lines that the help of a command (or of ``fleet`` itself) shows after ``Examples:``."""
    found = cli if command == "fleet" else importlib.import_module(COMMANDS[command][0]).command
    text = found.get_help(click.Context(found, info_name=command))
    lines = text.split("Examples:")[1].split("\n\n")[0].splitlines()
    return [line.strip() for line in lines if line.strip()]


@pytest.mark.parametrize("command", ["fleet", *COMMANDS])
def test_every_example_of_the_help_is_a_command_that_can_be_typed(command: str) -> None:
    lines = examples(command)
    assert lines
    for line in lines:
        words = shlex.split(line)
        assert words[0] == "fleet"
        if command != "fleet":
            assert words[1] == command
        found = importlib.import_module(COMMANDS[words[1]][0]).command
        # Parses options and arguments, and runs nothing.
        context = found.make_context(words[1], words[2:])
        named = context.params
        for key, known in (("world", WORLDS), ("planner", PLANNERS), ("mechanism", MECHANISMS)):
            assert named.get(key) is None or named[key] in known
        source = named.get("scenario") or named.get("source")
        assert source is None or source.endswith(".xml") or source in scenario_names()


def fenced(kind: str) -> list[tuple[str, str]]:
    found = []
    for page in [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]:
        blocks = re.findall(rf"^```{kind}\n(.*?)^```", page.read_text(encoding="utf-8"), re.DOTALL | re.MULTILINE)
        found += [(f"{page.name}-{k}", block) for k, block in enumerate(blocks)]
    return found


@pytest.mark.parametrize(("name", "block"), fenced("yaml"), ids=lambda value: value if len(value) < 60 else "")
def test_every_scenario_in_the_docs_is_one(tmp_path: Path, name: str, block: str) -> None:
    """A page may show a part of a scenario; what is missing is filled in."""
    keys = {line.split(":")[0] for line in block.splitlines() if line and line[0].isalpha()}
    if not keys & {"map", "demand", "network", "legacy", "expectations", "obstacles", "vehicle", "world"}:
        pytest.skip("not a scenario")
    rest = "".join(f"{key}: {value}\n" for key, value in FILLED.items() if key not in keys)
    file = tmp_path / "s.yaml"
    file.write_text(rest + block, encoding="utf-8")
    for named in re.findall(r"[\w./-]+\.(?:csv|xml|yaml)\b", block):
        pytest.skip(f"needs {named}")
    load_scenario(str(file))


FILLED = {"name": "shown", "map": "{builtin: four_way}", "demand": "{count: 4}"}


def typed_commands() -> list[str]:
    """Lines of the docs that are commands: indented by four or fenced."""
    found = []
    for page in [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]:
        found += re.findall(r"^(?: {4}|\$ ?)?(fleet [a-z]+ .*)$", page.read_text(encoding="utf-8"), re.MULTILINE)
    # A table of forms, such as ``fleet run SCENARIO [options]   what it does``, is no example.
    return sorted({line for line in found if not re.search(r"[A-Z]{4,}|\[| {3,}", line.split("#")[0].rstrip())})


@pytest.mark.parametrize("line", typed_commands())
def test_every_command_in_the_docs_can_be_typed(line: str) -> None:
    words = shlex.split(line, comments=True)
    assert words[1] in COMMANDS
    importlib.import_module(COMMANDS[words[1]][0]).command.make_context(words[1], words[2:])


def test_commands_are_found_in_the_docs() -> None:
    assert len(typed_commands()) >= 5
