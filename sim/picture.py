"""A still of a run: the junction with the vehicles as boxes and their fading trails (PNG, for the README)."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from fleet.errors import ConfigError
from sim.phases import phase_class, rgba_of
from sim.run_folder import RunFolder
from sim.scene import Scene, build_scene
from sim.trajectory_log import read_trajectories

_TRAIL_S = 2.5
_MARGIN_M = 32.0
_DPI = 150
_WIDTH_IN = 9.0


def picture(run_dir: Path, out_png: Path, *, time_s: float | None = None) -> Path:
    """Draw the run at ``time_s``; by default when most vehicles are near the zones.

    Raises
    ------
    ConfigError
        ``run_dir`` is not the folder of a finished run, or nothing moved in it.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.collections import PolyCollection
    from matplotlib.figure import Figure

    folder = RunFolder.load(run_dir)
    trajectories = read_trajectories(run_dir)
    if not len(trajectories.t_s):
        raise ConfigError(f"{run_dir}: the run has no trajectories to draw")
    scene = build_scene(trajectories, folder.vehicles, folder.map)
    rings = [ring for _, zone in folder.map.zones for ring in zone] or [trajectories.state[:, :2]]
    low, high = np.vstack(rings).min(axis=0) - _MARGIN_M, np.vstack(rings).max(axis=0) + _MARGIN_M
    k = _busiest(scene, low, high) if time_s is None else int(np.argmin(np.abs(scene.t_s[scene.first[:-1]] - time_s)))
    now = range(int(scene.first[k]), int(scene.first[k + 1]))

    figure = Figure(figsize=(_WIDTH_IN, _WIDTH_IN * float((high - low)[1] / (high - low)[0])), facecolor="#14171c")
    FigureCanvasAgg(figure)
    axes = figure.add_axes((0.0, 0.0, 1.0, 1.0))
    axes.set(xlim=(low[0], high[0]), ylim=(low[1], high[1]), aspect="equal", facecolor="#14171c")
    axes.axis("off")
    axes.add_collection(
        PolyCollection(
            [lane for lane in folder.map.lanes if len(lane) > 2],
            facecolor="#2a2f37",
            edgecolor="#3d444f",
            linewidth=0.8,
        )
    )
    axes.add_collection(
        PolyCollection(
            [ring for _, zone in folder.map.zones for ring in zone],
            facecolor="#f5a5241c",
            edgecolor="#f5a52480",
            linewidth=1.0,
        )
    )
    seen = _draw_vehicles(axes, scene, now, (low, high))
    for n, (key, colour) in enumerate(sorted(seen.items())):
        axes.text(0.02, 0.03 + 0.03 * n, f"\u25a0 {key}", color=colour, transform=axes.transAxes, fontsize=11)
    axes.text(
        0.02, 0.965, f"t = {float(scene.t_s[now[0]]):.1f} s", color="white", transform=axes.transAxes, fontsize=12
    )
    figure.savefig(out_png, dpi=_DPI, facecolor=figure.get_facecolor(), metadata={"Software": None})
    return out_png


def _draw_vehicles(axes: Any, scene: Scene, rows: range, view: tuple[np.ndarray, np.ndarray]) -> dict[str, str]:
    """Boxes, trails and labels; returns the phases drawn and their colours."""
    from matplotlib.collections import LineCollection, PolyCollection

    low, high = view
    seen: dict[str, str] = {}
    for row in rows:
        name = scene.phase_names[int(scene.phase[row])]
        key, colour = phase_class(name)
        seen.setdefault(key, colour)
        trail = _trail(scene, row)
        colours = [(*rgba_of(name)[:3], float(alpha)) for alpha in np.linspace(0.0, 0.75, len(trail) - 1)]
        width = 1.1 * float(scene.half[scene.vehicle[row], 1]) * 72.0 * _WIDTH_IN / float((high - low)[0])
        pieces = list(np.stack([trail[:-1], trail[1:]], axis=1))
        axes.add_collection(LineCollection(pieces, colors=colours, linewidths=width, capstyle="butt"))
        axes.add_collection(PolyCollection([_outline(scene, row)], fc=colour, ec="white", linewidth=0.9, zorder=3))
        x, y = scene.state[row, :2]
        if low[0] < x < high[0] and low[1] < y < high[1]:
            label = scene.vehicles[scene.vehicle[row]].id
            upright = abs(np.sin(scene.state[row, 2])) > 0.7
            at, side = ((0.75 * width + 10, -3), "left") if upright else ((0, 0.75 * width + 8), "center")
            axes.annotate(label, (x, y), at, textcoords="offset points", ha=side, color="white", fontsize=9, zorder=4)
    return seen


def _busiest(scene: Scene, low: np.ndarray, high: np.ndarray) -> int:
    """The instant at which most moving vehicles are in view, those nearer to the middle counting more."""
    middle, reach = 0.5 * (low + high), 0.5 * float((high - low).max())
    near = np.maximum(0.0, 1.0 - np.hypot(*(scene.state[:, :2] - middle).T) / reach)
    return int(np.argmax(np.add.reduceat(near * (scene.state[:, 3] > 1.0), scene.first[:-1])))


def _trail(scene: Scene, row: int) -> np.ndarray:
    v = int(scene.vehicle[row])
    rows = scene.rows[scene.start[v] : scene.start[v + 1]]
    rows = rows[(rows <= row) & (scene.t_s[rows] >= scene.t_s[row] - _TRAIL_S)]
    points = scene.state[rows, :2]
    return points if len(points) > 1 else np.repeat(points, 2, axis=0)


def _outline(scene: Scene, row: int) -> np.ndarray:
    half_l, half_w = scene.half[scene.vehicle[row]]
    x, y, yaw = scene.state[row, :3]
    nose = 0.72 * half_l
    local = np.array(
        [
            [half_l, 0.55 * half_w],
            [half_l, -0.55 * half_w],
            [nose, -half_w],
            [-half_l, -half_w],
            [-half_l, half_w],
            [nose, half_w],
        ]
    )
    turn = np.array([[np.cos(yaw), np.sin(yaw)], [-np.sin(yaw), np.cos(yaw)]])
    return local @ turn + np.array([x, y])
