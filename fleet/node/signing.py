"""Ed25519 through PyNaCl: signing as one vehicle, and the keys of all that are enrolled.

One library only: two Ed25519 implementations disagree on edge cases, and agreement needs one rule.
libsodium refuses non-canonical signatures and points; keys of low order are refused at enrolment.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping

from nacl.bindings import crypto_core_ed25519_is_valid_point
from nacl.exceptions import BadSignatureError
from nacl.signing import SigningKey, VerifyKey
from nacl.utils import random as random_bytes

from fleet.errors import ConfigError

SEED_BYTES = 32


def simulation_seed(scenario_seed: int, vehicle_id: str) -> bytes:
    """A key seed for simulated vehicles: the same scenario gives the same signatures. Never for real ones."""
    return hashlib.sha256(b"ACCORD/simulation-key/v1\0%d\0" % scenario_seed + vehicle_id.encode()).digest()


def random_seed() -> bytes:
    """A seed for a real vehicle's key, from the operating system."""
    return bytes(random_bytes(SEED_BYTES))


def is_sound_key(public_key: bytes) -> bool:
    """Whether it is a canonical point of full order: no other key may be enrolled (property X5)."""
    return len(public_key) == 32 and bool(crypto_core_ed25519_is_valid_point(public_key))


def verify_with(public_key: bytes, data: bytes, signature: bytes) -> bool:
    """Whether ``signature`` on ``data`` is that of ``public_key``; False for a weak key, never raises."""
    if not is_sound_key(public_key):
        return False
    try:
        VerifyKey(public_key).verify(data, signature)
    except (BadSignatureError, ValueError):
        return False
    return True


class Signer:
    """Signs as the owner of ``seed`` (32 bytes, secret; not shown in ``repr``)."""

    def __init__(self, seed: bytes) -> None:
        if len(seed) != SEED_BYTES:
            raise ConfigError(f"a signing seed has {SEED_BYTES} bytes, not {len(seed)}")
        self._key = SigningKey(seed)

    @property
    def public_key(self) -> bytes:
        """32 bytes, to be enrolled."""
        return bytes(self._key.verify_key)

    def sign(self, data: bytes) -> bytes:
        """64 bytes."""
        return bytes(self._key.sign(data).signature)


class Keyring:
    """Public keys by vehicle id."""

    def __init__(self, public_keys: Mapping[str, bytes] | None = None) -> None:
        self._keys: dict[str, VerifyKey] = {}
        for vehicle, public_key in sorted((public_keys or {}).items()):
            self.enrol(vehicle, public_key)

    def enrol(self, vehicle: str, public_key: bytes) -> None:
        """Accept messages of ``vehicle`` under this key.

        Raises
        ------
        ConfigError
            The key is not a canonical point of full order, or the vehicle or the key is enrolled already
            under another name: one key is one identity.
        """
        if not is_sound_key(public_key):
            raise ConfigError(f"key of {vehicle}: {public_key.hex() or 'empty'} is not a valid Ed25519 public key")
        key = VerifyKey(public_key)
        if self._keys.get(vehicle, key) != key:
            raise ConfigError(f"vehicle {vehicle} is enrolled with another key already")
        for other, known in self._keys.items():
            if known == key and other != vehicle:
                raise ConfigError(f"key of {vehicle} belongs to {other} already")
        self._keys[vehicle] = key

    def verify(self, sender: str, data: bytes, signature: bytes) -> bool:
        """Whether ``signature`` (64 bytes) is the enrolled ``sender``'s on ``data``."""
        key = self._keys.get(sender)
        if key is None:
            return False
        try:
            key.verify(data, signature)
        except (BadSignatureError, ValueError):
            return False
        return True
