"""Certificates and revocations as a node believes them (properties X4, X5, X6)."""

from __future__ import annotations

from dataclasses import replace

import pytest

from fleet.errors import RemoteProtocolError
from fleet.node.key_register import KeyRegister
from fleet.node.signing import Signer, simulation_seed
from fleet.protocol import keys
from fleet.protocol.enrolment import (
    VALID_MS_MAX,
    KeyCertificate,
    Revocations,
    certificate_statement,
    revocation_statement,
)

OFFICE = Signer(simulation_seed(1, "office"))
NOW, HOUR = 1_000_000, 3_600_000
WEAK = [
    bytes(32),
    b"\1" + bytes(31),
    bytes.fromhex("26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05"),  # order 8
    bytes.fromhex("c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a"),  # order 8
    b"\xed" + b"\xff" * 30 + b"\x7f",  # p: zero, not canonical
    b"\xee" + b"\xff" * 30 + b"\x7f",  # p + 1: one, not canonical
]


def key_of(name: str) -> bytes:
    return Signer(simulation_seed(1, name)).public_key


def certificate(vehicle: str, key: bytes, start: int = NOW, lasts: int = HOUR, by: Signer = OFFICE) -> KeyCertificate:
    signature = by.sign(certificate_statement(vehicle, key, start, start + lasts))
    return KeyCertificate(by.public_key, vehicle, key, start, start + lasts, signature)


def revocations(number: int, *entries: tuple[str, bytes], by: Signer = OFFICE) -> Revocations:
    return Revocations(by.public_key, number, NOW, entries, by.sign(revocation_statement(number, NOW, entries)))


def test_only_the_authority_enrols_and_only_for_its_time() -> None:
    register = KeyRegister(OFFICE.public_key)
    signer = Signer(simulation_seed(1, "v1"))
    assert not register.verify("v1", b"data", signer.sign(b"data"))
    with pytest.raises(RemoteProtocolError, match="of authority"):
        register.accept(certificate("v1", key_of("v1"), by=signer), NOW)
    forged = replace(certificate("v1", key_of("v1"), by=signer), authority=OFFICE.public_key)
    with pytest.raises(RemoteProtocolError, match="the authority's signature is wrong"):
        register.accept(forged, NOW)
    with pytest.raises(RemoteProtocolError, match="and it is"):
        register.accept(certificate("v1", key_of("v1"), start=NOW + 1), NOW)
    register.accept(certificate("v1", key_of("v1")), NOW)
    assert register.verify("v1", b"data", signer.sign(b"data"))
    assert register.expire(NOW + HOUR) == ()
    assert register.expire(NOW + HOUR + 1) == ("v1",)
    assert not register.verify("v1", b"data", signer.sign(b"data"))


@pytest.mark.parametrize("lasts", [0, -5, VALID_MS_MAX + 1])
def test_long_and_empty_certificates_are_refused(lasts: int) -> None:
    with pytest.raises(RemoteProtocolError, match="allowed are 1 to"):
        KeyRegister(OFFICE.public_key).accept(certificate("v1", key_of("v1"), lasts=lasts), NOW)


@pytest.mark.parametrize("key", WEAK)
def test_x5_weak_keys_are_refused_even_with_the_authoritys_signature(key: bytes) -> None:
    with pytest.raises(RemoteProtocolError, match="not a sound Ed25519 public key"):
        KeyRegister(OFFICE.public_key).accept(certificate("v1", key), NOW)
    with pytest.raises(RemoteProtocolError, match="not a valid Ed25519 public key"):
        KeyRegister(key)


