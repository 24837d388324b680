"""Every tube that may be or come into use: own promises, certificates and announced commitments.

A tube (proposal, vehicle) leaves the ledger only when it is dead: its vehicle said so (a Release, or an
intent stamped after ``decide_by`` + 2 eps that does not list it), or its lease + 2 eps is over.
"""

from __future__ import annotations

import hashlib
from dataclasses import replace

from fleet.protocol import keys, limits
from fleet.protocol.records import LiveTube
from fleet.protocol.wire import Intent, Proposal, VehicleBody


class Ledger:
    """Live tubes by vehicle and proposal."""

    def __init__(self, eps_ms: int) -> None:
        self._eps_ms = eps_ms
        self._tubes: dict[str, dict[bytes, LiveTube]] = {}
        self._count = 0
        self.deaths = 0
        """Tubes removed so far: tells whether looking again at what was in the way is worth it."""

    def __len__(self) -> int:
        return self._count

    def room_for(self, count: int) -> bool:
        """Whether ``count`` more promises fit; if not, none is given (those given are kept)."""
        return self._count + count <= limits.TUBES_MAX

    def has(self, vehicle: str, proposal_hash: bytes) -> bool:
        return proposal_hash in self._tubes.get(vehicle, ())

    def has_certificate(self, vehicle: str, *, besides: bytes) -> bool:
        """Whether ``vehicle`` has a tube that all have signed, other than that of proposal ``besides``.

        Then it holds, or will as soon as it hears of it: it no longer waits for its turn to propose.
        """
        return any(tube.kind == "certificate" and key != besides for key, tube in self.of(vehicle).items())

    def add(
        self, proposal: Proposal, proposal_hash: bytes, kind: str, bodies: dict[str, VehicleBody],
        denied: frozenset[str] = frozenset(),
    ) -> None:  # fmt: skip
        """Take all tubes of ``proposal`` but those of vehicles in ``denied`` (known to be dead already)."""
        for entry in proposal.batch:
            if entry.vehicle not in denied:
                self.put(
                    LiveTube(
                        entry.vehicle, entry.plan, entry.lease_end_ms, proposal_hash, kind,
                        bodies.get(entry.vehicle), proposal.decide_by_ms,
                    )
                )  # fmt: skip

    def put(self, tube: LiveTube) -> None:
        """Take one tube; a certificate replaces the promise of the same tube."""
        tubes = self._tubes.setdefault(tube.vehicle, {})
        self._count += tube.proposal_hash not in tubes
        tubes[tube.proposal_hash] = tube

    def remove(self, vehicle: str, proposal_hash: bytes) -> bool:
        """Drop one tube on its vehicle's own word; whether it was there."""
        tubes = self._tubes.get(vehicle)
        if tubes is None or tubes.pop(proposal_hash, None) is None:
            return False
        self._count -= 1
        self.deaths += 1
        if not tubes:
            del self._tubes[vehicle]
        return True

    def denies(self, intent: Intent | None, proposal_hash: bytes, decide_by_ms: int) -> bool:
        """Whether ``intent`` proves that its sender's tube of the proposal is dead."""
        if intent is None or proposal_hash in intent.live:
            return False
        if proposal_hash in intent.dead:
            return True
        return intent.stamp_ms >= decide_by_ms + 2 * self._eps_ms

    def observe(self, vehicle: str, intent: Intent) -> list[bytes]:
        """Take what an intent says of its sender's tubes; returns the proposals whose tube it proves dead."""
        dead = [
            proposal_hash
            for proposal_hash, tube in self._tubes.get(vehicle, {}).items()
            if self.denies(intent, proposal_hash, tube.decide_by_ms)
        ]
        for proposal_hash in dead:
            self.remove(vehicle, proposal_hash)
        if intent.held and intent.stamp_ms <= intent.lease_end_ms + 2 * self._eps_ms:
            tube = self._tubes.get(vehicle, {}).get(intent.held)
            if tube is None:
                lease_end_ms = min(intent.lease_end_ms, intent.stamp_ms + limits.LEASE_MS_MAX)
                self.put(LiveTube(vehicle, intent.plan, lease_end_ms, intent.held, "certificate", intent.body))
            elif tube.kind == "promise":
                self.put(replace(tube, kind="certificate"))
        return dead

    def expire(self, now_ms: int) -> None:
        """Drop what has outlived its lease by 2 eps."""
        over = [
            (vehicle, proposal_hash)
            for vehicle, tubes in self._tubes.items()
            for proposal_hash, tube in tubes.items()
            if now_ms > tube.lease_end_ms + 2 * self._eps_ms
        ]
        for vehicle, proposal_hash in over:
            self.remove(vehicle, proposal_hash)

    def of(self, vehicle: str) -> dict[bytes, LiveTube]:
        return self._tubes.get(vehicle, {})

    def live(self) -> list[LiveTube]:
        """All tubes, by vehicle and then proposal hash."""
        return [self._tubes[vehicle][key] for vehicle in sorted(self._tubes) for key in sorted(self._tubes[vehicle])]

    def digest(self) -> bytes:
        """Eight bytes that name the set of tubes known now."""
        whole = hashlib.sha256()
        for tube in self.live():
            whole.update(tube.proposal_hash + tube.vehicle.encode() + b"\0")
        return whole.digest()[: keys.PREFIX_BYTES]
