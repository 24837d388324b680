"""``fleet sim-bridge``: a simulated world in real time behind the ROS 2 topics of real vehicles."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from fleet.cli.realtime import OPTION, check_priority, prefer_sockets

if TYPE_CHECKING:
    from sim.bridge import BridgeWorld


@click.command("sim-bridge")
@click.argument("scenario")
@click.option("--world", metavar="NAME", help="bullet (physics) or kinematic.")
@click.option(
    "--out", type=click.Path(file_okay=False, path_type=Path),
    help="Folder for bridge.json and the records of a run  [default: runs/NAME-bridge]",
)  # fmt: skip
@click.option(
    "--state", type=click.Path(file_okay=False, path_type=Path),
    help="Make state folders (keys, register, tests) for the simulated vehicles in here, where missing.",
)  # fmt: skip
@click.option("--rate", "rate_hz", default=50, show_default=True, type=click.IntRange(10, 100), help="Odometry, Hz.")
@click.option("--duration", "duration_s", type=float, metavar="S", help="Stop after so long  [default: the scenario's]")
@OPTION
@click.option("--quiet", is_flag=True, help="No lines but errors.")
def command(
    scenario: str, world: str | None, out: Path | None, state: Path | None, rate_hz: int, duration_s: float | None,
    realtime: int | None, quiet: bool,
) -> int:  # fmt: skip
    """Put the vehicles of SCENARIO into a world that runs in real time, behind the topics of real vehicles.

    Every vehicle stands at its start and waits for its node. Exit status 3: there was a contact.

    \b
    Examples:
      fleet sim-bridge four_way_bench --state state
      fleet sim-bridge four_way_bench --state state --world kinematic --duration 60

    In other terminals, one per vehicle: fleet node v1 --fleet four_way_bench --state state/v1
    """
    import time

    import hardware.ros2_topics  # noqa: F401 - so that the absence of rclpy is told before any work
    from hardware.realtime import take_priority
    from sim.bridge_run import BridgeOptions, run_bridge
    from sim.scenario import load_scenario

    check_priority(realtime)
    prefer_sockets()
    loaded = load_scenario(scenario)
    options = BridgeOptions(
        world=world or loaded.world, out=out or Path("runs") / f"{loaded.name}-bridge", period_ns=round(1e9 / rate_hz),
        duration_s=duration_s or loaded.duration_s_max,
    )  # fmt: skip

    def ready(bridge: BridgeWorld) -> None:
        if state is not None:
            from fleet.cli.fleet_files import prepare

            vehicles = {name: body.vehicle for name, body in bridge.bodies.items()}
            made = prepare(state, vehicles, time.time_ns() // 1_000_000)
            if made and not quiet:
                click.echo(f"state folders made in {state}: {', '.join(made)}", err=True)
        take_priority(realtime)
        if not quiet:
            click.echo(f"{loaded.name}, {options.world}: {', '.join(sorted(bridge.bodies))} wait for nodes", err=True)

    report = run_bridge(loaded, options, ready)
    if not quiet:
        click.echo(
            f"contacts {len(report['contacts'])}, left {len(report['left'])}, present {len(report['present'])},"
            f" real-time factor {report['real_time_factor']:.3f}; {options.out / 'bridge.json'}"
        )
    return 3 if report["contacts"] else 0
