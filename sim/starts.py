"""Starts that cannot be: two vehicles that the scenario puts onto the same spot at the same moment."""

from __future__ import annotations

from collections.abc import Sequence

import shapely
import shapely.affinity

from fleet.errors import ConfigError
from hardware.vehicle import load_vehicle
from planners.paths import pose_at
from planners.zone_map import Path
from sim.demand import Arrival


def check_starts(found: Sequence[Arrival], paths: Sequence[Path], source: str) -> None:
    """Refuse outlines that overlap where vehicles are *placed* (``start_s_m``) at one time.

    Vehicles without a place enter at the outer end of their lane when it has room, so they cannot overlap.

    Raises
    ------
    ConfigError
        Names both vehicles and where they are.
    """
    by_id = {path.path_id: path for path in paths}
    placed = [arrival for arrival in found if arrival.start_s_m is not None]
    boxes = [_outline(arrival, by_id[arrival.path_id]) for arrival in placed]
    tree = shapely.STRtree(boxes)
    for index, box in enumerate(boxes):
        for other in sorted(int(hit) for hit in tree.query(box, predicate="intersects")):
            if other > index and placed[other].arrival_s == placed[index].arrival_s:
                at = box.intersection(boxes[other]).centroid
                raise ConfigError(
                    f"{source}: vehicles {placed[index].vehicle_id} and {placed[other].vehicle_id} overlap at the start,"
                    f" at ({at.x:.1f}, {at.y:.1f}); change start_s_m or arrival_s"
                )


def _outline(arrival: Arrival, path: Path) -> shapely.Polygon:
    """The vehicle's rectangle in W where it starts."""
    body = load_vehicle(arrival.vehicle).body
    x_m, y_m, yaw_rad = pose_at(path, arrival.start_s_m or 0.0)
    box = shapely.box(-body.rear_overhang_m, -body.width_m / 2.0, body.length_m - body.rear_overhang_m, body.width_m / 2.0)
    turned = shapely.affinity.rotate(box, yaw_rad, origin=(0.0, 0.0), use_radians=True)
    return shapely.affinity.translate(turned, x_m, y_m)
