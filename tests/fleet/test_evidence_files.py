"""``fleet evidence verify``: real signatures, a file, and the reader's own authority."""

from __future__ import annotations

import json
from pathlib import Path

import msgspec
import pytest

from fleet.cli import main
from fleet.cli.evidence_files import read_evidence, write_evidence
from fleet.node.key_files import RegisterFile, read_file, read_secret
from fleet.protocol import keys
from fleet.protocol.evidence import Evidence, Fault
from fleet.protocol.table import Phase
from fleet.protocol.wire import Intent, Kind, VehicleBody, encode_body, seal

NOW = 1_700_000_000_000


@pytest.fixture
def case(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An office, an enrolled vehicle z, and a file with two intents of one number."""
    monkeypatch.chdir(tmp_path)
    for file, owner in (("office.key", "office"), ("z.key", "z")):
        assert main.run(["keys", "new", file, "--owner", owner]) == 0
    enrol = ["keys", "enrol", "z.key.request", "--authority", "office.key", "--register", "keys.json"]
    assert main.run([*enrol, "--at-ms", str(NOW)]) == 0
    certificates = tuple(read_file(Path("keys.json"), RegisterFile).key_certificates())
    write_evidence(Path("fork.json"), Evidence(Fault.FORKED_INTENT, (said(0), said(1)), certificates))
    return tmp_path


def said(eta_ms: int) -> bytes:
    body = VehicleBody("car", 4500, 1800, 900, 13_900, 2600, 4500, 3000, 5000, 200, 500)
    intent = Intent(
        vehicle="z", seq=5, stamp_ms=NOW + 5, phase=Phase.WAITING, path_id="p", body=body, arrived_ms=1, eta_ms=eta_ms,
        urgency=0, charter_id=bytes(32), map_digest=bytes(8), ready=False, plan=b"", held=b"", lease_end_ms=0, live=(),
        dead=(), certificates=(), votes_known=(), roster=(), perceived_count=0, perceived=(),
    )  # fmt: skip
    payload = encode_body(intent)
    _, signer = read_secret(Path("z.key"))
    return seal(Kind.INTENT, "x", 1, "z", payload, signer.sign(keys.statement("intent", "x", 1, "z", payload)))


def verify(register: str = "keys.json", file: str = "fork.json") -> int:
    return main.run(["evidence", "verify", file, "--register", register])


def test_a_true_fork_is_proven_from_the_file_alone(case: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert verify() == 0
    assert capsys.readouterr().out.endswith("proven: forked_intent: z has signed both\n")


def test_another_authority_believes_nothing_of_it(case: Path, capsys: pytest.CaptureFixture[str]) -> None:
    main.run(["keys", "new", "other.key", "--owner", "other"])
    enrol = ["keys", "enrol", "z.key.request", "--authority", "other.key", "--register", "others.json"]
    assert main.run([*enrol, "--at-ms", str(NOW)]) == 0
    assert verify("others.json") == 3
    assert "not proven: certificate of z: of authority" in capsys.readouterr().out


def test_altered_evidence_proves_nothing(case: Path, capsys: pytest.CaptureFixture[str]) -> None:
    evidence = read_evidence(Path("fork.json"))
    altered = bytearray(evidence.messages[1])
    altered[-1] ^= 1
    changed = Evidence(evidence.fault, (evidence.messages[0], bytes(altered)), evidence.certificates)
    write_evidence(Path("fork.json"), changed)
    assert verify() == 3
    assert "a message is not signed by z" in capsys.readouterr().out


def test_a_file_of_something_else_is_one_clear_line(case: Path, capsys: pytest.CaptureFixture[str]) -> None:
    Path("fork.json").write_text(json.dumps({"accord": "evidence", "fault": "rudeness", "messages": []}))
    assert verify() == 2
    assert "fork.json: not a EvidenceFile: Invalid enum value 'rudeness'" in capsys.readouterr().err
    with pytest.raises(msgspec.ValidationError):
        msgspec.json.decode(b'{"accord": "evidence"}', type=RegisterFile)
