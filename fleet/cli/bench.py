"""``fleet bench``: the published benchmarks, one name each."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import click

from fleet.cli.realtime import OPTION


@click.group("bench")
def command() -> None:
    """Measure this machine, or the planners and the protocol against their peers, and print tables.

    \b
    Examples:
      fleet bench speed
      fleet bench speed --repeats 3 --only kinematic
      fleet bench planning --section demand --vph 300 --seeds 1
      fleet bench protocol --section latency --section scale
      fleet bench alignment --section charter
    """


@command.command("speed")
@click.option("--repeats", default=5, show_default=True, type=click.IntRange(1, 100), help="Runs of each case.")
@click.option("--only", metavar="TEXT", help="Cases whose name contains TEXT.")
def speed(repeats: int, only: str | None) -> int:
    """Real-time factor with everything on (signatures, protocol, logging), on one core."""
    from sim.speed_bench import CASES, measure, table

    chosen = [case for case in CASES if only is None or only in case.name]
    if not chosen:
        raise click.UsageError(f"no case contains {only!r}; known: {', '.join(case.name for case in CASES)}")
    figures = [measure(case, repeats, lambda line: click.echo(line, err=True)) for case in chosen]
    click.echo(table(figures))
    return 0


@dataclass(frozen=True, slots=True)
class Settings:
    """Options of ``fleet bench planning``, for all its sections."""

    out: Path
    data: Path | None
    planners: tuple[str, ...]
    vph: tuple[int, ...]
    seeds: tuple[int, ...]
    lanes: int
    duration_s_max: float
    sumo: str | None
    spacing: str
    workers: int
    ortools: Path | None


def _demand(settings: Settings) -> str:
    """Delay against demand, planners and peers."""
    from sim.plan_bench_demand import PLANNERS, Workload, measure, plot, table

    tables = None if settings.data is None else settings.data / "demand"
    work = Workload(
        settings.vph, settings.seeds, settings.lanes, tables, settings.duration_s_max,
        spacing=settings.spacing, workers=settings.workers,
    )  # fmt: skip
    rows = measure(work, settings.planners or PLANNERS, _sumo(settings), lambda line: click.echo(line, err=True))
    plot(rows, settings.out / "delay_against_demand.png")
    return table(rows)


def _order(settings: Settings) -> str:
    """The order search: times, optimality, marginal welfare."""
    from time import process_time

    from sim.plan_bench_order import COUNTS, Bench, plot, table
    from sim.plan_bench_refine import Ground

    bench = Bench(Ground.four_way(), process_time, lambda line: click.echo(line, err=True))
    times, gaps = bench.times(COUNTS, 20), bench.gaps(range(1000))
    plot(times, gaps, settings.out)
    return table(times, gaps, bench.marginals((4, 8, 12), 20), bench.replans((12, 49), 20))


def _fleet(settings: Settings) -> str:
    """One vehicle planned anew in a big fleet; the verifier."""
    from time import process_time

    from sim.plan_bench_fleet import judgements, replans, table

    def say(line: str) -> None:
        click.echo(line, err=True)

    return table(replans(25, process_time, say), judgements(25, process_time, say))


def _rolling(settings: Settings) -> str:
    """The order search on streams of vehicles, beside CP-SAT."""
    from time import process_time

    from sim.plan_bench_rolling import table

    return table(settings.vph, settings.seeds, settings.ortools, process_time, lambda line: click.echo(line, err=True))


def _saturation(settings: Settings) -> str:
    """Vehicles an hour when more want through than can."""
    from sim.plan_bench_demand import Workload, saturation

    work = Workload((), settings.seeds, settings.lanes, spacing=settings.spacing, workers=settings.workers)
    planners = settings.planners or ("welfare", "first_come", "all_way_stop")
    return saturation(work, planners, _sumo(settings), lambda line: click.echo(line, err=True))


def _sumo(settings: Settings) -> Path | None:
    from sim.peer_sumo import find_sumo

    found = find_sumo(settings.sumo)
    if found is None:
        click.echo("SUMO is not installed: no rows of it (pip install eclipse-sumo, in its own environment)", err=True)
    return found


def _refine(settings: Settings) -> str:
    """Refined plans against the plans as they came, and against one joint programme."""
    from time import perf_counter

    from sim.plan_bench_refine import Ground, comparison, smoothness, table

    def say(line: str) -> None:
        click.echo(line, err=True)

    ground = Ground.four_way()
    figures = [smoothness(ground, range(20), count, perf_counter, say) for count in (8, 32)]
    against = [comparison(ground, range(5), count, perf_counter, say) for count in (2, 4, 8)]
    return table(figures, against)


def _free_space(settings: Settings) -> str:
    """Every published free-space instance."""
    from sim.plan_bench_free import free_space_tables

    if settings.data is None:
        return "Left out: the published instances are not in the project; give their folder with --data.\n"
    return free_space_tables(settings.data / "clmapf", lambda line: click.echo(line, err=True))


SECTIONS: dict[str, Callable[[Settings], str]] = {
    "demand": _demand,
    "order": _order,
    "fleet": _fleet,
    "rolling": _rolling,
    "saturation": _saturation,
    "refine": _refine,
    "free-space": _free_space,
}
"""Name -> what measures it and returns its tables as Markdown; pictures go to ``Settings.out``."""


def _numbers(context: click.Context, option: click.Parameter, text: str) -> tuple[int, ...]:
    try:
        found = tuple(int(word) for word in text.split(","))
    except ValueError as error:
        raise click.BadParameter(f"{text!r} is not a list of whole numbers such as 300,600") from error
    if min(found) < 1:
        raise click.BadParameter(f"{min(found)} is below 1")
    return found


@command.command("planning")
@click.option("--section", "sections", multiple=True, type=click.Choice(list(SECTIONS)), help="Only this; repeatable.")
@click.option(
    "--out", default=Path("runs/bench"), show_default=True, type=click.Path(file_okay=False, path_type=Path),
    help="Folder for planning.md and pictures.",
)  # fmt: skip
@click.option(
    "--data", type=click.Path(exists=True, file_okay=False, path_type=Path),
    help="Folder of the published data (demand/, clmapf/)  [default: arrivals are drawn from the seeds]",
)  # fmt: skip
@click.option("--planner", "planners", multiple=True, metavar="NAME", help="Only this planner; repeatable.")
@click.option("--vph", default="300,450,600,900", show_default=True, callback=_numbers, help="Per hour and lane.")
@click.option("--seeds", default="1,2,3", show_default=True, callback=_numbers)
@click.option("--lanes", default=1, show_default=True, type=click.IntRange(1, 3), help="Per approach.")
@click.option("--duration", "duration_s_max", default=3600.0, show_default=True, help="Longest simulated time, s.")
@click.option(
    "--spacing", default="tight", show_default=True, type=click.Choice(["tight", "comfortable"]),
    help="What plans keep between vehicles; tight: as AIM4 does.",
)  # fmt: skip
@click.option("--workers", default=1, show_default=True, type=click.IntRange(1, 64), help="Processes for the runs.")
@click.option(
    "--ortools", type=click.Path(exists=True, file_okay=False, path_type=Path),
    help="Folder with OR-Tools (pip install --target DIR ortools)  [default: no rows of CP-SAT]",
)  # fmt: skip
@click.option("--sumo", metavar="DIR", help="Folder of SUMO's programs  [default: SUMO_HOME, or the path]")
def planning(sections: tuple[str, ...], **options: object) -> int:
    """Joint planning against its baselines and peers: tables and pictures, each section on its own."""
    settings = Settings(**options)  # type: ignore[arg-type]
    from sim.scenario_checks import PLANNERS, check_name

    for planner in settings.planners:
        check_name("--planner", "planner", planner, PLANNERS)
    parts = []
    for name in sections or tuple(SECTIONS):
        found = SECTIONS[name](settings)
        click.echo(f"{name}\n\n{found}\n")
        parts.append(f"## {name}\n\n{found}\n")
    settings.out.mkdir(parents=True, exist_ok=True)
    (settings.out / "planning.md").write_text("\n".join(parts), encoding="utf-8")
    click.echo(f"tables: {settings.out / 'planning.md'}", err=True)
    return 0


@command.command("protocol")
@click.option("--section", "sections", multiple=True, metavar="NAME", help="Only this; repeatable.")
@click.option("--vehicles", default=800, show_default=True, type=click.IntRange(1, 1_000_000), help="Samples of a row.")
@click.option(
    "--out", default=Path("runs/bench"), show_default=True, type=click.Path(file_okay=False, path_type=Path),
    help="Folder for protocol.md.",
)  # fmt: skip
@click.option("--quiet", is_flag=True, help="No progress bar.")
def protocol(sections: tuple[str, ...], vehicles: int, out: Path, quiet: bool) -> int:
    """Agreement: latency by loss, beside leader-based protocols, under faults, under delay, and how much fits a core.

    Sections: latency, comparison, faults, delays, scale. Interrupted, the same command goes on at the row where it was.
    """
    from sim.bench_table import measure
    from sim.protocol_bench import SECTIONS as PARTS

    for name in sections:
        if name not in PARTS:
            raise click.UsageError(f"--section {name}: there is no such section; known: {', '.join(PARTS)}")
    text = measure([PARTS[name](vehicles) for name in sections or PARTS], out / "protocol.rows.jsonl", not quiet)
    click.echo(text)
    out.mkdir(parents=True, exist_ok=True)
    (out / "protocol.md").write_text(text, encoding="utf-8")
    click.echo(f"tables: {out / 'protocol.md'}", err=True)
    return 0


@command.command("alignment")
@click.option("--section", "sections", multiple=True, metavar="NAME", help="Only this; repeatable.")
@click.option("--quick", is_flag=True, help="Few samples: whether it works.")
@click.option(
    "--out", default=Path("runs/bench"), show_default=True, type=click.Path(file_okay=False, path_type=Path),
    help="Folder for alignment.md and runs; a run that is there already is not driven again.",
)  # fmt: skip
def alignment(sections: tuple[str, ...], quick: bool, out: Path) -> int:
    """The group's alignment: every figure beside its gate, each section on its own."""
    from sim.align_bench import SECTIONS as PARTS
    from sim.align_bench import Settings as Options

    for name in sections:
        if name not in PARTS:
            raise click.UsageError(f"--section {name}: there is no such section; known: {', '.join(PARTS)}")
    options = Options(out, quick, lambda line: click.echo(line, err=True))
    parts = []
    for name in sections or tuple(PARTS):
        found = PARTS[name](options)
        click.echo(f"{name}\n\n{found}\n")
        parts.append(f"## {name}\n\n{found}\n")
    out.mkdir(parents=True, exist_ok=True)
    (out / "alignment.md").write_text("\n".join(parts), encoding="utf-8")
    click.echo(f"tables: {out / 'alignment.md'}", err=True)
    return 0


@command.command("ros")
@click.option("--nodes", default="4,8", show_default=True, callback=_numbers, help="Sizes of the fleet.")
@click.option(
    "--out", type=click.Path(file_okay=False, path_type=Path), default=Path("runs/bench/ros"), show_default=True,
    help="Folder for what the processes leave.",
)  # fmt: skip
@click.option("--domain", default=77, show_default=True, type=click.IntRange(0, 101), help="ROS_DOMAIN_ID.")
@OPTION
def ros(nodes: tuple[int, ...], out: Path, domain: int, realtime: int | None) -> int:
    """Agreement over real DDS between processes, beside a bare rclpy exchange of the same size in the same run."""
    import shutil

    import hardware.ros2_topics  # noqa: F401 - so that the absence of rclpy is told before any work
    from sim.ros_bench import accord, bare, table

    shutil.rmtree(out, ignore_errors=True)
    out.mkdir(parents=True)
    rows = []
    for count in nodes:
        rows.append(bare(count, domain, realtime))
        rows += accord(count, out, domain, realtime, lambda line: click.echo(line, err=True))
    click.echo(table(rows))
    return 0
