"""From parsed JSON or YAML to a charter; whatever is unknown, missing or of the wrong type is refused by its name."""

from __future__ import annotations

from collections.abc import Mapping

from fleet.charter.model import Charter, default_charter
from fleet.charter.rulebook import Rulebook
from fleet.charter.terms import CommitmentTerms, Monitors, Norm, Oversight, Signatory
from fleet.errors import CharterError

_OPTIONAL = ("not_after_s", "not_before_s", "parent", "poll_closes_s")


def charter_of(data: object) -> Charter:
    """The charter that ``data`` says.

    Raises
    ------
    CharterError
    """
    found = record("charter", data)
    whole = default_charter().document()
    complete = {**{name: whole[name] for name in _OPTIONAL if name in whole}, **found}
    keys("charter", complete, tuple(whole))
    return Charter(
        version=integer("version", complete["version"]),
        name=word("name", complete["name"]),
        mechanism=word("mechanism", complete["mechanism"]),
        weights_milli=integers("weights_milli", complete["weights_milli"]),
        starvation_bound_s=integer("starvation_bound_s", complete["starvation_bound_s"]),
        parent=word("parent", complete["parent"]),
        not_before_s=integer("not_before_s", complete["not_before_s"]),
        not_after_s=integer("not_after_s", complete["not_after_s"]),
        poll_closes_s=integer("poll_closes_s", complete["poll_closes_s"]),
        signatories=tuple(_signatory(item) for item in items("signatories", complete["signatories"])),
        signatures_min=integer("signatures_min", complete["signatures_min"]),
        rulebook=_rulebook(complete["rulebook"]),
        welfare_rule=word("welfare_rule", complete["welfare_rule"]),
        voting_rule=word("voting_rule", complete["voting_rule"]),
        candidates=words("candidates", complete["candidates"]),
        mechanism_parameters=integers("mechanism_parameters", complete["mechanism_parameters"]),
        fallback=word("fallback", complete["fallback"]),
        commitments=_commitments(complete["commitments"]),
        norms=tuple(_norm(item) for item in items("norms", complete["norms"])),
        oversight=_oversight(complete["oversight"]),
        monitors=Monitors(integers("monitors", complete["monitors"])),
    )


def _signatory(data: object) -> Signatory:
    found = exactly("signatories", data, ("name", "public_key", "role"))
    return Signatory(
        word("signatory name", found["name"]), word("role", found["role"]), word("public_key", found["public_key"])
    )


def _rulebook(data: object) -> Rulebook:
    found = exactly("rulebook", data, ("duty", "priorities", "safety", "soft"))
    pairs = []
    for item in items("rulebook.priorities", found["priorities"]):
        pair = words("rulebook.priorities", item)
        if len(pair) != 2:
            raise CharterError(f"charter rulebook.priorities: {list(pair)} must be [higher, lower]")
        pairs.append((pair[0], pair[1]))
    safety, duty, soft = (words(f"rulebook.{name}", found[name]) for name in ("safety", "duty", "soft"))
    return Rulebook(safety, duty, soft, tuple(pairs))


def _commitments(data: object) -> CommitmentTerms:
    found = exactly("commitments", data, ("ladder", "notice_ms", "stake_points"))
    return CommitmentTerms(
        integer("commitments.notice_ms", found["notice_ms"]),
        integer("commitments.stake_points", found["stake_points"]),
        words("commitments.ladder", found["ladder"]),
    )


def _norm(data: object) -> Norm:
    found = exactly("norms", data, ("expires_s", "name", "owner", "status"))
    name = word("norm name", found["name"])
    return Norm(
        name, word("status", found["status"]), word("owner", found["owner"]), integer("expires_s", found["expires_s"])
    )


def _oversight(data: object) -> Oversight:
    found = exactly("oversight", data, ("audit_ppm", "queue_max", "triggers"))
    return Oversight(
        words("oversight.triggers", found["triggers"]),
        integer("oversight.audit_ppm", found["audit_ppm"]),
        integer("oversight.queue_max", found["queue_max"]),
    )


def exactly(what: str, data: object, names: tuple[str, ...]) -> Mapping[str, object]:
    """``data`` as an object with these keys, all and no other."""
    found = record(what, data)
    keys(what, found, names)
    return found


def record(what: str, data: object) -> Mapping[str, object]:
    """``data`` as an object."""
    if not isinstance(data, dict):
        raise CharterError(f"charter {what}: {_shown(data)} is not an object")
    return data


def keys(what: str, found: Mapping[str, object], names: tuple[str, ...]) -> None:
    """Refuse unknown and missing keys."""
    unknown = sorted(str(name) for name in found if name not in names)
    missing = sorted(name for name in names if name not in found)
    if unknown or missing:
        wrong = f"unknown key {unknown[0]!r}" if unknown else f"key {missing[0]!r} is missing"
        raise CharterError(f"charter {what}: {wrong}; it has {', '.join(sorted(names))}")


def items(what: str, data: object) -> list[object]:
    """``data`` as a list."""
    if not isinstance(data, list):
        raise CharterError(f"charter {what}: {_shown(data)} is not a list")
    return data


def words(what: str, data: object) -> tuple[str, ...]:
    """``data`` as a list of text."""
    return tuple(word(what, item) for item in items(what, data))


def word(what: str, data: object) -> str:
    """``data`` as text."""
    if not isinstance(data, str):
        raise CharterError(f"charter {what}: {_shown(data)} is not text")
    return data


def integer(what: str, data: object) -> int:
    """``data`` as an integer."""
    if isinstance(data, bool) or not isinstance(data, int):
        raise CharterError(f"charter {what}: {_shown(data)} is not an integer")
    return data


def integers(what: str, data: object) -> dict[str, int]:
    """``data`` as an object of integers."""
    return {str(name): integer(f"{what}.{name}", item) for name, item in record(what, data).items()}


def _shown(data: object) -> str:
    return repr(data)[:60]
