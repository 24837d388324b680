"""Paths from points: uniform arc length, tangent, curvature, optional smoothing, and projection onto them.

A path is built in three steps. The points are cleaned (duplicates and small back-steps of stitched
map data go) and chords longer than one step are divided. With ``smooth_m`` the polyline is filtered
with the kernel 2 G - G * G, G a Gaussian of that arc length: it flattens kinks like G but shifts a
constant curve by a fourth-order instead of a second-order amount. The result is run through by a
cubic and sampled at exactly uniform arc length.
"""

from __future__ import annotations

import itertools
import math

import numpy as np
import numpy.typing as npt

from fleet.errors import PlanError
from planners.zone_map import Path

Floats = npt.NDArray[np.float64]

_STRAIGHT_RAD = math.radians(40.0)
_U_TURN_RAD = math.radians(150.0)
_SHIFT_SHARE_MAX = 0.5
"""Smoothing may move a point by this share of the free half width, and no farther."""


def build_path(
    path_id: str,
    origin: str,
    destination: str,
    points: npt.ArrayLike,
    limit_mps: npt.ArrayLike,
    half_width_m: npt.ArrayLike,
    *,
    step_m: float,
    smooth_m: float = 0.0,
) -> Path:
    """Resample a polyline to a :class:`Path`.

    Parameters
    ----------
    points : float64 [n, 2]
        Centre line in W, metres, in driving order. Chords of at most ``step_m`` are joined by a cubic
        (so a densely sampled arc keeps its curvature); longer ones stay straight.
    limit_mps, half_width_m : float64 [n] or scalar
        Speed limit and free half width at each point, both positive.
    step_m : float
        Spacing of the result. The end moves by at most half of it so that the grid is exact.
    smooth_m : float
        Arc length of the smoothing kernel (one standard deviation); 0 leaves the points as they are.
        Both ends keep their position.

    Raises
    ------
    PlanError
        Malformed input, a path shorter than two steps, or smoothing that would move a point by more
        than half of the half width there.
    """
    xy, limit, half = _checked(path_id, points, limit_mps, half_width_m, step_m, smooth_m)
    keep = _forward_points(xy, step_m)
    xy, limit, half = xy[keep], limit[keep], half[keep]
    station = _station(xy)
    if station[-1] < 2.0 * step_m:
        raise PlanError(f"path {path_id}: {station[-1]:.3g} m long; the least is two steps of {step_m:g} m")
    if smooth_m > 0.0:
        dense, dense_station = _smoothed(path_id, xy, station, half, min(step_m, smooth_m / 4.0), smooth_m)
    else:
        dense, dense_station = _divided(xy, station, step_m)
    curve, share = _uniform(dense, step_m)
    yaw, kappa = _tangents(curve, step_m)
    at = np.interp(share, np.linspace(0.0, 1.0, len(dense)), dense_station)
    arrays = (
        curve[:, 0],
        curve[:, 1],
        yaw,
        kappa,
        # The lower limit of two neighbours: a limit must not begin to rise before its sign.
        _lower_between(at, station, limit),
        np.interp(at, station, half),
    )
    frozen = [np.ascontiguousarray(values, dtype=np.float64) for values in arrays]
    for values in frozen:
        values.setflags(write=False)
    return Path(path_id, origin, destination, movement(float(yaw[0]), float(yaw[-1])), float(step_m), *frozen)


def movement(yaw_start_rad: float, yaw_end_rad: float) -> str:
    """left, straight, right or u_turn by the change of heading, wrapped to (-pi, pi]."""
    change = math.remainder(yaw_end_rad - yaw_start_rad, math.tau)
    if abs(change) < _STRAIGHT_RAD:
        return "straight"
    if abs(change) > _U_TURN_RAD:
        return "u_turn"
    return "left" if change > 0.0 else "right"


def pose_at(path: Path, s_m: float) -> tuple[float, float, float]:
    """(x_m, y_m, yaw_rad) at arc length ``s_m``; beyond either end straight on along its tangent."""
    k = min(max(int(s_m / path.step_m), 0), len(path.x_m) - 2)
    share = min(max(s_m / path.step_m - k, 0.0), 1.0)
    turn = math.remainder(float(path.yaw_rad[k + 1] - path.yaw_rad[k]), math.tau)
    yaw = math.remainder(float(path.yaw_rad[k]) + share * turn, math.tau)
    beyond = s_m - (k + share) * path.step_m
    bulge, cos, sin = _bulge(path, k, share), math.cos(yaw), math.sin(yaw)
    x = float(path.x_m[k] + share * (path.x_m[k + 1] - path.x_m[k])) + beyond * cos + bulge * sin
    y = float(path.y_m[k] + share * (path.y_m[k + 1] - path.y_m[k])) + beyond * sin - bulge * cos
    return x, y, yaw


