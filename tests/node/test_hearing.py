"""Who is heard, here and at other zones, for how long, and what forgers gain."""

from __future__ import annotations

import math
import random
from dataclasses import replace

import msgspec
import pytest

from fleet.node.bodies import wire_body
from fleet.node.hearing import OVERHEARD_MS, Hearing
from fleet.node.signing import Keyring, Signer, simulation_seed
from fleet.protocol import keys
from fleet.protocol.codec import Codec
from fleet.protocol.core import Core
from fleet.protocol.ports import Ports
from fleet.protocol.records import Identity
from fleet.protocol.wire import Intent, Kind, encode_body, seal
from planners.timed_path import TimedPath
from tests.node.scenes import CAR, CENTRE_M, CHARTER, ZONE, approach, intent, junction

SESSION = 3
ELSEWHERE = "zone7"
SIGNERS = {name: Signer(simulation_seed(1, name)) for name in ("a", "b", "c")}
B = approach("b", "E_straight", 150.0, 13.0)


def datagram(
    sender: str, said: Intent, zone: str = ELSEWHERE, *, signer: str | None = None, session: int = SESSION
) -> bytes:
    payload = encode_body(said)
    covered = keys.statement(Kind.INTENT.name.lower(), zone, session, sender, payload)
    return seal(Kind.INTENT, zone, session, sender, payload, SIGNERS[signer or sender].sign(covered))


class Ear:
    """Vehicle ``a``, engaged with the junction."""

    def __init__(self) -> None:
        codec = Codec(Keyring({name: signer.public_key for name, signer in SIGNERS.items()}))
        ports = Ports(junction().judge("a"), junction().zone_planner(), SIGNERS["a"], codec, random.Random(1).randrange)
        self.core = Core(Identity("a", wire_body(CAR), CHARTER, bytes(8)), ports)
        self.core.engage(ZONE, SESSION, 0)
        self.hearing = Hearing("a", self.core, codec, junction().book, SESSION)

    def take(self, raw: bytes, now_ms: int) -> None:
        """As the driver does with every datagram."""
        self.core.step(raw, now_ms)
        self.hearing.overhear(raw, ZONE, now_ms)

    def names(self, now_ms: int) -> set[str]:
        return set(self.hearing.heard(now_ms))


@pytest.mark.parametrize("zone", [ZONE, ELSEWHERE])
def test_an_intent_is_kept_for_two_seconds_and_then_forgotten(zone: str) -> None:
    ear = Ear()
    ear.take(datagram("b", intent("b", B, stamp_ms=1000), zone), 1000)
    assert ear.names(1000) == {"b"}
    assert ear.names(1000 + OVERHEARD_MS) == {"b"}
    assert ear.names(1000 + OVERHEARD_MS + 50) == set()
    assert ear.hearing.commitment("b", 1000 + OVERHEARD_MS + 50) is None


def test_only_those_of_other_zones_are_beyond() -> None:
    ear = Ear()
    ear.take(datagram("b", intent("b", B, stamp_ms=1000), ELSEWHERE), 1000)
    ear.take(datagram("c", intent("c", replace(B, vehicle="c"), stamp_ms=1000), ZONE), 1000)
    assert [one.body.vehicle for one in ear.hearing.beyond(1000)] == ["b"]
    assert ear.names(1000) == {"b", "c"}


def test_what_is_said_here_comes_before_what_was_overheard() -> None:
    ear = Ear()
    here = approach("b", "N_left", 100.0, 13.0)
    ear.take(datagram("b", intent("b", B, stamp_ms=1000), ELSEWHERE), 1000)
    ear.take(datagram("b", intent("b", here, stamp_ms=1050), ZONE), 1050)
    found = ear.hearing.commitment("b", 1050)
    assert found is not None and found.plan == here
    assert ear.hearing.beyond(1050) == []


def test_a_newer_intent_replaces_an_older_one() -> None:
    ear = Ear()
    newer = approach("b", "E_straight", 180.0, 10.0)
    ear.take(datagram("b", intent("b", B, stamp_ms=1000)), 1000)
    ear.take(datagram("b", intent("b", newer, stamp_ms=1100)), 1100)
    found = ear.hearing.commitment("b", 1150)
    assert found is not None and found.plan == newer


