"""Tubes: the area that a body may sweep along a path, bin by bin, as the conflict kernels take it.

The rear axle follows the path with the tangent as its heading; the body is the rectangle of the
footprint, inflated by its error budget to the sides, to the front and to the rear.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from planners import _conflicts
from planners.zone_map import ErrorBudget, Floats, Footprint, Path

_ROUNDING_M = 1e-6


@dataclass(frozen=True, slots=True)
class Tube:
    """One body on one path; the arrays are described in ``planners/_conflicts.py``."""

    step_m: float
    corners: Floats
    axes: Floats
    outer: Floats
    inner: Floats
    slack_m: Floats
    blocks: Floats
    mid: Floats

    @staticmethod
    def of(path: Path, footprint: Footprint, budget: ErrorBudget) -> Tube:
        """Sweep ``footprint`` inflated by ``budget`` along ``path``."""
        at = np.column_stack([path.x_m, path.y_m])
        ahead = np.column_stack([np.cos(path.yaw_rad), np.sin(path.yaw_rad)])
        front, rear = footprint.front_m + budget.longitudinal_m, footprint.rear_m + budget.longitudinal_m
        side = footprint.width_m / 2.0 + budget.lateral_m
        body = np.array([[front, side], [-rear, side], [-rear, -side], [front, -side]])
        corners = at[:, None] + body[None, :, :1] * ahead[:, None] + body[None, :, 1:] * _left(ahead)[:, None]
        slack = _slack(path, math.hypot(max(front, rear), side))
        between = _unit(ahead[:-1] + ahead[1:], ahead[:-1])
        outer = _enclosing(corners, between, slack)
        centre = at + ahead * (front - rear) / 2.0
        inner = np.column_stack([centre, ahead, np.tile([(front + rear) / 2.0, side], (len(at), 1))])[:-1]
        moves = corners[1:] - corners[:-1]
        sides = [_left(_unit(moves[:, c], ahead[:-1])) for c in range(4)]
        axes = np.stack([ahead[:-1], _left(ahead[:-1]), ahead[1:], _left(ahead[1:]), *sides], axis=1)
        mid = np.column_stack([(at[:-1] + at[1:]) / 2.0, between])
        arrays = [np.ascontiguousarray(a) for a in (corners, axes, outer, inner, slack, _blocks(outer), mid)]
        return Tube(path.step_m, *arrays)

    @property
    def kernel_arrays(self) -> tuple[Floats, ...]:
        return self.corners, self.axes, self.outer, self.inner, self.slack_m, self.blocks


def _left(vectors: Floats) -> Floats:
    return np.column_stack([-vectors[:, 1], vectors[:, 0]])


def _unit(vectors: Floats, fallback: Floats) -> Floats:
    size = np.hypot(vectors[:, 0], vectors[:, 1])[:, None]
    return np.where(size > 1e-9, vectors / np.maximum(size, 1e-9), fallback)


def _slack(path: Path, reach_m: float) -> Floats:
    """How far an arc of a corner may leave its chord: (step + reach |turn|) |turn| / 8 for a bin's turn."""
    turn = np.abs((np.diff(path.yaw_rad) + np.pi) % (2.0 * np.pi) - np.pi)
    bend = np.abs(path.kappa_1pm)
    turn = np.maximum(turn, path.step_m * np.maximum(bend[:-1], bend[1:]))
    return (path.step_m + reach_m * turn) * turn / 8.0 + _ROUNDING_M


def _enclosing(corners: Floats, ahead: Floats, slack: Floats) -> Floats:
    """Per bin the rectangle along ``ahead`` around the corners at both ends, widened by ``slack``."""
    points = np.concatenate([corners[:-1], corners[1:]], axis=1)
    sides = _left(ahead)
    p, q = np.einsum("kcd,kd->kc", points, ahead), np.einsum("kcd,kd->kc", points, sides)
    centre = ahead * ((p.max(1) + p.min(1)) / 2.0)[:, None] + sides * ((q.max(1) + q.min(1)) / 2.0)[:, None]
    return np.column_stack([centre, ahead, np.ptp(p, axis=1) / 2.0 + slack, np.ptp(q, axis=1) / 2.0 + slack])


def _blocks(outer: Floats) -> Floats:
    """A circle (x, y, radius) around each block of bins."""
    reach = np.hypot(outer[:, 4], outer[:, 5])
    rows = []
    for start in range(0, len(outer), _conflicts.BLOCK_COUNT):
        part = outer[start : start + _conflicts.BLOCK_COUNT, :2]
        centre = part.mean(axis=0)
        far = np.hypot(*(part - centre).T) + reach[start : start + _conflicts.BLOCK_COUNT]
        rows.append((centre[0], centre[1], far.max() + _ROUNDING_M))
    return np.array(rows)
