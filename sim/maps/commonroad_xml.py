"""Reduce a CommonRoad document to what this project needs, in a form that commonroad-io always reads.

Files of the field differ in version (2018b, 2020a), in enumerations that a given release of the
library does not know (signs, tags, obstacle types), in missing header fields and in uncertain states
(intervals, regions). The library stops at the first of these, and nothing of the file is usable. So the
document is rewritten first: lanelets with geometry and links, dynamic obstacles with exact states;
speed limits, lanelet types and static outlines are read here. What cannot be read is listed.
"""

from __future__ import annotations

import math
import xml.etree.ElementTree as ElementTree
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import numpy.typing as npt

from fleet.errors import ConfigError
from sim.maps.commonroad_obstacles import read_obstacle
from sim.maps.commonroad_values import identity, number, points_of, put_points

Floats = npt.NDArray[np.float64]
Element = ElementTree.Element

_SPEED_SIGNS = frozenset({"274", "274.1", "R2-1", "R301", "C43", "R4-1", "B14", "C29", "313", "MAX_SPEED", "maxSpeed"})
"""Numbers of speed-limit signs in the countries of the published scenarios, where the library names none."""

_LANELET_M_MAX = 20_000.0
"""A longer bound is a damaged coordinate, and sampling it would take all memory."""


@dataclass(slots=True)
class CleanDocument:
    """``xml`` goes to commonroad-io; the rest is what the library would refuse or lose."""

    xml: bytes
    name: str
    time_step_s: float
    limit_mps: dict[int, float] = field(default_factory=dict)
    types: dict[int, tuple[str, ...]] = field(default_factory=dict)
    kinds: dict[int, str] = field(default_factory=dict)
    """Obstacle id -> type as the file has it."""
    outlines: list[tuple[int, Floats]] = field(default_factory=list)
    """Convex outlines of static and environment obstacles, with their id."""
    skipped: list[tuple[str, str]] = field(default_factory=list)
    """(what, reason) of everything left out."""


def clean(path: Path, speed_sign_ids: Callable[[str], frozenset[str]]) -> CleanDocument:
    """Read ``path``; ``speed_sign_ids`` gives the numbers of speed-limit signs of a country code.

    Raises
    ------
    ConfigError
        Missing file, broken XML, no CommonRoad document, an unknown version, or no lanelet.
    """
    root = _root(path)
    name = root.get("benchmarkID") or path.stem
    document = CleanDocument(b"", name, _time_step(path, root))
    out = ElementTree.Element(
        "commonRoad",
        commonRoadVersion="2020a",
        benchmarkID="ZAM_Accord-1_1_T-1",
        timeStepSize=repr(document.time_step_s),
        author="",
        affiliation="",
        source="",
        date="2020-01-01",
    )
    ElementTree.SubElement(out, "scenarioTags")
    country = name.removeprefix("C-")[:3]
    signs = _sign_limits(root, speed_sign_ids(country) | _SPEED_SIGNS)
    _lanelets(root, out, signs, document)
    if out.find("lanelet") is None:
        raise ConfigError(f"{path}: not a usable CommonRoad file: it has no lanelet that can be read")
    for node in root:
        if node.tag in ("obstacle", "dynamicObstacle", "staticObstacle", "environmentObstacle", "phantomObstacle"):
            read_obstacle(node, out, document)
    document.xml = ElementTree.tostring(out)
    return document


def _root(path: Path) -> Element:
    try:
        root = ElementTree.parse(path).getroot()
    except OSError as error:
        raise ConfigError(f"{path}: {error.strerror or error}") from error
    except (ElementTree.ParseError, ValueError, LookupError) as error:
        raise ConfigError(f"{path}: not valid XML (truncated?): {error}") from error
    for node in root.iter():
        node.tag = node.tag.rpartition("}")[2] if isinstance(node.tag, str) else "comment"
    if root.tag != "commonRoad":
        raise ConfigError(f"{path}: not a CommonRoad file: the root element is <{root.tag}>, expected <commonRoad>")
    version = root.get("commonRoadVersion")
    if version not in ("2018b", "2020a"):
        raise ConfigError(f"{path}: CommonRoad version {version!r} is not known; known: 2018b, 2020a")
    return root