def project(path: Path, x: float, y: float, *, near_s: float | None = None) -> tuple[float, float]:
    """Where a point lies along a path: (s_m, lateral_m), lateral positive to the left.

    The foot is found where the interpolated normal passes through the point, so ``s_m`` is continuous
    also on curves. Beside the ends it runs on: ``s_m`` is negative before the start. With ``near_s``
    only +-40 steps around it are looked at, which keeps to one branch where a path crosses itself;
    a best point on that window's rim means that the guess was wrong, and the whole path is searched.
    """
    first, last = 0, len(path.x_m)
    if near_s is not None:
        middle = round(near_s / path.step_m)
        first, last = max(0, min(middle, last - 2) - 40), min(last, max(middle, 1) + 41)
    dx, dy = x - path.x_m[first:last], y - path.y_m[first:last]
    nearest = first + int(np.argmin(dx * dx + dy * dy))
    on_rim = (nearest == first and first > 0) or (nearest == last - 1 and last < len(path.x_m))
    if near_s is not None and on_rim:
        return project(path, x, y)
    ahead, left = _in_frame(path, nearest, x, y)
    other = min(max(nearest + (1 if ahead >= 0.0 else -1), 0), len(path.x_m) - 1)
    if other == nearest:
        return nearest * path.step_m + ahead, left
    ahead_other, left_other = _in_frame(path, other, x, y)
    share = ahead / (ahead - ahead_other) if ahead != ahead_other else 0.0
    share = min(max(share, 0.0), 1.0)
    s_m = (nearest + share * (other - nearest)) * path.step_m
    return s_m, left + share * (left_other - left) - _bulge(path, min(nearest, other), share)


def _bulge(path: Path, k: int, share: float) -> float:
    """How far the curve runs to the right of its chord from point ``k``: kappa h^2 u (1 - u) / 2."""
    kappa = 0.5 * float(path.kappa_1pm[k] + path.kappa_1pm[k + 1])
    return 0.5 * kappa * path.step_m**2 * share * (1.0 - share)


def _in_frame(path: Path, k: int, x: float, y: float) -> tuple[float, float]:
    cos, sin = math.cos(path.yaw_rad[k]), math.sin(path.yaw_rad[k])
    dx, dy = x - float(path.x_m[k]), y - float(path.y_m[k])
    return dx * cos + dy * sin, dy * cos - dx * sin


def _checked(
    path_id: str,
    points: npt.ArrayLike,
    limit_mps: npt.ArrayLike,
    half_width_m: npt.ArrayLike,
    step_m: float,
    smooth_m: float,
) -> tuple[Floats, Floats, Floats]:
    xy = np.array(points, dtype=np.float64)
    if xy.ndim != 2 or xy.shape[1] != 2 or len(xy) < 2 or not np.isfinite(xy).all():
        raise PlanError(f"path {path_id}: points must be two or more finite (x, y); shape is {xy.shape}")
    if not (math.isfinite(step_m) and step_m > 0.0 and math.isfinite(smooth_m) and smooth_m >= 0.0):
        raise PlanError(f"path {path_id}: step_m {step_m} must be positive and smooth_m {smooth_m} not negative")
    rows = []
    for name, values in (("limit_mps", limit_mps), ("half_width_m", half_width_m)):
        array = np.array(values, dtype=np.float64)
        if array.ndim == 0:
            array = np.full(len(xy), float(array))
        if array.shape != (len(xy),) or not np.isfinite(array).all() or not (array > 0.0).all():
            raise PlanError(f"path {path_id}: {name} must be {len(xy)} positive numbers; shape is {array.shape}")
        rows.append(array)
    return xy, rows[0], rows[1]


def _station(xy: Floats) -> Floats:
    return np.concatenate(([0.0], np.cumsum(np.hypot(*np.diff(xy, axis=0).T))))


def _forward_points(xy: Floats, step_m: float) -> npt.NDArray[np.intp]:
    """Indices of the points that lead forward: no duplicates, no back-steps shorter than four steps.

    Where two pieces overlap by a little, the points of the second that lie behind the end of the
    first are dropped. The last point always stays, in place of those that it does not lead on from.
    """
    least = 1e-3 * step_m
    kept: list[int] = [0]
    for k in range(1, len(xy)):
        chord = xy[k] - xy[kept[-1]]
        size = math.hypot(*chord)
        if size < least:
            continue
        if len(kept) > 1 and size < 4.0 * step_m:
            before = xy[kept[-1]] - xy[kept[-2]]
            if float(chord @ before) < -0.5 * size * math.hypot(*before):
                continue
        kept.append(k)
    return np.array(kept, dtype=np.intp)


def _divided(xy: Floats, station: Floats, step_m: float) -> tuple[Floats, Floats]:
    """Chords longer than ``step_m`` cut into equal parts; the given points stay among the knots."""
    pieces = []
    for a, b in itertools.pairwise(station.tolist()):
        count = max(1, math.ceil((b - a) / step_m - 1e-9))
        pieces.append(np.linspace(a, b, count, endpoint=False))
    at = np.concatenate((*pieces, station[-1:]))
    return np.column_stack([np.interp(at, station, xy[:, axis]) for axis in (0, 1)]), at


