"""``fleet plan``: a published free-space instance, planned, judged, written and drawn."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from sim.free_space_tolerance import Tolerated


@click.command("plan")
@click.argument("instance", metavar="FILE", type=click.Path(path_type=Path))
@click.option("--out", type=click.Path(dir_okay=False, path_type=Path), default=Path("plan.json"), show_default=True,
              help="JSON file for the plan.")  # fmt: skip
@click.option("--picture", type=click.Path(dir_okay=False, path_type=Path), help="PNG file with all paths.")
@click.option("--obstacle-radius", type=click.FloatRange(0.0, min_open=True), metavar="M",
              help="Radius of the obstacles in metres  [default: the published 0.8]")  # fmt: skip
@click.option("--clockwise", is_flag=True, help="Yaw of FILE and of the plan is clockwise from x.")
@click.option("--quiet", is_flag=True, help="No progress bar.")
def command(
    instance: Path, out: Path, picture: Path | None, obstacle_radius: float | None, clockwise: bool, quiet: bool
) -> int:
    """Plan all vehicles of FILE, a published instance of car-like multi-agent path finding (YAML).

    Every plan is judged by a verifier of its own before it is written. Exit status 3, and a plan.json that
    says who and why, if there is no plan.

    \b
    Examples:
      fleet plan map_50by50_obst25_agents10_ex0.yaml --out plan.json --picture plan.png
    """
    from sim.free_space_file import OBSTACLE_RADIUS_M, load_instance, published_cost
    from sim.progress import Progress

    problem = load_instance(instance, obstacle_radius_m=obstacle_radius or OBSTACLE_RADIUS_M, clockwise=clockwise)
    with Progress(not quiet) as bar:
        bar.say("loading planner")
        from sim.free_space_result import as_json, solve_instance, write_json

        answer = solve_instance(problem, bar.share)
    write_json(out, as_json(instance.name, answer, clockwise=clockwise))
    if picture is not None:
        from sim.free_space_picture import draw_plan

        draw_plan(answer, picture, title=instance.stem)
    if answer.tolerated:
        click.echo(_tolerance(answer.tolerated))
    if answer.solved:
        flowtime, makespan = published_cost(answer.plan.flowtime_s), published_cost(answer.plan.makespan_s)
        count = len(problem.vehicles)
        click.echo(
            f"{out}: {count} vehicles in {answer.planning_s:.3f} s, flowtime {flowtime:.1f}, makespan {makespan:.1f}"
        )
        return 0
    click.echo(f"{out}: not solved")
    for unsolved in answer.plan.unsolved:
        click.echo(f"  {unsolved.vehicle}: {unsolved.reason}")
    for finding in answer.findings:
        click.echo(f"  verifier: {finding}")
    return 3


def _tolerance(tolerated: tuple[Tolerated, ...]) -> str:
    who = ", ".join(f"{one.vehicle} {one.at} by {one.overlap_m:.3f} m" for one in tolerated[:4])
    more = f" and {len(tolerated) - 4} more" if len(tolerated) > 4 else ""
    return f"tolerated: given poses overlap an obstacle, which counts with the radius left: {who}{more}"
