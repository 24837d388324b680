"""Compiled kernels: rectangles that move on arcs against obstacles, the border of the site and each other.

Everything here is sound between samples, not only at them.

- Obstacles are capsules (a segment with a radius: discs, edges of polygons). A piece of constant
  curvature is followed by conservative advancement: a body cannot reach an obstacle before it has
  covered the gap at the speed of its fastest corner.
- Two bodies are compared over an interval between two samples. Along a fixed axis the support of a
  rectangle is the maximum over its corners; if each corner stays within ``dev`` of its straight
  connection, that support stays below the straight connection of its two end values plus ``dev``
  (a maximum of linear functions is convex). So one axis that separates the bodies at both ends by more
  than the two ``dev`` separates them in between.

A sample of a trajectory is (x, y, cos, sin, dev): centre of the rectangle in W, heading, and how far a
corner may stray from its straight connection until the next sample. Beyond its last sample a body stands.
"""

from __future__ import annotations

import numpy as np

from planners._jit import kernel

SAMPLE = 5
"""Columns of a sample."""

# Columns of a body: what the kernels know of one vehicle.
SPEED, KAPPA, FRONT, REAR, HALF_WIDTH, HALF_LENGTH, OFFSET, RADIUS, REACH, CENTRE_SPEED = range(10)
"""Speed and largest curvature of the reference point; front, rear and half width around it; half length and
offset of the centre, circumscribed radius around it; farthest corner from the reference point; largest
speed of the centre."""


@kernel()
def segment_gap(px, py, qx, qy, front, rear, half):
    """Distance from the rectangle [-rear, front] x [-half, half] to the segment p-q in its frame; 0 if they touch."""
    # Clip the segment to the rectangle: anything left over means contact.
    dx, dy = qx - px, qy - py
    low, high = 0.0, 1.0
    inside = True
    for axis in range(2):
        d = dx if axis == 0 else dy
        start = px if axis == 0 else py
        lo = -rear if axis == 0 else -half
        hi = front if axis == 0 else half
        if abs(d) < 1e-12:
            if start < lo or start > hi:
                inside = False
        else:
            a, b = (lo - start) / d, (hi - start) / d
            if a > b:
                a, b = b, a
            low, high = max(low, a), min(high, b)
    if inside and low <= high:
        return 0.0
    best = min(_point_gap2(px, py, front, rear, half), _point_gap2(qx, qy, front, rear, half))
    length2 = dx * dx + dy * dy
    if length2 > 1e-18:
        for corner in range(4):
            cx = front if corner < 2 else -rear
            cy = half if corner % 2 == 0 else -half
            share = min(1.0, max(0.0, ((cx - px) * dx + (cy - py) * dy) / length2))
            ex, ey = px + share * dx - cx, py + share * dy - cy
            best = min(best, ex * ex + ey * ey)
    return np.sqrt(best)


@kernel()
def _point_gap2(x, y, front, rear, half):
    ex = max(x - front, -rear - x, 0.0)
    ey = max(abs(y) - half, 0.0)
    return ex * ex + ey * ey


@kernel()
def moved(x, y, yaw, s, kappa):
    """Pose after the signed arc length ``s`` at curvature ``kappa``."""
    if kappa == 0.0:
        return x + s * np.cos(yaw), y + s * np.sin(yaw), yaw
    after = yaw + kappa * s
    return x + (np.sin(after) - np.sin(yaw)) / kappa, y - (np.cos(after) - np.cos(yaw)) / kappa, after


@kernel()
def pose_gap(x, y, yaw, body, capsules):
    """Smallest gap between the body standing at a pose and any obstacle (inf without obstacles)."""
    c, s = np.cos(yaw), np.sin(yaw)
    best = np.inf
    for m in range(capsules.shape[0]):
        ax, ay = capsules[m, 0] - x, capsules[m, 1] - y
        bx, by = capsules[m, 2] - x, capsules[m, 3] - y
        gap = segment_gap(
            ax * c + ay * s, ay * c - ax * s, bx * c + by * s, by * c - bx * s,
            body[FRONT], body[REAR], body[HALF_WIDTH],
        ) - capsules[m, 4]  # fmt: skip
        best = min(best, gap)
    return best


