"""Do two moving outlines ever overlap: a sound answer in continuous time, in plain Python.

Theory of operation. At time t the gap along a fixed direction n (the separating axis theorem gives
four candidates) is g. Over the next h seconds the rear axle of body i moves by its displacement along
the direction its path has now, which is quadratic in time, plus at most ds_i x TURN_i sideways of
that, where TURN_i is how much the path's direction changes over those ds_i metres. Corners move
against the rear axle by their present rate of rotation times SWAY_i (the total change of heading) and
r SWAY_i^2 / 2 more. The gap along n therefore stays above

    g + min over [0, h] of (alpha tau + beta tau^2 / 2)  -  E(h),     E growing with h.

The largest h for which this is not below zero (SLACK_M of both outlines is spent here) is skipped,
then n is chosen anew. On straights E = 0, so vehicles that follow each other cost one evaluation per
segment. Circles around the rear axles, which need no axes, are tried first. Work is bounded by
EVALUATION_COUNT_MAX; what is not settled by then is "undecided", which refuses.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from planners.check_track import (
    BEND,
    CLOCK_ERROR_S,
    CX,
    CY,
    S0,
    SLACK_M,
    SWAY,
    TURN,
    YAW,
    Ground,
    Outline,
    Piece,
    X,
    Y,
)  # fmt: skip

EVALUATION_COUNT_MAX = 4000
"""A following pair at 5 cm through a roundabout takes a few hundred."""
CLEAR, OVERLAP, UNDECIDED = 0, 1, 2
_CIRCLE_STEP_S_MIN = 0.2
"""A shorter step by circles is not worth it: the axes will give a longer one."""
_TRIES = 40

Box = tuple[float, float, float, float, float, float, float]
"""Rectangle: x, y of the reference point, cos, sin of its heading, reach ahead, behind, to each side."""


@dataclass(frozen=True, slots=True)
class Mover:
    """A body under way: pieces with times against the common start of a sweep; ``gone_s`` may be inf."""

    ground: Ground
    outline: Outline
    pieces: tuple[Piece, ...]
    gone_s: float


@dataclass(slots=True)
class _Now:
    """Where one body is at the present evaluation."""

    s: float
    v: float
    a: float
    row: tuple[float, ...]
    box: Box
    sway: float


def rectangle_gap(a: Box, b: Box) -> float:
    """Distance of two rectangles; if they overlap, minus the depth (least way to part them)."""
    best = max(_separation(a, b, nx, ny) for nx, ny in _axes(a, b))
    if not best > 0.0:
        return best
    return math.sqrt(min(_corners_to_box(a, b), _corners_to_box(b, a)))


def sweep(a: Mover, b: Mover) -> tuple[int, float, float]:
    """Move both from time 0 until both stand for ever or one is gone.

    Returns
    -------
    status, time_s, value
        CLEAR; OVERLAP with its time and the (negative) gap; or UNDECIDED with the time reached and the
        number of evaluations allowed.
    """
    end = min(max(a.pieces[-1][0], b.pieces[-1][0], 0.0), a.gone_s, b.gone_s)
    if b.pieces[-1][2] > 0.0 or a.pieces[-1][2] > 0.0:
        end = min(a.gone_s, b.gone_s)
    if min(a.gone_s, b.gone_s) <= 0.0:
        return CLEAR, 0.0, 0.0
    t, ka, kb = 0.0, 0, 0
    for _ in range(EVALUATION_COUNT_MAX):
        ka, kb = _piece_at(a.pieces, ka, t), _piece_at(b.pieces, kb, t)
        now_a, now_b = _state(a, ka, t), _state(b, kb, t)
        until = min(_next(a.pieces, ka), _next(b.pieces, kb), end)
        step = _circle_step(now_a, now_b, until - t, a, b)
        if step <= 0.0:
            axes = [(_separation(now_a.box, now_b.box, nx, ny), nx, ny) for nx, ny in _axes(now_a.box, now_b.box)]
            if not max(axes)[0] >= 0.0:
                return OVERLAP, t, rectangle_gap(now_a.box, now_b.box)
            step = _axis_step(
                [_bound(now_a, now_b, *axis) for axis in axes if axis[0] >= 0.0], until - t, now_a, now_b, a, b
            )
        if t >= end:
            return CLEAR, t, 0.0
        if not step > 0.0:
            break
        t = until if step >= until - t else t + step
    return UNDECIDED, t, float(EVALUATION_COUNT_MAX)


def _piece_at(pieces: tuple[Piece, ...], k: int, t: float) -> int:
    while k + 1 < len(pieces) and pieces[k + 1][0] <= t:
        k += 1
    return k


def _next(pieces: tuple[Piece, ...], k: int) -> float:
    return pieces[k + 1][0] if k + 1 < len(pieces) else math.inf


def _state(body: Mover, k: int, t: float) -> _Now:
    t0, s0, v0, a = body.pieces[k]
    d = t - t0
    s, v = s0 + v0 * d + 0.5 * a * d * d, max(0.0, v0 + a * d)
    row = body.ground.row(s)
    e, yaw = s - row[S0], row[YAW] + (s - row[S0]) * row[BEND]
    clock, outline = CLOCK_ERROR_S * v, body.outline
    box = (row[X] + e * row[CX], row[Y] + e * row[CY], math.cos(yaw), math.sin(yaw),
           outline.front_m + clock, outline.back_m + clock, outline.half_m)  # fmt: skip
    return _Now(s, v, a, row, box, row[SWAY] + e * abs(row[BEND]))


def _axes(a: Box, b: Box) -> tuple[tuple[float, float], ...]:
    """The four directions of the separating axis theorem, turned so that they point from a to b."""
    ax, ay = a[0] + 0.5 * (a[4] - a[5]) * a[2], a[1] + 0.5 * (a[4] - a[5]) * a[3]
    bx, by = b[0] + 0.5 * (b[4] - b[5]) * b[2], b[1] + 0.5 * (b[4] - b[5]) * b[3]
    axes = ((a[2], a[3]), (-a[3], a[2]), (b[2], b[3]), (-b[3], b[2]))
    return tuple((nx, ny) if nx * (bx - ax) + ny * (by - ay) >= 0.0 else (-nx, -ny) for nx, ny in axes)


def _separation(a: Box, b: Box, nx: float, ny: float) -> float:
    """Gap along the unit vector n between the farthest of a and the nearest of b."""
    return nx * (b[0] - a[0]) + ny * (b[1] - a[1]) - _support(a, nx, ny) - _support(b, -nx, -ny)


def _support(box: Box, nx: float, ny: float) -> float:
    p, q = box[2] * nx + box[3] * ny, box[2] * ny - box[3] * nx
    return max(box[4] * p, -box[5] * p) + box[6] * abs(q)


def _corners_to_box(a: Box, b: Box) -> float:
    """Least squared distance from a corner of a to the rectangle b."""
    best = math.inf
    for x in (a[4], -a[5]):
        for y in (a[6], -a[6]):
            dx, dy = a[0] + x * a[2] - y * a[3] - b[0], a[1] + x * a[3] + y * a[2] - b[1]
            p, q = dx * b[2] + dy * b[3], dy * b[2] - dx * b[3]
            ex, ey = max(p - b[4], -b[5] - p, 0.0), max(abs(q) - b[6], 0.0)
            best = min(best, ex * ex + ey * ey)
    return best


Side = tuple[float, float, tuple[tuple[float, float], ...]]
"""Support of one body in its direction, r for the term of second order, (lead, rate) of each corner:
how far it lies behind the support (never positive) and how fast rotation moves it."""
Bound = tuple[float, float, float, Side, Side]
"""Gap, alpha, beta, and both sides."""


def _side(box: Box, nx: float, ny: float) -> Side:
    p, q = box[2] * nx + box[3] * ny, box[2] * ny - box[3] * nx
    support = max(box[4] * p, -box[5] * p) + box[6] * abs(q)
    corners = tuple((x * p + y * q - support, abs(x * q - y * p)) for x in (box[4], -box[5]) for y in (box[6], -box[6]))
    return support, _reach(box), corners


def _reach(box: Box) -> float:
    return math.hypot(max(box[4], box[5]), box[6])


def _bound(a: _Now, b: _Now, gap: float, nx: float, ny: float) -> Bound:
    along_a, along_b = nx * a.row[CX] + ny * a.row[CY], nx * b.row[CX] + ny * b.row[CY]
    alpha, beta = b.v * along_b - a.v * along_a, b.a * along_b - a.a * along_a
    return gap, alpha, beta, _side(a.box, nx, ny), _side(b.box, -nx, -ny)


def _circle_step(a: _Now, b: _Now, h_max: float, body_a: Mover, body_b: Mover) -> float:
    dx, dy = b.box[0] - a.box[0], b.box[1] - a.box[1]
    distance, ra, rb = math.hypot(dx, dy), _reach(a.box), _reach(b.box)
    if not distance - ra - rb > 0.0 or h_max <= 0.0:
        return 0.0
    nx, ny = dx / distance, dy / distance
    along_a, along_b = nx * a.row[CX] + ny * a.row[CY], nx * b.row[CX] + ny * b.row[CY]
    alpha, beta = b.v * along_b - a.v * along_a, b.a * along_b - a.a * along_a
    round_: tuple[tuple[float, float], ...] = ((0.0, 0.0),)
    bound = (distance - ra - rb, alpha, beta, (ra, 0.0, round_), (rb, 0.0, round_))
    step = _axis_step([bound], h_max, a, b, body_a, body_b)
    return step if step >= min(h_max, _CIRCLE_STEP_S_MIN) else 0.0


def _axis_step(bounds: list[Bound], h_max: float, a: _Now, b: _Now, body_a: Mover, body_b: Mover) -> float:
    """A step, at most ``h_max``, over which one of the bounds does not fall below the slack."""
    h = h_max
    for _ in range(_TRIES):
        drift_a, sway_a = _drift(a, body_a.ground, h)
        drift_b, sway_b = _drift(b, body_b.ground, h)
        share = 0.0
        for gap, alpha, beta, side_a, side_b in bounds:
            lost = drift_a + drift_b + _swing(side_a, sway_a) + _swing(side_b, sway_b)
            have = gap + 2.0 * SLACK_M
            left = have + _least(alpha, beta, h) - lost
            if left >= 0.0:
                return h
            share = max(share, have / (have - left))
        h *= min(0.9, max(0.05, share))
    return 0.0


def _least(alpha: float, beta: float, h: float) -> float:
    """Least value of alpha tau + beta tau^2 / 2 over 0 <= tau <= h."""
    least = min(0.0, alpha * h + 0.5 * beta * h * h)
    if beta > 0.0 and -beta * h < alpha < 0.0:
        least = min(least, -0.5 * alpha * alpha / beta)
    return least


def _drift(now: _Now, ground: Ground, h: float) -> tuple[float, float]:
    """Over h seconds: how far the body may leave its present straight course, and how far it may turn."""
    after = now.v + now.a * h
    ahead = max(0.0, now.v * h + 0.5 * now.a * h * h)
    s = now.s + ahead
    row = ground.row(s)
    sway = row[SWAY] + (s - row[S0]) * abs(row[BEND]) - now.sway
    return ahead * (row[TURN] - now.row[TURN]) + CLOCK_ERROR_S * max(0.0, after - now.v), max(0.0, sway)


def _swing(side: Side, sway: float) -> float:
    if sway == 0.0:
        return 0.0
    _, r, corners = side
    return max(0.0, max(lead + rate * sway for lead, rate in corners)) + 0.5 * r * sway * sway
