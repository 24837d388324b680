"""One call as arrays: who is asked for, who is in the way, and how their paths meet."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from planners.blocking import Ints, Obstacle, TimeGrid
from planners.interface import Body, Refusal, Request
from planners.order_drives import Drives, DriveStore
from planners.order_marks import Kind, Layout, Marks
from planners.sequential import Sequential
from planners.tasks import Outset


@dataclass(frozen=True, slots=True)
class Call:
    """Vehicles are numbered in first-come order; fixed plans follow."""

    requests: tuple[Request, ...]
    outsets: tuple[Outset, ...]
    fixed: tuple[Obstacle, ...]
    """Those that may meet one of the vehicles."""
    ident: Ints
    """[vehicle or fixed plan]: its kind in ``layout``"""
    layout: Layout
    drives: Drives
    grid: TimeGrid


def call_of(
    sequential: Sequential,
    stores: tuple[Marks, DriveStore],
    ordered: Sequence[Request],
    fixed: Sequence[Obstacle],
    grid: TimeGrid,
) -> Call | None:
    """``ordered`` without those that cannot be planned in any order; None if nobody is left."""
    marks, drives = stores
    found = [(request, sequential.outset(request, grid)) for request in ordered]
    able = [(request, outset) for request, outset in found if not isinstance(outset, Refusal)]
    if not able:
        return None
    kinds: dict[Kind, Body] = {}
    names: list[Kind] = []
    for request, _ in able:
        kind = marks.kind(request.body, request.approach.path_id)
        names.append(kind)
        kinds.setdefault(kind, request.body)
    asked = dict(sorted(kinds.items(), key=lambda one: (one[0].path_id, one[0].outline)))
    ends = {kind: outset.clear_s_m for kind, (_, outset) in zip(names, able, strict=True)}
    clear = [ends[kind] for kind in asked]
    near: list[Obstacle] = []
    others: dict[Kind, Body] = {}
    met: dict[Kind, bool] = {}
    for obstacle in fixed:
        kind = marks.kind(obstacle.body, obstacle.plan.path_id)
        if kind not in met:
            met[kind] = any(marks.meet(one, body, kind, obstacle.body) for one, body in asked.items())
            if met[kind] and kind not in asked:
                others[kind] = obstacle.body
        if met[kind]:
            near.append(obstacle)
            names.append(kind)
    everybody = {**asked, **dict(sorted(others.items(), key=lambda one: (one[0].path_id, one[0].outline)))}
    layout = marks.layout(able[0][0].zone_id, everybody, len(asked), clear + [0.0] * len(others))
    number = {kind: k for k, kind in enumerate(everybody)}
    ident = np.array([number[kind] for kind in names], dtype=np.int64)
    rows = drives.drives(able, grid)
    return Call(tuple(r for r, _ in able), tuple(o for _, o in able), tuple(near), ident, layout, rows, grid)
