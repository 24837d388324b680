"""Keyed digests in place of signatures: within a simulation as unforgeable, and two hundred times faster.

One seed in a hundred runs with Ed25519 instead (fleet/node/signing.py).
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable

from fleet.node.signing import Keyring, Signer, simulation_seed
from fleet.protocol import ports


class StubSigner:
    """``sign`` is a function of the name and the bytes; only the simulator hands out signers."""

    __slots__ = ("_key",)

    def __init__(self, vehicle: str) -> None:
        self._key = hashlib.blake2b(b"soak\0" + vehicle.encode(), digest_size=32).digest()

    def sign(self, data: bytes) -> bytes:
        return hashlib.blake2b(data, key=self._key, digest_size=64).digest()


class StubVerifier:
    """Knows the enrolled."""

    def __init__(self, vehicles: Iterable[str]) -> None:
        self._signers = {vehicle: StubSigner(vehicle) for vehicle in vehicles}

    def verify(self, sender: str, data: bytes, signature: bytes) -> bool:
        signer = self._signers.get(sender)
        return signer is not None and signer.sign(data) == signature


def keys(vehicles: list[str], seed: int, real: bool) -> tuple[dict[str, ports.Signer], ports.Verifier]:
    """A signer for each of ``vehicles``, and the verifier that knows them all."""
    if not real:
        return {vehicle: StubSigner(vehicle) for vehicle in vehicles}, StubVerifier(vehicles)
    signers = {vehicle: Signer(simulation_seed(seed, vehicle)) for vehicle in vehicles}
    return dict(signers), Keyring({vehicle: signer.public_key for vehicle, signer in signers.items()})
