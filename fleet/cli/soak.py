"""``fleet soak``: the protocol under drawn faults, on virtual time."""

from __future__ import annotations

from pathlib import Path

import click


@click.command("soak")
@click.option("--seeds", default="1..200", show_default=True, metavar="A..B", help="First and last seed, or one.")
@click.option("--profile", default="ci", show_default=True, help="ci, nightly, release or byzantine: bounds of faults.")
@click.option("--workers", default=1, show_default=True, type=click.IntRange(1, 256), help="Processes.")
@click.option("--resume", type=click.Path(dir_okay=False, path_type=Path), metavar="FILE", help="Results; goes on.")
@click.option("--variants", default=0, type=click.IntRange(0, 10_000), help="Silence variants of each seed (S7).")
@click.option("--shrink", "small", is_flag=True, help="Make the first failing seed small and write it as a case file.")
@click.option("--case", "file", type=click.Path(dir_okay=False, path_type=Path), help="Run a case file.")
@click.option("--world", help="The whole node with bodies instead of the core alone: kinematic, or bullet (physics).")
@click.option("--model", "states", type=click.IntRange(1), metavar="STATES",
              help="Try all placements of few faults instead of drawing many, in so many states.")  # fmt: skip
@click.option("--out", default=Path("runs/soak"), show_default=True, type=click.Path(file_okay=False, path_type=Path),
              help="Folder for case files.")  # fmt: skip
@click.option("--quiet", is_flag=True, help="No progress bar.")
def command(
    seeds: str, profile: str, workers: int, resume: Path | None, variants: int, small: bool, file: Path | None,
    world: str | None, states: int | None, out: Path, quiet: bool,
) -> int:  # fmt: skip
    """Run the agreement core against faults drawn from each seed; oracles check every event.

    Exit status 3: something was violated; the command that shows it again is printed.

    \b
    Examples:
      fleet soak --seeds 1..2000 --workers 2
      fleet soak --seeds 1..20000 --profile nightly --workers 2 --resume runs/soak/nightly.jsonl
      fleet soak --seeds 17 --profile byzantine --shrink
      fleet soak --case runs/soak/byzantine-17.case
      fleet soak --world kinematic --seeds 1..20
      fleet soak --model 1000000 --workers 2
    """
    if file is not None:
        return _replay(file)
    if states is not None:
        return _explore(states, workers)
    if world is not None:
        return _closed_loop(_range(seeds), world, out, quiet)

    from sim.faults.soak import Options, soak, table

    report = soak(Options(_range(seeds), profile, workers, resume, variants, not quiet))
    click.echo(table(report))
    if small and report.failed:
        _shrink(profile, report.failed[0].seed, out)
    return report.status


def _range(text: str) -> range:
    first, dots, last = text.partition("..")
    if not first.isdecimal() or (dots and not last.isdecimal()) or (dots and int(last) < int(first)):
        raise click.UsageError(f"--seeds {text}: wanted is A..B with A <= B, or one seed, such as 1..2000")
    return range(int(first), int(last if dots else first) + 1)


def _explore(states: int, workers: int) -> int:
    from sim.faults.model_check import explore

    return explore(states, workers, click.echo)


def _closed_loop(seeds: range, world: str, out: Path, quiet: bool) -> int:
    from sim.faults.closed_loop import closed_loop, closed_table

    report = closed_loop(seeds, world, out, lambda line: None if quiet else click.echo(line, err=True))
    click.echo(closed_table(report))
    return report.status


def _replay(file: Path) -> int:
    from sim.faults.case import read_case
    from sim.faults.trace import story

    text, status = story(read_case(file))
    click.echo(text)
    return status


def _shrink(profile: str, seed: int, out: Path) -> None:
    from sim.faults.case import case_text
    from sim.faults.draw import draw
    from sim.faults.shrink import shrink
    from sim.faults.trace import story

    case, rule = shrink(draw(seed, profile), lambda line: click.echo(line, err=True))
    if not rule:
        click.echo(f"seed {seed} fails only in a silence variant; it is not shrunk")
        return
    out.mkdir(parents=True, exist_ok=True)
    path = out / f"{profile}-{seed}.case"
    path.write_text(case_text(case, [f"{rule}, from seed {seed} of profile {profile}", *story(case)[0].splitlines()]))
    click.echo(f"wrote {path}; again: fleet soak --case {path}")
