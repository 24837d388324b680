"""One vehicle's node, in its namespace. The vehicle's own drivers are started by its own launch file."""

from launch.actions import DeclareLaunchArgument, ExecuteProcess
from launch.substitutions import LaunchConfiguration, PathJoinSubstitution, ThisLaunchFileDir

from launch import LaunchDescription

ARGUMENTS = (
    ("vehicle", None, "Id of the vehicle: its namespace, and its name in the fleet file."),
    ("fleet", None, "Fleet file (a scenario file with explicit vehicles): the map, and who is in the fleet."),
    ("state", None, "The vehicle's state folder: key, register, stable log, tests."),
    ("use_sim_time", "false", "Whether time comes from /clock."),
)


def generate_launch_description() -> LaunchDescription:
    given = {name: LaunchConfiguration(name) for name, _, _ in ARGUMENTS}
    declared = [
        DeclareLaunchArgument(name, description=text, **({} if default is None else {"default_value": default}))
        for name, default, text in ARGUMENTS
    ]
    params = PathJoinSubstitution([ThisLaunchFileDir(), "fleet.params.yaml"])  # shared; edit it, or write your own file
    command = ["fleet", "node", given["vehicle"], "--fleet", given["fleet"], "--state", given["state"], "--"]
    command += ["--ros-args", "--params-file", params, "-p", ["use_sim_time:=", given["use_sim_time"]]]
    return LaunchDescription([*declared, ExecuteProcess(cmd=command, output="screen", sigterm_timeout="10")])
