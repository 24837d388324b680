"""A simulated world in real time behind the topics of real vehicles: fleet sim-bridge."""

from launch.actions import DeclareLaunchArgument, ExecuteProcess
from launch.substitutions import LaunchConfiguration

from launch import LaunchDescription

ARGUMENTS = (
    ("scenario", "four_way_bench", "Scenario file or name of a ready one."),
    ("world", "bullet", "bullet (physics) or kinematic."),
    ("state", "state", "Folder of the vehicles' state folders; made where missing."),
    ("out", "runs/bridge", "Folder for bridge.json and the records of the run."),
)


def generate_launch_description() -> LaunchDescription:
    given = {name: LaunchConfiguration(name) for name, _, _ in ARGUMENTS}
    declared = [
        DeclareLaunchArgument(name, default_value=default, description=text) for name, default, text in ARGUMENTS
    ]
    command = ["fleet", "sim-bridge", given["scenario"], "--world", given["world"]]
    command += ["--state", given["state"], "--out", given["out"]]
    return LaunchDescription([*declared, ExecuteProcess(cmd=command, output="screen")])
