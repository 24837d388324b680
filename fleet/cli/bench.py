"""``fleet bench``: the published benchmarks, one name each."""

from __future__ import annotations

import click


@click.command("bench")
@click.argument("name", type=click.Choice(["speed"]))
@click.option("--repeats", default=5, show_default=True, type=click.IntRange(1, 100), help="Runs of each case.")
@click.option("--only", metavar="TEXT", help="Cases whose name contains TEXT.")
def command(name: str, repeats: int, only: str | None) -> int:
    """Measure NAME on this machine and print a table.

    speed: real-time factor with everything on (signatures, protocol, logging), on one core.

    \b
    Examples:
      fleet bench speed
      fleet bench speed --repeats 3 --only kinematic
    """
    from sim.speed_bench import CASES, measure, table

    chosen = [case for case in CASES if only is None or only in case.name]
    if not chosen:
        raise click.UsageError(f"no case contains {only!r}; known: {', '.join(case.name for case in CASES)}")
    figures = [measure(case, repeats, lambda line: click.echo(line, err=True)) for case in chosen]
    click.echo(table(figures))
    return 0
