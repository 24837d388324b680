"""Bad input to ``fleet charter``: refused in one line with the reason, status 2, and in the folder's log."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import yaml

from fleet.charter.ballots import Ballot
from fleet.charter.papers import ballot_paper
from fleet.cli.charter_desk import Desk
from fleet.cli.charter_log import CharterLog
from fleet.cli.main import run
from fleet.errors import CharterError
from fleet.node.charter_files import load_charter, read_draft, write_json
from fleet.node.key_files import read_secret

NOW_S = 1_000_000
OPERATORS = ("ana", "ben", "cem")
PEOPLE = (*OPERATORS, "sam", "mallory")


class Office:
    """A folder with keys and a draft, at a time."""

    def __init__(self, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
        self.at, self._capsys, self.now_s = folder, capsys, NOW_S
        for name in PEOPLE:
            assert run(["keys", "new", str(folder / f"{name}.key"), "--owner", name]) == 0
        people = [word for name in OPERATORS for word in ("--operator", str(folder / f"{name}.key.request"))]
        self.did("new", "--name", "first", *people, "--safety", str(folder / "sam.key.request"), "--poll-hours", "1",
                 "--valid-days", "10")  # fmt: skip

    @property
    def charters(self) -> Path:
        return self.at / "charters"

    def try_(self, step: str, *words: str) -> tuple[int, str]:
        """(status, what it says on standard error)."""
        self._capsys.readouterr()
        status = run(["charter", step, str(self.charters), *words, "--at-s", str(self.now_s)])
        return status, self._capsys.readouterr().err

    def did(self, step: str, *words: str) -> None:
        status, said = self.try_(step, *words)
        assert status == 0, said

    def refuses(self, step: str, *words: str, why: str) -> None:
        """One line, status 2, and the log has it."""
        status, said = self.try_(step, *words)
        assert (status, said.count("\n")) == (2, 1), said
        assert why in said
        last = CharterLog(self.charters).read()[-1]
        assert (last["event"], last["detail"]["step"]) == ("refused", step)  # type: ignore[index]
        assert why in last["detail"]["reason"]  # type: ignore[index]

    def key(self, name: str) -> tuple[str, str]:
        return "--key", str(self.at / f"{name}.key")

    def vote(self, name: str, weights: str = "delay=600,stops=400", *more: str) -> None:
        self.did("vote", *self.key(name), "--weights", weights, "--no-preview", "--yes", *more)

    def edit(self, change: Callable[[dict], object]) -> None:  # type: ignore[type-arg]
        path = self.charters / "draft.yaml"
        document = yaml.safe_load(path.read_text())
        change(document)
        path.write_text(yaml.safe_dump(document))

    def passed_gate(self) -> None:
        """A report without faults on the present draft: what the gate measures is tested elsewhere."""
        draft = read_draft(self.charters / "draft.yaml")
        Desk(self.charters, self.now_s).gate({"draft": draft.charter_id().hex(), "faults": [], "runs": []})


@pytest.fixture
def office(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Office:
    return Office(tmp_path, capsys)


BALLOT = ("--no-preview", "--yes", "--weights")


def test_votes_of_strangers_twice_too_late_and_off_the_simplex_are_refused(office: Office) -> None:
    office.refuses("vote", *office.key("mallory"), *BALLOT, "delay=1000", why="is no signatory's")
    office.refuses("vote", *office.key("ana"), *BALLOT, "delay=600,stops=300", why="add up to 900 thousandths")
    office.refuses("vote", *office.key("ana"), *BALLOT, "delay=1100,stops=-100", why="outside 0..1000")
    office.refuses("vote", *office.key("ana"), *BALLOT, "speed=1000", why="speed")
    office.vote("ana")
    office.refuses("vote", *office.key("ana"), *BALLOT, "delay=1000", why="double: this key has voted already")
    office.now_s += 3601
    office.refuses("vote", *office.key("ben"), *BALLOT, "delay=1000", why="late: cast at")


def test_forged_and_smuggled_ballots_do_not_count_and_are_logged(office: Office) -> None:
    office.vote("ana")
    office.vote("ben")
    forged = office.charters / "ballots" / "ben.json"
    forged.write_text(
        forged.read_text().replace('"delay": 600', '"delay": 500').replace('"stops": 400', '"stops": 500')
    )
    _, signer = read_secret(office.at / "cem.key")
    draft = read_draft(office.charters / "draft.yaml")
    unsigned = Ballot(draft.poll_id().hex(), signer.public_key.hex(), True, {"delay": 1000}, 60, NOW_S)
    signed = replace(unsigned, signature=signer.sign(unsigned.statement()).hex())
    (office.charters / "ballots" / "junk.json").write_text("{}")
    status, said = office.try_("tally")
    assert status == 3  # one of three operators
    assert "refused: ballot of ben: forged: the signature is not this key's" in said
    assert "refused: ballot of junk" in said
    write_json(office.charters / "ballots" / "cem.json", ballot_paper(signed))
    office.now_s += 3601
    status, said = office.try_("tally")
    assert status == 3
    assert f"refused: ballot of {signed.voter[:16]}: late: it is not in the log from before the poll closed" in said
    events = CharterLog(office.charters).read()
    assert sum(record["event"] == "refused" for record in events) == 5
    office.refuses("sign", *office.key("ana"), why="did not pass: 1 of 3 operators")


@pytest.mark.parametrize(
    ("change", "why"),
    [
        (lambda d: d["rulebook"].update(safety=["unverified"]), "no charter changes it"),
        (lambda d: d["rulebook"].update(priorities=[["delay", "unverified"]]), "safety tier goes before the soft tier"),
        (lambda d: d["rulebook"].update(priorities=[["delay", "stops"], ["stops", "delay"]]), "cyclic"),
        (lambda d: d["weights_milli"].update(delay=999), "add up to 999"),
        (lambda d: d.update(fallback="karma"), "must be first_come"),
        (lambda d: d.update(surprise=1), "unknown key 'surprise'"),
    ],
)
def test_drafts_that_weaken_safety_or_make_no_sense_are_refused(office: Office, change, why: str) -> None:  # type: ignore[no-untyped-def]
    office.edit(change)
    office.refuses("vote", *office.key("ana"), *BALLOT, "delay=1000", why=why)
    office.refuses("tally", why=why)


def test_nothing_is_signed_or_ratified_before_its_turn(office: Office) -> None:
    office.refuses("sign", *office.key("ana"), why="tally comes first")
    for name in OPERATORS:
        office.vote(name)
    office.did("tally")
    office.refuses("sign", *office.key("ana"), why="gate comes first")
    office.passed_gate()
    office.did("sign", *office.key("ana"))
    office.refuses("ratify", why="unsigned: 1 of 3 signatures needed")
    office.did("sign", *office.key("ben"))
    office.did("sign", *office.key("cem"))
    office.refuses("ratify", why="no safety reviewer has signed")
    office.did("sign", *office.key("sam"))
    office.did("ratify")
    office.refuses("rollback", "zeroth", why="0 ratified charters are 'zeroth'")


def test_a_veto_of_the_safety_reviewer_ends_it(office: Office) -> None:
    for name in OPERATORS:
        office.vote(name)
    office.vote("sam", "delay=1000", "--no")
    assert office.try_("tally")[0] == 3
    office.refuses("sign", *office.key("ana"), why="vetoed by safety reviewer sam")


def test_a_text_changed_after_the_tally_cannot_be_signed(office: Office) -> None:
    for name in OPERATORS:
        office.vote(name)
    office.did("tally")
    office.passed_gate()
    office.edit(lambda d: d["weights_milli"].update(delay=0, stops=1000))
    office.refuses("sign", *office.key("ana"), why="is of another text")


def test_a_gate_that_speaks_against_a_draft_stops_it(office: Office) -> None:
    for name in OPERATORS:
        office.vote(name)
    office.did("tally")
    draft = read_draft(office.charters / "draft.yaml").charter_id().hex()
    Desk(office.charters, NOW_S).gate({"draft": draft, "faults": ["four_way: 1 contacts"], "runs": []})
    office.refuses("sign", *office.key("ana"), why="the gate speaks against it: four_way: 1 contacts")


def ratified(office: Office) -> Path:
    for name in OPERATORS:
        office.vote(name)
    office.did("tally")
    office.passed_gate()
    for name in ("ana", "ben", "sam"):
        office.did("sign", *office.key(name))
    office.did("ratify")
    return office.charters / "current.json"


def test_vehicles_take_no_expired_unsigned_or_tampered_charter(office: Office, tmp_path: Path) -> None:
    path = ratified(office)
    assert [one.name for one in load_charter(path, NOW_S, allow_draft=False)] == ["first"]
    with pytest.raises(CharterError, match="is expired at"):
        load_charter(path, NOW_S + 11 * 86_400, allow_draft=False)
    document = json.loads(path.read_text())
    document["line"][0]["seals"] = []
    bare = tmp_path / "bare.json"
    write_json(bare, document)
    for allowed in (False, True):
        with pytest.raises(CharterError, match="unsigned: 0 of 3"):
            load_charter(bare, NOW_S, allow_draft=allowed)
    document = json.loads(path.read_text())
    document["line"][0]["charter"]["weights_milli"] = {"delay": 1000}
    write_json(bare, document)
    with pytest.raises(CharterError, match="not those that were voted"):
        load_charter(bare, NOW_S, allow_draft=False)
    draft = tmp_path / "draft.json"
    write_json(draft, document["line"][0]["charter"])
    with pytest.raises(CharterError, match="allow_draft"):
        load_charter(draft, NOW_S, allow_draft=False)
    assert load_charter(draft, NOW_S, allow_draft=True)[0].name == "first"


def test_a_log_that_was_changed_is_noticed(office: Office) -> None:
    path = office.charters / "log.jsonl"
    path.write_text(path.read_text().replace('"name":"first"', '"name":"other"'))
    status, said = office.try_("vote", *office.key("ana"), *BALLOT, "delay=1000")
    assert status == 2
    assert "the chain of hashes is broken here" in said


def test_an_expired_charter_is_not_put_in_force_again(office: Office) -> None:
    ratified(office)
    office.now_s += 11 * 86_400
    office.refuses("rollback", "first", why="is expired at")
