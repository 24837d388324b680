"""``fleet list``: everything that has a name on the command line or in a scenario file."""

from __future__ import annotations

from collections.abc import Callable

import click

Rows = list[tuple[str, str]]


def _scenarios() -> Rows:
    from sim.scenario import load_scenario, scenario_names

    return [(name, load_scenario(name).description) for name in scenario_names()]


def _maps() -> Rows:
    from sim.maps.builtin import BUILTIN_MAPS

    return [(name, (make.__doc__ or "").strip().split("\n")[0]) for name, make in sorted(BUILTIN_MAPS.items())]


def _worlds() -> Rows:
    from sim.scenario_checks import WORLDS

    return list(WORLDS.items())


def _planners() -> Rows:
    from sim.scenario_checks import PLANNERS

    return list(PLANNERS.items())


def _mechanisms() -> Rows:
    from sim.scenario_checks import MECHANISMS

    return list(MECHANISMS.items())


def _controllers() -> Rows:
    from sim.scenario_checks import CONTROLLERS

    return list(CONTROLLERS.items())


def _vehicles() -> Rows:
    from hardware.vehicle import VEHICLES, load_vehicle

    return [(file.stem, load_vehicle(file.stem).description) for file in sorted(VEHICLES.glob("*.yaml"))]


KINDS: dict[str, Callable[[], Rows]] = {
    "scenarios": _scenarios,
    "maps": _maps,
    "worlds": _worlds,
    "planners": _planners,
    "mechanisms": _mechanisms,
    "controllers": _controllers,
    "vehicles": _vehicles,
}


@click.command("list")
@click.argument("kind", required=False, type=click.Choice(list(KINDS)))
def command(kind: str | None) -> int:
    """List what has a name: all kinds, or one KIND.

    \b
    Examples:
      fleet list
      fleet list scenarios
    """
    for name in (kind,) if kind else tuple(KINDS):
        rows = KINDS[name]()
        width = max((len(row[0]) for row in rows), default=0)
        if kind is None:
            click.secho(name, bold=True)
        for item, text in rows:
            click.echo(f"  {item:<{width}}  {text}".rstrip())
    return 0
