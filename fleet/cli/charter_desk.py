"""The folder of a fleet's charters, and every step of a charter's life as an operation on it.

draft.yaml            the draft, for people to edit until the first ballot
ballots/NAME.json     signed ballots
tally.json            what they came to
gate.json             the report of the simulation gate
seals/NAME.json       signatures
ratified/NAME-ID.json ratified charters with their ancestors
current.json          the one in force: what scenarios and vehicles are given
archive/ID/           drafts, ballots, tallies and reports of ratified charters
log.jsonl             what was done and what was refused, hash-chained
"""

from __future__ import annotations

import re
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from fleet.charter.ballots import Ballot, Refused, Tally, ballot_fault, tally, with_tally
from fleet.charter.model import Charter
from fleet.charter.papers import ballot_of, ballot_paper, line_of, seal_of, seal_paper, tally_of
from fleet.charter.ratification import Ratified, Seal, check_line, signed_statement
from fleet.charter.terms import Signatory
from fleet.cli.charter_log import CharterLog
from fleet.errors import CharterError
from fleet.node.charter_files import read_document, read_draft, read_line, write_draft, write_json, write_line
from fleet.node.signing import Signer, verify_with

HEAD = """A draft. Edit it until the first ballot is cast; then: vote, tally, gate, sign, ratify.
Weights are thousandths that add up to 1000; times are unix seconds, 0: no limit. The safety tier stays as it is."""
_STAGES = ("draft.yaml", "ballots", "tally.json", "gate.json", "seals")


