"""Obstacles of a CommonRoad document, reduced to exact states and rectangles, or to outlines in W."""

from __future__ import annotations

import math
import xml.etree.ElementTree as ElementTree
from typing import Protocol

import numpy as np
import numpy.typing as npt

from sim.maps.commonroad_values import (
    identity,
    number,
    position_of,
    put_exact,
    put_points,
    rotated,
    shape_outlines,
)

Floats = npt.NDArray[np.float64]
Element = ElementTree.Element


_LENGTH_M_MAX, _WIDTH_M_MAX = 60.0, 10.0
"""Larger than any road user; also keeps what is built from these sizes small."""


class Findings(Protocol):
    """Where obstacles are entered; see :class:`sim.maps.commonroad_xml.CleanDocument`."""

    types: dict[int, tuple[str, ...]]
    kinds: dict[int, str]
    outlines: list[tuple[int, Floats]]
    skipped: list[tuple[str, str]]


def read_obstacle(node: Element, out: Element, document: Findings) -> None:
    key = identity(node)
    role = "dynamic" if node.tag == "dynamicObstacle" else (node.findtext("role") or node.tag).strip()
    kind = (node.findtext("type") or "unknown").strip()
    label = f"{kind} {node.get('id')}"
    taken = {done for done, _ in document.outlines} | set(document.kinds)
    if key is None or key in taken or key in document.types:
        document.skipped.append((label, "no usable id, or an id that is used twice"))
    elif node.tag == "phantomObstacle":
        document.skipped.append((label, "a phantom obstacle: an occupancy without a body"))
    elif role == "dynamic":
        reason = _dynamic(key, kind, node, out)
        if reason:
            document.skipped.append((label, reason))
        else:
            document.kinds[key] = kind
    else:
        outlines = _static_outlines(node)
        if not outlines:
            document.skipped.append((label, "an obstacle without a readable outline"))
        document.outlines.extend((key, outline) for outline in outlines)


def _static_outlines(node: Element) -> list[Floats]:
    """Outlines in W; environment obstacles have no state, their shape is in W already."""
    state = node.find("initialState")
    position, yaw = np.zeros((1, 2)), 0.0
    if state is not None:
        found = position_of(state.find("position"))
        if found is None:
            return []
        position, yaw = found, number(state.find("orientation")) or 0.0
    return [rotated(outline, yaw) + position for outline in shape_outlines(node.find("shape"))]


def _dynamic(key: int, kind: str, node: Element, out: Element) -> str | None:
    """Append the obstacle with exact states; the reason if it has no readable start or shape."""
    outlines = shape_outlines(node.find("shape"))
    if not outlines:
        return "its shape cannot be read"
    size = np.ptp(np.concatenate(outlines), axis=0)
    if not (0.0 < size[1] <= _WIDTH_M_MAX and 0.0 < size[0] <= _LENGTH_M_MAX):
        return f"a size of {size[0]:g} x {size[1]:g} m is not that of a road user"
    states = [_state(node.find("initialState"))]
    if states[0] is None:
        return "its initial state has no readable time and position"
    states += [_state(state) for state in node.findall("trajectory/state")]
    obstacle = ElementTree.SubElement(out, "dynamicObstacle", id=str(key))
    ElementTree.SubElement(obstacle, "type").text = "car"
    box = ElementTree.SubElement(ElementTree.SubElement(obstacle, "shape"), "rectangle")
    ElementTree.SubElement(box, "length").text = repr(float(size[0]))
    ElementTree.SubElement(box, "width").text = repr(float(size[1]))
    known: list[list[float]] = []
    for state in states:
        if state is not None and (not known or state[0] > known[-1][0]):
            known.append(state)
    _fill_yaw(known)
    _fill_speed(known, float(out.get("timeStepSize", "0.1")))
    _put_state(ElementTree.SubElement(obstacle, "initialState"), known[0])
    if len(known) > 1:
        trajectory = ElementTree.SubElement(obstacle, "trajectory")
        for state in known[1:]:
            _put_state(ElementTree.SubElement(trajectory, "state"), state)
    return None


def _state(node: Element | None) -> list[float] | None:
    """[step, x, y, yaw or nan, speed or nan], or None without time or position."""
    if node is None:
        return None
    step, position = number(node.find("time")), position_of(node.find("position"))
    if step is None or position is None:
        return None
    yaw, speed = number(node.find("orientation")), number(node.find("velocity"))
    missing = math.nan
    return [step, *position[0].tolist(), missing if yaw is None else yaw, missing if speed is None else speed]


def _fill_yaw(states: list[list[float]]) -> None:
    """A missing orientation is the direction of motion, or the one known last."""
    for k, state in enumerate(states):
        if math.isnan(state[3]):
            a, b = states[max(0, k - 1)], states[min(len(states) - 1, k + 1)]
            moved = math.hypot(b[1] - a[1], b[2] - a[2]) > 1e-3
            state[3] = math.atan2(b[2] - a[2], b[1] - a[1]) if moved else (a[3] if k else 0.0)


def _fill_speed(states: list[list[float]], step_s: float) -> None:
    for k, state in enumerate(states):
        if math.isnan(state[4]):
            a, b = states[max(0, k - 1)], states[min(len(states) - 1, k + 1)]
            span = (b[0] - a[0]) * step_s
            state[4] = math.hypot(b[1] - a[1], b[2] - a[2]) / span if span > 0.0 else 0.0


def _put_state(parent: Element, state: list[float]) -> None:
    put_exact(parent, "time", round(state[0]))
    put_points(parent, "position", np.array([state[1:3]]))
    put_exact(parent, "orientation", state[3])
    put_exact(parent, "velocity", state[4])