@kernel()
def _inside(x, y, yaw, body, border, slack):
    """Whether all corners are inside the border (x low, y low, x high, y high) less ``slack``."""
    c, s = np.cos(yaw), np.sin(yaw)
    mx, my = x + body[OFFSET] * c, y + body[OFFSET] * s
    ex = body[HALF_LENGTH] * abs(c) + body[HALF_WIDTH] * abs(s) + slack
    ey = body[HALF_LENGTH] * abs(s) + body[HALF_WIDTH] * abs(c) + slack
    return mx - ex >= border[0] and mx + ex <= border[2] and my - ey >= border[1] and my + ey <= border[3]


@kernel()
def arc_is_free(x, y, yaw, s, kappa, body, capsules, border, clearance, field, cell):
    """Whether the body can drive the signed length ``s`` at ``kappa`` without contact or leaving the border.

    ``field`` float64 [row, column]: a lower bound of the distance from anywhere in the cell to an obstacle.
    """
    parts = int(abs(s) / 1.5) + 1
    ds = s / parts
    stray = 0.125 * ds * ds * kappa * kappa * (1.0 / max(abs(kappa), 1e-9) + body[REACH])
    rate = 1.0 + body[REACH] * abs(kappa)
    half_step = 0.5 * abs(ds)
    for part in range(parts):
        x0, y0, yaw0 = moved(x, y, yaw, part * ds, kappa)
        xm, ym, _ = moved(x0, y0, yaw0, 0.5 * ds, kappa)
        reach = body[REACH] + half_step
        if xm - reach < border[0] or xm + reach > border[2] or ym - reach < border[1] or ym + reach > border[3]:
            x1, y1, yaw1 = moved(x0, y0, yaw0, ds, kappa)
            if not _inside(x0, y0, yaw0, body, border, stray) or not _inside(x1, y1, yaw1, body, border, stray):
                return False
        row = min(max(int((ym - border[1]) / cell), 0), field.shape[0] - 1)
        column = min(max(int((xm - border[0]) / cell), 0), field.shape[1] - 1)
        if field[row, column] > reach + clearance:
            continue
        for m in range(capsules.shape[0]):
            radius = capsules[m, 4]
            if _segment_distance2(xm, ym, capsules, m) > (reach + radius + clearance) ** 2:
                continue
            done = 0.0
            while done < abs(ds):
                xs, ys, yaws = moved(x0, y0, yaw0, done if ds > 0.0 else -done, kappa)
                gap = _gap_at(xs, ys, yaws, body, capsules, m)
                if gap < clearance:
                    return False
                done += (gap - 0.5 * clearance) / rate
            xs, ys, yaws = moved(x0, y0, yaw0, ds, kappa)
            if _gap_at(xs, ys, yaws, body, capsules, m) < clearance:
                return False
    return True


@kernel()
def _gap_at(x, y, yaw, body, capsules, m):
    c, s = np.cos(yaw), np.sin(yaw)
    ax, ay = capsules[m, 0] - x, capsules[m, 1] - y
    bx, by = capsules[m, 2] - x, capsules[m, 3] - y
    return segment_gap(
        ax * c + ay * s, ay * c - ax * s, bx * c + by * s, by * c - bx * s,
        body[FRONT], body[REAR], body[HALF_WIDTH],
    ) - capsules[m, 4]  # fmt: skip


@kernel()
def _segment_distance2(x, y, capsules, m):
    px, py = capsules[m, 0], capsules[m, 1]
    dx, dy = capsules[m, 2] - px, capsules[m, 3] - py
    length2 = dx * dx + dy * dy
    share = 0.0
    if length2 > 1e-18:
        share = min(1.0, max(0.0, ((x - px) * dx + (y - py) * dy) / length2))
    ex, ey = px + share * dx - x, py + share * dy - y
    return ex * ex + ey * ey


