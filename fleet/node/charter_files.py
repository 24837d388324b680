"""Charters as files: ratified ones with their whole line, as vehicles take them, and drafts as people write them.

Everything is checked when it is read: text, ballots, tally, gate, signatures, parents, and whether the charter is valid
at that time. What vehicles then carry needs no further look.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec
import yaml

from fleet.charter.document import charter_of
from fleet.charter.model import Charter
from fleet.charter.papers import line_of, line_paper
from fleet.charter.ratification import Ratified, check_line
from fleet.config import parse_yaml
from fleet.errors import CharterError, ConfigError
from fleet.node.signing import verify_with

SIZE_MAX = 4_000_000


def read_document(path: Path) -> dict[str, Any]:
    """A YAML or JSON file as an object.

    Raises
    ------
    CharterError
        No such file, too large, or not an object.
    """
    try:
        if path.stat().st_size > SIZE_MAX:
            raise CharterError(f"{path}: {path.stat().st_size} bytes; the limit is {SIZE_MAX}")
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise CharterError(f"{path}: {getattr(error, 'strerror', None) or 'not UTF-8 text'}") from error
    try:
        if path.suffix == ".json":
            found: dict[str, Any] = msgspec.json.decode(text, type=dict[str, Any])
            return found
        return parse_yaml(text, dict[str, Any], source=str(path))
    except (msgspec.DecodeError, ConfigError) as error:
        raise CharterError(f"{path}: {error}") from error


def read_draft(path: Path) -> Charter:
    """A draft.

    Raises
    ------
    CharterError
    """
    try:
        return charter_of(read_document(path))
    except CharterError as error:
        raise CharterError(_named(path, error)) from error


def read_line(path: Path) -> tuple[Ratified, ...]:
    """A ratified charter with its ancestors, the newest first, all of it checked but its time of validity.

    Raises
    ------
    CharterError
    """
    try:
        line = line_of(read_document(path))
    except CharterError as error:
        raise CharterError(_named(path, error)) from error
    fault = check_line(line, verify_with)
    if fault:
        raise CharterError(f"{path}: {fault}")
    return line


def load_charter(path: Path, now_s: int, *, allow_draft: bool) -> tuple[Charter, ...]:
    """What a vehicle carries: the charter of ``path`` and its ancestors, if it may be driven by at ``now_s``.

    Raises
    ------
    CharterError
        Malformed, not ratified (a draft passes with ``allow_draft``, alone), not valid yet, or expired.
    """
    document = read_document(path)
    if allow_draft and "accord" not in document:
        line: tuple[Charter, ...] = (read_draft(path),)
    else:
        line = tuple(one.charter for one in read_line(path))
    fault = line[0].valid_at(now_s)
    if fault:
        raise CharterError(f"{path}: charter {line[0].name} is {fault}")
    return line


def write_line(path: Path, line: Sequence[Ratified]) -> None:
    """Write a ratified charter for vehicles."""
    write_json(path, line_paper(line))


def write_json(path: Path, document: Mapping[str, object]) -> None:
    """Write a document at once: readers see the old or the new content, whole."""
    write_bytes(path, msgspec.json.format(msgspec.json.encode(document, order="sorted"), indent=1) + b"\n")


def write_draft(path: Path, charter: Charter, head: str) -> None:
    """Write a draft as YAML, with ``head`` as comment lines above."""
    comment = "".join(f"# {line}\n" for line in head.splitlines())
    write_bytes(path, (comment + yaml.safe_dump(charter.document(), sort_keys=False, width=110)).encode())


def write_bytes(path: Path, data: bytes) -> None:
    """Replace the content of a file at once.

    Raises
    ------
    CharterError
    """
    beside = path.with_name(path.name + ".new")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        beside.write_bytes(data)
        os.replace(beside, path)
    except OSError as error:
        raise CharterError(f"{path}: {error.strerror}") from error


def _named(path: Path, error: CharterError) -> str:
    text = str(error)
    return text if text.startswith(str(path)) else f"{path}: {text}"
