"""The command ``fleet``: the table of commands, and what becomes of their errors.

Exit status: 0 fine; 1 a defect of this program (traceback); 2 a known error, in one line on standard
error; 3 the command finished but a check failed (contact, unmet expectation); 130 interrupted.
"""

from __future__ import annotations

import importlib
import os
import sys
from collections.abc import Sequence

import click

from fleet import __version__
from fleet.errors import FleetError

COMMANDS = {
    "run": ("fleet.cli.run", "Run one scenario and write its records and report."),
    "list": ("fleet.cli.listing", "Scenarios, maps, worlds, planners, mechanisms and vehicles."),
    "map": ("fleet.cli.map", "Draw a map with its paths and zones."),
    "report": ("fleet.cli.report", "Rebuild the report of a run, or compare several."),
    "plan": ("fleet.cli.plan", "Plan car-like vehicles in free space: a published instance."),
    "mechanism": ("fleet.cli.mechanism", "Who goes first: verify mechanisms, check accounts."),
    "bench": ("fleet.cli.bench", "Published benchmarks of this machine, as tables."),
    "soak": ("fleet.cli.soak", "Deterministic fault simulation of the protocol from seeds."),
    "keys": ("fleet.cli.keys", "Make, enrol, revoke and show the keys of vehicles."),
    "charter": ("fleet.cli.charter", "Draft, vote on, test, sign and ratify what a fleet wants."),
    "evidence": ("fleet.cli.evidence", "Check evidence against a vehicle, offline."),
    "node": ("fleet.cli.node", "Run the node of one vehicle on ROS 2."),
    "sim-bridge": ("fleet.cli.sim_bridge", "A simulated world in real time behind real topics."),
    "preflight": ("fleet.cli.preflight", "Whether a vehicle may drive, check by check."),
    "hil": ("fleet.cli.hil", "Check a vehicle on a bench: latencies, stops, failsafe table."),
    "blackbox": ("fleet.cli.blackbox", "Replay what a vehicle decided before it stopped."),
    "doctor": ("fleet.cli.doctor", "What is installed, what works, and what to do."),
}
"""Command -> (module whose ``command`` it is, one line of help). Modules are imported when used."""

EXTRAS = {
    "pybullet": "pip install pybullet (wheels exist for Python 3.10 and 3.11), or use --world kinematic",
    "commonroad": "pip install 'accord-fleet[commonroad]'",
    "rclpy": "pip install 'accord-fleet[ros]', or source a ROS 2 installation",
    "dask": "pip install 'accord-fleet[cluster]'",
    "distributed": "pip install 'accord-fleet[cluster]'",
    "gymnasium": "pip install 'accord-fleet[learn]'",
    "pettingzoo": "pip install 'accord-fleet[learn]'",
}
"""Module that may be absent -> the command that mends it."""


class _Commands(click.Group):
    """Commands by name, imported one at a time, so that ``fleet --help`` stays quick."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in COMMANDS:
            return None
        found: click.Command = importlib.import_module(COMMANDS[cmd_name][0]).command
        return found

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        if args and args[0] not in COMMANDS and not args[0].startswith("-"):
            import difflib

            close = difflib.get_close_matches(args[0], COMMANDS, n=1)
            hint = f"; did you mean {close[0]}?" if close else ""
            ctx.fail(f"no command {args[0]!r}; known: {', '.join(COMMANDS)}{hint}")
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl([(name, text) for name, (_, text) in COMMANDS.items()])


@click.group(cls=_Commands, invoke_without_command=True, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="fleet")
@click.pass_context
def cli(ctx: click.Context) -> None:
    """Accord: vehicles that cross shared places by signed agreement.

    \b
    Examples:
      fleet run four_way --out runs/four_way
      fleet list scenarios
      fleet doctor

    Each command has --help with examples.
    """
    if ctx.invoked_subcommand is None:
        click.echo(ctx.get_help())


def main(args: Sequence[str] | None = None) -> None:
    """Run the command line and exit with its status; ``args`` default to those of the process."""
    sys.exit(run(args))


def run(args: Sequence[str] | None = None) -> int:
    """As :func:`main`, but return the status. Errors that are not ours propagate, with their traceback."""
    try:
        result = cli.main(args=None if args is None else list(args), prog_name="fleet", standalone_mode=False)
    except FleetError as error:
        return _fail(str(error))
    except click.ClickException as error:
        if isinstance(error, click.UsageError) and error.ctx is not None:
            return _fail(f"{error.format_message()} (see: {error.ctx.command_path} --help)")
        return _fail(error.format_message())
    except ModuleNotFoundError as error:
        package = (error.name or "").split(".")[0]
        if package not in EXTRAS:
            raise
        return _fail(f"{package} is not installed; {EXTRAS[package]}")
    except (click.Abort, KeyboardInterrupt):
        click.echo("fleet: interrupted", err=True)
        return 130
    except BrokenPipeError:  # the reader of a pipe, such as head, has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    return result if isinstance(result, int) else 0


def _fail(text: str) -> int:
    click.echo(f"fleet: error: {' '.join(text.split())}", err=True)
    return 2
