"""``fleet report``: the page of one run again from its records, or a comparison of several."""

from __future__ import annotations

from pathlib import Path

import click

from fleet.errors import ConfigError


@click.command("report")
@click.argument("runs", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option(
    "--out",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Page of the comparison  [default: compare.html in the first run's folder]",
)
def command(runs: tuple[Path, ...], out: Path | None) -> int:
    """Rebuild the report of one run folder, or compare several.

    \b
    Examples:
      fleet report runs/four_way
      fleet report runs/first_come runs/all_way_stop --out compare.html
    """
    from sim.report import build_report, compare_reports

    for folder in runs:
        if not (folder / "run.json").is_file():
            raise ConfigError(f"{folder}: not the folder of a run (there is no run.json)")
    if len(runs) == 1 and out is not None:
        raise click.UsageError("--out is for comparisons; the report of one run belongs to its folder")
    page = build_report(runs[0]) if len(runs) == 1 else compare_reports(runs, out or runs[0] / "compare.html")
    click.echo(str(page))
    return 0
