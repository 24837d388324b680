"""What the nodes of one simulated fleet have in common: keys, stable logs, and a core for each."""

from __future__ import annotations

import random
from pathlib import Path

from fleet.charter.model import Charter, default_charter
from fleet.node.assembly import TimedKeyring, TimedSigner, past_of, stable_log
from fleet.node.bodies import wire_body
from fleet.node.signing import Keyring, Signer, simulation_seed
from fleet.node.stable_log import Medium, StableLog
from fleet.node.stable_media import FileMedium, MemoryMedium
from fleet.node.stopwatch import Stopwatch
from fleet.protocol import keys
from fleet.protocol.codec import Codec
from fleet.protocol.core import Core
from fleet.protocol.enrolment import VALID_MS_MAX, KeyCertificate, certificate_statement
from fleet.protocol.ports import Draw, Judge, Planner, Ports
from fleet.protocol.records import Identity, Tuning
from fleet.protocol.restore import Restored, unknown_past
from sim.stage import Actor


class NodeOffice:
    """Of one run; ``map_digest`` pins the map or site in every intent."""

    def __init__(self, seed: int, watch: Stopwatch, map_digest: str, charter: Charter | None = None) -> None:
        self.seed, self.watch = seed, watch
        self.keyring = Keyring()
        self._media: dict[str, Medium] = {}
        self.codec = Codec(TimedKeyring(self.keyring, watch))
        self._charter_id = (charter or default_charter()).charter_id()
        self._map_digest = bytes.fromhex(map_digest)[:8]

    def enrol(self, name: str, store_folder: Path | None) -> None:
        """Make the key known; the stable log is a file in ``store_folder``, or in memory."""
        self.keyring.enrol(name, self.signer(name).public_key)
        self._media[name] = MemoryMedium(name) if store_folder is None else FileMedium(store_folder / f"{name}.log")

    def past(self, name: str, now_ms: int, *, log_lost: bool) -> Restored:
        """What a node that has died knows of its past: its stable log, or not even that."""
        eps_ms = Tuning().eps_ms
        if log_lost:
            self._media[name].replace(b"")
            return unknown_past(now_ms, eps_ms)
        return past_of(self._media[name], name, now_ms)

    def signer(self, name: str) -> Signer:
        return Signer(simulation_seed(self.seed, name))

    def medium(self, name: str) -> Medium:
        """Where the stable log of ``name`` is."""
        return self._media[name]

    def draw(self, name: str) -> Draw:
        """The chance of ``name``."""
        return random.Random(f"{self.seed}/{name}").randrange

    def core(self, actor: Actor, judge: Judge, planner: Planner, restored: Restored | None) -> Core:
        name = actor.vehicle_id
        identity = Identity(name, wire_body(actor.vehicle), self._charter_id, self._map_digest)
        signer = TimedSigner(self.signer(name), self.watch)
        core = Core(identity, Ports(judge, planner, signer, self.codec, self.draw(name)))
        if restored is not None:
            core.restore(restored)
        return core

    def log(self, name: str) -> StableLog:
        return stable_log(self._media[name], name)

    def certificate(self, name: str) -> KeyCertificate:
        """Of a vehicle's key, by an authority of this simulation: for evidence that others judge offline."""
        authority = Signer(simulation_seed(self.seed, keys.OFFICE))
        key = self.signer(name).public_key
        signature = authority.sign(certificate_statement(name, key, 0, VALID_MS_MAX))
        return KeyCertificate(authority.public_key, name, key, 0, VALID_MS_MAX, signature)

    def close(self) -> None:
        """Let go of the stable logs."""
        for medium in self._media.values():
            medium.close()
