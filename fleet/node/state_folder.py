"""The folder that makes a computer this vehicle's: its keys, what it has promised, and what it can prove.

    key.json            secret key, mode 0600 (``fleet keys new``)
    keys.json           the authority's register, public (``fleet keys enrol``)
    stable.log          what the node has signed; replayed after a restart (rule P11)
    charter.json        the fleet's ratified charter (``current.json`` of ``fleet charter``); none: the built-in one
    tests.json          when the emergency stop loop and the brakes were tested last, by whom
    accepted.json       firmware, configuration and charter that a person has accepted (``fleet preflight --accept``)
    evidence/           contradictions of peers, for ``fleet evidence verify``
    black-box/          what the vehicle did in the minute before each trigger, for ``fleet blackbox``
    brake               socket through which the supervisor reaches the vehicle's process

The folder is its owner's alone (mode 0700). One node at a time: it is locked while a node has it open, so two
nodes with one key are refused on one machine; across machines the protocol finds them out.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import re
import stat
from pathlib import Path
from typing import Annotated, Literal

import msgspec

from fleet.charter.model import default_charter
from fleet.errors import ConfigError
from fleet.node.charter_book import Line
from fleet.node.charter_files import load_charter
from fleet.node.key_files import RegisterFile, read_file, read_secret, write_file
from fleet.node.key_register import KeyRegister
from fleet.node.signing import Signer
from fleet.node.stable_media import FileMedium

BLACK_BOXES_MAX = 50
"""Older ones are deleted; each is at most the ring's 32 MiB, a few MiB as a rule."""
Ms = Annotated[int, msgspec.Meta(ge=0)]


class TestRecord(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """One test that a person or a bench has made with this vehicle."""

    __test__ = False
    passed: bool
    at_ms: Ms
    """Unix time."""
    by: str
    value: float | None = None
    """What was measured, such as the deceleration of the brakes, m/s2."""
    real: bool = False
    """On a real vehicle; a test on a simulated bench counts for simulated ones only."""


class TestsFile(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The newest record of each test, by its name: ``estop``, ``brake``."""

    __test__ = False
    accord: Literal["vehicle tests"] = "vehicle tests"
    tests: dict[str, TestRecord] = {}


class AcceptedFile(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What a person has accepted for this vehicle; preflight compares with it."""

    accord: Literal["vehicle accepted"] = "vehicle accepted"
    firmware: str
    config_digest: str
    charter_id: str
    at_ms: Ms
    by: str


class StateFolder:
    """One vehicle's state.

    Parameters
    ----------
    path : Path
        Made if absent, with mode 0700.
    lock : bool
        Whether to be the one node that has it; readers such as preflight do without.

    Raises
    ------
    ConfigError
        Not a folder, open to others, or in use by another node.
    """

    def __init__(self, path: Path, *, lock: bool = False) -> None:
        self.path = path
        self.has_past = False
        """A node of this process has signed under this folder's key already."""
        self._lock: int | None = None
        try:
            path.mkdir(mode=0o700, parents=True, exist_ok=True)
            mode = stat.S_IMODE(path.stat().st_mode)
            for name in ("evidence", "black-box"):
                (path / name).mkdir(mode=0o700, exist_ok=True)
        except OSError as error:
            raise ConfigError(f"{path}: no state folder: {error.strerror}") from error
        if mode & 0o077:
            raise ConfigError(f"{path}: mode {mode:04o} lets others at a vehicle's state; chmod 700 {path}")
        if lock:
            self._lock = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
            try:
                fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError as error:
                os.close(self._lock)
                raise ConfigError(f"{path}: another node has this state folder; one vehicle has one node") from error

    @property
    def brake_socket(self) -> Path:
        return self.path / "brake"

    def signer(self, vehicle_id: str) -> Signer:
        """The vehicle's secret key.

        Raises
        ------
        ConfigError
            None, open to others, or another vehicle's.
        """
        file = self.path / "key.json"
        if not file.exists():
            raise ConfigError(f"{file}: no key; make one with: fleet keys new {file} --owner {vehicle_id}")
        owner, signer = read_secret(file)
        if owner != vehicle_id:
            raise ConfigError(f"{file}: the key of {owner}, not of {vehicle_id}")
        return signer

    def register(self, now_ms: int) -> KeyRegister:
        """Whom this vehicle believes at ``now_ms`` (unix time): certificates that count now, less revoked ones.

        Raises
        ------
        ConfigError
            No register. Certificates that are over or not signed are left out.
        """
        listed = read_file(self.path / "keys.json", RegisterFile)
        register = KeyRegister(bytes.fromhex(listed.authority))
        revoked = listed.revocation_list()
        if revoked is not None:
            register.revoke(revoked)
        for certificate in listed.key_certificates():
            if certificate.covers(now_ms) and certificate.public_key not in register.revoked:
                register.accept(certificate, now_ms)
        return register

    def medium(self) -> FileMedium:
        """Where the stable log lives; ``existed`` says whether there is a past to replay."""
        return FileMedium(self.path / "stable.log")

    def tests(self) -> dict[str, TestRecord]:
        """When what was tested last; empty if nothing ever was."""
        file = self.path / "tests.json"
        return dict(read_file(file, TestsFile).tests) if file.exists() else {}

    def record_test(self, name: str, record: TestRecord) -> None:
        write_file(self.path / "tests.json", TestsFile(tests={**self.tests(), name: record}))

    def charter(self, now_ms: int) -> Line:
        """The charter of this vehicle and its ancestors, the newest first.

        Raises
        ------
        CharterError
            The file there does not count, or not at this time.
        """
        file = self.path / "charter.json"
        return load_charter(file, now_ms // 1000, allow_draft=False) if file.exists() else (default_charter(),)

    def accepted(self) -> AcceptedFile | None:
        file = self.path / "accepted.json"
        return read_file(file, AcceptedFile) if file.exists() else None

    def accept(self, record: AcceptedFile) -> None:
        write_file(self.path / "accepted.json", record)

    def write_black_box(self, reason: str, data: bytes, now_ms: int) -> Path:
        """A dump of the black box, named by time and reason; the oldest make room."""
        folder = self.path / "black-box"
        for old in sorted(folder.glob("*.jsonl"))[: 1 - BLACK_BOXES_MAX]:
            with contextlib.suppress(FileNotFoundError):
                old.unlink()
        return _write(folder, f"{now_ms:015d}-{_slug(reason)}.jsonl", data)

    def write_evidence(self, kind: str, data: bytes, now_ms: int) -> Path:
        """An evidence file; never deleted."""
        return _write(self.path / "evidence", f"{now_ms:015d}-{_slug(kind)}.json", data)

    def close(self) -> None:
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None


def _slug(text: str) -> str:
    return re.sub(r"[^a-z0-9_]+", "-", text.lower())[:60].strip("-") or "unnamed"


def _write(folder: Path, name: str, data: bytes) -> Path:
    """A new file; an equal name gets a number."""
    stem, dot, ending = name.rpartition(".")
    for number in range(1, 1000):
        file = folder / (name if number == 1 else f"{stem}-{number}{dot}{ending}")
        try:
            handle = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        except FileExistsError:
            continue
        except OSError as error:
            raise ConfigError(f"{file}: {error.strerror}") from error
        with open(handle, "wb") as stream:
            stream.write(data)
        return file
    raise ConfigError(f"{folder}: a thousand files named {name} already")
