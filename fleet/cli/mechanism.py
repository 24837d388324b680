"""``fleet mechanism``: what decides who goes first, and what each of them guarantees."""

from __future__ import annotations

from pathlib import Path

import click


@click.group("mechanism")
def command() -> None:
    """Mechanisms: list them, verify what one promises, check the accounts of a run.

    \b
    Examples:
      fleet mechanism list
      fleet mechanism verify karma
      fleet mechanism verify my_package.fair:Fair --json
      fleet mechanism accounts runs/four_way
    """


@command.command("list")
def listing() -> int:
    """Mechanisms that ship, and plug-ins that are installed."""
    from fleet.mechanism.registry import BUILT_IN, plug_ins

    rows = [(name, kind.summary) for name, kind in BUILT_IN.items()]
    rows += [(name, f"plug-in {where}") for name, where in plug_ins()]
    width = max(len(name) for name, _ in rows)
    for name, text in rows:
        click.echo(f"  {name:<{width}}  {text}")
    return 0


@command.command("verify")
@click.argument("name")
@click.option("--json", "as_json", is_flag=True, help="The report as JSON.")
@click.option("--quiet", is_flag=True, help="No progress bar.")
def verify(name: str, as_json: bool, quiet: bool) -> int:
    """Check every property of NAME (or package.module:Class). Exit status 3 if a promise does not hold.

    guaranteed: promised, and it holds. BROKEN: promised, and it does not. measured: it holds here, but nobody
    promises it. not guaranteed: it does not hold, and nobody promises it.
    """
    import json

    from fleet.mechanism.suite import table
    from fleet.mechanism.suite import verify as check
    from sim.progress import Progress

    with Progress(not quiet and not as_json) as progress:
        report = check(name, progress.say)
    click.echo(json.dumps(report.plain(), indent=1) if as_json else table(report))
    if report.broken:
        click.echo(f"fleet: {report.name} does not keep: {', '.join(report.broken)}", err=True)
    return 3 if report.broken else 0


@command.command("accounts")
@click.argument("run", type=click.Path(exists=True, path_type=Path))
def accounts(run: Path) -> int:
    """Check the karma accounts of a run: every receipt, both signatures, the chain, and that no unit was made."""
    from fleet.cli.mechanism_accounts import check_accounts

    text, sound = check_accounts(run)
    click.echo(text)
    return 0 if sound else 3
