"""``fleet evidence``: check a file of signed bytes against a vehicle, offline."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from fleet.protocol.evidence import Geometry

_FILE = click.Path(dir_okay=False, path_type=Path)


@click.group("evidence", context_settings={"help_option_names": ["-h", "--help"]})
def command() -> None:
    """Evidence: signed messages that contradict each other, or a commitment that was seen to be broken.

    \b
    Examples:
      fleet evidence verify fork.json --register keys.json
      fleet evidence verify overlap.json --register keys.json --scenario four_way
      fleet evidence verify breach.json --register keys.json
    """


@command.command("verify")
@click.argument("file", type=_FILE)
@click.option("--register", required=True, type=_FILE, help="Register whose authority is trusted.")
@click.option("--scenario", metavar="NAME", help="Scenario with the map, for faults of space and time.")
def verify(file: Path, register: Path, scenario: str | None) -> int:
    """Say whether FILE proves a fault, or a breach is upheld. Exit status 3: it does not."""
    from fleet.cli.breach_files import is_breach
    from fleet.cli.evidence_files import read_evidence
    from fleet.node.key_files import RegisterFile, read_file
    from fleet.node.signing import verify_with
    from fleet.protocol.evidence import verify as judge

    if is_breach(file):
        return _verify_breach(file, register)
    evidence = read_evidence(file)
    authority = bytes.fromhex(read_file(register, RegisterFile).authority)
    geometry = None if scenario is None else _map_of(scenario)
    verdict = judge(evidence, authority, verify_with, geometry=geometry)
    if verdict.proven:
        click.echo(f"proven: {verdict.reason}")
        return 0
    if verdict.attested:
        click.echo(f"attested, as good as who says it: {evidence.fault.value} of {verdict.accused}, {verdict.reason}")
        return 0
    click.echo(f"not proven: {verdict.reason}")
    return 3


def _verify_breach(file: Path, register: Path) -> int:
    from fleet.cli.breach_files import verdict_of

    case, verdict = verdict_of(file, register)
    at = "" if verdict.at_ms is None else f" at {verdict.at_ms} ms"
    click.echo(f"{verdict.status}: breach by {case.commitment.vehicle}{at}: {verdict.reason}")
    if verdict.status == "contested":
        click.echo("the observers contradict each other: a person has to look")
    return 0 if verdict.status == "upheld" else 3


def _map_of(scenario: str) -> Geometry:
    from fleet.node.evidence_geometry import MapGeometry
    from fleet.node.plan_book import PlanBook
    from fleet.node.road import Roads
    from sim.scenario import load_scenario
    from sim.stage import build_stage

    return MapGeometry(PlanBook(Roads(build_stage(load_scenario(scenario)).zone_map)))