def _time_step(path: Path, root: Element) -> float:
    text = root.get("timeStepSize", "")
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not (math.isfinite(value) and value > 0.0):
        raise ConfigError(f"{path}: timeStepSize: expected a positive number of seconds (it is {text!r})")
    return value


def _sign_limits(root: Element, speed_signs: frozenset[str]) -> dict[str, float]:
    """Sign id -> speed limit, of signs that set one."""
    limits: dict[str, float] = {}
    for sign in root.findall("trafficSign"):
        for element in sign.findall("trafficSignElement"):
            if (element.findtext("trafficSignID") or "").strip() in speed_signs:
                value = number(element.find("additionalValue"))
                if value is not None and 0.0 < value <= 100.0:
                    limits[sign.get("id", "")] = value
    return limits


def _lanelets(root: Element, out: Element, signs: dict[str, float], document: CleanDocument) -> None:
    bounds: dict[int, tuple[Element, Floats, Floats]] = {}
    for node in root.findall("lanelet"):
        key = identity(node)
        left, right = points_of(node.find("leftBound")), points_of(node.find("rightBound"))
        label = f"lanelet {node.get('id')}"
        if key is None or key in bounds:
            document.skipped.append((label, "no usable id, or an id that is used twice"))
            continue
        if min(len(left), len(right)) < 2 or min(_extent(left), _extent(right)) <= 0.0:
            document.skipped.append((label, "fewer than two different points in a bound"))
            continue
        if max(_extent(left), _extent(right)) > _LANELET_M_MAX:
            document.skipped.append((label, f"a bound is longer than {_LANELET_M_MAX:g} m"))
            continue
        left, right = _same_way(left, right)
        if len(left) != len(right):
            left, right = _paired(left, right)
        bounds[key] = (node, left, right)
    for key, (node, left, right) in bounds.items():
        clean_node = ElementTree.SubElement(out, "lanelet", id=str(key))
        put_points(clean_node, "leftBound", left)
        put_points(clean_node, "rightBound", right)
        for tag in ("predecessor", "successor", "adjacentLeft", "adjacentRight"):
            for ref in node.findall(tag):
                target = ref.get("ref", "")
                if target.isdecimal() and int(target) in bounds and int(target) != key:
                    link = ElementTree.SubElement(clean_node, tag, ref=target)
                    if tag.startswith("adjacent"):
                        link.set("drivingDir", ref.get("drivingDir", "same"))
        ElementTree.SubElement(clean_node, "laneletType").text = "unknown"
        document.types[key] = tuple(sorted({(kind.text or "").strip() for kind in node.findall("laneletType")}))
        limits = [signs[ref.get("ref", "")] for ref in node.findall("trafficSignRef") if ref.get("ref", "") in signs]
        direct = number(node.find("speedLimit"))
        if direct is not None and direct > 0.0:
            limits.append(direct)
        if limits:
            document.limit_mps[key] = min(limits)


def _extent(line: Floats) -> float:
    return float(np.hypot(*np.diff(line, axis=0).T).sum())


def _same_way(left: Floats, right: Floats) -> tuple[Floats, Floats]:
    """Both bounds in one direction: of two that run against each other, the one that has the other on its wrong side
    is turned round."""
    along = np.hypot(*(left[0] - right[0])) + np.hypot(*(left[-1] - right[-1]))
    across = np.hypot(*(left[0] - right[-1])) + np.hypot(*(left[-1] - right[0]))
    if along <= across:
        return left, right
    (dx, dy), (ax, ay) = left[-1] - left[0], right.mean(axis=0) - left.mean(axis=0)
    return (left[::-1], right) if dx * ay - dy * ax > 0.0 else (left, right[::-1])


def _paired(left: Floats, right: Floats) -> tuple[Floats, Floats]:
    """Both bounds resampled to the larger point count, each evenly along its own length."""
    count = max(len(left), len(right))
    lines = []
    for line in (left, right):
        station = np.concatenate(([0.0], np.cumsum(np.hypot(*np.diff(line, axis=0).T))))
        at = np.linspace(0.0, station[-1], count)
        lines.append(np.column_stack([np.interp(at, station, line[:, axis]) for axis in (0, 1)]))
    return lines[0], lines[1]
