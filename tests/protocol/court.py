"""What tests of evidence share: a stub authority, certificates, and traffic of honest vehicles in hard times."""

from __future__ import annotations

from functools import cache

from fleet.protocol import keys
from fleet.protocol.enrolment import KeyCertificate, certificate_statement
from fleet.protocol.evidence import Evidence, Fault, Observation, Verdict, observation_statement, verify
from fleet.protocol.wire import KIND_OF, Body, Message, VehicleBody, decode, encode_body, seal
from tests.protocol.crashing import CrashWorld
from tests.protocol.harness import SESSION, ZONE, StubKeys, bursty, clash, intervals
from tests.protocol.liar import Equivocator

HOUR_MS = 3_600_000


def key_of(name: str) -> bytes:
    return name.encode().ljust(32, b"\0")


def verify_key(public_key: bytes, data: bytes, signature: bytes) -> bool:
    return StubKeys(public_key.rstrip(b"\0").decode(errors="replace")).sign(data) == signature


AUTHORITY = key_of("office")


def certificate(vehicle: str, key: bytes | None = None, by: str = "office") -> KeyCertificate:
    held = key_of(vehicle) if key is None else key
    signature = StubKeys(by).sign(certificate_statement(vehicle, held, 0, HOUR_MS))
    return KeyCertificate(key_of(by), vehicle, held, 0, HOUR_MS, signature)


class Intervals:
    """The harness' geometry: a plan is a list of ``resource:start:end``; a place is the time that it is late."""

    def overlap(self, plan: bytes, body: VehicleBody, other_plan: bytes) -> bool:
        return bool(intervals(plan)) and clash(plan, other_plan)

    def deviation_mm(self, plan: bytes, stamp_ms: int, x_mm: int, y_mm: int) -> int | None:
        return x_mm if intervals(plan) else None


def judge(fault: Fault, *messages: bytes, observations: tuple[Observation, ...] = ()) -> Verdict:
    """Verdict with the certificates of everybody who signed."""
    senders = sorted({decode(raw).sender for raw in messages} | {seen.observer for seen in observations})
    certificates = tuple(certificate(name) for name in senders)
    evidence = Evidence(fault, messages, certificates, observations)
    return verify(evidence, AUTHORITY, verify_key, geometry=Intervals())


def say(sender: str, body: Body, zone: str = ZONE, session: int = SESSION) -> bytes:
    """A datagram with ``sender``'s signature."""
    kind, payload = KIND_OF[type(body)], encode_body(body)
    covered = keys.statement(kind.name.lower(), zone, session, sender, payload)
    return seal(kind, zone, session, sender, payload, StubKeys(sender).sign(covered))


def observe(observer: str, vehicle: str, stamp_ms: int, off_mm: int) -> Observation:
    covered = observation_statement(ZONE, SESSION, observer, vehicle, (stamp_ms, off_mm, 0))
    return Observation(observer, vehicle, stamp_ms, off_mm, 0, StubKeys(observer).sign(covered))


@cache
def honest_traffic(seed: int) -> tuple[Message, ...]:
    """All that honest vehicles say under loss, duplicates, skewed clocks, crashes, restarts and a liar."""
    world = CrashWorld(seed, tick_ms=50)
    world.fault = bursty(world.rng, world.rng.choice((0.0, 0.2, 0.4)), 3.0, (5, 90), 0.2)
    if seed % 2:
        world.liars["zz"] = Equivocator(world, "zz", 300)
    names = [f"v{index}" for index in range(2 + seed % 3)]
    for name in names:
        world.engage(world.add(name, world.rng.choice(("R1", "R1+R2", "R2")), skew_ms=world.rng.randint(-10, 10)))
    for _ in range(3):
        world.run(world.rng.randint(300, 1_500))
        name = world.rng.choice(names)
        if world.cars[name].engaged and not world.cars[name].off:
            world.crash(world.cars[name])
            world.run(world.rng.randint(5, 1_200))
            world.restart(world.cars[name])
    world.run(6_000, world.all_done)
    said = (decode(raw) for _, _, raw in world.air)
    return tuple({message.raw: message for message in said if message.sender in names}.values())
