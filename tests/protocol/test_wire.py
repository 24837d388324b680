"""The parser meets mutated bytes; signatures meet single flipped bits; every message fits a datagram."""

from __future__ import annotations

import contextlib
import random
import time
import tracemalloc

import pytest

from fleet.errors import LocalProtocolError, RemoteProtocolError
from fleet.node.signing import Keyring, Signer, simulation_seed
from fleet.protocol import keys, limits
from fleet.protocol.codec import Codec
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
    Revocation,
    Vote,
    decode,
    encode_body,
    seal,
)  # fmt: skip
from tests.protocol.harness import BODY, CHARTER, MAP

SIGNER = Signer(simulation_seed(1, "v1"))
HASH = bytes(range(32))


def signed(body: Body, sender: str = "v1") -> bytes:
    kind, payload = KIND_OF[type(body)], encode_body(body)
    zone, session = ("zone", 3)
    if isinstance(body, Revocation):
        zone, session, sender = keys.EVERYWHERE, 0, keys.OFFICE
    covered = keys.statement(kind.name.lower(), zone, session, sender, payload)
    return seal(kind, zone, session, sender, payload, SIGNER.sign(covered))


def intent(**changes: object) -> Intent:
    values: dict[str, object] = {
        "vehicle": "v1", "seq": 5, "stamp_ms": 10, "phase": Phase.WAITING, "path_id": "north/straight", "body": BODY,
        "arrived_ms": 1, "eta_ms": 2, "urgency": 3, "charter_id": CHARTER, "map_digest": MAP, "ready": True,
        "plan": b"plan", "held": b"", "lease_end_ms": 0, "live": (HASH,), "dead": (), "certificates": (HASH[:8],),
        "votes_known": ((HASH[:8], 5),), "roster": ("v2", "v3"), "perceived_count": 1, "perceived": ("t1",),
    }  # fmt: skip
    return Intent(**{**values, **changes})  # type: ignore[arg-type]


def proposal(**changes: object) -> Proposal:
    values: dict[str, object] = {
        "coordinator": "v1", "epoch": 1, "stamp_ms": 100, "decide_by_ms": 400, "members": ("v1", "v2"),
        "batch": (Entry("v1", b"plan", 2_000),), "charter_id": CHARTER, "commitments_digest": bytes(8),
    }  # fmt: skip
    return Proposal(**{**values, **changes})  # type: ignore[arg-type]


SAMPLES: tuple[Body, ...] = (
    intent(), proposal(), Vote(HASH, True), Reject(HASH, ("conflict:v2",), ("v7",), b"plan"),
    Certificate(HASH, ((0, bytes(64)), (3, bytes(64)))), Release((HASH,), 7), Abort(HASH, "refused", 8),
    Revocation(4, 9, (("v7", HASH), ("v8", bytes(32)))),
)  # fmt: skip


@pytest.mark.parametrize("body", SAMPLES, ids=lambda body: type(body).__name__)
def test_a_message_comes_back_as_it_went(body: Body) -> None:
    message = decode(signed(body))
    assert message.body == body
    place = (keys.EVERYWHERE, 0, keys.OFFICE) if isinstance(body, Revocation) else ("zone", 3, "v1")
    assert (message.zone, message.session, message.sender) == place


@pytest.mark.parametrize("count", [10_000, pytest.param(1_000_000, marks=pytest.mark.soak)])
def test_mutated_datagrams_raise_one_error_or_carry_no_valid_signature(count: int) -> None:
    rng = random.Random(1)
    codec = Codec(BothKeys(), memo_max=64)
    raws = [signed(body) for body in SAMPLES]
    for raw in raws:
        assert codec.authenticate(codec.open(raw))
    parsed = 0
    for _ in range(count):
        raw = mutated(rng.choice(raws), rng)
        if raw in raws:
            continue
        try:
            assert isinstance(decode(raw), Message)
            parsed += 1
        except RemoteProtocolError:
            continue
        assert not codec.authenticate(codec.open(raw)), raw.hex()
    assert parsed > count // 100, "mutations that always break the form test no signature"


