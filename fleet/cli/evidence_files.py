"""Evidence as a JSON file: raw signed bytes in base64, keys in hexadecimal."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import msgspec

from fleet.node.key_files import CertificateRecord, Hex32, read_file, write_file
from fleet.protocol.enrolment import KeyCertificate
from fleet.protocol.evidence import Evidence, Fault, Observation


class SignedCertificate(CertificateRecord, frozen=True, kw_only=True):
    """A key certificate with the authority that it names."""

    authority: Hex32


class ObservationRecord(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """See :class:`fleet.protocol.evidence.Observation`."""

    observer: str
    vehicle: str
    stamp_ms: int
    x_mm: int
    y_mm: int
    signature: bytes


class EvidenceFile(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """See :class:`fleet.protocol.evidence.Evidence`."""

    accord: Literal["evidence"] = "evidence"
    fault: Fault
    messages: tuple[bytes, ...]
    certificates: tuple[SignedCertificate, ...] = ()
    observations: tuple[ObservationRecord, ...] = ()


def read_evidence(path: Path) -> Evidence:
    """Raises :class:`fleet.errors.ConfigError` where the file is none of evidence; what it proves is another matter."""
    found = read_file(path, EvidenceFile)
    certificates = tuple(
        KeyCertificate(
            bytes.fromhex(one.authority), one.vehicle, bytes.fromhex(one.public_key), one.not_before_ms,
            one.not_after_ms, bytes.fromhex(one.signature),
        )
        for one in found.certificates
    )  # fmt: skip
    seen = tuple(
        Observation(o.observer, o.vehicle, o.stamp_ms, o.x_mm, o.y_mm, o.signature) for o in found.observations
    )
    return Evidence(found.fault, found.messages, certificates, seen)


def write_evidence(path: Path, evidence: Evidence) -> None:
    """The file that :func:`read_evidence` reads."""
    certificates = tuple(
        SignedCertificate(
            authority=one.authority.hex(), vehicle=one.vehicle, public_key=one.public_key.hex(),
            not_before_ms=one.not_before_ms, not_after_ms=one.not_after_ms, signature=one.signature.hex(),
        )
        for one in evidence.certificates
    )  # fmt: skip
    seen = tuple(
        ObservationRecord(
            observer=o.observer, vehicle=o.vehicle, stamp_ms=o.stamp_ms, x_mm=o.x_mm, y_mm=o.y_mm, signature=o.signature
        )
        for o in evidence.observations
    )
    write_file(
        path,
        EvidenceFile(fault=evidence.fault, messages=evidence.messages, certificates=certificates, observations=seen),
    )
