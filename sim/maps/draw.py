"""Draw a map and its zones as a PNG: lanes, paths by approach, zones with names, stop lines, a scale bar."""

from __future__ import annotations

import math
import os
from collections.abc import Sequence
from pathlib import Path as FilePath
from typing import Any

import numpy as np

from planners.zone_map import Floats, Footprint, Path, Zone, ZoneMap

Pose = tuple[float, float, float]
"""Rear axle x_m, y_m, yaw_rad in W."""

_GROUND, _ROAD, _EDGE, _TEXT = "#f4f3ef", "#dcdcd8", "#ffffff", "#33383d"
_APPROACHES = ("#2f6fb0", "#d0662c", "#3c8d4f", "#8a56a8", "#b8435a", "#2b9a9a", "#9a7b1f", "#6b6f76")
_ZONES = ("#e8b13a", "#d9694f", "#6aa84f", "#5b8ec9", "#a573b8", "#4fb0a5")
_DETAIL_MARGIN = 0.45
"""Room around the zones in the detail view, in extents of the zones."""
_BORDER_IN, _TITLE_IN = 0.15, 0.35
_ASPECT_MAX = 1.8

Bounds = tuple[float, float, float, float]
"""x and y from, x and y to."""


def draw_map(
    zone_map: ZoneMap,
    out: FilePath,
    *,
    vehicles: Sequence[tuple[Footprint, Pose]] = (),
    detail: bool = True,
) -> None:
    """Write a PNG of ``zone_map`` to ``out`` (replaced whole, its folder is made).

    Parameters
    ----------
    vehicles : (footprint, (x_m, y_m, yaw_rad))
        Bodies to draw; the pose is the rear axle's in W.
    detail : bool
        Show the zones and what is around them, with the whole map as an inset where it is much larger.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    whole = _bounds([_points(path) for path in zone_map.paths.values()], share=0.03)
    rings = [np.array(ring) for zone in zone_map.zones.values() for ring in zone.outline]
    near = _within(_bounds(rings, share=_DETAIL_MARGIN), whole) if detail and rings else whole
    near = _of_fair_shape(near)
    width, height = near[2] - near[0], near[3] - near[1]
    scale_in = 9.0 / max(width, height)
    size = (width * scale_in + 2.0 * _BORDER_IN, height * scale_in + 2.0 * _BORDER_IN + _TITLE_IN)
    figure = Figure(figsize=size, dpi=140)
    FigureCanvasAgg(figure)
    figure.patch.set_facecolor("white")
    axes = figure.add_axes(
        (_BORDER_IN / size[0], _BORDER_IN / size[1], width * scale_in / size[0], height * scale_in / size[1])
    )
    colours = _colours(zone_map)
    _draw_roads(axes, zone_map)
    _draw_zones(axes, zone_map)
    _draw_paths(axes, zone_map, colours, width_pt=1.7)
    _draw_lines(axes, zone_map, colours)
    for footprint, pose in vehicles:
        _fill(axes, _body(footprint, pose), facecolor="#20262b", edgecolor="white", linewidth=0.6, zorder=8)
    _frame(axes, near)
    _draw_names(axes, zone_map, near)
    _draw_scale(axes)
    _draw_legend(axes, colours)
    axes.set_title(_title(zone_map), color=_TEXT, fontsize=12, loc="left", pad=8)
    if max(whole[2] - whole[0], whole[3] - whole[1]) > 2.0 * max(width, height):
        _draw_inset(axes, zone_map, colours, whole, near)
    _save(figure, out)


def _draw_inset(axes: Any, zone_map: ZoneMap, colours: dict[str, str], whole: Bounds, near: Bounds) -> None:
    """The whole map, with a frame where the large view is."""
    # A square in the lower right corner, whatever the shape of the large view.
    share = 0.2 * min(1.0, (near[3] - near[1]) / (near[2] - near[0]))
    tall = share * (near[2] - near[0]) / (near[3] - near[1])
    inset = axes.inset_axes((0.985 - share, 0.015 * tall / share, share, tall))
    _draw_paths(inset, zone_map, colours, width_pt=0.9)
    frame = np.array([near[:2], (near[2], near[1]), near[2:], (near[0], near[3])])
    _fill(inset, frame, facecolor="none", edgecolor=_TEXT, linewidth=0.9, zorder=9)
    _frame(inset, _square(whole))


def _draw_roads(axes: Any, zone_map: ZoneMap) -> None:
    for path in zone_map.paths.values():
        _fill(axes, _corridor(path), facecolor=_ROAD, edgecolor=_ROAD, linewidth=0.5, zorder=1)
    for ring in zone_map.lanes:
        _fill(axes, np.array(ring), facecolor=_ROAD, edgecolor=_ROAD, linewidth=0.5, zorder=1)
    for ring in zone_map.lanes:
        _fill(axes, np.array(ring), facecolor="none", edgecolor=_EDGE, linewidth=0.8, zorder=2)


def _draw_paths(axes: Any, zone_map: ZoneMap, colours: dict[str, str], *, width_pt: float) -> None:
    for _, path in sorted(zone_map.paths.items()):
        axes.plot(
            path.x_m,
            path.y_m,
            color=colours[path.origin],
            linewidth=width_pt,
            alpha=0.75,
            zorder=4,
            solid_capstyle="round",
        )


def _draw_zones(axes: Any, zone_map: ZoneMap) -> None:
    for k, zone in enumerate(zone_map.zones.values()):
        colour = _ZONES[k % len(_ZONES)]
        for ring in zone.outline:
            _fill(axes, np.array(ring), facecolor=colour, alpha=0.30, edgecolor="none", zorder=3)
            _fill(axes, np.array(ring), facecolor="none", edgecolor=colour, linewidth=1.3, zorder=5)


def _draw_lines(axes: Any, zone_map: ZoneMap, colours: dict[str, str]) -> None:
    """Stop lines, across the lane where a front bumper must stand; one for those of an approach that nearly meet."""
    drawn: list[tuple[str, Floats]] = []
    for path_id, passages in sorted(zone_map.passages.items()):
        path = zone_map.paths[path_id]
        for passage in passages:
            if not 0.0 <= passage.line_s_m <= path.length_m:
                continue
            k = round(passage.line_s_m / path.step_m)
            at, half = np.array([path.x_m[k], path.y_m[k]]), float(path.half_width_m[k])
            if any(origin == path.origin and np.hypot(*(other - at)) < half for origin, other in drawn):
                continue
            drawn.append((path.origin, at))
            side = np.array([-math.sin(path.yaw_rad[k]), math.cos(path.yaw_rad[k])]) * half * 0.85
            ends = np.array([at - side, at + side])
            axes.plot(ends[:, 0], ends[:, 1], color="white", linewidth=4.2, zorder=6, solid_capstyle="butt")
            axes.plot(
                ends[:, 0], ends[:, 1], color=colours[path.origin], linewidth=2.4, zorder=7, solid_capstyle="butt"
            )


def _draw_names(axes: Any, zone_map: ZoneMap, near: Bounds) -> None:
    box = {"boxstyle": "round,pad=0.25", "facecolor": "white", "edgecolor": "none", "alpha": 0.85}
    for zone in zone_map.zones.values():
        x, y = _label_at(zone)
        if near[0] <= x <= near[2] and near[1] <= y <= near[3]:
            axes.text(x, y, zone.zone_id, ha="center", va="center", fontsize=9, color=_TEXT, bbox=box, zorder=10)


def _label_at(zone: Zone) -> tuple[float, float]:
    """Inside the largest polygon of a zone; in the middle of all where there are several."""
    corners = [np.array(ring) for ring in zone.outline]
    x0, y0, x1, y1 = _bounds(corners, share=0.0)
    if len(corners) > 1:
        return (x0 + x1) / 2.0, (y0 + y1) / 2.0
    middle = corners[0].mean(axis=0)
    return float(middle[0]), float(middle[1])


def _draw_scale(axes: Any) -> None:
    """A bar of a round length, about a sixth of the width, at the lower left."""
    x0, x1 = axes.get_xlim()
    y0, y1 = axes.get_ylim()
    wanted = (x1 - x0) / 6.0
    decade = 10.0 ** math.floor(math.log10(wanted))
    length = max(step * decade for step in (1.0, 2.0, 5.0) if step * decade <= wanted)
    x, y = x0 + 0.03 * (x1 - x0), y0 + 0.035 * (y1 - y0)
    axes.plot([x, x + length], [y, y], color=_TEXT, linewidth=3.0, zorder=11, solid_capstyle="butt")
    above = y + 0.012 * (y1 - y0)
    axes.text(x + length / 2.0, above, f"{length:g} m", ha="center", va="bottom", fontsize=9, color=_TEXT, zorder=11)


def _draw_legend(axes: Any, colours: dict[str, str]) -> None:
    from matplotlib.lines import Line2D

    shown = list(colours.items())[:12]
    handles = [Line2D([], [], color=colour, linewidth=2.4, label=f"from {origin}") for origin, colour in shown]
    if len(colours) > len(shown):
        handles.append(Line2D([], [], color="none", label=f"and {len(colours) - len(shown)} more"))
    axes.legend(
        handles=handles,
        loc="upper left",
        fontsize=8.5,
        frameon=True,
        framealpha=0.9,
        edgecolor="none",
        labelcolor=_TEXT,
    ).set_zorder(12)


def _title(zone_map: ZoneMap) -> str:
    def counted(count: int, word: str) -> str:
        return f"{count} {word}{'' if count == 1 else 's'}"

    paths, zones = counted(len(zone_map.paths), "path"), counted(len(zone_map.zones), "zone")
    return f"{zone_map.name}: {paths}, {zones}, digest {zone_map.digest[:12]}"


def _colours(zone_map: ZoneMap) -> dict[str, str]:
    origins = sorted({path.origin for path in zone_map.paths.values()})
    return {origin: _APPROACHES[k % len(_APPROACHES)] for k, origin in enumerate(origins)}


def _points(path: Path) -> Floats:
    return np.column_stack([path.x_m, path.y_m])


def _corridor(path: Path) -> Floats:
    side = np.column_stack([-np.sin(path.yaw_rad), np.cos(path.yaw_rad)]) * path.half_width_m[:, None]
    return np.vstack([_points(path) + side, (_points(path) - side)[::-1]])


def _body(footprint: Footprint, pose: Pose) -> Floats:
    x, y, yaw = pose
    front, rear, side = footprint.front_m, -footprint.rear_m, footprint.width_m / 2.0
    corners = np.array([[front, side], [rear, side], [rear, -side], [front, -side]])
    cos, sin = math.cos(yaw), math.sin(yaw)
    body: Floats = corners @ np.array([[cos, sin], [-sin, cos]]) + (x, y)
    return body


def _bounds(parts: Sequence[Floats], *, share: float) -> Bounds:
    """Around all points; wider by ``share`` of the larger extent on each side."""
    points = np.concatenate(parts)
    lo, hi = points.min(axis=0), points.max(axis=0)
    room = share * float((hi - lo).max())
    return float(lo[0]) - room, float(lo[1]) - room, float(hi[0]) + room, float(hi[1]) + room


def _within(bounds: Bounds, whole: Bounds) -> Bounds:
    x0, y0, x1, y1 = bounds
    return max(x0, whole[0]), max(y0, whole[1]), min(x1, whole[2]), min(y1, whole[3])


def _of_fair_shape(bounds: Bounds) -> Bounds:
    """Widened where one extent is much the smaller."""
    x0, y0, x1, y1 = bounds
    least = max(x1 - x0, y1 - y0) / _ASPECT_MAX
    dx, dy = max(0.0, least - (x1 - x0)) / 2.0, max(0.0, least - (y1 - y0)) / 2.0
    return x0 - dx, y0 - dy, x1 + dx, y1 + dy


def _square(bounds: Bounds) -> Bounds:
    x, y = (bounds[0] + bounds[2]) / 2.0, (bounds[1] + bounds[3]) / 2.0
    half = max(bounds[2] - bounds[0], bounds[3] - bounds[1]) / 2.0
    return x - half, y - half, x + half, y + half


def _frame(axes: Any, bounds: Bounds) -> None:
    axes.set_xlim(bounds[0], bounds[2])
    axes.set_ylim(bounds[1], bounds[3])
    axes.set_aspect("equal", adjustable="box")
    axes.set_facecolor(_GROUND)
    axes.set_xticks([])
    axes.set_yticks([])
    for spine in axes.spines.values():
        spine.set_color("#c8c8c4")


def _fill(axes: Any, ring: Floats, **style: Any) -> None:
    from matplotlib.patches import Polygon

    axes.add_patch(Polygon(ring, closed=True, **style))


def _save(figure: Any, out: FilePath) -> None:
    out.parent.mkdir(parents=True, exist_ok=True)
    temporary = out.with_name(out.name + ".part")
    try:
        figure.savefig(temporary, format="png", metadata={"Software": None})
        os.replace(temporary, out)
    finally:
        temporary.unlink(missing_ok=True)