class BothKeys:
    """One key for the vehicle and the authority of these samples: what a register knows."""

    def __init__(self) -> None:
        self._ring = Keyring({"v1": SIGNER.public_key})

    def verify(self, sender: str, data: bytes, signature: bytes) -> bool:
        return self._ring.verify("v1" if sender == keys.OFFICE else sender, data, signature)


def test_x1_a_datagram_takes_at_most_a_millisecond_and_64_kb_to_read() -> None:
    rng = random.Random(2)
    largest = intent(roster=tuple(f"vehicle-{i:016}" for i in range(22)), perceived=("x" * 24,) * 8)
    raws = [signed(body) for body in (*SAMPLES, largest)]
    assert len(raws[-1]) > 1_000
    worst_ns = worst_bytes = 0
    tracemalloc.start()
    for _ in range(4_000):
        raw = mutated(rng.choice(raws), rng)
        before = tracemalloc.get_traced_memory()[0]
        tracemalloc.reset_peak()
        took_ns(raw, 1)
        worst_bytes = max(worst_bytes, tracemalloc.get_traced_memory()[1] - before)
    tracemalloc.stop()
    for _ in range(6_000):
        raw = mutated(rng.choice(raws), rng)
        spent_ns = took_ns(raw, 1)
        worst_ns = max(worst_ns, spent_ns if spent_ns < 500_000 else took_ns(raw, 5))
    assert worst_bytes <= 64_000
    assert worst_ns <= 1_000_000


def took_ns(raw: bytes, times: int) -> int:
    """CPU time of reading ``raw``, the best of so many: the collector's pauses are not the parser's."""
    spent = []
    for _ in range(times):
        began = time.thread_time_ns()
        with contextlib.suppress(RemoteProtocolError):
            decode(raw)
        spent.append(time.thread_time_ns() - began)
    return min(spent)


@pytest.mark.parametrize("body", [*SAMPLES[:-1], None], ids=lambda body: type(body).__name__)
def test_nobody_but_the_authority_says_what_is_its_and_it_says_nothing_else(body: Body | None) -> None:
    own = encode_body(SAMPLES[-1] if body is None else body)
    kind, sender = (KIND_OF[Revocation], "v1") if body is None else (KIND_OF[type(body)], keys.OFFICE)
    for zone, session in (("zone", 3), (keys.EVERYWHERE, 0)):
        with pytest.raises(RemoteProtocolError):
            decode(seal(kind, zone, session, sender, own, bytes(64)))
    if body is None:
        with pytest.raises(RemoteProtocolError, match="not its place"):
            decode(seal(kind, "zone", 3, keys.OFFICE, own, bytes(64)))


def test_the_largest_revocation_fits() -> None:
    entries = tuple((f"{i:0{limits.ID_CHARS_MAX}}", bytes(32)) for i in range(limits.REVOKED_KEYS_MAX))
    raw = signed(Revocation(2**48, 2**48, entries))
    assert decode(raw).body.keys == entries  # type: ignore[union-attr]


def mutated(raw: bytes, rng: random.Random) -> bytes:
    data = bytearray(raw)
    kind = rng.randrange(5)
    if kind <= 1:
        data[rng.randrange(len(data))] ^= 1 << rng.randrange(8)
    elif kind == 2:
        del data[rng.randrange(len(data)) :]
    elif kind == 3:
        at = rng.randrange(len(data))
        data[at:at] = rng.randbytes(rng.randrange(1, 5))
    else:
        for _ in range(rng.randrange(1, 6)):
            data[rng.randrange(len(data))] = rng.randrange(256)
    return bytes(data)


