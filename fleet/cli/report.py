"""``fleet report``: the page of one run again from its records, or a comparison of several."""

from __future__ import annotations

from pathlib import Path

import click

from fleet.errors import ConfigError


@click.command("report")
@click.argument("runs", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option(
    "--out", type=click.Path(dir_okay=False, path_type=Path), help="HTML file  [default: in the first run's folder]"
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
    if len(runs) == 1:
        page = build_report(runs[0], out) if out else build_report(runs[0])
    else:
        page = compare_reports(list(runs), out or runs[0] / "compare.html")
    click.echo(str(page))
    return 0
