"""Ed25519: deterministic keys in simulation, strict enrolment."""

from __future__ import annotations

import pytest

from fleet.errors import ConfigError
from fleet.node.signing import Keyring, Signer, simulation_seed


def test_the_same_scenario_seed_and_vehicle_give_the_same_signatures_and_others_give_others() -> None:
    first, again = Signer(simulation_seed(1, "a")), Signer(simulation_seed(1, "a"))
    assert first.sign(b"data") == again.sign(b"data")
    others = {Signer(simulation_seed(*seed)).public_key for seed in ((1, "b"), (2, "a"), (11, "a"), (1, "1a"))}
    assert len(others) == 4 and first.public_key not in others


def test_only_the_enrolled_key_verifies() -> None:
    a, b = Signer(simulation_seed(1, "a")), Signer(simulation_seed(1, "b"))
    ring = Keyring({"a": a.public_key, "b": b.public_key})
    signature = a.sign(b"data")
    assert ring.verify("a", b"data", signature)
    assert not ring.verify("b", b"data", signature)
    assert not ring.verify("a", b"datb", signature)
    assert not ring.verify("nobody", b"data", signature)
    assert not ring.verify("a", b"data", signature[:63])


@pytest.mark.parametrize(
    "key",
    [
        bytes(32), b"\1" + bytes(31), b"", bytes(31),
        bytes.fromhex("26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05"),  # order 8
        b"\xed" + b"\xff" * 30 + b"\x7f",  # p: not canonical
    ],
)  # fmt: skip
def test_weak_and_malformed_keys_are_refused(key: bytes) -> None:
    with pytest.raises(ConfigError, match="not a valid"):
        Keyring({"a": key})


def test_one_key_is_one_identity() -> None:
    a, b = Signer(simulation_seed(1, "a")), Signer(simulation_seed(1, "b"))
    ring = Keyring({"a": a.public_key})
    ring.enrol("a", a.public_key)
    with pytest.raises(ConfigError, match="belongs to a"):
        ring.enrol("b", a.public_key)
    with pytest.raises(ConfigError, match="another key"):
        ring.enrol("a", b.public_key)


def test_a_seed_is_not_shown_and_has_its_length() -> None:
    seed = simulation_seed(1, "a")
    assert seed.hex() not in repr(Signer(seed))
    with pytest.raises(ConfigError, match="32 bytes"):
        Signer(seed[:31])
