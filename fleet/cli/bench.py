"""``fleet bench``: the published benchmarks, one name each."""

from __future__ import annotations

from pathlib import Path

import click


@click.command("bench")
@click.argument("name", type=click.Choice(["speed", "protocol", "plan"]))
@click.option("--repeats", default=5, show_default=True, type=click.IntRange(1, 100), help="Runs of each case.")
@click.option("--only", metavar="TEXT", help="Cases whose name contains TEXT.")
@click.option("--runs", default=100, show_default=True, type=click.IntRange(1), help="protocol: seeds of each row.")
@click.option("--instances", metavar="DIR", type=click.Path(exists=True, file_okay=False, path_type=Path),
              help="plan: folder of the published instances.")  # fmt: skip
@click.option("--clockwise", is_flag=True, help="plan: yaw of the instances is clockwise from x.")
def command(name: str, repeats: int, only: str | None, runs: int, instances: Path | None, clockwise: bool) -> int:
    """Measure NAME on this machine and print a table.

    speed: real-time factor with everything on (signatures, protocol, logging), on one core.
    protocol: decision latency, traffic and safety beside leader-based protocols; contacts under delay.
    plan: published free-space instances solved, CPU time and flowtime; --only is a pattern such as *_ex[0-2]*.

    \b
    Examples:
      fleet bench speed
      fleet bench speed --repeats 3 --only kinematic
      fleet bench protocol --runs 1000 --only latency
      fleet bench plan --instances clmapf
    """
    if name == "plan":
        return _plan(instances, only, clockwise)
    if name == "protocol":
        return _protocol(runs, only)
    from sim.speed_bench import CASES, measure, table

    chosen = [case for case in CASES if only is None or only in case.name]
    if not chosen:
        raise click.UsageError(f"no case contains {only!r}; known: {', '.join(case.name for case in CASES)}")
    figures = [measure(case, repeats, lambda line: click.echo(line, err=True)) for case in chosen]
    click.echo(table(figures))
    return 0


def _protocol(runs: int, only: str | None) -> int:
    from sim.delay_bench import table as delays
    from sim.protocol_bench import comparison, faults, latency

    parts = {"comparison": comparison, "faults": faults, "latency": latency, "delays": delays}
    chosen = [part for part in parts if only is None or only in part]
    if not chosen:
        raise click.UsageError(f"no part contains {only!r}; known: {', '.join(parts)}")
    for part in chosen:
        many = max(1, runs // 10) if part == "delays" else runs
        click.echo(f"{part}\n\n{parts[part](many, lambda line: click.echo(line, err=True))}\n")
    return 0


def _plan(instances: Path | None, only: str | None, clockwise: bool) -> int:
    from sim.plan_bench_free import as_markdown, free_space_table

    if instances is None:
        raise click.UsageError("plan needs --instances DIR, the folder of the published instances (map_..._ex0.yaml)")
    rows = free_space_table(
        instances, pattern=only or "*", clockwise=clockwise, say=lambda line: click.echo(line, err=True)
    )
    click.echo(as_markdown(rows))
    return 0
