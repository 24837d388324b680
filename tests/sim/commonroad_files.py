"""Small CommonRoad documents of both versions, written for the tests."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

Line = np.ndarray


def bound(tag: str, line: Line) -> str:
    points = "".join(f"<point><x>{x:.6f}</x><y>{y:.6f}</y></point>" for x, y in line)
    return f"<{tag}>{points}</{tag}>"


def lanelet(key: int, center: Line, extra: str = "", width_m: float = 3.5) -> str:
    tangent = np.gradient(center, axis=0)
    normal = np.column_stack((-tangent[:, 1], tangent[:, 0])) / np.hypot(*tangent.T)[:, None]
    left, right = center + 0.5 * width_m * normal, center - 0.5 * width_m * normal
    return f'<lanelet id="{key}">{bound("leftBound", left)}{bound("rightBound", right)}{extra}</lanelet>'


def straight(start: tuple[float, float], end: tuple[float, float]) -> Line:
    return np.linspace(start, end, 12)


def exact(tag: str, value: float) -> str:
    return f"<{tag}><exact>{value}</exact></{tag}>"


def state(tag: str, step: int, x: float, y: float, yaw: float, speed: float | None = None) -> str:
    position = f"<position><point><x>{x}</x><y>{y}</y></point></position>"
    speed_text = "" if speed is None else exact("velocity", speed)
    return f"<{tag}>{position}{exact('orientation', yaw)}{exact('time', step)}{speed_text}</{tag}>"


RECTANGLE = "<shape><rectangle><length>4.5</length><width>1.8</width></rectangle></shape>"


def moving(
    key: int,
    kind: str,
    x: float,
    y: float,
    yaw: float,
    speed: float,
    *,
    version: str = "2020a",
    shape: str = RECTANGLE,
    steps: int = 30,
) -> str:
    """A road user at constant speed, 0.1 s per record."""
    at = [(x + 0.1 * k * speed * np.cos(yaw), y + 0.1 * k * speed * np.sin(yaw)) for k in range(steps + 1)]
    later = "".join(state("state", k, *at[k], yaw, speed) for k in range(1, steps + 1))
    body = f"<type>{kind}</type>{shape}{state('initialState', 0, x, y, yaw, speed)}"
    body += f"<trajectory>{later}</trajectory>" if steps else ""
    if version == "2018b":
        return f'<obstacle id="{key}"><role>dynamic</role>{body}</obstacle>'
    return f'<dynamicObstacle id="{key}">{body}</dynamicObstacle>'


def document(parts: Iterable[str], *, version: str = "2020a", header: str = "") -> str:
    attributes = f'benchmarkID="ZAM_Test-1_1_T-1" commonRoadVersion="{version}" timeStepSize="0.1"'
    return f'<?xml version="1.0"?><commonRoad {attributes} {header}>{"".join(parts)}</commonRoad>'


def crossing_lanelets(*, linked: bool = True) -> list[str]:
    """Two roads that cross at the origin: 1-2-3 eastbound, 11-12-13 northbound, and a right turn 21 from 11 to 3."""

    def links(before: int | None, after: tuple[int, ...]) -> str:
        if not linked:
            return ""
        text = "" if before is None else f'<predecessor ref="{before}"/>'
        return text + "".join(f'<successor ref="{key}"/>' for key in after)

    angle = np.linspace(np.pi, np.pi / 2, 14)
    arc = np.column_stack((10.0 + 10.0 * np.cos(angle), -10.0 + 10.0 * np.sin(angle)))
    return [
        lanelet(1, straight((-60.0, 0.0), (-10.0, 0.0)), links(None, (2,))),
        lanelet(2, straight((-10.0, 0.0), (10.0, 0.0)), links(1, (3,))),
        lanelet(3, straight((10.0, 0.0), (60.0, 0.0)), links(2, ())),
        lanelet(11, straight((0.0, -60.0), (0.0, -10.0)), links(None, (12, 21))),
        lanelet(12, straight((0.0, -10.0), (0.0, 10.0)), links(11, (13,))),
        lanelet(13, straight((0.0, 10.0), (0.0, 60.0)), links(12, ())),
        lanelet(21, arc, links(11, (3,))),
    ]
