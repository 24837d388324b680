"""The files of ``fleet keys``: secrets that only their owner can read, requests, and the register.

All are JSON, one record each, keys and signatures in hexadecimal. A secret is written once, never over
another file, with mode 0600, and is refused when others could read it.
"""

from __future__ import annotations

import os
import stat
from pathlib import Path
from typing import Annotated, Literal, TypeVar

import msgspec

from fleet.errors import ConfigError
from fleet.node.signing import Signer
from fleet.protocol.enrolment import KeyCertificate, Revocations

T = TypeVar("T")
Hex32 = Annotated[str, msgspec.Meta(pattern=r"^[0-9a-f]{64}$")]
Hex64 = Annotated[str, msgspec.Meta(pattern=r"^[0-9a-f]{128}$")]
Ms = Annotated[int, msgspec.Meta(ge=0, lt=2**48)]


class _Record(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Base of all key files."""


class SecretFile(_Record, frozen=True, kw_only=True):
    """The seed of a signing key. ``repr`` shows nothing of it."""

    accord: Literal["secret key"] = "secret key"
    owner: str
    seed: Hex32

    def __repr__(self) -> str:
        return f"SecretFile(owner={self.owner!r})"


class RequestFile(_Record, frozen=True, kw_only=True):
    """A vehicle's id and public key with the key's own signature, to be enrolled."""

    accord: Literal["key request"] = "key request"
    owner: str
    public_key: Hex32
    signature: Hex64


class CertificateRecord(_Record, frozen=True, kw_only=True):
    """See :class:`fleet.protocol.enrolment.KeyCertificate`."""

    vehicle: str
    public_key: Hex32
    not_before_ms: Ms
    not_after_ms: Ms
    signature: Hex64


class RevocationsRecord(_Record, frozen=True, kw_only=True):
    """See :class:`fleet.protocol.enrolment.Revocations`."""

    number: Annotated[int, msgspec.Meta(ge=0, le=2**62)]
    issued_ms: Ms
    entries: tuple[tuple[str, Hex32], ...]
    signature: Hex64


class RegisterFile(_Record, frozen=True, kw_only=True):
    """What the authority has signed; public, and copied to every vehicle."""

    accord: Literal["key register"] = "key register"
    authority: Hex32
    certificates: tuple[CertificateRecord, ...] = ()
    revocations: RevocationsRecord | None = None

    def key_certificates(self) -> list[KeyCertificate]:
        return [
            KeyCertificate(
                bytes.fromhex(self.authority), one.vehicle, bytes.fromhex(one.public_key), one.not_before_ms,
                one.not_after_ms, bytes.fromhex(one.signature),
            )
            for one in self.certificates
        ]  # fmt: skip

    def revocation_list(self) -> Revocations | None:
        listed = self.revocations
        if listed is None:
            return None
        entries = tuple((vehicle, bytes.fromhex(key)) for vehicle, key in listed.entries)
        return Revocations(
            bytes.fromhex(self.authority), listed.number, listed.issued_ms, entries, bytes.fromhex(listed.signature)
        )


def write_secret(path: Path, owner: str, seed: bytes) -> None:
    """Write a seed, mode 0600, to a file that does not exist yet.

    Raises
    ------
    ConfigError
    """
    data = msgspec.json.encode(SecretFile(owner=owner, seed=seed.hex())) + b"\n"
    try:
        file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    except FileExistsError as error:
        raise ConfigError(f"{path}: exists already; a key is never written over another file") from error
    except OSError as error:
        raise ConfigError(f"{path}: {error.strerror}") from error
    with open(file, "wb") as stream:
        stream.write(data)
        stream.flush()
        os.fsync(stream.fileno())


def read_secret(path: Path) -> tuple[str, Signer]:
    """(owner, signer) of a secret file.

    Raises
    ------
    ConfigError
        No such file, not a secret key, or readable or writable by others than its owner.
    """
    try:
        with open(path, "rb") as stream:
            mode = os.fstat(stream.fileno()).st_mode
            if not stat.S_ISREG(mode) or mode & 0o077:
                open_to = stat.S_IMODE(mode)
                raise ConfigError(f"{path}: mode {open_to:04o} lets others at a secret key; chmod 600 {path}")
            data = stream.read(4096)
    except OSError as error:
        raise ConfigError(f"{path}: {error.strerror}") from error
    try:
        secret = msgspec.json.decode(data, type=SecretFile)
    except (msgspec.DecodeError, UnicodeDecodeError):
        # Without the decoder's text and without a cause: both may quote what they read.
        raise ConfigError(f"{path}: not a secret key file of fleet keys") from None
    return secret.owner, Signer(bytes.fromhex(secret.seed))


def read_file(path: Path, kind: type[T]) -> T:
    """A public file.

    Raises
    ------
    ConfigError
    """
    try:
        return msgspec.json.decode(path.read_bytes(), type=kind)
    except OSError as error:
        raise ConfigError(f"{path}: {error.strerror}") from error
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path}: not a {kind.__name__}: {error}") from error


def write_file(path: Path, record: msgspec.Struct) -> None:
    """Write a public file at once: readers see the old or the new content, whole."""
    beside = path.with_name(path.name + ".new")
    try:
        beside.write_bytes(msgspec.json.format(msgspec.json.encode(record), indent=1) + b"\n")
        os.replace(beside, path)
    except OSError as error:
        raise ConfigError(f"{path}: {error.strerror}") from error
