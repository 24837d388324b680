"""State folders of the vehicles behind ``fleet sim-bridge``: made where they are missing, as an operator would.

An authority in ``DIR/authority.key`` enrols a fresh key for every vehicle, each folder gets the register, and the
tests of a *simulated* emergency stop and brake are entered as such. Nothing of it is good for a real vehicle.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from hardware.vehicle import Vehicle

HOURS = 168
_HOUR_MS = 3_600_000
BY = "sim-bridge (a simulated vehicle)"


def prepare(folder: Path, vehicles: Mapping[str, Vehicle], now_ms: int) -> list[str]:
    """Make what is missing in ``folder``; Returns who is new."""
    import shutil

    from fleet.cli.key_office import Office
    from fleet.node.key_files import CertificateRecord, read_secret, write_secret
    from fleet.node.signing import random_seed
    from fleet.node.state_folder import AcceptedFile, StateFolder, TestRecord
    from fleet.protocol.enrolment import certificate_statement
    from hardware.ros2_bridge import FIRMWARE
    from hardware.vehicle import digest

    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    authority, register = folder / "authority.key", folder / "keys.json"
    if not authority.exists():
        write_secret(authority, "authority", random_seed())
    _, signer = read_secret(authority)
    office, made = Office.open(register, signer), []
    for vehicle, kind in sorted(vehicles.items()):
        state = StateFolder(folder / vehicle)
        key = state.path / "key.json"
        if not key.exists():
            write_secret(key, vehicle, random_seed())
            public = read_secret(key)[1].public_key.hex()
            until_ms = now_ms + HOURS * _HOUR_MS
            signature = signer.sign(certificate_statement(vehicle, bytes.fromhex(public), now_ms, until_ms)).hex()
            office.save(
                CertificateRecord(
                    vehicle=vehicle, public_key=public, not_before_ms=now_ms, not_after_ms=until_ms, signature=signature
                )
            )
            made.append(vehicle)
        for name, value in (("estop", None), ("brake", kind.limits.brake_mps2_max)):
            state.record_test(name, TestRecord(passed=True, at_ms=now_ms, by=BY, value=value))
        state.accept(
            AcceptedFile(
                firmware=FIRMWARE, config_digest=digest(kind), charter_id=state.charter(now_ms)[0].charter_id().hex(),
                at_ms=now_ms, by=BY,
            )
        )  # fmt: skip
        state.close()
    for vehicle in vehicles:
        shutil.copyfile(register, folder / vehicle / "keys.json")
    return made