@pytest.mark.parametrize("zone", [ZONE, ELSEWHERE])
def test_forged_intents_are_ignored_and_do_not_displace_true_ones(zone: str) -> None:
    ear = Ear()
    true = datagram("b", intent("b", B, stamp_ms=1000), zone)
    forged = [
        datagram("b", intent("b", approach("b", "N_left", 90.0, 5.0), stamp_ms=1050), zone, signer="c"),
        datagram("nobody", intent("nobody", B, stamp_ms=1050), zone, signer="c"),
        true[:-1] + bytes([true[-1] ^ 1]),
        true[:-10],
        b"",
        b"\xff" * 900,
    ]
    for raw in forged:
        ear.take(raw, 1050)
    assert ear.names(1050) == set()
    ear.take(true, 1100)
    for raw in forged:
        ear.take(raw, 1150)
    found = ear.hearing.commitment("b", 1150)
    assert ear.names(1150) == {"b"} and found is not None and found.plan == B


def test_the_own_echo_is_not_heard() -> None:
    ear = Ear()
    for zone in (ZONE, ELSEWHERE):
        ear.take(datagram("a", intent("a", replace(B, vehicle="a"), stamp_ms=1000), zone), 1000)
    assert ear.names(1000) == set()


def test_places_are_the_centres_of_outlines_by_the_announced_plans_now() -> None:
    ear = Ear()
    long = msgspec.structs.replace(wire_body(CAR), length_mm=12_000, rear_mm=3_000)
    ear.take(datagram("b", intent("b", B, stamp_ms=1000)), 1000)
    ear.take(datagram("c", intent("c", replace(B, vehicle="c"), stamp_ms=1000, wire=long)), 1000)
    for now_ms in (1000, 2000):
        s, _, _ = B.arrays().at(now_ms * 1e-3)
        x, y, yaw = junction().roads.get("E_straight").pose(s)
        places = dict(ear.hearing.places(now_ms, now_ms))
        for name, ahead in (("b", CENTRE_M), ("c", 3.0)):
            assert places[name] == pytest.approx((x + ahead * math.cos(yaw), y + ahead * math.sin(yaw)), abs=2e-3)


@pytest.mark.parametrize("raw", [b"", b"junk", B.encode()[:-2], replace(B, path_id="nowhere").encode()])
def test_one_that_announces_garbage_is_heard_but_has_no_place_and_no_plan(raw: bytes) -> None:
    ear = Ear()
    ear.take(datagram("b", intent("b", raw, stamp_ms=1000)), 1000)
    assert ear.names(1000) == {"b"}
    assert ear.hearing.places(1000, 1000) == [] and ear.hearing.beyond(1000) == []
    assert ear.hearing.commitment("b", 1000) is None


def test_canary_an_ear_that_believes_every_signature_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    forged = datagram("b", intent("b", TimedPath.decode(B.encode()), stamp_ms=1000), signer="c")
    ear = Ear()
    ear.take(forged, 1000)
    assert ear.names(1000) == set()
    monkeypatch.setattr(Codec, "authenticate", lambda self, opened: True)
    ear = Ear()
    ear.take(forged, 1000)
    assert ear.names(1000) == {"b"}


def test_an_overheard_intent_is_not_taken_twice_late_or_from_another_session() -> None:
    ear = Ear()
    old = datagram("b", intent("b", B, stamp_ms=1000))
    newer = approach("b", "E_straight", 180.0, 10.0)
    ear.take(datagram("b", intent("b", newer, stamp_ms=1100)), 1100)
    ear.take(old, 1200)
    found = ear.hearing.commitment("b", 1200)
    assert found is not None and found.plan == newer, "an older word does not replace a newer one"
    ear.take(datagram("c", intent("c", replace(B, vehicle="c"), stamp_ms=1000)), 1511)
    ear.take(datagram("c", intent("c", replace(B, vehicle="c"), stamp_ms=1000)), 979)
    ear.take(datagram("c", intent("c", replace(B, vehicle="c"), stamp_ms=1000), session=SESSION + 1), 1000)
    assert "c" not in ear.names(1511)
    ear.take(datagram("c", intent("c", replace(B, vehicle="c"), stamp_ms=1000)), 1510)
    assert "c" in ear.names(1512)