@kernel()
def interval_is_clear(a0, a1, b0, b1, half_la, half_wa, half_lb, half_wb, margin):
    """Whether one axis separates two bodies at both ends of an interval (samples ``a0``, ``a1`` and ``b0``, ``b1``)."""
    wanted = margin + a0[4] + b0[4]
    x0, y0, x1, y1 = b0[0] - a0[0], b0[1] - a0[1], b1[0] - a1[0], b1[1] - a1[1]
    for axis in range(8):
        if axis < 4:
            c = a0[2] if axis < 2 else b0[2]
            s = a0[3] if axis < 2 else b0[3]
        else:
            c = a1[2] if axis < 6 else b1[2]
            s = a1[3] if axis < 6 else b1[3]
        nx, ny = (c, s) if axis % 2 == 0 else (-s, c)
        d0, d1 = nx * x0 + ny * y0, nx * x1 + ny * y1
        if d0 * d1 <= 0.0:
            continue
        r0 = half_la * abs(nx * a0[2] + ny * a0[3]) + half_wa * abs(ny * a0[2] - nx * a0[3])
        r0 += half_lb * abs(nx * b0[2] + ny * b0[3]) + half_wb * abs(ny * b0[2] - nx * b0[3])
        if abs(d0) - r0 <= wanted:
            continue
        r1 = half_la * abs(nx * a1[2] + ny * a1[3]) + half_wa * abs(ny * a1[2] - nx * a1[3])
        r1 += half_lb * abs(nx * b1[2] + ny * b1[3]) + half_wb * abs(ny * b1[2] - nx * b1[3])
        if abs(d1) - r1 > wanted:
            return True
    return False


@kernel()
def first_contact(own, top, count, at, body, samples, offsets, bodies, step, margin):
    """First of ``count`` intervals, from sample ``at`` of the clock, in which own samples meet another body.

    Own samples are 0 to ``top``; the body stands at the last. ``samples`` holds all others, ``offsets`` where
    each begins. Returns (interval, other), or (-1, -1).
    Bodies far apart are skipped for as long as they cannot cover the distance between them.
    """
    best, who = count, -1
    for j in range(offsets.shape[0] - 1):
        first, last = offsets[j], offsets[j + 1] - 1
        radius = body[RADIUS] + bodies[j, RADIUS] + margin
        rate = step * (body[CENTRE_SPEED] + bodies[j, CENTRE_SPEED])
        k = 0
        while k < best:
            a = own[min(k, top)]
            b = samples[min(first + at + k, last)]
            dx, dy = b[0] - a[0], b[1] - a[1]
            d2 = dx * dx + dy * dy
            near = radius + rate + a[4] + b[4]
            if d2 > near * near:
                # Nothing can happen until they have covered the distance.
                k += max(1, int((np.sqrt(d2) - radius) / rate))
                continue
            if not interval_is_clear(
                a, own[min(k + 1, top)], b, samples[min(first + at + k + 1, last)],
                body[HALF_LENGTH], body[HALF_WIDTH], bodies[j, HALF_LENGTH], bodies[j, HALF_WIDTH], margin,
            ):  # fmt: skip
                best, who = k, j
                break
            k += 1
    if who < 0:
        return -1, -1
    return best, who


@kernel()
def sample_path(pose, segments, count, step, body, out):
    """Samples every ``step`` of a path of ``count`` segments (duration, curvature, signed speed).

    The last sample is the standing body at or after the end. Returns how many samples were written, or
    -1 where ``out`` is too short.
    """
    x, y, yaw = pose[0], pose[1], pose[2]
    written, n = 0, 0
    left = 0.0  # time already used of segment n
    while True:
        if written >= out.shape[0]:
            return -1
        c, s = np.cos(yaw), np.sin(yaw)
        out[written, 0] = x + body[OFFSET] * c
        out[written, 1] = y + body[OFFSET] * s
        out[written, 2] = c
        out[written, 3] = s
        out[written, 4] = 0.0
        if n >= count:
            return written + 1
        # Walk one step; note kinks of the corners' motion and the bend between them.
        gone, stray, bend = 0.0, 0.0, 0.0
        while gone < step - 1e-12 and n < count:
            d = min(step - gone, segments[n, 0] - left)
            kappa, v = segments[n, 1], segments[n, 2]
            x, y, yaw = moved(x, y, yaw, v * d, kappa)
            omega = abs(v * kappa)
            if omega > 0.0:
                bend = max(bend, omega * omega * (1.0 / abs(kappa) + body[REACH]))
            gone += d
            left += d
            if segments[n, 0] - left <= 1e-12:
                n += 1
                left = 0.0
                k1 = segments[n, 1] if n < count else 0.0
                v1 = segments[n, 2] if n < count else 0.0
                kick = abs(v - v1) + body[REACH] * abs(v * kappa - v1 * k1)
                stray += kick * gone * max(0.0, step - gone) / step
        out[written, 4] = stray + 0.125 * bend * step * step
        written += 1
