"""The keys a node believes, by certificate: enrolled, expired, revoked. The verifier behind a codec.

One active identity per key and one key per identity (property X4): a second certificate for an id must be
for the key that is active, which renews it, or come after the old one is out.
"""

from __future__ import annotations

from collections.abc import Sequence

from fleet.errors import RemoteProtocolError
from fleet.node.signing import is_sound_key, verify_with
from fleet.protocol import keys
from fleet.protocol.enrolment import KeyCertificate, Revocations, check_certificate, check_id, check_revocations


class KeyRegister:
    """Certificates of one authority.

    Parameters
    ----------
    authority : bytes
        Its public key, 32 bytes, installed with the vehicle and never taken from a message.
    """

    def __init__(self, authority: bytes) -> None:
        if not is_sound_key(authority):
            raise RemoteProtocolError(f"authority {authority.hex() or 'empty'} is not a valid Ed25519 public key")
        self.authority = authority
        self.revoked: dict[bytes, str] = {}
        """Key -> vehicle; never shrinks."""
        self.list_number = -1
        self._active: dict[str, KeyCertificate] = {}
        self._now_ms = 0

    @property
    def active(self) -> dict[str, KeyCertificate]:
        """Certificates that count now, by vehicle, in order of id."""
        return {vehicle: self._active[vehicle] for vehicle in sorted(self._active)}

    def accept(self, certificate: KeyCertificate, now_ms: int) -> None:
        """Enrol or renew.

        Raises
        ------
        RemoteProtocolError
            Not signed by the authority, not valid now, weak or revoked key, an id or key that is taken.
        """
        self.expire(now_ms)
        check_certificate(certificate, self.authority, verify_with)
        vehicle, key = certificate.vehicle, certificate.public_key
        check_id(vehicle, {name: one.public_key for name, one in self._active.items()})
        if not certificate.covers(now_ms):
            span = f"{certificate.not_before_ms} to {certificate.not_after_ms} ms"
            raise RemoteProtocolError(f"certificate of {vehicle}: counts from {span}, and it is {now_ms} ms")
        if not is_sound_key(key):
            raise RemoteProtocolError(f"certificate of {vehicle}: {key.hex()} is not a sound Ed25519 public key")
        if key in self.revoked:
            raise RemoteProtocolError(f"certificate of {vehicle}: its key is revoked; enrol a new one")
        before = self._active.get(vehicle)
        if before is not None and before.public_key != key:
            raise RemoteProtocolError(f"vehicle {vehicle} is active with another key; revoke that first")
        owner = next((name for name, one in self._active.items() if one.public_key == key), vehicle)
        if owner != vehicle:
            raise RemoteProtocolError(f"key of {vehicle} belongs to {owner}; one key is one identity")
        if before is None or certificate.not_after_ms > before.not_after_ms:
            self._active[vehicle] = certificate

    def revoke(self, listed: Revocations) -> tuple[str, ...]:
        """Take a newer list; returns the vehicles that lose their key by it, for ``Core.revoke``.

        Raises
        ------
        RemoteProtocolError
            Not signed by the authority, or not newer.
        """
        check_revocations(listed, self.authority, self.list_number, verify_with)
        self.list_number = listed.number
        return self.revoke_keys(listed.entries)

    def revoke_keys(self, entries: Sequence[tuple[str, bytes]]) -> tuple[str, ...]:
        """Take (vehicle, key) out for good, by the authority's word, which the caller has checked.

        Returns the vehicles that lose their voice by it; one that has a newer key keeps that.
        """
        self.revoked.update((key, vehicle) for vehicle, key in entries)
        return self._drop([name for name, one in self._active.items() if one.public_key in self.revoked])

    def expire(self, now_ms: int) -> tuple[str, ...]:
        """Let time pass; returns the vehicles whose certificates are over."""
        self._now_ms = max(self._now_ms, now_ms)
        return self._drop([name for name, one in self._active.items() if self._now_ms > one.not_after_ms])

    def verify(self, sender: str, data: bytes, signature: bytes) -> bool:
        """The port of the codec: whether ``signature`` is the active ``sender``'s on ``data``, or the authority's."""
        if sender == keys.OFFICE:
            return verify_with(self.authority, data, signature)
        certificate = self._active.get(sender)
        return certificate is not None and verify_with(certificate.public_key, data, signature)

    def _drop(self, vehicles: Sequence[str]) -> tuple[str, ...]:
        for vehicle in vehicles:
            del self._active[vehicle]
        return tuple(sorted(vehicles))