def _smoothed(
    path_id: str, xy: Floats, station: Floats, half: Floats, spacing: float, smooth_m: float
) -> tuple[Floats, Floats]:
    count = max(4, round(station[-1] / spacing))
    at = np.linspace(0.0, station[-1], count + 1)
    line = np.column_stack([np.interp(at, station, xy[:, axis]) for axis in (0, 1)])
    kernel = _kernel(smooth_m / (station[-1] / count))
    reach = len(kernel) // 2
    # Point reflection at both ends keeps them in place, and goes on in the direction of the path.
    ahead, behind = _reflected(line, reach), _reflected(line[::-1], reach)[::-1]
    padded = np.concatenate((ahead, line, behind))
    result = np.column_stack([np.convolve(padded[:, axis], kernel, mode="valid") for axis in (0, 1)])
    result[0], result[-1] = line[0], line[-1]
    shift = np.hypot(*(result - line).T)
    room = _SHIFT_SHARE_MAX * np.interp(at, station, half)
    worst = int(np.argmax(shift - room))
    if shift[worst] > room[worst]:
        raise PlanError(
            f"path {path_id}: smoothing over {smooth_m:g} m moves the point at s = {at[worst]:.1f} m by"
            f" {shift[worst]:.2f} m; the limit is {room[worst]:.2f} m"
        )
    return result, at


def _kernel(sigma: float) -> Floats:
    reach = max(1, math.ceil(4.0 * sigma))
    k = np.arange(-reach, reach + 1)
    gauss = np.exp(-0.5 * (k / sigma) ** 2)
    gauss /= gauss.sum()
    kernel = -np.convolve(gauss, gauss)
    kernel[reach : 3 * reach + 1] += 2.0 * gauss
    return kernel


def _reflected(line: Floats, reach: int) -> Floats:
    """``reach`` points before the start: mirrored through it, then straight on where the line is too short."""
    count = min(reach, len(line) - 1)
    mirrored: Floats = 2.0 * line[0] - line[count:0:-1]
    if count == reach:
        return mirrored
    stride = mirrored[0] - mirrored[1] if count > 1 else line[0] - line[1]
    run = np.arange(reach - count, 0, -1)[:, None] * stride
    return np.concatenate((mirrored[0] + run, mirrored))


def _uniform(knots: Floats, step_m: float) -> tuple[Floats, Floats]:
    """Points every ``step_m`` along the cubic through ``knots``, and their place among the knots in [0, 1]."""
    h = np.hypot(*np.diff(knots, axis=0).T)[:, None]
    slope = np.diff(knots, axis=0) / h
    tangent = np.empty_like(knots)
    tangent[1:-1] = (h[1:] * slope[:-1] + h[:-1] * slope[1:]) / (h[1:] + h[:-1])
    tangent[0] = 2.0 * slope[0] - tangent[1] if len(knots) > 2 else slope[0]
    tangent[-1] = 2.0 * slope[-1] - tangent[-2] if len(knots) > 2 else slope[-1]
    part = 16
    u = (np.arange(part) / part)[None, :, None]
    a, b, ta, tb = knots[:-1, None], knots[1:, None], (h * tangent[:-1])[:, None], (h * tangent[1:])[:, None]
    cubic = a * (1 + 2 * u) * (1 - u) ** 2 + ta * u * (1 - u) ** 2 + b * u * u * (3 - 2 * u) + tb * u * u * (u - 1)
    fine = np.concatenate((cubic.reshape(-1, 2), knots[-1:]))
    station = _station(fine)
    share = np.linspace(0.0, 1.0, len(fine))
    at = np.arange(max(2, round(station[-1] / step_m)) + 1) * step_m
    curve = np.column_stack([np.interp(at, station, fine[:, axis]) for axis in (0, 1)])
    beyond = np.maximum(at - station[-1], 0.0)[:, None]
    curve += beyond * tangent[-1] / np.hypot(*tangent[-1])
    return curve, np.interp(at, station, share)


def _tangents(curve: Floats, step_m: float) -> tuple[Floats, Floats]:
    """Yaw in (-pi, pi] and curvature by central differences; one extrapolated point past each end."""
    before = 3.0 * (curve[0] - curve[1]) + curve[2]
    after = 3.0 * (curve[-1] - curve[-2]) + curve[-3]
    padded = np.concatenate((before[None], curve, after[None]))
    chord = padded[2:] - padded[:-2]
    yaw = np.unwrap(np.arctan2(chord[:, 1], chord[:, 0]))
    kappa = np.gradient(yaw, step_m)
    wrapped = -((-yaw + math.pi) % math.tau - math.pi)
    return wrapped, kappa


def _lower_between(at: Floats, station: Floats, values: Floats) -> Floats:
    after = np.searchsorted(station, at, side="right")
    right = np.clip(after, 0, len(values) - 1)
    left = np.clip(after - 1, 0, len(values) - 1)
    return np.minimum(values[left], values[right])
