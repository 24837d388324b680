"""Values in CommonRoad XML: numbers exact or uncertain, points, outlines, and how exact ones are written."""

from __future__ import annotations

import math
import xml.etree.ElementTree as ElementTree

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Element = ElementTree.Element


def number(node: Element | None) -> float | None:
    """The finite number in a node: its text, ``<exact>``, or the middle of an interval."""
    if node is None:
        return None
    low, high = node.find("intervalStart"), node.find("intervalEnd")
    if low is not None and high is not None:
        first, last = number(low), number(high)
        return None if first is None or last is None else 0.5 * (first + last)
    exact = node.find("exact")
    try:
        value = float((node if exact is None else exact).text or "")
    except ValueError:
        return None
    return value if math.isfinite(value) else None


def points_of(node: Element | None) -> Floats:
    """The readable points of a bound or polygon, float64 [point, 2]; the third coordinate is dropped."""
    rows = []
    for point in node.findall("point") if node is not None else ():
        x, y = number(point.find("x")), number(point.find("y"))
        if x is not None and y is not None:
            rows.append((x, y))
    return np.array(rows, dtype=np.float64).reshape(-1, 2)


def put_points(parent: Element, tag: str, points: Floats) -> None:
    node = ElementTree.SubElement(parent, tag)
    for x, y in points:
        point = ElementTree.SubElement(node, "point")
        ElementTree.SubElement(point, "x").text = repr(float(x))
        ElementTree.SubElement(point, "y").text = repr(float(y))


def put_exact(parent: Element, tag: str, value: float | int) -> None:
    ElementTree.SubElement(ElementTree.SubElement(parent, tag), "exact").text = repr(value)


def identity(node: Element) -> int | None:
    """The id of an element; None if it is not a natural number."""
    text = node.get("id", "").strip()
    return int(text) if text.isdecimal() else None


def shape_outlines(node: Element | None) -> list[Floats]:
    """Convex outlines in the shape's own frame; a circle as twelve corners around it."""
    outlines: list[Floats] = []
    for shape in node if node is not None else ():
        center = points_of(shape.find("center")) if shape.find("center/point") is not None else _center(shape)
        if shape.tag == "rectangle":
            length, width = number(shape.find("length")), number(shape.find("width"))
            if length and width and length > 0.0 and width > 0.0:
                corners = np.array([[1, 1], [-1, 1], [-1, -1], [1, -1]]) * (0.5 * length, 0.5 * width)
                outlines.append(rotated(corners, number(shape.find("orientation")) or 0.0) + center)
        elif shape.tag == "circle":
            radius = number(shape.find("radius"))
            if radius and radius > 0.0:
                around = np.arange(12) * (math.tau / 12)
                outer = radius / math.cos(math.pi / 12)
                outlines.append(outer * np.column_stack((np.cos(around), np.sin(around))) + center)
        elif shape.tag == "polygon":
            points = points_of(shape)
            if len(points) >= 3:
                outlines.append(points)
    return outlines


def _center(shape: Element) -> Floats:
    x, y = number(shape.find("center/x")), number(shape.find("center/y"))
    return np.array([[x or 0.0, y or 0.0]])


def rotated(points: Floats, yaw_rad: float) -> Floats:
    cos, sin = math.cos(yaw_rad), math.sin(yaw_rad)
    return points @ np.array([[cos, sin], [-sin, cos]])


def position_of(node: Element | None) -> Floats | None:
    """A point, or the middle of the region in which an uncertain position lies; float64 [1, 2]."""
    if node is None:
        return None
    points = points_of(node)
    if len(points):
        return points[:1]
    regions = shape_outlines(node)
    return regions[0].mean(axis=0, keepdims=True) if regions else None
