"""Ballots, tallies, signatures and ratified charters as documents, and back; as strict as ``document.py``."""

from __future__ import annotations

from collections.abc import Sequence

from fleet.charter.ballots import Ballot, Tally
from fleet.charter.document import charter_of, exactly, integer, integers, items, keys, record, word, words
from fleet.charter.ratification import Ratified, Seal
from fleet.errors import CharterError


def ballot_paper(ballot: Ballot) -> dict[str, object]:
    """A ballot with its signature."""
    return {**ballot.document(), "signature": ballot.signature}


def ballot_of(data: object) -> Ballot:
    """The ballot that ``data`` says; whether it counts is another question (:func:`fleet.charter.ballots.tally`)."""
    names = ("approve", "poll", "signature", "stamp_s", "starvation_bound_s", "voter", "weights_milli")
    found = exactly("ballot", data, names)
    return Ballot(
        word("ballot poll", found["poll"]),
        word("ballot voter", found["voter"]),
        truth("ballot approve", found["approve"]),
        integers("ballot weights_milli", found["weights_milli"]),
        integer("ballot starvation_bound_s", found["starvation_bound_s"]),
        integer("ballot stamp_s", found["stamp_s"]),
        word("ballot signature", found["signature"]),
    )


def tally_of(data: object) -> Tally:
    """The tally that ``data`` says."""
    names = ("counted", "entitled", "outcome", "poll", "starvation_bound_s", "vetoes", "weights_milli", "yes")
    found = exactly("tally", data, names)
    return Tally(
        word("tally poll", found["poll"]),
        integers("tally weights_milli", found["weights_milli"]),
        integer("tally starvation_bound_s", found["starvation_bound_s"]),
        integer("tally yes", found["yes"]),
        integer("tally entitled", found["entitled"]),
        words("tally vetoes", found["vetoes"]),
        words("tally counted", found["counted"]),
        word("tally outcome", found["outcome"]),
    )


def seal_paper(seal: Seal) -> dict[str, object]:
    """One signature."""
    return {"signature": seal.signature, "signer": seal.signer}


def seal_of(data: object) -> Seal:
    """The signature that ``data`` says."""
    found = exactly("signature", data, ("signature", "signer"))
    return Seal(word("signature signer", found["signer"]), word("signature", found["signature"]))


def ratified_paper(one: Ratified) -> dict[str, object]:
    """A ratified charter without its ancestors."""
    return {
        "ballots": [ballot_paper(ballot) for ballot in one.ballots],
        "charter": one.charter.document(),
        "gate": one.gate,
        "seals": [seal_paper(seal) for seal in one.seals],
        "tally": one.tally.document(),
    }


def ratified_of(data: object) -> Ratified:
    """The ratified charter that ``data`` says."""
    found = exactly("ratified charter", data, ("ballots", "charter", "gate", "seals", "tally"))
    return Ratified(
        charter_of(found["charter"]),
        tuple(ballot_of(item) for item in items("ballots", found["ballots"])),
        tally_of(found["tally"]),
        word("gate", found["gate"]),
        tuple(seal_of(item) for item in items("seals", found["seals"])),
    )


def line_paper(line: Sequence[Ratified]) -> dict[str, object]:
    """A ratified charter with its ancestors, the newest first: what a vehicle is given."""
    return {"accord": "charter", "line": [ratified_paper(one) for one in line]}


def line_of(data: object) -> tuple[Ratified, ...]:
    """The line that ``data`` says."""
    found = record("file", data)
    if found.get("accord") != "charter":
        raise CharterError("this is no ratified charter (key accord: charter is missing); a draft needs allow_draft")
    keys("file", found, ("accord", "line"))
    return tuple(ratified_of(item) for item in items("line", found["line"]))


def truth(what: str, data: object) -> bool:
    """``data`` as true or false."""
    if not isinstance(data, bool):
        raise CharterError(f"charter {what}: {data!r} is neither true nor false")
    return data
