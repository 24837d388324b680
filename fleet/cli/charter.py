"""``fleet charter``: a fleet's shared goals, from draft to roll-out."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING

import click

from fleet.errors import CharterError, FleetError

if TYPE_CHECKING:
    from fleet.charter.model import Charter
    from fleet.charter.terms import Signatory
    from fleet.cli.charter_desk import Desk

_FOLDER = click.argument("folder", type=click.Path(file_okay=False, path_type=Path))
_FILE = click.Path(dir_okay=False, path_type=Path)
_KEY = click.option("--key", required=True, type=_FILE, help="Your secret key file (fleet keys new).")
_AT = click.option("--at-s", type=click.IntRange(0), help="Unix time in s to reckon with  [default: now]")
_QUIET = click.option("--quiet", is_flag=True, help="No progress.")
_DAY_S = 86_400


def _now_s(at_s: int | None) -> int:
    return time.time_ns() // 1_000_000_000 if at_s is None else at_s


@contextmanager
def _step(folder: Path, at_s: int | None, step: str) -> Iterator[Desk]:
    """A step at the desk; if it is refused, the log says so and why."""
    from fleet.cli.charter_desk import Desk

    desk = Desk(folder, _now_s(at_s))
    try:
        yield desk
    except FleetError as error:
        if folder.is_dir():
            desk.refused(step, str(error).replace(str(folder), folder.name))
        raise


@contextmanager
def _runs(quiet: bool, total: int) -> Iterator[Callable[[str], None]]:
    """Takes the name of each of ``total`` simulations as it begins; a bar on a terminal, elsewhere a line each."""
    from sim.progress import Progress

    number = count()
    with Progress(not quiet) as progress:

        def begins(name: str) -> None:
            progress.say(name)
            progress.share(name, next(number), total)

        yield begins


@click.group("charter", context_settings={"help_option_names": ["-h", "--help"]})
def command() -> None:
    """Draft, vote on, test, sign and put in force what the fleet wants.

    Everything is files in one FOLDER (docs/tutorial/a-charters-life.md). What is refused is written to its log.jsonl.

    \b
    Examples:
      fleet charter new charters --name north --operator ana.key.request --safety sam.key.request
      fleet charter vote charters --key ana.key --weights delay=600,stops=400 --starvation 60
      fleet charter tally charters
      fleet charter gate charters
      fleet charter sign charters --key ana.key
      fleet charter ratify charters
    """


@command.command("new")
@_FOLDER
@click.option("--name", required=True, help="Of the charter.")
@click.option("--operator", "operators", multiple=True, type=_FILE, help="Key request file of an operator; repeatable.")
@click.option("--safety", "reviewers", multiple=True, type=_FILE, help="The same of a safety reviewer; repeatable.")
@click.option("--signatures", type=click.IntRange(1), help="Signatures that make it valid  [default: two thirds]")
@click.option("--mechanism", help="Who goes first; see: fleet list mechanisms.")
@click.option("--candidates", help="Joint plans to choose among by the rulebook: own,first_come,welfare.")
@click.option("--voting-rule", help="utilitarian, or independent_markets (blocs in proportion).")
@click.option("--poll-hours", type=click.IntRange(1, 8760), help="The poll closes then  [default: no end]")
@click.option("--valid-days", type=click.IntRange(1, 3660), help="It expires then  [default: never]")
@_AT
def new(
    folder: Path, name: str, operators: tuple[Path, ...], reviewers: tuple[Path, ...], signatures: int | None,
    mechanism: str | None, candidates: str | None, voting_rule: str | None, poll_hours: int | None,
    valid_days: int | None, at_s: int | None,
) -> int:  # fmt: skip
    """Begin a draft in FOLDER: of a first charter, or of an amendment to the one in force."""
    from fleet.charter.model import default_charter

    with _step(folder, at_s, "new") as desk:
        line = desk.current()
        base = line[0].charter if line else default_charter()
        people = (*_people(operators, "operator"), *_people(reviewers, "safety_reviewer")) or base.signatories
        least = -(-2 * len(people) // 3) if operators or reviewers else base.signatures_min
        draft = replace(
            base,
            name=name,
            parent=base.charter_id().hex() if line else "",
            signatories=people,
            signatures_min=signatures or least,
            mechanism=mechanism or base.mechanism,
            candidates=tuple(candidates.split(",")) if candidates else base.candidates,
            voting_rule=voting_rule or base.voting_rule,
            not_before_s=0,
            poll_closes_s=desk.now_s + 3600 * poll_hours if poll_hours else 0,
            not_after_s=desk.now_s + _DAY_S * valid_days if valid_days else 0,
        )
        if not people:
            raise CharterError("nobody is named; give the people with --operator and --safety")
        desk.new(draft)
    click.echo(f"{folder / 'draft.yaml'}: draft {name}; edit it, then vote with fleet charter vote {folder}")
    return 0


def _people(files: tuple[Path, ...], role: str) -> Iterator[Signatory]:
    from fleet.charter.terms import Signatory
    from fleet.node.key_files import RequestFile, read_file
    from fleet.node.signing import verify_with
    from fleet.protocol.enrolment import request_statement

    for path in files:
        wanted = read_file(path, RequestFile)
        key = bytes.fromhex(wanted.public_key)
        if not verify_with(key, request_statement(wanted.owner, key), bytes.fromhex(wanted.signature)):
            raise CharterError(f"{path}: the key has not signed this request; make it with fleet keys new")
        yield Signatory(wanted.owner, role, wanted.public_key)


def _weights(context: click.Context, option: click.Parameter, text: str | None) -> dict[str, int] | None:
    """``delay=600,stops=400``."""
    if text is None:
        return None
    found = {}
    for part in text.split(","):
        name, sign, number = part.partition("=")
        if not sign or not number.strip().lstrip("-").isdigit():
            raise click.BadParameter(f"{part!r} is not of the form delay=600 (thousandths)")
        found[name.strip()] = int(number)
    return found


@command.command("vote")
@_FOLDER
@_KEY
@click.option("--weights", callback=_weights, metavar="NAME=N,...", help="Thousandths  [default: the draft's]")
@click.option("--starvation", type=int, metavar="S", help="Longest wait before others give way  [default: the draft's]")
@click.option("--no", "against", is_flag=True, help="Vote against the text; a safety reviewer's no is a veto.")
@click.option("--preview/--no-preview", default=True, help="Simulate what the weights do before signing.")
@click.option("--vehicles", default=8, show_default=True, type=click.IntRange(2, 64), help="In the preview.")
@click.option("--yes", is_flag=True, help="Sign without asking.")
@_QUIET
@_AT
def vote(
    folder: Path, key: Path, weights: dict[str, int] | None, starvation: int | None, against: bool, preview: bool,
    vehicles: int, yes: bool, quiet: bool, at_s: int | None,
) -> int:  # fmt: skip
    """Show what your weights would do, then sign a ballot on the draft in FOLDER."""
    from fleet.charter.ballots import Ballot
    from fleet.charter.model import check_weights
    from fleet.node.key_files import read_secret

    _, signer = read_secret(key)
    with _step(folder, at_s, "vote") as desk:
        draft = desk.draft()
        wanted, bound = weights or dict(draft.weights_milli), starvation or draft.starvation_bound_s
        desk.voter(draft, signer)
        check_weights(wanted)
        if preview:
            _preview(draft, replace(draft, weights_milli=wanted, starvation_bound_s=bound), vehicles, quiet)
        if not yes:
            click.confirm("Sign this ballot?", abort=True)
        poll, voter = draft.poll_id().hex(), signer.public_key.hex()
        person = desk.vote(signer, Ballot(poll, voter, not against, wanted, bound, desk.now_s))
    click.echo(f"{folder / 'ballots' / (person.name + '.json')}: ballot of {person.name}")
    return 0


def _preview(draft: Charter, wanted: Charter, vehicles: int, quiet: bool) -> None:
    from fleet.cli.charter_text import consequence_table
    from sim.charter_gate import consequences

    even = dict.fromkeys(("delay", "energy", "fairness", "stops", "urgency"), 200)
    choices = {"the draft": draft, "your ballot": wanted, "even weights": replace(draft, weights_milli=even)}
    with _runs(quiet, len(choices)) as begins:
        found = consequences(choices, "four_way", vehicles, begins)
    click.echo(f"{vehicles} vehicles at four_way, simulated:")
    for line in consequence_table(found):
        click.echo(line)


@command.command("tally")
@_FOLDER
@_AT
def tally(folder: Path, at_s: int | None) -> int:
    """Count the ballots in FOLDER and write the outcome into the draft. Status 3: the text did not pass."""
    with _step(folder, at_s, "tally") as desk:
        result, refused, voted = desk.tally()
    for one in refused:
        click.echo(f"refused: ballot of {one.voter}: {one.reason}", err=True)
    weights = ", ".join(f"{name} {weight}" for name, weight in voted.weights_milli.items())
    click.echo(f"{len(result.counted)} ballots: {weights} (thousandths); starvation bound {voted.starvation_bound_s} s")
    click.echo(f"{result.yes} of {result.entitled} operators in favour: {result.outcome or 'passed'}")
    return 3 if result.outcome else 0


@command.command("gate")
@_FOLDER
@click.option("--scenario", "names", multiple=True, metavar="NAME", help="Instead of the suite; repeatable.")
@click.option("--vehicles", default=16, show_default=True, type=click.IntRange(2, 200), help="In each scenario.")
@_QUIET
@_AT
def gate(folder: Path, names: tuple[str, ...], vehicles: int, quiet: bool, at_s: int | None) -> int:
    """Drive a suite of scenarios under the draft and under its parent, and compare. Status 3: it speaks against it."""
    from fleet.cli.charter_desk import faults_of, gate_digest_of
    from fleet.cli.charter_text import gate_table
    from sim.charter_gate import SUITE, check_suite
    from sim.charter_gate import gate as measure

    check_suite(names)
    with _step(folder, at_s, "gate") as desk:
        draft = desk.draft()
        line = desk.parent_line(draft)
        suite = names or SUITE
        with _runs(quiet, 2 * len(suite)) as begins:
            report = measure(draft, line[0].charter if line else None, suite, vehicles, begins)
        desk.gate(report)
    for text in gate_table(report):
        click.echo(text)
    for fault in faults_of(report):
        click.echo(f"against it: {fault}", err=True)
    click.echo(f"{folder / 'gate.json'}: report {gate_digest_of(report)[:16]}")
    return 3 if faults_of(report) else 0


@command.command("sign")
@_FOLDER
@_KEY
@_AT
def sign(folder: Path, key: Path, at_s: int | None) -> int:
    """Sign the draft in FOLDER with its tally and the report of its gate."""
    from fleet.node.key_files import read_secret

    _, signer = read_secret(key)
    with _step(folder, at_s, "sign") as desk:
        person = desk.sign(signer)
    click.echo(f"{folder / 'seals' / (person.name + '.json')}: signature of {person.name}")
    return 0


@command.command("ratify")
@_FOLDER
@_AT
def ratify(folder: Path, at_s: int | None) -> int:
    """Check text, ballots, tally, gate and signatures, and put the charter in force: FOLDER/current.json."""
    with _step(folder, at_s, "ratify") as desk:
        path, charter = desk.ratify()
    click.echo(f"{path}: charter {charter.name}, id {charter.charter_id().hex()}")
    click.echo(f"{folder / 'current.json'}: in force; roll it out to the vehicles")
    return 0


@command.command("rollback")
@_FOLDER
@click.argument("which", metavar="CHARTER")
@_AT
def rollback(folder: Path, which: str, at_s: int | None) -> int:
    """Put a ratified CHARTER in force again, by its name or the beginning of its id."""
    with _step(folder, at_s, "rollback") as desk:
        charter = desk.rollback(which)
    click.echo(f"{folder / 'current.json'}: charter {charter.name} is in force again; roll it out to the vehicles")
    return 0


def _read(path: Path) -> tuple[Charter, str]:
    """(charter, what it is) of a file, or of a folder: its draft, or what is in force."""
    from fleet.node.charter_files import read_document, read_draft, read_line

    if path.is_dir():
        draft = path / "draft.yaml"
        path = draft if draft.exists() else path / "current.json"
    if "accord" in read_document(path):
        line = read_line(path)
        return line[
            0
        ].charter, f"ratified: {len(line[0].ballots)} ballots, {len(line[0].seals)} signatures, all checked"
    return read_draft(path), "a draft: it binds nobody"


@command.command("show")
@click.argument("path", type=click.Path(path_type=Path))
def show(path: Path) -> int:
    """What a charter says, and whether it counts. PATH: a file, or a folder (its draft, else what is in force)."""
    from fleet.cli.charter_log import CharterLog
    from fleet.cli.charter_text import shown

    charter, state = _read(path)
    for text in shown(charter):
        click.echo(text)
    click.echo(state)
    if path.is_dir():
        records = CharterLog(path).read()
        count = sum(record["event"] == "refused" for record in records)
        click.echo(f"log: {len(records)} entries, {count} refusals; the chain of hashes holds")
    return 0


@command.command("diff")
@click.argument("old", type=click.Path(path_type=Path))
@click.argument("new", type=click.Path(path_type=Path))
def diff(old: Path, new: Path) -> int:
    """What NEW says otherwise than OLD, value by value."""
    from fleet.cli.charter_text import differences

    for text in differences(_read(old)[0], _read(new)[0]) or ["no difference"]:
        click.echo(text)
    return 0
