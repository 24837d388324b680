"""RFC 8785 bytes of what charters hold: objects with ASCII keys, lists, text, booleans, integers within 2^53.

Fractions are integers in thousandths, since two JSON printers may disagree on a float.
"""

from __future__ import annotations

import hashlib
import json

from fleet.errors import CharterError

_SAFE_INT_MAX = 2**53 - 1
_DEPTH_MAX = 32


def canonical_json(value: object) -> bytes:
    """The only bytes that say ``value``.

    Raises
    ------
    CharterError
        For any other type (floats and null among them), a key that is not ASCII, or text that is not Unicode.
    """
    _check(value, 0)
    try:
        return json.dumps(value, ensure_ascii=False, separators=(",", ":"), sort_keys=True).encode()
    except UnicodeEncodeError as error:
        raise CharterError("charter text holds a lone surrogate") from error


def digest_of(domain: str, value: object) -> bytes:
    """sha256 of ``value`` in a domain of its own: what is signed as one thing cannot be shown as another."""
    return hashlib.sha256(domain.encode() + b"\0" + canonical_json(value)).digest()


def statement(domain: str, value: object) -> bytes:
    """The bytes that a signature in ``domain`` covers."""
    return domain.encode() + b"\0" + canonical_json(value)


def _check(value: object, depth: int) -> None:
    if depth > _DEPTH_MAX:
        raise CharterError(f"charter is nested deeper than {_DEPTH_MAX}")
    if isinstance(value, dict):
        for key, item in value.items():
            if not isinstance(key, str) or not key.isascii():
                raise CharterError(f"charter key {key!r} is not ASCII text")
            _check(item, depth + 1)
    elif isinstance(value, list):
        for item in value:
            _check(item, depth + 1)
    elif isinstance(value, int):
        if not -_SAFE_INT_MAX <= value <= _SAFE_INT_MAX:
            raise CharterError(f"charter number {value} is beyond 2^53")
    elif not isinstance(value, str):
        raise CharterError(
            f"charter value {value!r} is a {type(value).__name__}; allowed are objects, lists, text, integers"
        )
