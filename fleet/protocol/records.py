"""Values that pass between the core and the node that drives it."""

from __future__ import annotations

import hashlib
from collections import Counter
from dataclasses import dataclass, field
from typing import Union

from fleet.protocol import limits
from fleet.protocol.table import Phase
from fleet.protocol.wire import VehicleBody


@dataclass(frozen=True, slots=True)
class LiveTube:
    """Space and time that somebody uses, or may come to use.

    ``kind`` is ``promise`` (own signature given, outcome open), ``certificate`` (adopted, or certified),
    ``occupancy`` (announced by a vehicle in the zone without agreement) or ``approach`` (announced by an
    uncommitted vehicle; ends before the zone). The last two have no proposal hash. Judge and planner get
    one such tube for every vehicle heard, the batch's own included: there they find its body and the
    approach plan that its new plan must coincide with until ``decide_by``.
    """

    vehicle: str
    plan: bytes
    lease_end_ms: int
    proposal_hash: bytes
    kind: str
    body: VehicleBody | None = None
    decide_by_ms: int = 0


@dataclass(frozen=True, slots=True)
class Local:
    """What the node knows of its own vehicle at this tick. Times in ms of the fleet's clock."""

    now_ms: int
    phase: Phase
    """As observed: APPROACH, WAITING, OCCUPYING, FALLBACK or CLEARED. While a commitment is held, only
    OCCUPYING and FALLBACK (the vehicle has left its plan) are looked at."""
    path_id: str
    arrived_ms: int
    eta_ms: int
    plan: bytes
    """What the vehicle drives now. Until ``core.frozen_until_ms`` it must not be replaced."""
    urgency: int = 0
    wants_commit: bool = False
    """Wants a plan; of a holder before its point of no return: wants another one (rule P7)."""
    pnr_passed: bool = False
    has_contingency: bool = True
    """A verified way to stop short of everything not held exists now."""
    cleared: bool = False
    """The rear bumper is beyond the zone: the commitment is given back."""
    perceived: tuple[str, ...] = ()
    """Bodies seen that no message accounts for."""
    blocking: tuple[str, ...] = ()
    """Why nothing can be agreed now, such as a body that may come in the way; empty: nothing blocks."""
    estimate_ok: bool = True
    """Own pose is within its bounds; otherwise no proposal is signed."""
    clock_error_ms: int = 0
    """Estimated bound on the own clock's error. Above ``Tuning.eps_ms`` nothing at all is signed (rule P12):
    what this vehicle says of times, its intents included, would mislead."""


@dataclass(frozen=True, slots=True)
class PlannedBatch:
    """A planner's answer: (vehicle, plan bytes, lease end in ms) in passing order, and who got none and why."""

    entries: tuple[tuple[str, bytes, int], ...]
    refused: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class Identity:
    """Who this vehicle is, as its intents say it."""

    vehicle: str
    body: VehicleBody
    charter_id: bytes
    map_digest: bytes
    """8 to 32 bytes."""


@dataclass(frozen=True, slots=True)
class Commitment:
    """The own tube in use."""

    proposal_hash: bytes
    plan: bytes
    lease_end_ms: int
    adopted_ms: int
    members: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Adopt:
    """Drive ``plan`` from now on; it coincides with the approach plan up to now."""

    proposal_hash: bytes
    plan: bytes
    lease_end_ms: int


@dataclass(frozen=True, slots=True)
class Drop:
    """The own tube is no longer held (cleared, lease_end, replaced, clock_doubt, released:<why>)."""

    proposal_hash: bytes
    reason: str


@dataclass(frozen=True, slots=True)
class Contradiction:
    """Proof against a peer: two datagrams with its valid signatures that no honest vehicle signs both.

    To be stored and shown to others; the core has quarantined ``vehicle`` already. ``kind``: see contradiction.py.
    """

    vehicle: str
    kind: str
    first: bytes
    second: bytes
    proposal: bytes = b""
    """The proposal that an answer was given to twice: it dates both."""

    @property
    def digest(self) -> bytes:
        """Names this proof: 32 bytes over both datagrams, whichever was seen first."""
        return hashlib.sha256(b"\0".join(sorted((self.first, self.second)))).digest()


Effect = Union[Adopt, Drop, Contradiction]  # noqa: UP007 - an alias that Python 3.10 evaluates
Note = tuple[str, dict[str, object]]


@dataclass(frozen=True, slots=True)
class Ready:
    """What the node must do, in the order of the fields; then it calls ``advance``.

    ``to_persist``: records to append and flush BEFORE anything of ``to_send`` leaves: what is signed is
    a promise that must survive a crash. ``to_send``: datagrams to broadcast, AFTER persisting. ``to_apply``:
    changes of the plan to drive, and proofs against peers, AFTER sending, in order. ``notes``: (kind, plain
    values) for the decision log, AFTER all of it.
    """

    to_persist: tuple[bytes, ...] = ()
    to_send: tuple[bytes, ...] = ()
    to_apply: tuple[Effect, ...] = ()
    notes: tuple[Note, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.to_persist or self.to_send or self.to_apply or self.notes)


@dataclass(frozen=True, slots=True)
class Tuning:
    """What may differ between fleets; must be equal within one only for ``eps_ms``."""

    eps_ms: int = 10
    """Bound on the error of every clock of the fleet."""
    batch_max: int = 8
    listen_ms: int = 300
    """After engaging, nothing is signed for so long: whoever is here is heard first (three intents, or
    one of a relaxed holder)."""
    starvation_ms: int = 60_000


@dataclass(slots=True)
class Stats:
    """Counters since the start; keys are message kinds in lower case or reasons."""

    sent: Counter[str] = field(default_factory=Counter)
    sent_bytes: Counter[str] = field(default_factory=Counter)
    received: Counter[str] = field(default_factory=Counter)
    received_bytes: int = 0
    refused: Counter[str] = field(default_factory=Counter)
    """Datagrams not taken, by reason."""
    objections: Counter[str] = field(default_factory=Counter)
    """Proposals not signed, by the kind of reason (before the colon)."""
    decided: int = 0
    failed: int = 0
    """Own proposals without agreement by their time."""
    latencies_ms: list[int] = field(default_factory=list)
    """From a proposal's stamp to its complete certificate, as seen here."""

    def decide(self, latency_ms: int) -> None:
        self.decided += 1
        if len(self.latencies_ms) < limits.LATENCIES_MAX:
            self.latencies_ms.append(latency_ms)
