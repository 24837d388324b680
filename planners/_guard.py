"""Compiled kernel: the nearest road user in a vehicle's corridor ahead, from what its sensors see."""

from __future__ import annotations

import numpy as np
from numba import float64, int64, types, void

from planners._jit import kernel

_READ = types.Array(float64, 1, "C", readonly=True)


@kernel(int64(_READ, _READ, _READ, float64, float64, float64, float64, float64, float64[:, ::1], float64[::1]))
def corridor_leader(  # noqa: PLR0913, PLR0917 - a kernel takes scalars
    path_x, path_y, path_yaw, step, s_front, half_width, horizon, spacing, tracks, out
):
    """Find the track whose outline enters the corridor first.

    Parameters
    ----------
    path_x, path_y, path_yaw : float64 [point]
        The path in W, a sample every ``step`` metres.
    s_front : float
        Arc length of the own front bumper; the corridor runs ``horizon`` metres from there.
    half_width : float
        Half width of the corridor (own half width and lateral budget).
    spacing : float
        Distance between the sections at which the corridor is probed.
    tracks : float64 [track, 6]
        x, y (centre), yaw, speed, length, width.
    out : float64 [track, 4]
        Per track: gap from the front bumper to the track's nearest point in the corridor (inf: not in
        it), speed along the path, speed across it, and cosine of the heading difference. Flattened.

    Returns
    -------
    int
        Row of the nearest track with a gap, -1 for none.
    """
    count = tracks.shape[0]
    last = path_x.shape[0] - 1
    best = -1
    best_gap = np.inf
    for n in range(count):
        x, y, yaw, speed = tracks[n, 0], tracks[n, 1], tracks[n, 2], tracks[n, 3]
        half_l, half_w = 0.5 * tracks[n, 4], 0.5 * tracks[n, 5]
        out[4 * n] = np.inf
        out[4 * n + 1] = 0.0
        out[4 * n + 2] = 0.0
        out[4 * n + 3] = 1.0
        reach = half_l + half_w + half_width
        travelled = 0.0
        while travelled <= horizon:
            u = (s_front + travelled) / step
            k = min(max(int(u), 0), last)
            beyond = (u - k) * step
            c, s = np.cos(path_yaw[k]), np.sin(path_yaw[k])
            dx = x - (path_x[k] + beyond * c)
            dy = y - (path_y[k] + beyond * s)
            centre_distance = np.sqrt(dx * dx + dy * dy)
            if centre_distance > reach + 2.0 * spacing:
                travelled += max(spacing, centre_distance - reach - spacing)
                continue
            along = dx * c + dy * s
            across = dy * c - dx * s
            cr = np.cos(yaw - path_yaw[k])
            sr = np.sin(yaw - path_yaw[k])
            half_across = half_l * abs(sr) + half_w * abs(cr)
            half_along = half_l * abs(cr) + half_w * abs(sr)
            inside = abs(across) < half_across + half_width
            if inside and along + half_along > 0.0 and along - half_along < spacing:
                gap = max(0.0, travelled + min(along - half_along, spacing))
                if along - half_along < 0.0:
                    gap = max(0.0, travelled + along - half_along)
                out[4 * n] = gap
                out[4 * n + 1] = speed * cr
                out[4 * n + 2] = speed * sr
                out[4 * n + 3] = cr
                if gap < best_gap:
                    best_gap = gap
                    best = n
                break
            travelled += spacing
    return best


@kernel(void(float64[:, ::1], float64[:, ::1], float64, int64[::1]))
def associate(tracks, expected, gate, out):
    """For each track (x, y, ...) the nearest expected position within ``gate`` metres: its row, else -1."""
    for n in range(tracks.shape[0]):
        out[n] = -1
        best = gate * gate
        for m in range(expected.shape[0]):
            dx = tracks[n, 0] - expected[m, 0]
            dy = tracks[n, 1] - expected[m, 1]
            d2 = dx * dx + dy * dy
            if d2 < best:
                best = d2
                out[n] = m


@kernel(
    void(
        int64[::1], float64[:, ::1], _READ, _READ, _READ, _READ, types.Array(int64, 1, "C", readonly=True),
        float64, float64, int64[:, ::1],
    )
)  # fmt: skip
def nearest_samples(  # noqa: PLR0913, PLR0917 - a kernel takes scalars
    rows, tracks, path_x, path_y, path_yaw, step, offsets, gate, heading_gate, out
):
    """For each of ``rows`` of ``tracks`` (x, y, yaw, ...) and each path the sample next to it; int64 [row, path].

    Paths are flat arrays with ``offsets``, a sample every ``step`` [path] metres. -1 where the next sample is
    farther than ``gate`` or the headings differ by more than ``heading_gate``. From a sample ``d`` away the next
    that may be nearer than the best so far is as many samples on as fit into the difference.
    """
    for n in range(rows.shape[0]):
        x, y, yaw = tracks[rows[n], 0], tracks[rows[n], 1], tracks[rows[n], 2]
        for p in range(offsets.shape[0] - 1):
            out[n, p] = -1
            first, last = offsets[p], offsets[p + 1]
            best = gate
            at = -1
            k = first
            while k < last:
                d = np.hypot(path_x[k] - x, path_y[k] - y)
                if d < best or (d == best and at < 0):
                    best = d
                    at = k
                k += max(1, int((d - best) / step[p]))
            if at < 0:
                continue
            turn = yaw - path_yaw[at]
            turn = abs(turn - 2.0 * np.pi * np.floor(turn / (2.0 * np.pi) + 0.5))
            if turn <= heading_gate:
                out[n, p] = at - first