class Desk:
    """One folder at one time."""

    def __init__(self, folder: Path, now_s: int) -> None:
        self.folder, self.now_s = folder, now_s
        self.log = CharterLog(folder)

    # What is there.

    def current(self) -> tuple[Ratified, ...]:
        """The line in force; empty: none yet."""
        path = self.folder / "current.json"
        return read_line(path) if path.exists() else ()

    def draft(self) -> Charter:
        """The draft.

        Raises
        ------
        CharterError
            There is none, or it is malformed.
        """
        path = self.folder / "draft.yaml"
        if not path.exists():
            raise CharterError(f"{path}: there is no draft; begin one with fleet charter new")
        return read_draft(path)

    def parent_line(self, draft: Charter) -> tuple[Ratified, ...]:
        """The line that the draft amends."""
        if not draft.parent:
            return ()
        return read_line(self._ratified(draft.parent))

    def electorate(self, draft: Charter) -> Charter:
        """Whose signatories decide."""
        line = self.parent_line(draft)
        return line[0].charter if line else draft

    def ballots(self) -> tuple[list[Ballot], list[Refused]]:
        """Of all files there, and those that are no ballots."""
        found, refused = [], []
        for path in sorted((self.folder / "ballots").glob("*.json")):
            try:
                found.append(ballot_of(read_document(path)))
            except CharterError as error:
                refused.append(Refused(path.stem, str(error)))
        return found, refused

    # The steps.

    def new(self, draft: Charter) -> None:
        """Begin a draft.

        Raises
        ------
        CharterError
            One is there already.
        """
        path = self.folder / "draft.yaml"
        if path.exists():
            raise CharterError(f"{path}: exists already; ratify it, or take it away first")
        self._place(draft)
        write_draft(path, draft, HEAD)
        self.log.add(self.now_s, "new", {"name": draft.name, "parent": draft.parent, "poll": draft.poll_id().hex()})

    def voter(self, draft: Charter, signer: Signer) -> Signatory:
        """Whose key it is.

        Raises
        ------
        CharterError
            No signatory's.
        """
        key = signer.public_key.hex()
        rules = self.electorate(draft)
        found = next((one for one in rules.signatories if one.public_key == key), None)
        if found is None:
            raise CharterError(f"key {key[:16]} is no signatory's of charter {rules.name}")
        return found

    def vote(self, signer: Signer, unsigned: Ballot) -> Signatory:
        """Sign and store a ballot.

        Raises
        ------
        CharterError
            It would not count: the reason.
        """
        draft = self.draft()
        person = self.voter(draft, signer)
        ballot = replace(unsigned, signature=signer.sign(unsigned.statement()).hex())
        fault = ballot_fault(draft, ballot, verify_with, self.electorate(draft))
        path = self.folder / "ballots" / f"{person.name}.json"
        if not fault and path.exists():
            fault = "double: this key has voted already"
        if fault:
            raise CharterError(f"ballot of {person.name}: {fault}")
        write_json(path, ballot_paper(ballot))
        self.log.add(self.now_s, "ballot", {"digest": ballot.digest(), "voter": person.name})
        return person

    def tally(self) -> tuple[Tally, list[Refused], Charter]:
        """Count, and write the outcome into the draft."""
        draft = self.draft()
        came = self.log.ballots()
        ballots: list[Ballot] = []
        cast, late = self.ballots()
        for ballot in cast:
            closed = draft.poll_closes_s and self.now_s > draft.poll_closes_s
            if closed and ballot.digest() not in came:
                late.append(Refused(ballot.voter[:16], "late: it is not in the log from before the poll closed"))
            else:
                ballots.append(ballot)
        rules = self.electorate(draft)
        result, refused = tally(draft, ballots, verify_with, rules)
        refused = [*late, *refused]
        for one in refused:
            self.log.add(self.now_s, "refused", {"reason": f"ballot of {one.voter}: {one.reason}", "step": "tally"})
        voted = with_tally(draft, result)
        write_json(self.folder / "tally.json", result.document())
        write_draft(self.folder / "draft.yaml", voted, HEAD)
        self.log.add(self.now_s, "tally", {"digest": result.digest(), "outcome": result.outcome or "passed"})
        return result, refused, voted

    def tallied(self, draft: Charter) -> Tally:
        """The tally of this draft, which has passed.

        Raises
        ------
        CharterError
        """
        path = self.folder / "tally.json"
        if not path.exists():
            raise CharterError(f"{path}: not tallied yet; fleet charter tally comes first")
        found = tally_of(read_document(path))
        if found.poll != draft.poll_id().hex() or with_tally(draft, found) != draft:
            raise CharterError(f"{path}: is of another text than draft.yaml; tally again")
        if found.outcome:
            raise CharterError(f"{path}: the text did not pass: {found.outcome}")
        return found

    def gate(self, report: Mapping[str, object]) -> None:
        """Store the report of the gate."""
        write_json(self.folder / "gate.json", report)
        self.log.add(self.now_s, "gate", {"digest": gate_digest_of(report), "faults": list(faults_of(report))})

    def gated(self, draft: Charter) -> str:
        """Digest of the gate's report on this draft, which has passed.

        Raises
        ------
        CharterError
        """
        path = self.folder / "gate.json"
        if not path.exists():
            raise CharterError(f"{path}: has passed no gate; fleet charter gate comes first")
        report = read_document(path)
        if report.get("draft") != draft.charter_id().hex():
            raise CharterError(f"{path}: is about another text than draft.yaml; run the gate again")
        faults = faults_of(report)
        if faults:
            raise CharterError(f"{path}: the gate speaks against it: {faults[0]}")
        return gate_digest_of(report)

    def sign(self, signer: Signer) -> Signatory:
        """Put a signature under draft, tally and gate report."""
        draft = self.draft()
        person = self.voter(draft, signer)
        data = signed_statement(draft, self.tallied(draft), self.gated(draft))
        seal = Seal(signer.public_key.hex(), signer.sign(data).hex())
        write_json(self.folder / "seals" / f"{person.name}.json", seal_paper(seal))
        self.log.add(self.now_s, "signed", {"charter": draft.charter_id().hex(), "by": person.name})
        return person

    def ratify(self) -> tuple[Path, Charter]:
        """Check everything, write the ratified charter, and put it in force."""
        draft = self.draft()
        result, report = self.tallied(draft), self.gated(draft)
        counted = tuple(ballot for ballot in self.ballots()[0] if ballot.digest() in result.counted)
        seals = tuple(seal_of(read_document(path)) for path in sorted((self.folder / "seals").glob("*.json")))
        line = (Ratified(draft, counted, result, report, seals), *self.parent_line(draft))
        fault = check_line(line, verify_with) or draft.valid_at(self.now_s)
        if fault:
            raise CharterError(f"{self.folder}: not ratified: {fault}")
        path = self._place(draft)
        write_line(path, line)
        write_line(self.folder / "current.json", line)
        self._archive(draft)
        self.log.add(self.now_s, "ratified", {"charter": draft.charter_id().hex(), "name": draft.name})
        return path, draft

    def rollback(self, which: str) -> Charter:
        """Put an earlier ratified charter in force again.

        Raises
        ------
        CharterError
            No such charter, or it has expired.
        """
        line = read_line(self._ratified(which))
        fault = line[0].charter.valid_at(self.now_s)
        if fault:
            raise CharterError(f"charter {line[0].charter.name} is {fault}")
        write_line(self.folder / "current.json", line)
        found = line[0].charter
        self.log.add(self.now_s, "rollback", {"charter": found.charter_id().hex(), "name": found.name})
        return found

    def refused(self, step: str, reason: str) -> None:
        """Remember that a step was refused."""
        self.log.add(self.now_s, "refused", {"reason": reason, "step": step})

    def _place(self, draft: Charter) -> Path:
        """Where the draft will be when it is ratified."""
        if not re.fullmatch(r"[A-Za-z0-9_.-]+", draft.name):
            raise CharterError(f"charter name {draft.name!r}: here letters, digits and _ . - only, since files have it")
        path = self.folder / "ratified" / f"{draft.name}.json"
        if path.exists():
            raise CharterError(f"{path}: a charter of this name is ratified already; give the draft another")
        return path

    def _ratified(self, which: str) -> Path:
        """The file of a ratified charter, by its name or the beginning of its id."""
        ids = {path: _id_in(path) for path in sorted((self.folder / "ratified").glob("*.json"))}
        found = [path for path, one in ids.items() if which and (path.stem == which or one.startswith(which))]
        if len(found) != 1:
            known = ", ".join(f"{path.stem} ({one[:12]})" for path, one in ids.items()) or "none"
            raise CharterError(f"{self.folder}: {len(found)} ratified charters are {which[:12]!r}; known: {known}")
        return found[0]

    def _archive(self, draft: Charter) -> None:
        """Make room for the next draft."""
        place = self.folder / "archive" / draft.charter_id().hex()[:12]
        place.mkdir(parents=True, exist_ok=True)
        for name in _STAGES:
            if (self.folder / name).exists():
                shutil.move(str(self.folder / name), str(place / name))


def _id_in(path: Path) -> str:
    return line_of(read_document(path))[0].charter.charter_id().hex()


def gate_digest_of(report: Mapping[str, object]) -> str:
    """What signatures name of a report."""
    from sim.charter_gate import gate_digest

    return gate_digest(report)


def faults_of(report: Mapping[str, object]) -> Sequence[str]:
    """What a report of the gate says against its draft."""
    found = report.get("faults")
    return [str(fault) for fault in found] if isinstance(found, list) else ["the report has no list of faults"]
