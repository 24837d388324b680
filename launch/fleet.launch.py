"""All vehicles of a fleet file on this computer, for benches and simulation; on the road each starts its own."""

from pathlib import Path

import yaml
from launch.actions import DeclareLaunchArgument, IncludeLaunchDescription, OpaqueFunction
from launch.launch_description_sources import PythonLaunchDescriptionSource
from launch.substitutions import LaunchConfiguration

from launch import LaunchContext, LaunchDescription, LaunchDescriptionEntity

ARGUMENTS = (
    ("vehicles", None, "Fleet file: a scenario file whose demand lists its vehicles by id."),
    ("backend", "sim", "sim: with fleet sim-bridge; hardware: the vehicles' own drivers are there."),
    ("world", "bullet", "Of the backend sim: bullet (physics) or kinematic."),
    ("state", "state", "Folder of the vehicles' state folders."),
)
BACKENDS = ("sim", "hardware")


def _included(name: str, **arguments: str) -> IncludeLaunchDescription:
    source = PythonLaunchDescriptionSource(str(Path(__file__).parent / name))
    return IncludeLaunchDescription(source, launch_arguments=arguments.items())


def _start(context: LaunchContext) -> list[LaunchDescriptionEntity]:
    given = {name: LaunchConfiguration(name).perform(context) for name, _, _ in ARGUMENTS}
    if given["backend"] not in BACKENDS:
        raise ValueError(f"backend:={given['backend']}; one of: {', '.join(BACKENDS)}")
    listed = yaml.safe_load(Path(given["vehicles"]).read_text())["demand"]["vehicles"]
    started = []
    if given["backend"] == "sim":
        started.append(
            _included("sim.launch.py", scenario=given["vehicles"], world=given["world"], state=given["state"])
        )
    for vehicle in (one["id"] for one in listed):
        state = str(Path(given["state"]) / vehicle)
        started.append(_included("vehicle.launch.py", vehicle=vehicle, fleet=given["vehicles"], state=state))
    return started


def generate_launch_description() -> LaunchDescription:
    declared = [
        DeclareLaunchArgument(name, description=text, **({} if default is None else {"default_value": default}))
        for name, default, text in ARGUMENTS
    ]
    return LaunchDescription([*declared, OpaqueFunction(function=_start)])
