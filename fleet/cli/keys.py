"""``fleet keys``: make keys, enrol vehicles with short-lived certificates, revoke, show."""

from __future__ import annotations

import time
from pathlib import Path

import click

_FILE = click.Path(dir_okay=False, path_type=Path)
_HOUR_MS = 3_600_000
_AUTHORITY = click.option("--authority", required=True, type=_FILE, help="Secret key file of the authority.")
_REGISTER = click.option("--register", required=True, type=_FILE, help="Register file, made if absent.")
_AT = click.option("--at-ms", type=click.IntRange(0), help="Unix time in ms to reckon with  [default: now]")


def _now_ms(at_ms: int | None) -> int:
    return time.time_ns() // 1_000_000 if at_ms is None else at_ms


@click.group("keys", context_settings={"help_option_names": ["-h", "--help"]})
def command() -> None:
    """Keys of vehicles, and who may speak.

    The authority's secret stays in the office; a vehicle's stays on the vehicle. The register is public: it
    lists what the authority has signed, and every vehicle carries a copy.

    \b
    Examples:
      fleet keys new office.key --owner office
      fleet keys new v1.key --owner v1
      fleet keys enrol v1.key.request --authority office.key --register keys.json --hours 168
      fleet keys revoke v1 --authority office.key --register keys.json --notice v1.notice
      fleet keys show keys.json
    """


@command.command("new")
@click.argument("file", type=_FILE)
@click.option("--owner", required=True, metavar="ID", help="The vehicle's id, or a name for an authority.")
def new(file: Path, owner: str) -> int:
    """Make a secret key FILE (mode 0600) and FILE.request, which is public."""
    from fleet.node.key_files import RequestFile, write_file, write_secret
    from fleet.node.signing import Signer, random_seed
    from fleet.protocol.enrolment import check_id, request_statement

    check_id(owner, {})
    seed = random_seed()
    signer = Signer(seed)
    write_secret(file, owner, seed)
    proof = signer.sign(request_statement(owner, signer.public_key)).hex()
    request = file.with_name(file.name + ".request")
    write_file(request, RequestFile(owner=owner, public_key=signer.public_key.hex(), signature=proof))
    click.echo(f"{file}: secret key of {owner} (keep it); {request}: to be enrolled")
    return 0


@command.command("enrol")
@click.argument("request", type=_FILE)
@_AUTHORITY
@_REGISTER
@click.option("--hours", default=168, show_default=True, type=click.IntRange(1, 744), help="How long it counts.")
@_AT
def enrol(request: Path, authority: Path, register: Path, hours: int, at_ms: int | None) -> int:
    """Sign a certificate for REQUEST and add it to the register; again for the same key: renew it."""
    from fleet.cli.key_office import Office
    from fleet.errors import ConfigError
    from fleet.node.key_files import CertificateRecord, RequestFile, read_file, read_secret
    from fleet.node.signing import verify_with
    from fleet.protocol.enrolment import KeyCertificate, certificate_statement, request_statement

    now_ms = _now_ms(at_ms)
    wanted = read_file(request, RequestFile)
    key = bytes.fromhex(wanted.public_key)
    if not verify_with(key, request_statement(wanted.owner, key), bytes.fromhex(wanted.signature)):
        raise ConfigError(f"{request}: the key has not signed this request, or is weak; make it with fleet keys new")
    _, signer = read_secret(authority)
    office = Office.open(register, signer)
    until_ms = now_ms + hours * _HOUR_MS
    signature = signer.sign(certificate_statement(wanted.owner, key, now_ms, until_ms))
    office.enrol(KeyCertificate(signer.public_key, wanted.owner, key, now_ms, until_ms, signature), now_ms)
    record = CertificateRecord(
        vehicle=wanted.owner,
        public_key=key.hex(),
        not_before_ms=now_ms,
        not_after_ms=until_ms,
        signature=signature.hex(),
    )
    office.save(record)
    click.echo(f"{register}: {wanted.owner} enrolled for {hours} h, key {key.hex()[:16]}")
    return 0


@command.command("revoke")
@click.argument("vehicle")
@_AUTHORITY
@_REGISTER
@click.option("--notice", type=_FILE, help="Also write the datagram that says so on air.")
@_AT
def revoke(vehicle: str, authority: Path, register: Path, notice: Path | None, at_ms: int | None) -> int:
    """Put every key of VEHICLE on the revocation list, for good, and sign the new list."""
    from fleet.cli.key_office import Office
    from fleet.cli.key_office import notice as datagram
    from fleet.node.key_files import RegisterFile, read_file, read_secret

    _, signer = read_secret(authority)
    count, number = Office.open(register, signer).revoke(vehicle, _now_ms(at_ms))
    click.echo(f"{register}: {count} key(s) of {vehicle} revoked, list {number}; take the file to every vehicle")
    if notice is not None:
        notice.write_bytes(datagram(vehicle, read_file(register, RegisterFile), signer))
        click.echo(f"{notice}: datagram to send; every vehicle that hears it passes it on")
    return 0


@command.command("show")
@click.argument("file", type=_FILE)
@_AT
def show(file: Path, at_ms: int | None) -> int:
    """Who is in a register, or whose key a file is. Secrets are never shown."""
    from fleet.cli.key_office import states
    from fleet.node.key_files import RegisterFile, read_file, read_secret

    if file.is_file() and b'"secret key"' in file.read_bytes()[:64]:
        owner, signer = read_secret(file)
        click.echo(f"{file}: secret key of {owner}, public key {signer.public_key.hex()}")
        return 0
    listed = read_file(file, RegisterFile)
    click.echo(f"authority {listed.authority}")
    for line in states(listed, _now_ms(at_ms)):
        click.echo(line)
    return 0
