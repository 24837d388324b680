"""What the core needs from outside: judgement, plans, signatures, chance. All must be deterministic."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from fleet.protocol.records import LiveTube, Local, PlannedBatch
from fleet.protocol.wire import Entry, Intent, Proposal

if TYPE_CHECKING:
    from fleet.protocol.codec import Codec


class Judge(Protocol):
    """The independent verifier: its code shares nothing with the planner's."""

    def verify(self, proposal: Proposal, known: Sequence[LiveTube], local: Local) -> tuple[str, ...]:
        """Typed reasons (``kind:detail``) why ``proposal`` must not be signed or adopted; empty: none.

        The batch's plans must be clear of each other and of every tube in ``known`` of another vehicle
        (tubes of one vehicle exclude each other, since it uses one at a time), must coincide with their
        vehicle's announced plan in ``known`` until ``decide_by_ms``, and must be out of every shared area
        before their lease ends. Each vehicle times its plan by its own clock: clear means clear by 2 eps.
        """
        ...

    def required_members(self, batch: Sequence[Entry], peers: Mapping[str, Intent], local: Local) -> frozenset[str]:
        """Those of ``peers`` who could reach the zone while ``batch`` uses it, by geometry."""
        ...


class Planner(Protocol):
    """The joint planner; what it returns is judged like anybody's proposal."""

    def plan(self, vehicles: Sequence[Intent], known: Sequence[LiveTube], now_ms: int, switch_ms: int) -> PlannedBatch:
        """Plans for ``vehicles`` (in the mechanism's order), coinciding with each ``plan`` until ``switch_ms``."""
        ...


class Signer(Protocol):
    """Signs as this vehicle."""

    def sign(self, data: bytes) -> bytes:
        """64 bytes."""
        ...


class Verifier(Protocol):
    """Knows the keys of the enrolled vehicles."""

    def verify(self, sender: str, data: bytes, signature: bytes) -> bool:
        """False also for an unknown ``sender``; never raises on bytes from outside."""
        ...


class Register(Protocol):
    """The keys this vehicle believes."""

    def revoke_keys(self, entries: Sequence[tuple[str, bytes]]) -> tuple[str, ...]:
        """Take (vehicle, key) out for good; returns the vehicles, sorted, that lose their voice by it."""
        ...


class Draw(Protocol):
    """An injected seeded generator, such as ``random.Random(seed).randrange``."""

    def __call__(self, stop: int, /) -> int:
        """An integer in [0, stop)."""
        ...


@dataclass(frozen=True, slots=True)
class Ports:
    """All of them, for one vehicle; ``codec`` holds the verifier and may be shared within a process."""

    judge: Judge
    planner: Planner
    signer: Signer
    codec: Codec
    draw: Draw
    register: Register | None = None
    """Without one, revocations on air are not taken (``no_register``): the node learns of them otherwise."""