def test_x4_one_key_is_one_identity_and_one_identity_one_key() -> None:
    register = KeyRegister(OFFICE.public_key)
    register.accept(certificate("v1", key_of("v1")), NOW)
    with pytest.raises(RemoteProtocolError, match="belongs to v1"):
        register.accept(certificate("v2", key_of("v1")), NOW)
    with pytest.raises(RemoteProtocolError, match="active with another key"):
        register.accept(certificate("v1", key_of("v2")), NOW)
    register.accept(certificate("v1", key_of("v1"), start=NOW + 5, lasts=2 * HOUR), NOW + 5)
    assert register.active["v1"].not_after_ms == NOW + 5 + 2 * HOUR, "renewed"
    register.accept(certificate("v1", key_of("v1")), NOW + 6)
    assert register.active["v1"].not_after_ms == NOW + 5 + 2 * HOUR, "an older one shortens nothing"
    register.expire(NOW + 9 * HOUR)
    register.accept(certificate("v1", key_of("v2"), start=NOW + 9 * HOUR), NOW + 9 * HOUR)
    assert list(register.active) == ["v1"]


@pytest.mark.parametrize("name", ["", "-v1", "v 1", "v\n1", "vé", "v" * 25, ".hidden"])
def test_implausible_ids_are_refused(name: str) -> None:
    with pytest.raises(RemoteProtocolError, match="an id has"):
        KeyRegister(OFFICE.public_key).accept(certificate(name, key_of("v1")), NOW)


def test_ids_that_look_like_another_are_refused() -> None:
    register = KeyRegister(OFFICE.public_key)
    register.accept(certificate("Van1", key_of("v1")), NOW)
    with pytest.raises(RemoteProtocolError, match="only in capitals"):
        register.accept(certificate("van1", key_of("v2")), NOW)


def test_x6_a_revoked_key_is_out_at_once_and_for_good_and_old_lists_undo_nothing() -> None:
    register = KeyRegister(OFFICE.public_key)
    signer = Signer(simulation_seed(1, "v1"))
    register.accept(certificate("v1", key_of("v1")), NOW)
    assert register.revoke(revocations(3, ("v1", key_of("v1")))) == ("v1",)
    assert not register.verify("v1", b"data", signer.sign(b"data"))
    with pytest.raises(RemoteProtocolError, match="its key is revoked"):
        register.accept(certificate("v1", key_of("v1"), start=NOW + 1), NOW + 1)
    for number in (2, 3):
        with pytest.raises(RemoteProtocolError, match="an old list undoes nothing"):
            register.revoke(revocations(number))
    register.revoke(revocations(4))
    with pytest.raises(RemoteProtocolError, match="its key is revoked"):
        register.accept(certificate("v1", key_of("v1"), start=NOW + 1), NOW + 1)
    register.accept(certificate("v1", key_of("v2"), start=NOW + 1), NOW + 1)


def test_x6_keys_revoked_on_air_are_out_for_good_and_a_newer_key_keeps_its_voice() -> None:
    register = KeyRegister(OFFICE.public_key)
    register.accept(certificate("v1", key_of("v1")), NOW)
    assert register.revoke_keys((("v1", key_of("older")), ("v9", key_of("v9")))) == ()
    assert register.revoke_keys((("v1", key_of("v1")),)) == ("v1",)
    with pytest.raises(RemoteProtocolError, match="its key is revoked"):
        register.accept(certificate("v1", key_of("v1"), start=NOW + 1), NOW + 1)
    register.accept(certificate("v1", key_of("newer"), start=NOW + 1), NOW + 1)
    assert register.revoke_keys((("v1", key_of("v1")),)) == ()


def test_the_authority_speaks_under_a_name_that_no_vehicle_can_have() -> None:
    register = KeyRegister(OFFICE.public_key)
    assert register.verify(keys.OFFICE, b"data", OFFICE.sign(b"data"))
    assert not register.verify(keys.OFFICE, b"data", Signer(simulation_seed(1, "v1")).sign(b"data"))
    with pytest.raises(RemoteProtocolError, match="an id has"):
        register.accept(certificate(keys.OFFICE, key_of("v1")), NOW)


def test_a_list_of_somebody_else_and_an_altered_list_are_refused() -> None:
    register = KeyRegister(OFFICE.public_key)
    with pytest.raises(RemoteProtocolError, match="of authority"):
        register.revoke(revocations(1, by=Signer(simulation_seed(1, "v1"))))
    altered = replace(revocations(1, ("v1", key_of("v1"))), entries=(("v2", key_of("v2")),))
    with pytest.raises(RemoteProtocolError, match="signature is wrong"):
        register.revoke(altered)
