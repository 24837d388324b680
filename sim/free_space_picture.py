"""A free-space plan as a PNG: obstacles, every vehicle's way from its outlined start to its filled goal."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from fleet.errors import ConfigError
from planners.free_space import Disc, FreePath, FreeVehicle, Pose
from sim.free_space_result import STEP_S, Answer

Floats = npt.NDArray[np.float64]

_GROUND, _SITE, _EDGE, _OBSTACLE, _TEXT = "#f4f3ef", "#ffffff", "#33383d", "#4a5056", "#33383d"
_SIZE_IN, _TITLE_IN, _DPI = 8.0, 0.6, 140
_GHOST_S = 4.0
"""A pale outline of the body every so many seconds shows where it is when."""


def draw_plan(answer: Answer, out: Path, *, title: str) -> None:
    """Write a PNG of ``answer`` to ``out``; vehicles without a path are drawn at their starts.

    Raises
    ------
    ConfigError
        The file cannot be written.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    problem = answer.problem
    x0, y0, x1, y1 = problem.border_m
    scale = _SIZE_IN / max(x1 - x0, y1 - y0)
    size = ((x1 - x0) * scale, (y1 - y0) * scale + _TITLE_IN)
    figure = Figure(figsize=size, facecolor=_GROUND)
    FigureCanvasAgg(figure)
    room = 0.02
    share = (size[1] - _TITLE_IN) / size[1]
    axes = figure.add_axes((room, room * share, 1.0 - 2.0 * room, share * (1.0 - room)))
    margin = 0.01 * (x1 - x0)
    axes.set(xlim=(x0 - margin, x1 + margin), ylim=(y0 - margin, y1 + margin), aspect="equal")
    axes.axis("off")
    _draw_site(axes, answer)
    paths = {path.vehicle: path for path in answer.plan.paths} if answer.solved else {}
    stuck = {unsolved.vehicle for unsolved in answer.plan.unsolved}
    for n, vehicle in enumerate(problem.vehicles):
        _draw_vehicle(axes, vehicle, paths.get(vehicle.name), _colour(n, len(problem.vehicles)), vehicle.name in stuck)
    for line, (text, points) in enumerate(((_headline(answer, title), 11), (_legend(answer), 8))):
        height = 1.0 - (0.22 + 0.23 * line) / size[1]
        figure.text(room, height, text, va="center", color=_TEXT, fontsize=points)
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        figure.savefig(out, format="png", dpi=_DPI, facecolor=_GROUND, metadata={"Software": None})
    except OSError as error:
        raise ConfigError(f"{out}: cannot be written: {error.strerror}") from error


def _headline(answer: Answer, title: str) -> str:
    if answer.solved:
        return (
            f"{title}:  {len(answer.problem.vehicles)} vehicles,  planned in {answer.planning_s:.2f} s,"
            f"  last arrival after {answer.plan.makespan_s:.1f} s"
        )
    who = ", ".join(unsolved.vehicle for unsolved in answer.plan.unsolved[:4])
    return f"{title}:  not solved" + (f" ({who})" if who else "")


def _legend(answer: Answer) -> str:
    text = f"white: start;  filled: goal;  pale: every {_GHOST_S:g} s on the way;  the cut corners are the front"
    return text + (";  dotted: published radius, tolerated overlap" if answer.tolerated else "")


def _draw_site(axes: Any, answer: Answer) -> None:
    from matplotlib.patches import Circle, Polygon, Rectangle

    x0, y0, x1, y1 = answer.problem.border_m
    axes.add_patch(Rectangle((x0, y0), x1 - x0, y1 - y0, facecolor=_SITE, edgecolor=_EDGE, linewidth=1.2))
    for obstacle in answer.problem.obstacles:
        shape = (
            Circle((obstacle.x_m, obstacle.y_m), obstacle.radius_m)
            if isinstance(obstacle, Disc)
            else Polygon(np.array(obstacle.corners_m), closed=True)
        )
        shape.set(facecolor=_OBSTACLE, edgecolor="none", zorder=2)
        axes.add_patch(shape)
    for disc in (one.disc for one in answer.tolerated):
        published = Circle((disc.x_m, disc.y_m), disc.radius_m, fill=False, edgecolor=_OBSTACLE, linestyle=":")
        axes.add_patch(published).set(linewidth=1.0, zorder=6)


def _draw_vehicle(axes: Any, vehicle: FreeVehicle, path: FreePath | None, colour: Any, stuck: bool) -> None:
    from matplotlib.patches import Polygon

    def body(pose: Pose, **style: Any) -> None:
        axes.add_patch(Polygon(_outline(vehicle, pose), closed=True, **style))

    if path is not None:
        states = path.states(STEP_S)
        axes.plot(states[:, 1], states[:, 2], color=colour, linewidth=1.5, alpha=0.85, zorder=3, solid_capstyle="round")
        for t in np.arange(_GHOST_S, path.arrival_s - 0.5 * _GHOST_S, _GHOST_S):
            row = states[int(np.searchsorted(states[:, 0], t))]
            body((row[1], row[2], row[3]), facecolor=colour, alpha=0.16, edgecolor="none", zorder=2)
    body(vehicle.goal, facecolor=colour, edgecolor=_EDGE, linewidth=0.6, alpha=0.9 if path else 0.25, zorder=4)
    body(
        vehicle.start,
        facecolor="white",
        edgecolor="#d11a2a" if stuck else colour,
        linewidth=2.2 if stuck else 1.4,
        zorder=5,
    )
    label = {"s": vehicle.name.removeprefix("agent"), "ha": "center", "va": "center", "fontsize": 6.5}
    for pose, ink, above in ((vehicle.goal, _ink(colour) if path else _TEXT, 4.5), (vehicle.start, _TEXT, 6.0)):
        x, y = _centre(vehicle, pose)
        axes.text(x, y, color=ink, zorder=above, **label)


def _outline(vehicle: FreeVehicle, pose: Pose) -> Floats:
    """Corners of the footprint; the chamfered end is the front."""
    half, front, rear = 0.5 * vehicle.width_m, vehicle.front_m, vehicle.rear_m
    nose = front - 0.2 * (front + rear)
    local = np.array(
        [[front, 0.5 * half], [front, -0.5 * half], [nose, -half], [-rear, -half], [-rear, half], [nose, half]]
    )
    c, s = math.cos(pose[2]), math.sin(pose[2])
    out: Floats = local @ np.array([[c, s], [-s, c]]) + np.array(pose[:2])
    return out


def _centre(vehicle: FreeVehicle, pose: Pose) -> tuple[float, float]:
    ahead = 0.5 * (vehicle.front_m - vehicle.rear_m)
    return pose[0] + ahead * math.cos(pose[2]), pose[1] + ahead * math.sin(pose[2])


def _ink(fill: tuple[float, float, float]) -> str:
    """White on dark fills, dark on light ones."""
    return _TEXT if 0.299 * fill[0] + 0.587 * fill[1] + 0.114 * fill[2] > 0.58 else "white"


def _colour(n: int, count: int) -> tuple[float, float, float]:
    """Hues in steps of the golden angle, so that neighbours in the list differ; yellow is darkened."""
    import colorsys

    hue = (0.58 + n * 0.381966) % 1.0
    light = 0.45 if 0.1 < hue < 0.5 else 0.55
    return colorsys.hls_to_rgb(hue, light + 0.08 * (n % 3 - 1), 0.62 if count > 1 else 0.7)
