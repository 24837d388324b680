"""Members that lie: every one has a valid key, is heard by all, and keeps no rule.

Liars of one case collude: what one hears all know, and each signs what the others ask for. What a liar
does is drawn with the case; no lie needs a forged signature, since the channel model gives nobody one
(the lie ``forge`` sends some, to see them refused).
"""

from __future__ import annotations

import random
from collections import deque
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, ClassVar

from fleet.protocol import keys, ports
from fleet.protocol.table import Phase
from fleet.protocol.wire import (
    KIND_OF,
    Abort,
    Body,
    Certificate,
    Entry,
    Intent,
    Message,
    Proposal,
    Reject,
    Release,
    Vote,
    decode,
    encode_body,
    seal,
)
from sim.faults.case import SESSION, ZONE, VehicleCase
from sim.faults.plans import approach, departing, encode, fields

if TYPE_CHECKING:
    from sim.faults.engine import Engine

GHOST = "g"
"""A liar's second, enrolled identity without a body has this after its name."""
_MEMORY = 400
_PERIOD_MS = (150, 350, 700)


class Team:
    """What the liars of one case know together."""

    def __init__(self, engine: Engine) -> None:
        self.engine = engine
        self.rng = random.Random(f"{engine.case.profile}:{engine.case.seed}:liars")
        self.heard: dict[str, Intent] = {}
        self.proposals: dict[bytes, Message] = {}
        self.votes: dict[bytes, dict[str, bytes]] = {}
        self.tape: deque[bytes] = deque(maxlen=_MEMORY)
        self.members: list[Liar] = []
        self._seen: set[bytes] = set()

    def hear(self, raw: bytes) -> Message | None:
        """Take in a datagram; the message where it is new to all."""
        if raw in self._seen:
            return None
        self._seen.add(raw)
        message = decode(raw)
        body = message.body
        self.tape.append(raw)
        if isinstance(body, Intent):
            self.heard[message.sender] = body
        elif isinstance(body, Proposal):
            self.proposals[message.digest] = message
        elif isinstance(body, Vote):
            self.votes.setdefault(body.proposal, {})[message.sender] = message.signature
        return message


