"""``fleet preflight``: whether this vehicle may drive, check by check."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from fleet.node.state_folder import StateFolder
    from hardware.preflight import Facts, Result
    from hardware.vehicle import Vehicle


@click.command("preflight")
@click.argument("vehicle")
@click.option("--state", required=True, type=click.Path(file_okay=False, path_type=Path), help="Its state folder.")
@click.option("--id", "vehicle_id", metavar="ID", help="The vehicle's id  [default: name of the state folder]")
@click.option("--backend", default="mock", show_default=True, type=click.Choice(["mock", "sim", "ros2"]),
              help="How to reach it.")  # fmt: skip
@click.option("--peers", default=1, show_default=True, type=click.IntRange(0, 31), help="How many must be heard.")
@click.option("--set", "settings", multiple=True, metavar="KEY=VALUE", help="For the backend, such as namespace=v1.")
@click.option("--accept", metavar="NAME", help="Accept firmware, configuration and charter as they are, as NAME.")
@click.option("--json", "as_json", is_flag=True, help="The report as JSON.")
@click.option("--junit", type=click.Path(dir_okay=False, path_type=Path), help="Write JUnit XML here.")
def command(
    vehicle: str, state: Path, vehicle_id: str | None, backend: str, peers: int, settings: tuple[str, ...],
    accept: str | None, as_json: bool, junit: Path | None,
) -> int:  # fmt: skip
    """Check VEHICLE before it may move. What is not known has failed; exit status 3 if anything has.

    A node makes the same checks itself and lets no command out while one fails.

    \b
    Examples:
      fleet preflight car --state state/v1
      fleet preflight my_car.yaml --state state/v1 --backend ros2 --peers 3 --junit preflight.xml
      fleet preflight my_car.yaml --state state/v1 --accept anna
    """
    from fleet.node.state_folder import AcceptedFile, StateFolder
    from hardware.preflight import judge
    from hardware.vehicle import load_vehicle

    car, folder, now_ms = load_vehicle(vehicle), StateFolder(state), time.time_ns() // 1_000_000
    name = vehicle_id or state.resolve().name
    facts = gather(car, name, folder, backend, peers, dict(pair.partition("=")[::2] for pair in settings), now_ms)
    if accept:
        folder.accept(AcceptedFile(
            firmware=facts.firmware or "", config_digest=facts.config_digest or "", charter_id=facts.charter_id or "",
            at_ms=now_ms, by=accept,
        ))  # fmt: skip
        facts = gather(car, name, folder, backend, peers, dict(pair.partition("=")[::2] for pair in settings), now_ms)
    results = judge(facts, car)
    if junit is not None:
        _write_junit(junit, results)
    good = all(one.passed for one in results)
    if as_json:
        listed = [{field: getattr(one, field) for field in one.__slots__} for one in results]
        click.echo(json.dumps({"vehicle": name, "at_ms": now_ms, "passed": good, "checks": listed}, indent=1))
    else:
        click.echo(_table(name, results))
    return 0 if good else 3


def gather(
    vehicle: Vehicle, name: str, folder: StateFolder, backend: str, peers: int, options: dict[str, str], now_ms: int
) -> Facts:
    """Facts from the state folder and, through the backend, from the vehicle."""
    from fleet.cli.preflight_facts import from_backend, from_folder
    from hardware.preflight import Facts

    known = from_folder(vehicle, name, folder, now_ms, real=backend == "ros2")
    measured = from_backend(vehicle, name, folder, backend, options)
    heard = measured.pop("peers_heard", 0 if peers == 0 else None)
    return Facts(**known, **measured, peers_heard=heard, peers_expected=peers)


def _write_junit(file: Path, results: tuple[Result, ...]) -> None:
    from hardware.hil import Outcome
    from hardware.junit import junit_xml

    outcomes = [
        Outcome("preflight", one.title, "passed" if one.passed else "failed", f"{one.value}; wanted: {one.limit}")
        for one in results
    ]
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(junit_xml("fleet.preflight", outcomes))


def _table(name: str, results: tuple[Result, ...]) -> str:
    width = max(len(one.title) for one in results)
    lines = [
        f"{'ok  ' if one.passed else 'FAIL'}  {one.title:{width}}  {one.value}  (wanted: {one.limit})"
        + (f"\n      {'':{width}}  -> {one.todo}" if one.todo else "")
        for one in results
    ]
    bad = [one.name for one in results if not one.passed]
    verdict = f"{name} may drive" if not bad else f"{name} must not move: {len(bad)} of {len(results)} checks failed"
    return "\n".join([*lines, verdict])
