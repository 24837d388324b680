"""A broken commitment as evidence that a third party can check offline, and the answer that the accused may give.

Against a vehicle: its own signed commitment (who, which plan, by which budget), and what others have signed that they
saw. For it: that it gave the commitment back in time, acknowledged by somebody else; or what further observers saw.

What others say is worth as much as they are. So nobody falls by one witness: ``upheld`` takes ``WITNESSES_MIN``
observers, each of whose observations alone show the breach, and none, on either side, whose observations show the plan
kept through the same time. A vehicle that drives as it promised, or gives back before it stops doing so, can always
answer as long as one honest observer or one who acknowledged speaks for it, and falls to no fewer liars than that.

=========== ===================================================================================================
verdict     what follows
=========== ===================================================================================================
upheld      the next step of the charter's ladder
contested   observers contradict each other: a person looks
attested    too few have seen it: kept, nothing follows
answered    the commitment had been given back
unproven    the commitment is not the vehicle's, or nobody's observations show a breach
=========== ===================================================================================================
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from fleet.charter.canonical import statement
from fleet.errors import PlanError
from fleet.oversight.breach import SAMPLE_MS_MAX, breach_ms, place_mm
from fleet.oversight.chained_log import Verify
from planners.timed_path import TimedPath

WITNESSES_MIN = 2
ALLOWANCE_MM_MIN = 100
"""No vehicle is held to less than this, whatever its commitment says."""
COMMITMENT, SEEN, RELEASED, ACKNOWLEDGED = (
    "accord/commitment/1", "accord/seen/1", "accord/released/1", "accord/acknowledged/1",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class SignedCommitment:
    """``vehicle`` says: I drive this, within ``allowance_mm`` along the path. ``plan``: bytes of a TimedPath."""

    vehicle: str
    charter_id: str
    map_digest: str
    plan: bytes
    allowance_mm: int
    signature: bytes = b""

    def statement(self) -> bytes:
        """The bytes under the signature."""
        return statement(
            COMMITMENT,
            {"allowance_mm": self.allowance_mm, "charter_id": self.charter_id, "map_digest": self.map_digest,
             "plan": self.plan.hex(), "vehicle": self.vehicle},
        )  # fmt: skip


@dataclass(frozen=True, slots=True)
class Sighting:
    """``observer`` says: the rear axle of ``vehicle`` was there on its path at that time."""

    observer: str
    vehicle: str
    path_id: str
    stamp_ms: int
    s_mm: int
    signature: bytes = b""

    def statement(self) -> bytes:
        """The bytes under the signature."""
        return statement(
            SEEN,
            {"observer": self.observer, "path_id": self.path_id, "s_mm": self.s_mm, "stamp_ms": self.stamp_ms,
             "vehicle": self.vehicle},
        )  # fmt: skip


@dataclass(frozen=True, slots=True)
class GivenBack:
    """``vehicle`` says: from ``at_ms`` that plan is not mine; ``witness`` says that it had heard so by ``heard_ms``."""

    vehicle: str
    plan: bytes
    at_ms: int
    signature: bytes
    witness: str
    heard_ms: int
    acknowledgement: bytes

    def statement(self) -> bytes:
        """The vehicle's."""
        return release_statement(self.vehicle, self.plan, self.at_ms)

    def witness_statement(self) -> bytes:
        """The witness's."""
        return acknowledgement_statement(self.statement(), self.witness, self.heard_ms)


def release_statement(vehicle: str, plan: bytes, at_ms: int) -> bytes:
    """What a vehicle signs that gives a plan back."""
    return statement(RELEASED, {"at_ms": at_ms, "plan": plan.hex(), "vehicle": vehicle})


def acknowledgement_statement(release: bytes, witness: str, heard_ms: int) -> bytes:
    """What somebody signs who has heard it."""
    return statement(ACKNOWLEDGED, {"heard_ms": heard_ms, "release": release.hex(), "witness": witness})


@dataclass(frozen=True, slots=True)
class BreachCase:
    """``sightings`` of both sides; ``given_back`` is the accused's answer, if it has one."""

    commitment: SignedCommitment
    sightings: tuple[Sighting, ...]
    given_back: GivenBack | None = None


@dataclass(frozen=True, slots=True)
class Verdict:
    """``accusers`` and ``defenders`` are observers; ``at_ms`` is when the first accuser's observations show it."""

    status: str
    reason: str
    accusers: tuple[str, ...] = ()
    defenders: tuple[str, ...] = ()
    at_ms: int | None = None