class Liar:
    """One of them."""

    def __init__(self, team: Team, case: VehicleCase, signers: Mapping[str, ports.Signer]) -> None:
        self.team = team
        self.case = case
        self.name = case.name
        self._signers = signers
        self._lies = frozenset(case.lies)
        self._rng = team.rng
        self._period_ms = self._rng.choice(_PERIOD_MS)
        self._next_ms = self._intent_ms = 0
        self._able = 0
        self._epoch = 0
        self._seq = 0
        self._mine: list[bytes] = []
        team.members.append(self)

    # What it hears.

    def hear(self, raw: bytes) -> None:
        engine = self.team.engine
        if engine.healed:
            return
        message = self.team.hear(raw)
        if message is None or not isinstance(message.body, Proposal):
            return
        if "withhold" in self._lies and self._rng.random() < 0.5:
            return
        voters = self.team.members if self._rng.random() < 0.5 else [self]
        for liar in voters:
            if liar.name in message.body.members:
                liar._vote(message.digest)

    def _vote(self, proposal: bytes) -> None:
        self.say(Vote(proposal, True), self.some() if "selective" in self._lies else self.all())
        if "flip_flop" in self._lies and self._rng.random() < 0.4:
            self.say(Reject(proposal, ("changed_my_mind",), (), b""), self.some())

    # What it does at its ticks.

    def tick(self) -> None:
        now = self.team.engine.now_ms
        if now >= self._intent_ms + 100:
            self._intent_ms = now
            self._speak()
        able = self._able_now()
        if len(able) > self._able:  # somebody is about to be allowed to sign: strike before honest proposals are out
            self._next_ms = now + self._rng.randint(40, 110)
        self._able = len(able)
        if now < self._next_ms:
            return
        self._next_ms = now + self._period_ms
        for lie, act in self._ACTS.items():
            if lie in self._lies:
                act(self)

    def _able_now(self) -> list[str]:
        now = self.team.engine.now_ms
        heard = self.team.heard
        return [n for n in sorted(heard) if heard[n].ready and not heard[n].held and now - heard[n].stamp_ms < 600]

    def _equivocate(self) -> None:
        """The same place and time for two vehicles, in two proposals, told to different halves."""
        able = self._able_now()
        if len(able) < 2:
            return
        pair = self._rng.sample(able, 2)
        decide_ms = self._rng.choice((200, 400, 1000))
        split = self._rng.random() < 0.7
        same_epoch = self._rng.random() < 0.3
        for victim in pair:
            self._epoch += not same_epoch
            entry = self._tube(victim, decide_ms)
            others = [n for n in self.all() if n == victim or n not in pair]
            self._propose((entry,), decide_ms, others if split else self.all())

    def _bad_plan(self) -> None:
        """Plans that run into each other, break every limit, are no plans, or have leases too long or too short."""
        able = self._able_now()
        if not able:
            return
        decide_ms = self._rng.choice((200, 500))
        chosen = self._rng.sample(able, min(len(able), 3))
        batch = tuple(self._tube(victim, decide_ms) for victim in chosen)
        bad = self._rng.randrange(5)
        if bad == 1:
            batch = (Entry(chosen[0], _absurd(batch[0].plan), batch[0].lease_end_ms),)
        elif bad == 2:
            batch = (Entry(chosen[0], b"\xff" * 40, batch[0].lease_end_ms),)
        elif bad == 3:
            batch = (Entry(chosen[0], batch[0].plan, self.team.engine.now_ms + 119_000),)
        elif bad == 4:
            batch = (Entry(chosen[0], batch[0].plan, self.team.engine.now_ms + decide_ms + 100),)
        self._propose(batch, decide_ms, self.all())

    def _omit_members(self) -> None:
        """A proposal that leaves out whom its tube concerns."""
        able = self._able_now()
        if not able:
            return
        decide_ms = self._rng.choice((200, 400))
        victim = self._rng.choice(able)
        self._propose((self._tube(victim, decide_ms),), decide_ms, self.all(), alone=True)

    def _replay(self) -> None:
        """Datagrams of others and of earlier times, again."""
        tape = self.team.tape
        for _ in range(min(6, len(tape))):
            self._send(tape[self._rng.randrange(len(tape))], self.some())

    def _ghost(self) -> None:
        """A vehicle that is not there."""
        name = self.name + GHOST
        engine = self.team.engine
        plan = approach(self.case.path, engine.now_ms, -20_000, 8_000)
        self.say(self._intent(name, plan), self.all(), name)
        for proposal, message in list(self.team.proposals.items())[-4:]:
            if isinstance(message.body, Proposal) and name in message.body.members and self._rng.random() < 0.5:
                self.say(Vote(proposal, True), self.all(), name)

    def _flip_flop(self) -> None:
        """Now for, now against: aborts, releases and refusals of what it has signed or proposed."""
        engine = self.team.engine
        for proposal in list(self.team.proposals)[-3:] + self._mine[-2:]:
            roll = self._rng.randrange(4)
            if roll == 0:
                self.say(Abort(proposal, "no more", engine.now_ms), self.some())
            elif roll == 1:
                self.say(Release((proposal,), engine.now_ms), self.some())
            elif roll == 2:
                self.say(Reject(proposal, ("no",), (), b""), self.some())

    def _forge(self) -> None:
        """Votes and certificates in the names of others, without their keys; a certificate of too few."""
        for proposal, message in list(self.team.proposals.items())[-4:]:
            body = message.body
            if not isinstance(body, Proposal):
                continue
            known = self.team.votes.get(proposal, {})
            own = {liar.name: liar._sign_vote(proposal) for liar in self.team.members}
            votes = []
            for position, member in enumerate(body.members):
                signature = own.get(member) or known.get(member) or self._rng.randbytes(64)
                votes.append((position, signature))
            self.say(Certificate(proposal, tuple(votes)), self.some())
            victim = self._rng.choice(body.members)
            self._send(seal(KIND_OF[Vote], ZONE, SESSION, victim, encode_body(Vote(proposal, True)),
                            self._sign_vote(proposal)), self.some())  # fmt: skip

    def _foreign_zone(self) -> None:
        """What was said for another zone and session, here."""
        name = self.name
        plan = approach(self.case.path, self.team.engine.now_ms, -30_000, 9_000)
        self.say(self._intent(name + GHOST, plan), self.all(), name + GHOST, zone="elsewhere")
        self.say(self._intent(name + GHOST, plan), self.all(), name + GHOST, session=SESSION + 1)
        able = self._able_now()
        if able:
            self._propose((self._tube(able[0], 400),), 400, self.all(), zone="elsewhere")

    _ACTS: ClassVar[dict[str, Callable[[Liar], None]]] = {
        "equivocate": _equivocate, "bad_plan": _bad_plan, "omit_members": _omit_members, "replay": _replay,
        "ghost": _ghost, "flip_flop": _flip_flop, "forge": _forge, "foreign_zone": _foreign_zone,
    }  # fmt: skip

    # Means.

    def all(self) -> list[str]:
        return sorted(self.team.engine.nodes)

    def some(self) -> list[str]:
        return [name for name in self.all() if self._rng.random() < 0.6]

    def _tube(self, victim: str, decide_ms: int) -> Entry:
        now = self.team.engine.now_ms
        plan = departing(self.team.heard[victim].plan, now + decide_ms + self._rng.choice((0, 0, 500)))
        uses = self.team.engine.roads.uses(plan)
        end = max((end for _, _, end in uses), default=0)
        lease = int(end) + 300 if now + decide_ms < end < now + 60_000 else now + decide_ms + 8_000
        return Entry(victim, plan, lease)

    def _propose(
        self, batch: tuple[Entry, ...], decide_ms: int, to: list[str], *, alone: bool = False, zone: str = ZONE
    ) -> None:
        engine = self.team.engine
        now = engine.now_ms
        heard = self.team.heard
        named = {entry.vehicle for entry in batch} | {self.name}
        if not alone:
            recent = [n for n, i in heard.items() if now - i.stamp_ms < 600 and i.phase is not Phase.CLEARED]
            named |= {*recent, *(liar.name for liar in self.team.members)}
        members = tuple(sorted(named))[:15]
        if not {entry.vehicle for entry in batch} | {self.name} <= set(members):
            return
        charter = next(iter(heard.values())).charter_id
        proposal = Proposal(
            self.name, self._epoch % 65_536, now, now + decide_ms, members, batch, charter, bytes(8)
        )  # fmt: skip
        digest = decode(self.say(proposal, to, zone=zone)).digest
        self._mine.append(digest)
        for liar in self.team.members:
            if liar.name in members:
                liar.say(Vote(digest, True), self.all())

    def _speak(self) -> None:
        engine = self.team.engine
        driver = engine.drivers[self.name]
        plan = approach(self.case.path, engine.now_ms, -1_000, 0)
        if "false_position" in self._lies:
            plan = approach(self.case.path, engine.now_ms, -40_000 + self._rng.randrange(30_000), 9_000)
        elif driver.body is not None and not driver.went:
            plan = driver.body.plan.raw
        self.say(self._intent(self.name, plan), self.some() if "selective" in self._lies else self.all())

    def _intent(self, name: str, plan: bytes) -> Intent:
        engine = self.team.engine
        self._seq = max(self._seq + 1, engine.now_ms)
        source = next(iter(self.team.heard.values()), None)
        return Intent(
            vehicle=name, seq=self._seq, stamp_ms=engine.now_ms, phase=Phase.WAITING, path_id=f"p{self.case.path}",
            body=engine.vehicle_body, arrived_ms=engine.now_ms, eta_ms=0, urgency=0,
            charter_id=engine.charter_id if source is None else source.charter_id, map_digest=engine.map_digest,
            ready=False, plan=plan, held=b"", lease_end_ms=0, live=(), dead=(), certificates=(), votes_known=(),
            roster=(), perceived_count=0, perceived=(),
        )  # fmt: skip

    def _sign_vote(self, proposal: bytes) -> bytes:
        return self._signers[self.name].sign(keys.vote_statement(ZONE, SESSION, self.name, proposal))

    def say(self, body: Body, to: list[str], name: str = "", *, zone: str = ZONE, session: int = SESSION) -> bytes:
        """Sign ``body`` as ``name`` (default: own name) and send it."""
        name = name or self.name
        kind, payload = KIND_OF[type(body)], encode_body(body)
        covered = keys.statement(kind.name.lower(), zone, session, name, payload)
        raw = seal(kind, zone, session, name, payload, self._signers[name].sign(covered))
        self._send(raw, to)
        return raw

    def _send(self, raw: bytes, to: list[str]) -> None:
        engine = self.team.engine
        engine.observer.overheard(raw)
        engine.transmit(self.name, raw, [name for name in to if name in engine.here])


def _absurd(raw: bytes) -> bytes:
    """The plan ``raw`` with a dash that no vehicle can drive."""
    found = fields(raw)
    if found is None:
        return raw
    path, t0, s0, v0, segments = found
    return encode(path, t0, s0, v0, (*segments[:-1], (segments[-1][0] // 10, 20_000)))
