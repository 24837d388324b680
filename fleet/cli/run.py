"""``fleet run``: one scenario, with the options that change it."""

from __future__ import annotations

import shlex
import sys
from pathlib import Path
from typing import Any

import click

_CHANGES = (
    "seed", "world", "planner", "mechanism", "spacing", "controller", "loss", "burst", "delay_ms", "dead", "duration_s",
)  # fmt: skip


@click.command("run")
@click.argument("scenario")
@click.option(
    "--out", type=click.Path(file_okay=False, path_type=Path), help="Folder for the records  [default: runs/NAME]"
)
@click.option("--world", metavar="NAME", help="bullet (physics) or kinematic (large counts).")
@click.option("--planner", metavar="NAME", help="How plans are made; see: fleet list planners.")
@click.option("--mechanism", metavar="NAME", help="Who goes first; see: fleet list mechanisms.")
@click.option("--spacing", metavar="NAME", help="comfortable, or tight: what plans keep between vehicles.")
@click.option("--controller", metavar="NAME", help="What follows plans; see: fleet list controllers.")
@click.option("--seed", type=int, help="Of everything that is random.")
@click.option("--duration", "duration_s", type=float, metavar="S", help="Longest simulated time, seconds.")
@click.option("--loss", type=float, metavar="SHARE", help="Share of datagrams lost, 0 to 1.")
@click.option("--burst", type=float, metavar="N", help="Mean length of a loss burst, datagrams.")
@click.option("--delay-ms", type=float, metavar="MS", help="One-way delay of a datagram.")
@click.option("--dead-radio", "dead", is_flag=True, default=None, help="No radio works.")
@click.option("--no-mcap", is_flag=True, help="Do not write run.mcap (smaller and faster).")
@click.option("--quiet", is_flag=True, help="No progress bar and no table.")
def command(scenario: str, out: Path | None, no_mcap: bool, quiet: bool, **changes: Any) -> int:
    """Run SCENARIO and write its records and report.

    SCENARIO is a ready one (fleet list scenarios), a scenario file (.yaml), or a CommonRoad file (.xml),
    whose recorded vehicles become the fleet. Exit status 3: a check failed, such as a contact.

    \b
    Examples:
      fleet run four_way --out runs/four_way
      fleet run four_way --loss 0.3 --burst 5 --delay-ms 50
      fleet run roundabout --world kinematic --seed 7 --no-mcap
      fleet run USA_Lanker-1_3_T-1.xml --out runs/lanker
    """
    from sim.scenario import Overrides, load_scenario, override

    wanted = override(load_scenario(scenario), Overrides(**{name: changes[name] for name in _CHANGES}))

    from sim.runner import RunOptions, run
    from sim.summary import print_summary

    options = RunOptions(
        out=out or Path("runs") / wanted.name,
        progress=not quiet,
        mcap=not no_mcap,
        command_line=shlex.join(["fleet", *sys.argv[1:]]),
    )
    summary = run(wanted, options.out, options)
    if not quiet:
        print_summary(summary)
    status: int = summary.status
    return status
