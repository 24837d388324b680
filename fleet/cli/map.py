"""``fleet map``: a map with its paths, zones and lines as a picture."""

from __future__ import annotations

from pathlib import Path

import click


@click.command("map")
@click.argument("source")
@click.option("--out", type=click.Path(dir_okay=False, path_type=Path), help="PNG file  [default: NAME.png]")
@click.option("--vehicle", default="car", show_default=True, help="Whose outline the zones are for (built-in maps).")
@click.option("--whole", is_flag=True, help="The whole map instead of its zones and what is around them.")
def command(source: str, out: Path | None, vehicle: str, whole: bool) -> int:
    """Draw SOURCE: a built-in map, a scenario, or a CommonRoad file.

    Recorded vehicles of a CommonRoad file are drawn where they start; their paths are those of the map.

    \b
    Examples:
      fleet map four_way --out four_way.png
      fleet map USA_Lanker-1_3_T-1.xml --out lanker.png
    """
    from fleet.cli.map_source import drawn_map
    from planners.zones import build_zone_map
    from sim.maps.draw import draw_map

    drawn = drawn_map(source, vehicle)
    zone_map, _ = build_zone_map(drawn.name, drawn.paths, drawn.pairs, lanes=drawn.lanes)
    target = out or Path(f"{drawn.name}.png")
    draw_map(zone_map, target, vehicles=drawn.vehicles, detail=not whole)
    counts = f"{len(zone_map.paths)} paths, {len(zone_map.zones)} zones"
    click.echo(f"{target}: {counts}, {len(drawn.vehicles)} vehicles, map digest {zone_map.digest[:12]}")
    for label, reason in drawn.left_out:
        click.echo(f"  left out: {label}: {reason}")
    return 0
