"""The radio channel of the fault simulator: one random stream per directed link, so that cutting one
vehicle or fault out of a case leaves the luck of all other links as it was."""

from __future__ import annotations

import random

from sim.faults.case import Case, ChannelCase, Fault


class Link:
    """One direction between two vehicles."""

    __slots__ = ("bad", "chance")

    def __init__(self, draw: random.Random, loss: float) -> None:
        self.chance = draw.random
        self.bad = self.chance() < loss


class Channel:
    """What becomes of every datagram."""

    def __init__(self, case: Case, start_ms: int) -> None:
        self._seed = f"{case.profile}:{case.seed}"
        self._healed_case = case.healed
        self._healed_ms = start_ms + case.heal_ms
        self._links: dict[tuple[str, str], Link] = {}
        self._cuts = [f for f in case.faults if f.kind in ("split", "one_way", "flap", "blackout", "deaf", "mute")]
        self._shadows = [f for f in case.faults if f.kind == "shadow"]
        self._start_ms = start_ms
        self.use(case.channel)

    def use(self, case: ChannelCase) -> None:
        """From now on all links are like this."""
        self._case = case
        self._leave = 1.0 / case.burst
        self._enter = min(1.0, case.loss * self._leave / (1.0 - case.loss)) if case.loss < 1.0 else 1.0
        if case.loss >= 1.0:
            self._leave = 0.0
        self._copies_below = case.duplicate

    def heal(self) -> None:
        """All faults of the links end."""
        self._cuts, self._shadows = [], []
        self.use(self._healed_case)

    def active(self, now_ms: int) -> tuple[list[Fault], list[Fault]]:
        """Cuts and shadows at ``now_ms``, for all datagrams of one broadcast."""
        if not self._cuts and not self._shadows:
            return _NONE
        t = now_ms - self._start_ms
        return (
            [f for f in self._cuts if f.at_ms <= t < f.at_ms + f.for_ms],
            [f for f in self._shadows if f.at_ms <= t < f.at_ms + f.for_ms],
        )

    def delays(self, a: str, b: str, now_ms: int, active: tuple[list[Fault], list[Fault]]) -> tuple[int, ...]:
        """Delays (ms) of the copies from ``a`` that reach ``b``; empty: lost."""
        case = self._case
        link = self._links.get((a, b))
        if link is None:
            link = self._links[a, b] = Link(random.Random(f"{self._seed}:{a}>{b}"), case.loss)
        chance = link.chance
        if case.loss:
            bad = link.bad
            link.bad = chance() >= self._leave if bad else chance() < self._enter
            if bad:
                return ()
        if active is not _NONE:
            cuts, shadows = active
            if cuts and any(_cut(f, a, b, now_ms - self._start_ms) for f in cuts):
                return ()
            if shadows and any(f.who in (a, b) and chance() * 1000 < f.amount for f in shadows):
                return ()
        delay = case.delay_ms
        if case.spread_ms:
            delay += int(chance() * (case.spread_ms + 1))
        if case.tail and chance() < case.tail:
            delay += int(chance() ** 3 * case.tail_ms)
        if self._copies_below and chance() < self._copies_below:
            return delay, delay + int(chance() * 150)
        return (delay,)


_NONE: tuple[list[Fault], list[Fault]] = ([], [])


def _cut(fault: Fault, a: str, b: str, t_ms: int) -> bool:
    """Whether ``fault`` stops what goes from ``a`` to ``b`` at ``t_ms`` of the case."""
    kind = fault.kind
    if kind == "blackout":
        return True
    if kind == "deaf":
        return b == fault.who
    if kind == "mute":
        return a == fault.who
    if kind == "one_way":
        return a in fault.group and b not in fault.group
    if kind == "flap" and (t_ms - fault.at_ms) // max(1, fault.amount) % 2:
        return False
    return (a in fault.group) != (b in fault.group)
