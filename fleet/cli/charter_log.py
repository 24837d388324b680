"""The log of a folder of charters: what was done and what was refused, each line chained to the one before."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import msgspec

from fleet.charter.canonical import canonical_json, digest_of
from fleet.errors import CharterError

FILE_NAME = "log.jsonl"
GENESIS = "0" * 64
_DOMAIN = "ACCORD/charter-log/v1"


class CharterLog:
    """Of one folder; nothing is added to a log that does not hold."""

    def __init__(self, folder: Path) -> None:
        self._path = folder / FILE_NAME

    def add(self, now_s: int, event: str, detail: Mapping[str, object]) -> None:
        """Append one line.

        Raises
        ------
        CharterError
            The chain is broken, or the file cannot be written.
        """
        records = self.read()
        last = str(records[-1]["hash"]) if records else GENESIS
        record: dict[str, object] = {
            "detail": dict(detail), "event": event, "i": len(records), "prev": last, "t_s": now_s,
        }  # fmt: skip
        record["hash"] = digest_of(_DOMAIN, record).hex()
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            with self._path.open("ab") as file:
                file.write(canonical_json(record) + b"\n")
        except OSError as error:
            raise CharterError(f"{self._path}: {error.strerror}") from error

    def read(self) -> list[dict[str, object]]:
        """All lines, each checked against the one before.

        Raises
        ------
        CharterError
            A line was changed, taken out or put in.
        """
        if not self._path.exists():
            return []
        found: list[dict[str, object]] = []
        last = GENESIS
        for number, line in enumerate(self._path.read_bytes().splitlines(), start=1):
            try:
                record: dict[str, object] = msgspec.json.decode(line, type=dict[str, object])
                stated = record.pop("hash")
                good = record["prev"] == last and digest_of(_DOMAIN, record).hex() == stated
            except (msgspec.DecodeError, KeyError, CharterError):
                good, stated = False, ""
            if not good:
                raise CharterError(f"{self._path}:{number}: the chain of hashes is broken here; the log was changed")
            last = str(stated)
            found.append({**record, "hash": last})
        return found

    def ballots(self) -> frozenset[str]:
        """Digests of the ballots that came in before the poll closed."""
        return frozenset(
            str(detail.get("digest"))
            for record in self.read()
            if record["event"] == "ballot" and isinstance(detail := record["detail"], dict)
        )
