"""Offers that bind only together: "I wait for you here if you let me pass there".

An offer names, in one or several alternatives, the offers that must bind for it to bind. What binds is the greatest
set in which every offer has an alternative that lies within the set: the greatest fixed point. It exists and is
unique, since conditions never ask that somebody does *not* bind; so the order in which offers are heard says nothing,
and everybody with the same offers binds the same ones. What does not bind leaves the safe plan as it is.

An offer is pinned to a charter and expires. Two offers of one vehicle and number that differ are both void, and are
evidence.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from fleet.charter.canonical import digest_of
from fleet.errors import CharterError

DOMAIN = "accord/offer/1"
ALTERNATIVES_MAX, NAMED_MAX, OFFERS_MAX = 8, 16, 256


@dataclass(frozen=True, slots=True)
class Offer:
    """What one vehicle will do, if.

    Attributes
    ----------
    number : int
        Of the vehicle's offers; a higher one replaces those before.
    promise : str
        Digest (hexadecimal) of the plan that it would drive.
    needs : tuple of tuple of str
        Alternatives; each names promises of others that must all bind. Empty: it binds by itself.
    charter_id : str
    expires_ms : int
        From then on it does not bind.
    stake : int
        Points that are lost if it is broken.
    """

    vehicle: str
    number: int
    promise: str
    needs: tuple[tuple[str, ...], ...]
    charter_id: str
    expires_ms: int
    stake: int = 0

    def __post_init__(self) -> None:
        named = max((len(one) for one in self.needs), default=0)
        if len(self.needs) > ALTERNATIVES_MAX or named > NAMED_MAX:
            raise CharterError(
                f"offer {self.number} of {self.vehicle} has {len(self.needs)} alternatives of up to {named} promises;"
                f" the limits are {ALTERNATIVES_MAX} and {NAMED_MAX}"
            )
        if self.stake < 0 or self.number < 0:
            raise CharterError(f"offer {self.number} of {self.vehicle} stakes {self.stake}; neither may be negative")

    def document(self) -> dict[str, object]:
        """What is hashed and signed."""
        return {
            "charter_id": self.charter_id, "expires_ms": self.expires_ms, "needs": [list(one) for one in self.needs],
            "number": self.number, "promise": self.promise, "stake": self.stake, "vehicle": self.vehicle,
        }  # fmt: skip

    def digest(self) -> bytes:
        """32 bytes; what a signature of the offer covers."""
        return digest_of(DOMAIN, self.document())


@dataclass(frozen=True, slots=True)
class Bound:
    """``bound`` in the order of vehicles; ``void``: offers that contradict one another; ``steps``: work done."""

    bound: tuple[Offer, ...]
    void: tuple[Offer, ...]
    steps: int


def bind(offers: Iterable[Offer], *, charter_id: str, now_ms: int) -> Bound:
    """The greatest set of offers that hold each other up.

    Each alternative is struck at most once, and each naming looked at at most once: the work is linear in the text of
    the offers. Beyond ``OFFERS_MAX`` nothing binds, since a choice among them would depend on who was heard first.
    """
    latest, void = _latest(offers)
    live = {
        one.promise: one for one in latest if one.charter_id == charter_id and now_ms < one.expires_ms
    }
    doubled = {one.promise for one in latest if live.get(one.promise, one) is not one}
    live = {promise: one for promise, one in live.items() if promise not in doubled}
    if len(live) > OFFERS_MAX:
        return Bound((), void, 0)
    left = {promise: len(one.needs) for promise, one in live.items()}
    named_by: dict[str, list[tuple[str, int]]] = {}
    for promise, one in live.items():
        for k, alternative in enumerate(one.needs):
            for other in alternative:
                named_by.setdefault(other, []).append((promise, k))
    struck: set[tuple[str, int]] = set()
    out: set[str] = set()
    work, steps = sorted(set(named_by) - set(live)), 0
    while work:
        for promise, k in named_by.get(work.pop(), ()):
            steps += 1
            if (promise, k) in struck:
                continue
            struck.add((promise, k))
            left[promise] -= 1
            if left[promise] == 0 and promise not in out:
                out.add(promise)
                work.append(promise)
    bound = sorted((one for promise, one in live.items() if promise not in out), key=lambda one: one.vehicle)
    return Bound(tuple(bound), void, steps)


def _latest(offers: Iterable[Offer]) -> tuple[list[Offer], tuple[Offer, ...]]:
    """The newest offer of each vehicle, and those of one number that differ."""
    newest: dict[str, set[Offer]] = {}
    for one in offers:
        known = newest.setdefault(one.vehicle, {one})
        number = next(iter(known)).number
        if one.number > number:
            newest[one.vehicle] = {one}
        elif one.number == number:
            known.add(one)
    single = [next(iter(known)) for known in newest.values() if len(known) == 1]
    void = [one for known in newest.values() if len(known) > 1 for one in known]
    return single, tuple(sorted(void, key=lambda one: (one.vehicle, one.digest())))


class Stakes:
    """Points set aside for what vehicles have promised: locked, given back, or lost to the fleet's common pool.

    Whole points; what vehicles hold, what is locked and what is in the pool add up to what there was, always.
    """

    def __init__(self, balances: dict[str, int]) -> None:
        self._free = dict(balances)
        self._locked: dict[tuple[str, str], int] = {}
        self.pool = 0
        self._total = sum(balances.values())

    @property
    def drift(self) -> int:
        """What has appeared or vanished; never anything but 0."""
        return sum(self._free.values()) + sum(self._locked.values()) + self.pool - self._total

    def balance(self, vehicle: str) -> int:
        """What it could stake now."""
        return self._free.get(vehicle, 0)

    def lock(self, vehicle: str, promise: str, points: int) -> bool:
        """Set points aside; False: it has not so many, or has them set aside for that already."""
        if points < 0 or (vehicle, promise) in self._locked or self.balance(vehicle) < points:
            return False
        self._free[vehicle] = self.balance(vehicle) - points
        self._locked[(vehicle, promise)] = points
        return True

    def give_back(self, vehicle: str, promise: str) -> int:
        """The promise was kept, or given back in time."""
        points = self._locked.pop((vehicle, promise), 0)
        self._free[vehicle] = self.balance(vehicle) + points
        return points

    def forfeit(self, vehicle: str, promise: str) -> int:
        """The promise was broken, and a verdict says so."""
        points = self._locked.pop((vehicle, promise), 0)
        self.pool += points
        return points
