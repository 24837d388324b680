"""Who may speak: key certificates and revocations as signed values, and what makes them acceptable. Pure.

An *authority* (the operator's office, offline) signs for each vehicle a certificate that binds one id to one
key for a short time, and, when a key is lost, a revocation list. Both are signed like messages: domain, then
fields of fixed form, each text with its length, so that no two statements share bytes. A list replaces every
list of a lower number; a key on it is out at once and for good, whatever its certificates say.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from fleet.errors import RemoteProtocolError
from fleet.protocol import keys, limits

VALID_MS_MAX = 31 * 24 * 3_600_000
"""Short-lived: a certificate that outlives a month would make revocation carry the whole load."""
REVOKED_MAX = 1024
_ID = re.compile(rf"[A-Za-z0-9][A-Za-z0-9_.-]{{0,{limits.ID_CHARS_MAX - 1}}}")


class KeyVerifier(Protocol):
    """Ed25519 through the one library there is; see fleet/node/signing.py."""

    def __call__(self, public_key: bytes, data: bytes, signature: bytes) -> bool:
        """False also for a weak key; never raises on bytes from outside."""
        ...


@dataclass(frozen=True, slots=True)
class KeyCertificate:
    """``authority`` (a public key) says: ``public_key`` is vehicle ``vehicle`` from one time to another."""

    authority: bytes
    vehicle: str
    public_key: bytes
    not_before_ms: int
    not_after_ms: int
    signature: bytes

    def statement(self) -> bytes:
        """The bytes under the authority's signature."""
        return certificate_statement(self.vehicle, self.public_key, self.not_before_ms, self.not_after_ms)

    def covers(self, now_ms: int) -> bool:
        return self.not_before_ms <= now_ms <= self.not_after_ms


@dataclass(frozen=True, slots=True)
class Revocations:
    """``authority`` says: these keys are out. Lists grow; the highest ``number`` counts."""

    authority: bytes
    number: int
    issued_ms: int
    entries: tuple[tuple[str, bytes], ...]
    """(vehicle, public key)."""
    signature: bytes

    def statement(self) -> bytes:
        return revocation_statement(self.number, self.issued_ms, self.entries)


def certificate_statement(vehicle: str, public_key: bytes, not_before_ms: int, not_after_ms: int) -> bytes:
    times = not_before_ms.to_bytes(8, "big") + not_after_ms.to_bytes(8, "big")
    return b"ACCORD/key-certificate/v1\0" + _text(vehicle) + public_key + times


def request_statement(vehicle: str, public_key: bytes) -> bytes:
    """What the vehicle's own key signs, so that nobody enrols a key that is not theirs."""
    return b"ACCORD/key-request/v1\0" + _text(vehicle) + public_key


def revocation_statement(number: int, issued_ms: int, entries: Sequence[tuple[str, bytes]]) -> bytes:
    listed = b"".join(_text(vehicle) + public_key for vehicle, public_key in entries)
    head = number.to_bytes(8, "big") + issued_ms.to_bytes(8, "big") + len(entries).to_bytes(4, "big")
    return b"ACCORD/revocations/v1\0" + head + listed


def check_id(vehicle: str, enrolled: Mapping[str, bytes]) -> None:
    """Refuse an id that is no plain name, or that people would take for one that is enrolled.

    Raises
    ------
    RemoteProtocolError
    """
    if _ID.fullmatch(vehicle) is None:
        raise RemoteProtocolError(
            f"id {vehicle!r}: an id has 1 to {limits.ID_CHARS_MAX} letters, digits and '_.-',"
            " and begins with a letter or digit"
        )
    for other in enrolled:
        if other != vehicle and other.casefold() == vehicle.casefold():
            raise RemoteProtocolError(f"id {vehicle!r} differs from {other!r} only in capitals; choose another")


def check_certificate(certificate: KeyCertificate, authority: bytes, verify: KeyVerifier) -> None:
    """Whether ``authority`` has signed it, for a bearable time; not whether it counts now.

    Raises
    ------
    RemoteProtocolError
        With the reason.
    """
    who = f"certificate of {certificate.vehicle}"
    if certificate.authority != authority:
        raise RemoteProtocolError(f"{who}: of authority {certificate.authority.hex()[:16]}, not {authority.hex()[:16]}")
    if len(certificate.public_key) != keys.KEY_BYTES:
        raise RemoteProtocolError(f"{who}: a key of {len(certificate.public_key)} bytes; it has {keys.KEY_BYTES}")
    lasts_ms = certificate.not_after_ms - certificate.not_before_ms
    if not 0 < lasts_ms <= VALID_MS_MAX or not 0 <= certificate.not_before_ms < 2**48:
        raise RemoteProtocolError(f"{who}: valid for {lasts_ms} ms; allowed are 1 to {VALID_MS_MAX}")
    check_id(certificate.vehicle, {})
    if not verify(authority, certificate.statement(), certificate.signature):
        raise RemoteProtocolError(f"{who}: the authority's signature is wrong")


def check_revocations(listed: Revocations, authority: bytes, number_before: int, verify: KeyVerifier) -> None:
    """Whether ``authority`` has signed it and it is newer than the list known.

    Raises
    ------
    RemoteProtocolError
        With the reason.
    """
    who = f"revocation list {listed.number}"
    if listed.authority != authority:
        raise RemoteProtocolError(f"{who}: of authority {listed.authority.hex()[:16]}, not {authority.hex()[:16]}")
    if listed.number <= number_before:
        raise RemoteProtocolError(f"{who}: list {number_before} is known already; an old list undoes nothing")
    count = len(listed.entries)
    if count > REVOKED_MAX or any(len(key) != keys.KEY_BYTES for _, key in listed.entries):
        raise RemoteProtocolError(f"{who}: {count} entries; at most {REVOKED_MAX}, with keys of {keys.KEY_BYTES} bytes")
    if not 0 <= listed.number < 2**63 or not 0 <= listed.issued_ms < 2**48:
        raise RemoteProtocolError(f"{who}: a number or time out of range")
    if not verify(authority, listed.statement(), listed.signature):
        raise RemoteProtocolError(f"{who}: the authority's signature is wrong")


def _text(text: str) -> bytes:
    raw = text.encode()
    return len(raw).to_bytes(2, "big") + raw
