"""What must hold of a scenario on a site before anything is planned: shapes, names, numbers of vehicles."""

from __future__ import annotations

import math

from fleet.errors import ConfigError
from fleet.protocol.limits import MEMBERS_MAX
from sim.scenario_records import ScenarioDocument

_SPAN_M_MAX = 2000.0


def check_tasks(source: str, document: ScenarioDocument) -> None:
    """Raise :class:`ConfigError` with key, value and limit unless site and tasks fit together."""
    site, tasks = document.map.site, document.demand.tasks
    if (site is None) is not (tasks is None):
        have, need = ("map.site", "demand.tasks") if tasks is None else ("demand.tasks", "map.site")
        raise ConfigError(f"{source}: {have} needs {need}: vehicles on a site go from pose to pose")
    if site is None or tasks is None:
        return
    x0, y0, x1, y1 = site.border_m
    if not all(map(math.isfinite, site.border_m)) or not (x0 < x1 <= x0 + _SPAN_M_MAX and y0 < y1 <= y0 + _SPAN_M_MAX):
        raise ConfigError(
            f"{source}: map.site.border_m: [{x0:g}, {y0:g}, {x1:g}, {y1:g}] must be x low, y low, x high, y high,"
            f" at most {_SPAN_M_MAX:g} m long"
        )
    for index, disc in enumerate(site.discs):
        if not all(map(math.isfinite, disc)):
            raise ConfigError(f"{source}: map.site.discs[{index}]: {disc[0]:g}, {disc[1]:g}, {disc[2]:g} is not finite")
    if not tasks:
        raise ConfigError(f"{source}: demand.tasks: the list is empty; a run needs at least one vehicle")
    if len(tasks) > MEMBERS_MAX:
        raise ConfigError(
            f"{source}: demand.tasks: {len(tasks)} vehicles; at most {MEMBERS_MAX} can agree with each other on one"
            " site (fleet plan takes more)"
        )
    if document.legacy:
        raise ConfigError(f"{source}: legacy: on a site every vehicle has a node; put the others among the obstacles")
    seen: set[str] = set()
    for index, task in enumerate(tasks):
        where = f"{source}: demand.tasks[{index}]"
        if task.id in seen:
            raise ConfigError(f"{where}.id: {task.id!r} is used twice")
        seen.add(task.id)
        for key, pose in (("start", task.start), ("goal", task.goal)):
            if not all(map(math.isfinite, pose)):
                raise ConfigError(f"{where}.{key}: {list(pose)} of {task.id} is not finite")
