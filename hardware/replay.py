"""Replays a black box: the same observations through a fresh monitor and gate must decide the same, bit for bit."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from fleet.errors import HardwareError
from hardware.base import Applied, Command, Health, VehicleState, Vitals
from hardware.black_box import FORMAT, encode
from hardware.failsafe import Action
from hardware.gate import CommandGate, GateState
from hardware.monitor import Decision, Monitor, MonitorState, Observation
from hardware.vehicle import Vehicle


@dataclass(frozen=True, slots=True)
class Replay:
    """What a replay found.

    Attributes
    ----------
    header : mapping
    ticks, gate_calls : int
        How much was decided again.
    others : mapping
        How much else was recorded, by kind: commands, tracks, datagrams heard (rx) and said (tx).
    actions : tuple of (float, str, tuple of str)
        Changes of what was done: time (s), action, causes.
    differences : tuple of str
        Empty if everything was decided again as recorded.
    """

    header: Mapping[str, object]
    ticks: int
    gate_calls: int
    others: Mapping[str, int]
    actions: tuple[tuple[float, str, tuple[str, ...]], ...]
    differences: tuple[str, ...]


def header_of(data: bytes) -> dict[str, Any]:
    """The header of a dump.

    Raises
    ------
    HardwareError
        Not a black box.
    """
    try:
        header = json.loads(data[: data.index(b"\n")])
    except ValueError as error:
        raise HardwareError("not a black box: its first line is no header") from error
    if not isinstance(header, dict) or header.get("format") != FORMAT:
        raise HardwareError(f"not a black box of format {FORMAT!r}")
    return header


def replay(data: bytes, vehicle: Vehicle) -> Replay:
    """Decide all of a dump again.

    Raises
    ------
    HardwareError
        Not a black box, cut off, or altered: the digest at its end does not fit.
    """
    header, lines = header_of(data), data.splitlines(keepends=True)
    last = json.loads(lines[-1]) if lines[-1].startswith(b'["end"') else None
    if last is None or last[2] != hashlib.sha256(b"".join(lines[:-1])).hexdigest():
        raise HardwareError("this black box was cut off or altered: its digest does not fit")
    player = _Player(vehicle)
    for number, line in enumerate(lines[1:-1], start=2):
        entry = json.loads(line)
        player.take(number, entry)
    return Replay(
        header, player.ticks, player.gate_calls, player.others, tuple(player.actions), tuple(player.differences)
    )


class _Player:
    def __init__(self, vehicle: Vehicle) -> None:
        self._monitor, self._gate = Monitor(vehicle), CommandGate(vehicle)
        self._started = False
        self.ticks = self.gate_calls = 0
        self.others: dict[str, int] = {}
        self.actions: list[tuple[float, str, tuple[str, ...]]] = []
        self.differences: list[str] = []

    def take(self, number: int, entry: list[Any]) -> None:
        kind, now_ns, *values = entry
        if kind == "snapshot":
            self._snapshot(number, values[0])
        elif kind == "tick":
            seen, decided = _observation(values[0]), _decision(values[1])
            self.ticks += 1
            again = self._monitor.step(seen)
            self._compare(number, "decision", again, decided)
            if not self.actions or self.actions[-1][1:] != (decided.action.name.lower(), decided.causes):
                self.actions.append((now_ns * 1e-9, decided.action.name.lower(), decided.causes))
        elif kind == "gate":
            self.gate_calls += 1
            self._gate_call(number, *values)
        elif kind == "reset":
            speed = self._monitor.snapshot().speed_mps
            self._compare(number, "reset", self._monitor.reset(values[0], speed), values[1])
        else:
            self.others[kind] = self.others.get(kind, 0) + 1

    def _snapshot(self, number: int, values: list[Any]) -> None:
        monitor, gate = _monitor_state(values[0]), _gate_state(values[1])
        if self._started:  # a page's state must follow from the page before
            self._compare(number, "monitor", self._monitor.snapshot(), monitor)
            self._compare(number, "gate", self._gate.snapshot(), gate)
        self._monitor.restore(monitor)
        self._gate.restore(gate)
        self._started = True

    def _gate_call(self, number: int, verb: str, arguments: list[Any], driven: list[Any]) -> None:
        gate = self._gate
        if verb in ("submit", "drive_manually"):
            command, now_ns, speed = arguments
            getattr(gate, verb)(Command(*command), now_ns, speed)
        elif verb == "press":
            gate.press(arguments[0], pressed=arguments[1])
        else:
            getattr(gate, verb)(*arguments)
        self._compare(number, verb, gate.driven, _applied(driven))

    def _compare(self, number: int, what: str, again: object, recorded: object) -> None:
        """By text, so that NaN equals NaN and a last bit does not pass."""
        if encode(_plain(again)) != encode(_plain(recorded)):
            self.differences.append(f"line {number}: {what}: {again} again, {recorded} recorded")


def _plain(value: object) -> object:
    if isinstance(value, tuple):
        return [_plain(one) for one in value]
    return value.value if isinstance(value, Health | Action) else value


def _applied(values: list[Any]) -> Applied:
    return Applied(values[0], values[1], tuple(values[2]), values[3])


def _observation(values: list[Any]) -> Observation:
    now_ns, state, driven, vitals, *rest = values
    estimate = VehicleState._make([*state[:-1], Health(state[-1])])
    return Observation(now_ns, estimate, _applied(driven), Vitals(*vitals), *rest)


def _decision(values: list[Any]) -> Decision:
    return Decision(Action(values[0]), tuple(values[1]), values[2], Health(values[3]))


def _monitor_state(values: list[Any]) -> MonitorState:
    since, acting, last_ns, stamp_ns, pose, speed, model = values
    pairs = tuple(tuple((name, at) for name, at in table) for table in (since, acting))
    return MonitorState(
        pairs[0], pairs[1], last_ns, stamp_ns, (pose[0], pose[1]), speed, (model[0], model[1], model[2])
    )


def _gate_state(values: list[Any]) -> GateState:
    lifecycle, driven, *middle, pressed, manual_by = values
    return GateState._make([lifecycle, _applied(driven), *middle, tuple(pressed), manual_by])
