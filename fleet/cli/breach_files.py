"""A case of a broken commitment as a JSON file, and its verdict by the reader's own authority.

Plans and signatures are in base64, as in evidence files; keys are certified by the authority of the register.
"""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Literal

import msgspec

from fleet.errors import RemoteProtocolError
from fleet.node.key_files import CertificateRecord, RegisterFile, read_file, write_file
from fleet.node.signing import verify_with
from fleet.oversight.breach_case import BreachCase, GivenBack, Sighting, SignedCommitment, Verdict, judge
from fleet.protocol.enrolment import KeyCertificate, check_certificate


class _Record(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Base of the records of a breach file; fields as in :mod:`fleet.oversight.breach_case`."""


class CommitmentRecord(_Record, frozen=True, kw_only=True):
    """What the accused signed."""

    vehicle: str
    charter_id: str
    map_digest: str
    plan: bytes
    allowance_mm: int
    signature: bytes


class SightingRecord(_Record, frozen=True, kw_only=True):
    """What somebody signed to have seen."""

    observer: str
    vehicle: str
    path_id: str
    stamp_ms: int
    s_mm: int
    signature: bytes


class GivenBackRecord(_Record, frozen=True, kw_only=True):
    """The accused's answer."""

    vehicle: str
    plan: bytes
    at_ms: int
    signature: bytes
    witness: str
    heard_ms: int
    acknowledgement: bytes


class BreachFile(_Record, frozen=True, kw_only=True):
    """The whole case; ``certificates`` are of keys that the reader's register does not list."""

    accord: Literal["breach"] = "breach"
    commitment: CommitmentRecord
    sightings: tuple[SightingRecord, ...]
    given_back: GivenBackRecord | None = None
    certificates: tuple[CertificateRecord, ...] = ()


class _Kind(msgspec.Struct):
    accord: str = ""


def is_breach(path: Path) -> bool:
    """Whether a file says that it is a breach case; what it is worth is another matter."""
    try:
        return msgspec.json.decode(path.read_bytes(), type=_Kind).accord == "breach"
    except (OSError, msgspec.MsgspecError):
        return False


def read_breach(path: Path) -> tuple[BreachCase, tuple[CertificateRecord, ...]]:
    """Raises :class:`fleet.errors.ConfigError` where the file is none of a breach."""
    found = read_file(path, BreachFile)
    sightings = tuple(Sighting(**msgspec.structs.asdict(one)) for one in found.sightings)
    answer = None if found.given_back is None else GivenBack(**msgspec.structs.asdict(found.given_back))
    case = BreachCase(SignedCommitment(**msgspec.structs.asdict(found.commitment)), sightings, answer)
    return case, found.certificates


def write_breach(path: Path, case: BreachCase, certificates: tuple[CertificateRecord, ...] = ()) -> None:
    """The file that :func:`read_breach` reads."""
    write_file(
        path,
        BreachFile(
            commitment=msgspec.convert(asdict(case.commitment), CommitmentRecord),
            sightings=tuple(msgspec.convert(asdict(one), SightingRecord) for one in case.sightings),
            given_back=None if case.given_back is None else msgspec.convert(asdict(case.given_back), GivenBackRecord),
            certificates=certificates,
        ),
    )


def verdict_of(path: Path, register: Path) -> tuple[BreachCase, Verdict]:
    """The case in ``path``, judged by the keys that the register's authority has certified for its time."""
    case, others = read_breach(path)
    trusted = read_file(register, RegisterFile)
    more = RegisterFile(authority=trusted.authority, certificates=others)
    stamps = [one.stamp_ms for one in case.sightings]
    keys: dict[str, bytes] = {}
    for certificate in (*more.key_certificates(), *trusted.key_certificates()):
        if _counts(certificate, bytes.fromhex(trusted.authority), max(stamps, default=0)):
            keys[certificate.vehicle] = certificate.public_key
    return case, judge(case, keys, verify_with)


def _counts(certificate: KeyCertificate, authority: bytes, at_ms: int) -> bool:
    try:
        check_certificate(certificate, authority, verify_with)
    except RemoteProtocolError:
        return False
    return certificate.covers(at_ms)
