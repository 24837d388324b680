"""A vehicle's state folder: its owner's alone, one node's at a time, and another vehicle's key is refused."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest

from fleet.cli import main
from fleet.errors import CharterError, ConfigError
from fleet.node.state_folder import BLACK_BOXES_MAX, AcceptedFile, StateFolder, TestRecord
from sim.scenario import SCENARIOS

NOW = 1_700_000_000_000


@pytest.fixture
def folder(tmp_path: Path) -> StateFolder:
    return StateFolder(tmp_path / "v1")


def test_it_is_its_owners_alone(folder: StateFolder) -> None:
    assert stat.S_IMODE(folder.path.stat().st_mode) == 0o700
    folder.path.chmod(0o750)
    with pytest.raises(ConfigError, match="chmod 700"):
        StateFolder(folder.path)


def test_one_node_at_a_time(folder: StateFolder) -> None:
    first = StateFolder(folder.path, lock=True)
    with pytest.raises(ConfigError, match="another node has this state folder"):
        StateFolder(folder.path, lock=True)
    StateFolder(folder.path)  # readers may look
    first.close()
    StateFolder(folder.path, lock=True).close()


def enrol(folder: StateFolder, owner: str) -> None:
    office, request = folder.path.parent / "office.key", folder.path / "key.json.request"
    assert main.run(["keys", "new", str(office), "--owner", "office"]) == 0
    assert main.run(["keys", "new", str(folder.path / "key.json"), "--owner", owner]) == 0
    register = str(folder.path / "keys.json")
    args = ["keys", "enrol", str(request), "--authority", str(office), "--register", register, "--at-ms", str(NOW)]
    assert main.run(args) == 0


def test_keys_of_the_vehicle_and_whom_it_believes(folder: StateFolder) -> None:
    with pytest.raises(ConfigError, match="no key; make one with: fleet keys new"):
        folder.signer("v1")
    enrol(folder, "v1")
    signer = folder.signer("v1")
    assert folder.register(NOW + 1000).active["v1"].public_key == signer.public_key
    assert folder.register(NOW + 10**12).active == {}
    with pytest.raises(ConfigError, match="the key of v1, not of v2"):
        folder.signer("v2")


def test_a_revoked_vehicle_is_not_believed(folder: StateFolder) -> None:
    enrol(folder, "v1")
    args = ["--authority", str(folder.path.parent / "office.key"), "--register", str(folder.path / "keys.json")]
    assert main.run(["keys", "revoke", "v1", *args, "--at-ms", str(NOW + 500)]) == 0
    assert folder.register(NOW + 1000).active == {}


def test_promises_survive_and_say_whether_there_were_any(folder: StateFolder) -> None:
    medium = folder.medium()
    assert not medium.existed
    medium.append(b"promise")
    medium.close()
    again = folder.medium()
    assert again.existed and again.read() == b"promise"
    again.close()


def test_tests_and_acceptance_are_remembered(folder: StateFolder) -> None:
    assert folder.tests() == {} and folder.accepted() is None
    folder.record_test("brake", TestRecord(passed=True, at_ms=NOW, by="anna", value=6.9, real=True))
    folder.record_test("estop", TestRecord(passed=True, at_ms=NOW, by="anna"))
    folder.record_test("brake", TestRecord(passed=False, at_ms=NOW + 1, by="anna", value=3.0, real=True))
    assert folder.tests()["brake"].passed is False and folder.tests()["estop"].passed
    record = AcceptedFile(firmware="7", config_digest="ab", charter_id="c", at_ms=NOW, by="anna")
    folder.accept(record)
    assert folder.accepted() == record


def test_black_boxes_are_kept_up_to_a_number_and_evidence_for_good(folder: StateFolder) -> None:
    for number in range(BLACK_BOXES_MAX + 5):
        file = folder.write_black_box("Estop, ../button", b"data", NOW + number)
    assert file.name == f"00{NOW + BLACK_BOXES_MAX + 4}-estop-button.jsonl" and file.read_bytes() == b"data"
    kept = sorted(folder.path.glob("black-box/*"))
    assert len(kept) == BLACK_BOXES_MAX and kept[-1] == file
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    names = {folder.write_evidence("intent", b"x", NOW).name for _ in range(3)}
    assert len(names) == 3


def test_a_vehicle_has_the_built_in_charter_or_the_ratified_one_in_its_folder(folder: StateFolder) -> None:
    assert [one.name for one in folder.charter(NOW)] == ["default"]
    (folder.path / "charter.json").write_bytes((SCENARIOS / "charters" / "north.json").read_bytes())
    assert [one.name for one in folder.charter(NOW)] == ["north", "base"]
    (folder.path / "charter.json").write_text("{}")
    with pytest.raises(CharterError, match=r"charter\.json"):
        folder.charter(NOW)
