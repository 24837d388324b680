"""``fleet node``: the node of one vehicle on ROS 2, without launch."""

from __future__ import annotations

from pathlib import Path

import click

from fleet.cli.realtime import OPTION, check_priority, prefer_sockets


@click.command("node", context_settings={"ignore_unknown_options": True, "help_option_names": ["-h", "--help"]})
@click.argument("vehicle")
@click.option("--fleet", "fleet_file", required=True, metavar="SCENARIO", help="Its file: map and vehicles.")
@click.option(
    "--state", required=True, type=click.Path(file_okay=False, path_type=Path),
    help="This vehicle's state folder: key, register, stable log, tests.",
)  # fmt: skip
@click.option(
    "--figures", type=click.Path(dir_okay=False, path_type=Path), help="Write latencies and CPU here at the end."
)
@OPTION
@click.argument("ros_arguments", nargs=-1, type=click.UNPROCESSED)
def command(
    vehicle: str, fleet_file: str, state: Path, figures: Path | None, realtime: int | None,
    ros_arguments: tuple[str, ...],
) -> int:  # fmt: skip
    """Run the node of VEHICLE, on hardware or behind fleet sim-bridge; it cannot tell.

    The node configures itself, listens, and activates as soon as every preflight check passes (parameter
    autostart). Its own supervisor process brakes the vehicle if the node stalls or dies. ROS arguments follow --.

    \b
    Examples:
      fleet node v1 --fleet four_way_bench --state state/v1
      fleet node v1 --fleet fleet.yaml --state state/v1 -- --ros-args -p autostart:=false

    With autostart off the node waits for: ros2 lifecycle set /v1/fleet_node activate
    """
    import hardware.ros2_topics  # noqa: F401 - so that the absence of rclpy is told before any work
    from fleet.cli.node_orders import open_orders
    from hardware.ros2_main import run_node
    from sim.scenario import load_scenario

    check_priority(realtime)
    prefer_sockets()
    arguments = [one for one in ros_arguments if one != "--"]
    with open_orders(load_scenario(fleet_file), vehicle, state, realtime) as orders:
        click.echo(f"{vehicle}: ready; waits for the vehicle and for preflight", err=True)
        return run_node(orders, arguments, figures)
