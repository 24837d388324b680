"""The launch folder holds data and launch files only; its values are those of the code, and it parses without ROS."""

from __future__ import annotations

import ast
import configparser
import xml.etree.ElementTree as ET
from pathlib import Path

import pytest
import yaml

from hardware.ros2_parameters import PARAMETERS

LAUNCH = Path(__file__).resolve().parents[1] / "launch"
FILES = ("fleet.launch.py", "sim.launch.py", "vehicle.launch.py")


def arguments(name: str) -> dict[str, tuple[str | None, str]]:
    """Argument -> (default, description), read from the file's table."""
    tree = ast.parse((LAUNCH / name).read_text(encoding="utf-8"))
    for node in tree.body:
        if isinstance(node, ast.Assign) and getattr(node.targets[0], "id", "") == "ARGUMENTS":
            return {key: (default, text) for key, default, text in ast.literal_eval(node.value)}
    raise AssertionError(f"{name} has no table ARGUMENTS")


def test_the_shared_parameters_are_those_of_the_node() -> None:
    data = yaml.safe_load((LAUNCH / "fleet.params.yaml").read_text(encoding="utf-8"))
    assert data["/**"]["ros__parameters"] == {name: default for name, default, _, _ in PARAMETERS}


@pytest.mark.parametrize("name", FILES)
def test_every_launch_argument_is_described_and_used(name: str) -> None:
    text = (LAUNCH / name).read_text(encoding="utf-8")
    for key, (default, description) in arguments(name).items():
        assert description.endswith(".") or default is not None
        assert len(description) > 10
        assert f'given["{key}"]' in text, key


def test_what_fleet_launch_passes_on_is_declared_there() -> None:
    tree = ast.parse((LAUNCH / "fleet.launch.py").read_text(encoding="utf-8"))
    found = [node for node in ast.walk(tree) if isinstance(node, ast.Call)]
    calls = [node for node in found if getattr(node.func, "id", "") == "_included"]
    assert len(calls) == 2
    for call in calls:
        assert isinstance(call.args[0], ast.Constant)
        assert {keyword.arg for keyword in call.keywords} <= set(arguments(call.args[0].value))


def test_the_unit_the_policy_and_the_view_parse() -> None:
    unit = configparser.RawConfigParser(strict=False)
    unit.optionxform = str  # type: ignore[assignment,method-assign]
    unit.read(LAUNCH / "systemd" / "fleet-node@.service")
    assert "fleet node %i" in unit["Service"]["ExecStart"]
    policy = ET.parse(LAUNCH / "sros2" / "policy.xml").getroot()
    assert {profile.get("node") for profile in policy.iter("profile")} == {"fleet_node", "supervisor"}
    view = yaml.safe_load((LAUNCH / "fleet.rviz").read_text(encoding="utf-8"))
    assert len(view["Visualization Manager"]["Displays"]) > 5
