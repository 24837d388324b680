"""A charter as a value with canonical bytes, so that every vehicle and every auditor hashes the same.

The canonical form is RFC 8785 restricted to what charters use: objects with ASCII keys, strings and
integers within 2^53. Fractions are integers in thousandths, since two JSON printers may disagree on a float.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from fleet.errors import CharterError

CHARTER_VERSION = 1
MECHANISMS = ("first_come", "emergency_only", "karma", "vcg", "lottery", "max_pressure")
NAME_CHARS_MAX = 64
WEIGHT_MILLI_MAX = 1_000_000
STARVATION_S_MAX = 3600
_SAFE_INT_MAX = 2**53 - 1


@dataclass(frozen=True, slots=True)
class Charter:
    """What the fleet agreed to want.

    Attributes
    ----------
    version : int
        Of this record's form, not of the text.
    name : str
        1 to 64 characters.
    mechanism : str
        Who proposes, and in which order vehicles go; one of ``MECHANISMS``.
    weights_milli : mapping of str to int
        Terms of the welfare that planners maximise, in thousandths, 0 to 10^6.
    starvation_bound_s : int
        A vehicle that has waited longer may refuse to let later arrivals go first. 1 to 3600.
    parent : str
        Id (64 hexadecimal digits) of the charter that this one amends; empty for a first one.
    """

    version: int
    name: str
    mechanism: str
    weights_milli: Mapping[str, int]
    starvation_bound_s: int
    parent: str = ""

    def __post_init__(self) -> None:
        if self.version != CHARTER_VERSION:
            raise CharterError(f"charter version {self.version}: this program knows {CHARTER_VERSION}")
        if not 1 <= len(self.name) <= NAME_CHARS_MAX:
            raise CharterError(f"charter name has {len(self.name)} characters; allowed are 1 to {NAME_CHARS_MAX}")
        if self.mechanism not in MECHANISMS:
            raise CharterError(f"charter mechanism {self.mechanism!r} is unknown; known: {', '.join(MECHANISMS)}")
        if not 1 <= self.starvation_bound_s <= STARVATION_S_MAX:
            raise CharterError(f"charter starvation_bound_s {self.starvation_bound_s} is outside 1..{STARVATION_S_MAX}")
        for key, weight in sorted(self.weights_milli.items()):
            if not 0 <= weight <= WEIGHT_MILLI_MAX:
                raise CharterError(f"charter weight {key} = {weight} is outside 0..{WEIGHT_MILLI_MAX} thousandths")
        if self.parent and (len(self.parent) != 64 or set(self.parent) - set("0123456789abcdef")):
            raise CharterError(f"charter parent {self.parent!r} is not 64 lower-case hexadecimal digits")
        object.__setattr__(self, "weights_milli", MappingProxyType(dict(self.weights_milli)))

    def canonical(self) -> bytes:
        """The bytes that are hashed and signed."""
        return canonical_json(
            {
                "mechanism": self.mechanism,
                "name": self.name,
                "parent": self.parent,
                "starvation_bound_s": self.starvation_bound_s,
                "version": self.version,
                "weights_milli": dict(self.weights_milli),
            }
        )

    def charter_id(self) -> bytes:
        """32 bytes that name this charter in every intent and proposal."""
        return hashlib.sha256(b"ACCORD/charter/v1\0" + self.canonical()).digest()


def default_charter() -> Charter:
    """First come, first served, by least total delay; nobody is overtaken after waiting a minute."""
    return Charter(
        version=CHARTER_VERSION,
        name="default",
        mechanism="first_come",
        weights_milli={"delay": 1000, "energy": 0, "stops": 0, "urgency": 0},
        starvation_bound_s=60,
    )


def canonical_json(value: object) -> bytes:
    """RFC 8785 bytes of ``value``: objects with ASCII keys, strings, booleans, integers within 2^53.

    Raises
    ------
    CharterError
        For any other type (floats among them), a key that is not ASCII, or text that is not Unicode.
    """
    _check_canonical(value)
    try:
        return json.dumps(value, ensure_ascii=False, separators=(",", ":"), sort_keys=True).encode()
    except UnicodeEncodeError as error:
        raise CharterError("charter text holds a lone surrogate") from error


def _check_canonical(value: object) -> None:
    if isinstance(value, dict):
        for key, item in value.items():
            if not isinstance(key, str) or not key.isascii():
                raise CharterError(f"charter key {key!r} is not ASCII text")
            _check_canonical(item)
    elif isinstance(value, int):
        if not -_SAFE_INT_MAX <= value <= _SAFE_INT_MAX:
            raise CharterError(f"charter number {value} is beyond 2^53")
    elif not isinstance(value, str):
        raise CharterError(f"charter value {value!r} is a {type(value).__name__}; allowed are objects, text, integers")
