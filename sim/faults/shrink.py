"""A failing case made small by delta debugging: fewer faults, vehicles, lies and lost deliveries, same broken rule."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeVar

import msgspec

from sim.faults.case import Case, ChannelCase
from sim.faults.engine import Engine

Item = TypeVar("Item")
Progress = Callable[[str], None]
_RUNS_MAX = 600


class Shrinker:
    """Keeps the smallest case found so far that still breaks ``rule``."""

    def __init__(self, case: Case, rule: str, say: Progress) -> None:
        self.case = case
        self._rule = rule
        self._say = say
        self.runs = 0

    def run(self) -> Case:
        """Cut until nothing more can go."""
        for what in ("faults", "vehicles", "lies", "channel", "deliveries", "faults", "vehicles"):
            getattr(self, f"_cut_{what}")()
            case = self.case
            self._say(
                f"after {what}: {len(case.vehicles)} vehicles, {len(case.faults)} faults, {len(case.lost)} lost, "
                f"{self.runs} runs"
            )
        return self.case

    def _try(self, **changes: object) -> bool:
        """Take the change if the rule is still broken."""
        if self.runs >= _RUNS_MAX:
            return False
        self.runs += 1
        smaller = msgspec.structs.replace(self.case, **changes)
        if any(violation.rule == self._rule for violation in Engine(smaller).run().violations):
            self.case = smaller
            return True
        return False

    def _cut_faults(self) -> None:
        self._reduce(self.case.faults, lambda left: self._try(faults=left))

    def _cut_vehicles(self) -> None:
        self._reduce(self.case.vehicles, lambda left: bool(left) and self._try(vehicles=left))

    def _cut_lies(self) -> None:
        for index, vehicle in enumerate(self.case.vehicles):
            if vehicle.role != "liar":
                continue

            def fewer(lies: tuple[str, ...], index: int = index) -> bool:
                vehicles = list(self.case.vehicles)
                vehicles[index] = msgspec.structs.replace(vehicles[index], lies=lies)
                return self._try(vehicles=tuple(vehicles))

            self._reduce(vehicle.lies, fewer)

    def _cut_channel(self) -> None:
        channel = self.case.channel
        for calmer in (
            ChannelCase(delay_ms=channel.delay_ms), msgspec.structs.replace(channel, loss=0.0),
            msgspec.structs.replace(channel, duplicate=0.0), msgspec.structs.replace(channel, tail=0.0, tail_ms=0),
            msgspec.structs.replace(channel, spread_ms=0),
        ):  # fmt: skip
            self._try(channel=calmer)

    def _cut_deliveries(self) -> None:
        """Put the luck of the channel into a list of lost deliveries, then shorten the list."""
        if self.case.channel.loss:
            lost = Engine(self.case, trace=True).run().lost
            channel = msgspec.structs.replace(self.case.channel, loss=0.0)
            if not self._try(channel=channel, lost=tuple(lost)):
                return
        self._reduce(self.case.lost, lambda left: self._try(lost=left))
        self._reduce(self.case.moved, lambda left: self._try(moved=left))
        self._reduce(self.case.doubled, lambda left: self._try(doubled=left))

    def _reduce(self, items: Sequence[Item], fails: Callable[[tuple[Item, ...]], bool]) -> None:
        """ddmin (Zeller 2002): leave out ever smaller parts as long as the case still fails."""
        left = tuple(items)
        parts = 2 if len(left) > 1 else 1
        while left:
            size = max(1, -(-len(left) // parts))
            for start in range(0, len(left), size):
                fewer = left[:start] + left[start + size :]
                if fails(fewer):
                    left, parts = fewer, max(2, parts - 1)
                    break
            else:
                if size == 1:
                    return
                parts = min(len(left), 2 * parts)


def shrink(case: Case, say: Progress) -> tuple[Case, str]:
    """The smallest case found, and the rule it breaks; "" where the case breaks none."""
    violations = Engine(case).run().violations
    if not violations:
        return case, ""
    rule = violations[0].rule
    return Shrinker(case, rule, say).run(), rule
