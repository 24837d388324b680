"""``fleet keys``: secrets stay secret, and only sound, proven, unique keys come into the register."""

from __future__ import annotations

import json
import stat
from pathlib import Path

import pytest

from fleet.cli import main
from fleet.cli.key_office import register_of
from fleet.errors import ConfigError
from fleet.node.key_files import RegisterFile, SecretFile, read_file, read_secret

NOW = "1700000000000"


@pytest.fixture
def desk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    assert main.run(["keys", "new", "office.key", "--owner", "office"]) == 0
    assert main.run(["keys", "new", "v1.key", "--owner", "v1"]) == 0
    return tmp_path


def enrol(request: str, register: str = "keys.json", at_ms: str = NOW, authority: str = "office.key") -> int:
    return main.run(["keys", "enrol", request, "--authority", authority, "--register", register, "--at-ms", at_ms])


def revoke(vehicle: str) -> int:
    return main.run(["keys", "revoke", vehicle, "--authority", "office.key", "--register", "keys.json", "--at-ms", NOW])


def test_a_secret_is_written_once_for_its_owner_only(desk: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert stat.S_IMODE((desk / "v1.key").stat().st_mode) == 0o600
    assert main.run(["keys", "new", "v1.key", "--owner", "v1"]) == 2
    assert "never written over another file" in capsys.readouterr().err


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o620, 0o777])
def test_a_secret_that_others_can_reach_is_refused(desk: Path, mode: int, capsys: pytest.CaptureFixture[str]) -> None:
    (desk / "office.key").chmod(mode)
    assert enrol("v1.key.request") == 2
    assert f"mode {mode:04o} lets others at a secret key; chmod 600" in capsys.readouterr().err
    assert not (desk / "keys.json").exists()


def test_enrolled_shown_renewed_and_revoked(desk: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert enrol("v1.key.request") == 0
    assert main.run(["keys", "show", "keys.json", "--at-ms", NOW]) == 0
    assert "v1: active, 168.0 h left" in capsys.readouterr().out
    later = str(int(NOW) + 100 * 3_600_000)
    assert enrol("v1.key.request", at_ms=later) == 0
    listed = read_file(desk / "keys.json", RegisterFile)
    assert len(listed.certificates) == 1
    _, signer = read_secret(desk / "v1.key")
    assert register_of(listed, int(later)).verify("v1", b"data", signer.sign(b"data"))
    assert revoke("v1") == 0
    assert main.run(["keys", "show", "keys.json", "--at-ms", later]) == 0
    assert "v1: revoked" in capsys.readouterr().out
    listed = read_file(desk / "keys.json", RegisterFile)
    assert not register_of(listed, int(later)).verify("v1", b"data", signer.sign(b"data"))
    assert enrol("v1.key.request", at_ms=later) == 2
    assert "its key is revoked" in capsys.readouterr().err
    assert revoke("v1") == 2
    assert "no key of v1 that is not revoked already" in capsys.readouterr().err


def test_a_new_key_replaces_a_revoked_one(desk: Path) -> None:
    enrol("v1.key.request")
    revoke("v1")
    assert main.run(["keys", "new", "v1b.key", "--owner", "v1"]) == 0
    assert enrol("v1b.key.request") == 0
    assert list(register_of(read_file(desk / "keys.json", RegisterFile), int(NOW)).active) == ["v1"]


def test_a_request_that_the_key_did_not_sign_is_refused(desk: Path, capsys: pytest.CaptureFixture[str]) -> None:
    request = json.loads((desk / "v1.key.request").read_text())
    (desk / "stolen.request").write_text(json.dumps({**request, "owner": "v2"}))
    assert enrol("stolen.request") == 2
    assert "has not signed this request" in capsys.readouterr().err
    weak = {**request, "public_key": "00" * 32}
    (desk / "weak.request").write_text(json.dumps(weak))
    assert enrol("weak.request") == 2
    assert "or is weak" in capsys.readouterr().err


def test_another_authoritys_register_is_not_touched(desk: Path, capsys: pytest.CaptureFixture[str]) -> None:
    enrol("v1.key.request")
    before = (desk / "keys.json").read_bytes()
    assert enrol("v1.key.request", authority="v1.key") == 2
    assert "belongs to authority" in capsys.readouterr().err
    assert (desk / "keys.json").read_bytes() == before


def test_a_tampered_register_is_refused_by_who_reads_it(desk: Path, capsys: pytest.CaptureFixture[str]) -> None:
    enrol("v1.key.request")
    listed = json.loads((desk / "keys.json").read_text())
    listed["certificates"][0]["not_after_ms"] += 1
    (desk / "keys.json").write_text(json.dumps(listed))
    with pytest.raises(Exception, match="the authority's signature is wrong"):
        register_of(read_file(desk / "keys.json", RegisterFile), int(NOW))
    assert main.run(["keys", "show", "keys.json", "--at-ms", NOW]) == 0
    assert "v1: wrong" in capsys.readouterr().out


def test_x10_no_command_and_no_error_shows_a_secret(desk: Path, capsys: pytest.CaptureFixture[str]) -> None:
    seeds = [json.loads((desk / name).read_text())["seed"] for name in ("office.key", "v1.key")]
    enrol("v1.key.request")
    main.run(["keys", "show", "v1.key"])
    main.run(["keys", "show", "keys.json", "--at-ms", NOW])
    main.run(["keys", "enrol", "v1.key", "--authority", "office.key", "--register", "keys.json"])
    main.run(["keys", "enrol", "v1.key.request", "--authority", "v1.key.request", "--register", "keys.json"])
    (desk / "broken.key").write_text((desk / "v1.key").read_text().replace('"seed"', '"sead"'))
    (desk / "broken.key").chmod(0o600)
    main.run(["keys", "show", "broken.key"])
    revoke("v1")
    said = capsys.readouterr()
    for seed in seeds:
        assert seed not in said.out + said.err
        assert all(seed not in path.read_text() for path in desk.iterdir() if path.suffix != ".key")
    assert repr(SecretFile(owner="v1", seed=seeds[1])) == "SecretFile(owner='v1')"
    with pytest.raises(ConfigError) as caught:
        read_secret(desk / "broken.key")
    assert caught.value.__cause__ is None and seeds[1] not in str(caught.value)
