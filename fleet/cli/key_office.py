"""The authority's desk: a register file that is checked whole before anything is added to it."""

from __future__ import annotations

from pathlib import Path

import msgspec

from fleet.errors import ConfigError, RemoteProtocolError
from fleet.node.key_files import CertificateRecord, RegisterFile, RevocationsRecord, read_file, write_file
from fleet.node.key_register import KeyRegister
from fleet.node.signing import Signer, verify_with
from fleet.protocol import keys, limits
from fleet.protocol.enrolment import KeyCertificate, Revocations, check_certificate, revocation_statement
from fleet.protocol.wire import Kind, Revocation, encode_body, seal


class Office:
    """One register file and the authority's signer."""

    def __init__(self, path: Path, listed: RegisterFile, signer: Signer) -> None:
        self._path, self._listed, self._signer = path, listed, signer

    @classmethod
    def open(cls, path: Path, signer: Signer) -> Office:
        """Read the register, or begin one.

        Raises
        ------
        ConfigError
            It is another authority's.
        """
        own = signer.public_key.hex()
        listed = read_file(path, RegisterFile) if path.exists() else RegisterFile(authority=own)
        if listed.authority != own:
            raise ConfigError(f"{path}: belongs to authority {listed.authority[:16]}, and this key is {own[:16]}")
        return cls(path, listed, signer)

    def enrol(self, certificate: KeyCertificate, now_ms: int) -> None:
        """Whether a vehicle with this register would believe the certificate; raises as it would."""
        register_of(self._listed, now_ms).accept(certificate, now_ms)

    def save(self, record: CertificateRecord) -> None:
        """Add it; older certificates of the same key go."""
        kept = [one for one in self._listed.certificates if one.public_key != record.public_key]
        self._listed = msgspec.structs.replace(self._listed, certificates=(*kept, record))
        write_file(self._path, self._listed)

    def revoke(self, vehicle: str, now_ms: int) -> tuple[int, int]:
        """(keys put on the list, number of the list).

        Raises
        ------
        ConfigError
            The register has no key of ``vehicle`` that is not on the list yet.
        """
        before = self._listed.revocations
        entries = list(before.entries) if before else []
        keys = [
            (vehicle, one.public_key)
            for one in self._listed.certificates
            if one.vehicle == vehicle and (vehicle, one.public_key) not in entries
        ]
        if not keys:
            raise ConfigError(f"{self._path}: no key of {vehicle} that is not revoked already")
        number = before.number + 1 if before else 1
        listed = tuple(entries + keys)
        raw = revocation_statement(number, now_ms, [(name, bytes.fromhex(key)) for name, key in listed])
        record = RevocationsRecord(
            number=number, issued_ms=now_ms, entries=listed, signature=self._signer.sign(raw).hex()
        )
        self._listed = msgspec.structs.replace(self._listed, revocations=record)
        write_file(self._path, self._listed)
        return len(keys), number


def notice(vehicle: str, listed: RegisterFile, signer: Signer) -> bytes:
    """The datagram that takes the keys of ``vehicle`` out on air, to be sent by any radio of the fleet.

    Raises
    ------
    ConfigError
        It has no revoked key, or more than fit.
    """
    revoked = listed.revocations
    found = [(name, bytes.fromhex(key)) for name, key in revoked.entries if name == vehicle] if revoked else []
    if revoked is None or not 0 < len(found) <= limits.REVOKED_KEYS_MAX:
        raise ConfigError(f"{len(found)} revoked keys of {vehicle}; a notice has 1 to {limits.REVOKED_KEYS_MAX}")
    payload = encode_body(Revocation(revoked.number, revoked.issued_ms, tuple(found)))
    covered = keys.statement("revocation", keys.EVERYWHERE, 0, keys.OFFICE, payload)
    return seal(Kind.REVOCATION, keys.EVERYWHERE, 0, keys.OFFICE, payload, signer.sign(covered))


def register_of(listed: RegisterFile, now_ms: int) -> KeyRegister:
    """A node's register from the file: certificates that are over or revoked are left out, wrong ones refused."""
    register = KeyRegister(bytes.fromhex(listed.authority))
    revocations: Revocations | None = listed.revocation_list()
    if revocations is not None:
        register.revoke(revocations)
    for certificate in listed.key_certificates():
        check_certificate(certificate, register.authority, verify_with)
        if certificate.covers(now_ms) and certificate.public_key not in register.revoked:
            register.accept(certificate, now_ms)
    return register


def states(listed: RegisterFile, now_ms: int) -> list[str]:
    """One line for each certificate: vehicle, state, key."""
    revoked = {key for _, key in listed.revocations.entries} if listed.revocations else set()
    lines = []
    for record, certificate in zip(listed.certificates, listed.key_certificates(), strict=True):
        try:
            check_certificate(certificate, bytes.fromhex(listed.authority), verify_with)
            state = "active" if certificate.covers(now_ms) else "expired"
            if now_ms < certificate.not_before_ms:
                state = "not yet"
        except RemoteProtocolError as error:
            state = f"wrong ({error})"
        if record.public_key in revoked:
            state = "revoked"
        hours = (certificate.not_after_ms - now_ms) / 3_600_000
        left = f", {hours:.1f} h left" if state == "active" else ""
        lines.append(f"{record.vehicle}: {state}{left}, key {record.public_key[:16]}")
    return lines
