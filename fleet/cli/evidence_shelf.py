"""Where a node's proofs against peers go: one evidence file each, and the register to judge them with."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from fleet.cli.evidence_files import write_evidence
from fleet.errors import LocalProtocolError
from fleet.node.key_files import CertificateRecord, RegisterFile, write_file
from fleet.protocol.enrolment import KeyCertificate
from fleet.protocol.evidence import of_contradiction
from fleet.protocol.records import Contradiction

FOLDER = "evidence"
REGISTER = "keys.json"
KEPT_MAX = 256
"""Further proofs stay in the decision log only."""


class EvidenceShelf:
    """Writes ``evidence/<vehicle>-<proof>.json`` once for each proof, whoever notes it, and ``evidence/keys.json``.

    Parameters
    ----------
    folder : Path
        Of the run or node; ``evidence`` is made in it with the first proof, and what an earlier run left goes.
    certificate_of : callable
        The accused's key certificate, of the authority whose register is written beside.
    """

    def __init__(self, folder: Path, certificate_of: Callable[[str], KeyCertificate]) -> None:
        self._folder = folder / FOLDER
        self._certificate_of = certificate_of
        self._certificates: dict[str, KeyCertificate] = {}
        self._written: set[Path] = set()
        for left in self._folder.glob("*.json"):
            left.unlink()

    def take(self, detail: Mapping[str, object]) -> Path | None:
        """A ``contradiction`` as nodes note it (datagrams as bytes); returns the file, None if there are too many."""
        first, second, proposal = (detail.get(key, b"") for key in ("first", "second", "proposal"))
        if not (isinstance(first, bytes) and isinstance(second, bytes) and isinstance(proposal, bytes)):
            raise LocalProtocolError("a contradiction is noted with its datagrams as bytes")
        found = Contradiction(str(detail["vehicle"]), str(detail["kind"]), first, second, proposal)
        path = self._folder / f"{found.vehicle}-{found.digest.hex()[:16]}.json"
        if path in self._written:
            return path
        if len(self._written) >= KEPT_MAX:
            return None
        certificate = self._certificate_of(found.vehicle)
        self._folder.mkdir(parents=True, exist_ok=True)
        write_evidence(path, of_contradiction(found, (certificate,)))
        self._written.add(path)
        self._certificates[found.vehicle] = certificate
        self._write_register()
        return path

    def certify(self, vehicles: Sequence[str]) -> Path:
        """Put the keys of ``vehicles`` into the register beside the proofs; returns the folder."""
        self._folder.mkdir(parents=True, exist_ok=True)
        self._certificates |= {vehicle: self._certificate_of(vehicle) for vehicle in vehicles}
        self._write_register()
        return self._folder

    def _write_register(self) -> None:
        listed = [self._certificates[vehicle] for vehicle in sorted(self._certificates)]
        records = tuple(
            CertificateRecord(
                vehicle=one.vehicle, public_key=one.public_key.hex(), not_before_ms=one.not_before_ms,
                not_after_ms=one.not_after_ms, signature=one.signature.hex(),
            )
            for one in listed
        )  # fmt: skip
        write_file(self._folder / REGISTER, RegisterFile(authority=listed[0].authority.hex(), certificates=records))