def test_every_single_bit_of_a_vote_and_of_an_intent_is_covered() -> None:
    codec = Codec(Keyring({"v1": SIGNER.public_key}), memo_max=16)
    for body in (Vote(HASH, True), intent()):
        raw = signed(body)
        for bit in range(8 * len(raw)):
            flipped = bytearray(raw)
            flipped[bit // 8] ^= 1 << bit % 8
            opened = codec.open(bytes(flipped))
            assert opened.message is None or not codec.authenticate(opened), f"bit {bit}"


@pytest.mark.parametrize(
    "change",
    [
        {"members": ("v2", "v1")}, {"members": ("v1", "v1")}, {"members": ("v2", "v3")}, {"decide_by_ms": 99},
        {"decide_by_ms": 100 + limits.DECIDE_MS_MAX + 1}, {"batch": (Entry("v9", b"", 2_000),)},
        {"batch": (Entry("v1", b"", 2_000), Entry("v1", b"", 2_000))}, {"batch": (Entry("v1", b"", 400),)},
        {"batch": (Entry("v1", b"", 101 + limits.LEASE_MS_MAX),)},
    ],
)  # fmt: skip
def test_a_proposal_that_contradicts_itself_cannot_be_made(change: dict[str, object]) -> None:
    with pytest.raises(ValueError):
        proposal(**change)


@pytest.mark.parametrize(
    "body",
    [
        intent(plan=bytes(limits.PLAN_BYTES_MAX + 1)), intent(urgency=1001), intent(roster=("",)),
        intent(roster=("a b",)),
        intent(charter_id=b"short"), intent(roster=("x" * (limits.ID_CHARS_MAX + 1),)), intent(map_digest=b"1234567"),
        Reject(HASH, ("bell\a",)), Reject(HASH, ()), Certificate(HASH, ()),
        Certificate(HASH, ((limits.MEMBERS_MAX, bytes(64)),)),
        Release((HASH,) * 5, 7), intent(vehicle="v2"), proposal(coordinator="v2"),
    ],
)  # fmt: skip
def test_values_beyond_the_limits_are_refused_by_the_parser(body: Body) -> None:
    with pytest.raises(RemoteProtocolError):
        decode(signed(body))


def test_a_vote_has_one_form_only_and_is_never_a_refusal() -> None:
    payload = keys.vote_payload(HASH)
    raw = signed(Vote(HASH, True))
    assert payload in raw
    with pytest.raises(RemoteProtocolError):
        decode(raw.replace(payload, payload[:-1] + b"\xc2"))


def test_an_envelope_in_another_encoding_of_the_same_values_is_refused() -> None:
    raw = signed(Vote(HASH, True))
    assert raw[:3] == b"\x97\x01\x03"
    with pytest.raises(RemoteProtocolError, match="canonical"):
        decode(b"\x97\xcc\x01" + raw[2:])


def test_the_largest_certificate_fits_and_a_longer_datagram_is_neither_sent_nor_read() -> None:
    sender = "s" * limits.ID_CHARS_MAX
    body = Certificate(HASH, tuple((index, bytes(64)) for index in range(17, 17 + limits.CERTIFICATE_VOTES_MAX)))
    payload = encode_body(body)
    assert len(seal(KIND_OF[Certificate], "z" * limits.ZONE_CHARS_MAX, 2**53, sender, payload, bytes(64))) <= 1200
    big = encode_body(proposal(batch=(Entry("v1", bytes(480), 2_000), Entry("v2", bytes(480), 2_000))))
    with pytest.raises(LocalProtocolError, match="1200"):
        seal(KIND_OF[Proposal], "zone", 3, "v1", big + bytes(200), bytes(64))
    with pytest.raises(RemoteProtocolError, match="1201"):
        decode(bytes(1201))


def test_statements_differ_in_kind_zone_session_and_sender_and_cannot_be_shifted() -> None:
    base = ("vote", "zone", 1, "v1", b"x")
    others = [("abort", "zone", 1, "v1", b"x"), ("vote", "zonev", 1, "1", b"x"), ("vote", "zone", 2, "v1", b"x"),
              ("vote", "zone", 1, "v1x", b""), ("vote", "zone", 1, "v2", b"x")]  # fmt: skip
    seen = {keys.statement(*base), *(keys.statement(*other) for other in others)}
    assert len(seen) == 1 + len(others)


def test_the_codec_remembers_within_its_bound_and_computes_again_after() -> None:
    codec = Codec(Keyring({"v1": SIGNER.public_key}), memo_max=4)
    raws = [signed(Release((HASH,), index)) for index in range(9)]
    first = codec.open(raws[0])
    assert codec.open(raws[0]) is first
    for raw in raws:
        assert codec.authenticate(codec.open(raw))
    assert codec.open(raws[0]) is not first
    assert len(codec._opened) <= 4
