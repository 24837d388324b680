"""An equivocating member: it promises the same space to two vehicles, tells each half another story,
leaves members out, and signs everything."""

from __future__ import annotations

from fleet.protocol import keys
from fleet.protocol.table import Phase
from fleet.protocol.wire import KIND_OF, Body, Entry, Intent, Kind, Proposal, Vote, decode, encode_body, seal
from tests.protocol.harness import BODY, CHARTER, MAP, SESSION, ZONE, StubKeys, World, make_plan


class Equivocator:
    """Has a valid key and is heard by all; nothing it says holds."""

    def __init__(self, world: World, name: str, period_ms: int) -> None:
        self.world = world
        self.name = name
        self.period_ms = period_ms
        self.next_ms = world.now_ms + 250
        self.intent_ms = 0
        self.seq = world.now_ms
        self.able = 0
        self.epoch = 0
        self.heard: dict[str, Intent] = {}

    def hear(self, raw: bytes) -> None:
        message = decode(raw)
        if isinstance(message.body, Intent):
            self.heard[message.sender] = message.body
        elif message.kind is Kind.PROPOSAL:
            self.say(Vote(message.digest, True), self.some())

    def tick(self) -> None:
        world = self.world
        if world.now_ms >= self.intent_ms + 100:
            self.intent_ms = world.now_ms
            self.say(self.intent(), sorted(world.cars))
        able = [n for n, i in sorted(self.heard.items()) if i.ready and not i.held and world.now_ms - i.stamp_ms < 600]
        if len(able) > self.able:  # about to be allowed to sign: strike before any honest proposal is out
            self.next_ms = world.now_ms + world.rng.randint(60, 110)
        self.able = len(able)
        if world.now_ms >= self.next_ms and len(able) >= 2:
            self.next_ms = world.now_ms + self.period_ms
            self.equivocate(world.rng.sample(able, 2))

    def equivocate(self, pair: list[str]) -> None:
        """The same second for two vehicles, in two proposals."""
        world = self.world
        decide_ms = world.rng.choice((200, 400, 1000))
        start = world.now_ms + decide_ms + 100
        alone = world.rng.random() < 0.3
        split = world.rng.random() < 0.7
        same_epoch = world.rng.random() < 0.3
        for victim in pair:
            self.epoch += not same_epoch
            entry = Entry(victim, make_plan(victim, self.heard[victim].path_id, start), start + 1300)
            recent = [
                n for n, i in self.heard.items() if world.now_ms - i.stamp_ms < 600 and i.phase is not Phase.CLEARED
            ]
            members = tuple(sorted({victim, self.name} if alone else {*recent, *world.liars}))
            proposal = Proposal(
                self.name, self.epoch, world.now_ms, world.now_ms + decide_ms, members, (entry,), CHARTER, bytes(8)
            )
            audience = [name for name in sorted(world.cars) if name == victim or name not in pair]
            raw = self.say(proposal, audience if split else sorted(world.cars))
            self.say(Vote(decode(raw).digest, True), sorted(world.cars))

    def some(self) -> list[str]:
        return [name for name in sorted(self.world.cars) if self.world.rng.random() < 0.6]

    def say(self, body: Body, to: list[str]) -> bytes:
        kind, payload = KIND_OF[type(body)], encode_body(body)
        covered = keys.statement(kind.name.lower(), ZONE, SESSION, self.name, payload)
        raw = seal(kind, ZONE, SESSION, self.name, payload, StubKeys(self.name).sign(covered))
        for name in to:
            self.world.deliver(self.name, name, raw)
        return raw

    def intent(self) -> Intent:
        self.seq += 1
        return Intent(
            vehicle=self.name, seq=self.seq, stamp_ms=self.world.now_ms, phase=Phase.WAITING, path_id="R1", body=BODY,
            arrived_ms=self.world.now_ms, eta_ms=0, urgency=0, charter_id=CHARTER, map_digest=MAP, ready=False,
            plan=f"{self.name}|".encode(), held=b"", lease_end_ms=0, live=(), dead=(), certificates=(), votes_known=(),
            roster=(), perceived_count=0, perceived=(),
        )  # fmt: skip