def judge(case: BreachCase, keys: Mapping[str, bytes], verify: Verify) -> Verdict:
    """Decide a case from its own bytes and the keys of those in it; never raises on what others wrote."""
    accused = case.commitment.vehicle
    plan, why = _plan_of(case.commitment, keys, verify)
    if plan is None:
        return Verdict("unproven", why)
    allowance_mm = max(ALLOWANCE_MM_MIN, case.commitment.allowance_mm)
    series = _series(case, plan, keys, verify)
    found = {one: breach_ms(plan, allowance_mm, seen) for one, seen in series.items()}
    accusers = {one: at_ms for one, at_ms in found.items() if at_ms is not None and one != accused}
    if not accusers:
        return Verdict("unproven", "nobody's observations show a breach")
    first_ms = min(accusers.values())
    names = tuple(sorted(accusers))
    if case.given_back is not None and _in_time(case.given_back, case.commitment, keys, verify):
        began_ms = min(_began_ms(plan, allowance_mm, series[one]) for one in names)
        if case.given_back.heard_ms <= began_ms:
            heard = f"{case.given_back.witness} had heard that it was given back"
            return Verdict("answered", heard, names, (case.given_back.witness,), first_ms)
    kept = [one for one, at_ms in found.items() if at_ms is None and one != accused]
    defenders = tuple(sorted(one for one in kept if _saw_kept(plan, allowance_mm, series[one], first_ms)))
    if defenders:
        return Verdict("contested", f"{', '.join(defenders)} saw the plan kept", names, defenders, first_ms)
    if len(names) < WITNESSES_MIN:
        return Verdict("attested", f"{len(names)} of {WITNESSES_MIN} witnesses: {names[0]}", names, (), first_ms)
    return Verdict("upheld", f"seen by {', '.join(names)}, and nobody saw the plan kept", names, (), first_ms)


def _plan_of(
    commitment: SignedCommitment, keys: Mapping[str, bytes], verify: Verify
) -> tuple[TimedPath | None, str]:  # fmt: skip
    key = keys.get(commitment.vehicle)
    if key is None:
        return None, f"no key of {commitment.vehicle} is known"
    if not verify(key, commitment.statement(), commitment.signature):
        return None, f"the commitment is not signed by {commitment.vehicle}"
    try:
        plan = TimedPath.decode(commitment.plan)
    except PlanError as error:
        return None, f"the commitment holds no plan: {error}"
    if plan.vehicle != commitment.vehicle:
        return None, f"the plan is one of {plan.vehicle}"
    return plan, ""


def _series(
    case: BreachCase, plan: TimedPath, keys: Mapping[str, bytes], verify: Verify
) -> dict[str, list[tuple[int, int]]]:  # fmt: skip
    """What each observer signed about the accused on that path, in the order of time; two places at once count as
    neither."""
    seen: dict[str, dict[int, set[int]]] = {}
    for one in case.sightings:
        key = keys.get(one.observer)
        about = one.vehicle == plan.vehicle and one.path_id == plan.path_id
        if about and key is not None and verify(key, one.statement(), one.signature):
            seen.setdefault(one.observer, {}).setdefault(one.stamp_ms, set()).add(one.s_mm)
    return {
        observer: [(stamp_ms, next(iter(places))) for stamp_ms, places in sorted(stamps.items()) if len(places) == 1]
        for observer, stamps in sorted(seen.items())
    }


def _began_ms(plan: TimedPath, allowance_mm: int, seen: Sequence[tuple[int, int]]) -> int:
    """The first time that an observer saw more than the allowance."""
    return next(
        stamp_ms
        for stamp_ms, s_mm in seen
        if (promised := place_mm(plan, stamp_ms)) is not None and abs(s_mm - promised) > allowance_mm
    )


def _saw_kept(plan: TimedPath, allowance_mm: int, seen: Sequence[tuple[int, int]], at_ms: int) -> bool:
    """Whether an observer watched without a gap around ``at_ms`` and saw the vehicle where its plan puts it."""

    def kept(stamp_ms: int, s_mm: int) -> bool:
        promised = place_mm(plan, stamp_ms)
        return promised is not None and abs(s_mm - promised) <= allowance_mm

    return any(
        a[0] <= at_ms <= b[0] and b[0] - a[0] <= SAMPLE_MS_MAX and kept(*a) and kept(*b)
        for a, b in zip(seen, seen[1:], strict=False)
    )


def _in_time(answer: GivenBack, commitment: SignedCommitment, keys: Mapping[str, bytes], verify: Verify) -> bool:
    """Whether the release and its acknowledgement are what they say, about that plan, by two different vehicles."""
    own, other = keys.get(answer.vehicle), keys.get(answer.witness)
    return (
        (answer.vehicle, answer.plan) == (commitment.vehicle, commitment.plan)
        and answer.witness != answer.vehicle
        and own is not None
        and other is not None
        and verify(own, answer.statement(), answer.signature)
        and verify(other, answer.witness_statement(), answer.acknowledgement)
    )
