"""Mechanisms by name: those that ship, plug-ins by entry point, and any by its dotted path."""

from __future__ import annotations

import difflib
import importlib
from importlib.metadata import entry_points

from fleet.errors import ConfigError
from fleet.mechanism.guard import LINES_MAX, STARVATION_MS, Guarded
from fleet.mechanism.interface import Mechanism
from fleet.mechanism.karma import Karma
from fleet.mechanism.lottery import Lottery
from fleet.mechanism.orders import EmergencyOnly, FirstComeMechanism, MaxPressure, Stated
from fleet.mechanism.vcg import Vcg

GROUP = "accord.mechanisms"
"""Entry points of plug-ins: name = "package.module:Class"."""
_KINDS: tuple[type[Mechanism], ...] = (
    FirstComeMechanism, EmergencyOnly, Karma, Vcg, Lottery, MaxPressure, Stated,
)  # fmt: skip
BUILT_IN: dict[str, type[Mechanism]] = {kind.name: kind for kind in _KINDS}
_NEEDED = ("name", "summary", "promises", "limits", "accounts", "decide", "dues")


def make_mechanism(name: str) -> Mechanism:
    """By name, or ``package.module:Class``.

    Raises
    ------
    ConfigError
        There is no such mechanism, or it cannot be made.
    """
    if name in BUILT_IN:
        return BUILT_IN[name]()
    if ":" in name:
        return _imported(name)
    for point in entry_points(group=GROUP):
        if point.name == name:
            return _imported(point.value)
    close = difflib.get_close_matches(name, BUILT_IN, n=1)
    hint = f"; did you mean {close[0]}?" if close else ""
    raise ConfigError(f"no mechanism {name!r}; known: {', '.join(BUILT_IN)}, or package.module:Class{hint}")


def guarded(name: str, starvation_ms: int = STARVATION_MS) -> Guarded:
    """The mechanism as vehicles run it; plug-ins have their lines counted."""
    mechanism = make_mechanism(name)
    lines = None if type(mechanism) in BUILT_IN.values() else LINES_MAX
    return Guarded(mechanism, starvation_ms=starvation_ms, lines_max=lines)


def plug_ins() -> list[tuple[str, str]]:
    """(name, where) of the plug-ins installed."""
    return sorted((point.name, point.value) for point in entry_points(group=GROUP))


def _imported(where: str) -> Mechanism:
    module, _, attribute = where.partition(":")
    try:
        made: Mechanism = getattr(importlib.import_module(module), attribute)()
    except Exception as error:  # a plug-in's import may raise anything; it is named in one line
        raise ConfigError(f"mechanism {where}: {type(error).__name__}: {error}") from error
    missing = [part for part in _NEEDED if not hasattr(made, part)]
    if missing:
        raise ConfigError(f"mechanism {where}: has no {', '.join(missing)}; see docs/reference/mechanisms.md")
    return made
