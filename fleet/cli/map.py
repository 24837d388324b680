"""``fleet map``: a map with its paths, zones and lines as a picture."""

from __future__ import annotations

from pathlib import Path

import click


@click.command("map")
@click.argument("source")
@click.option("--out", type=click.Path(dir_okay=False, path_type=Path), help="PNG file  [default: NAME.png]")
@click.option("--whole", is_flag=True, help="The whole map instead of its zones and what is around them.")
def command(source: str, out: Path | None, whole: bool) -> int:
    """Draw the map of SOURCE: a scenario (ready or a .yaml file), or a CommonRoad file (.xml).

    What is drawn is what a run takes place on: the zones are those for the vehicles of the scenario, and
    vehicles that start in the middle of the map, such as recorded ones, are drawn where they start.

    \b
    Examples:
      fleet map four_way --out four_way.png
      fleet map USA_Lanker-1_3_T-1.xml --out lanker.png
    """
    from fleet.node.bodies import planner_body
    from planners.paths import pose_at
    from sim.maps.draw import draw_map
    from sim.scenario import load_scenario
    from sim.stage import build_stage

    stage = build_stage(load_scenario(source))
    zone_map = stage.zone_map
    placed = [actor for actor in stage.actors if actor.recorded]
    vehicles = [
        (planner_body("", actor.vehicle).footprint, pose_at(zone_map.paths[actor.path_id], actor.start_s_m))
        for actor in placed
    ]
    target = out or Path(f"{stage.name}.png")
    draw_map(zone_map, target, vehicles=vehicles, detail=not whole)
    counts = f"paths: {len(zone_map.paths)}, zones: {len(zone_map.zones)}, vehicles: {len(stage.actors)}"
    click.echo(f"{target}: {counts}, map digest {zone_map.digest[:12]}")
    for label, reason in stage.left_out:
        click.echo(f"  left out: {label}: {reason}")
    return 0
