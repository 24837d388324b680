"""Phases of a vehicle at one zone, and the one table of all transitions between them.

Theory of operation
-------------------
A vehicle comes up to a zone on an *approach plan* that ends at standstill before the line (APPROACH,
WAITING). It needs nobody's consent for that, and if nothing else ever happens it stands: silence never
grants entry.

Any such vehicle may propose plans ("tubes" in space and time) for itself and others. A proposal names
the members M of the conflict set and a time ``decide_by``. Each member judges the bytes for itself and
signs at most once, never after ``decide_by``. A signature is a promise to keep clear of every tube of
the batch, and is on disk before it is on air.

With the signatures of *all* of M before ``decide_by`` the vehicle adopts its tube (COMMITTED). Until
then plan and approach plan coincide, so nobody need know whether the vote will succeed. A vehicle uses
one tube at a time; only its own adoption brings a tube to life, and every intent lists the tubes of its
sender that are live. Therefore an intent stamped after ``decide_by`` (+ 2 eps) that does not list a tube
proves that this tube is dead for good, and all promises for it may be dropped. Failed attempts and
cleared commitments free the zone in this way under any loss; a Release, or a vehicle's own Reject, only
says it sooner. Without such a word a promise lasts to the end of its lease + 2 eps.

Two honest vehicles cannot hold overlapping tubes: each is a member for the other, or a third that
hears both is, and whoever signed the first refuses the second while the first may live. Nothing here
depends on rounds, views, leaders, or on who is believed to be alive.

A holder may want another plan before its point of no return. It votes for a proposal that names it again,
and on the certificate changes over and releases the old tube. Until everybody has its word for that, both
of its tubes are in the way of all others (rule P7): nobody need know which of the two it drives.

Past the point of no return (CROSSING) only clearing ends a commitment. By rule P4 the holder is clear
before its lease ends; if it is late all the same, it drives its plan to the end rather than stop in the
shared area, and says that it is in the way (OCCUPYING) from the moment at which others may forget its
promise. A vehicle in the shared area without a live tube says the same; one that crosses by sight alone,
one at a time, says that (FALLBACK). What these announce is an obstacle to everybody.

Who may go on to what
---------------------
The physical state comes from the node as an observation, agreement from the core as an event. A pair
that is not in the table is a defect of the caller, except observations: they hold unchanged there.
"""

from __future__ import annotations

from enum import Enum, IntEnum

from fleet.errors import LocalProtocolError


class Phase(IntEnum):
    """What a vehicle announces about itself; the integers are the wire form."""

    APPROACH = 0
    WAITING = 1
    COMMITTED = 2
    CROSSING = 3
    OCCUPYING = 4
    CLEARED = 5
    FALLBACK = 6


class Event(Enum):
    """Why a phase changes."""

    SEEN_MOVING = "seen moving before the line"
    SEEN_STANDING = "seen standing before the line"
    SEEN_INSIDE = "seen in the shared area, or unable to stop before it"
    SEEN_FALLBACK = "crosses by sight"
    ADOPTED = "own tube adopted"
    PASSED = "point of no return passed with a live tube"
    LOST = "own tube given back or its lease over"
    OVERDUE = "lease over past the point of no return; drives its plan to the end"
    CLEARED = "rear bumper beyond the zone"


UNCOMMITTED = (Phase.APPROACH, Phase.WAITING, Phase.OCCUPYING)
"""Phases in which a vehicle can be planned for. OCCUPYING: it stands inside and wants out."""
HOLDING = (Phase.COMMITTED, Phase.CROSSING)
OBSTRUCTING = (Phase.OCCUPYING, Phase.FALLBACK)
"""Phases in which the announced plan is an obstacle that nobody agreed to."""

_BEFORE = (Phase.APPROACH, Phase.WAITING)
_OPEN = (*_BEFORE, Phase.OCCUPYING, Phase.FALLBACK, Phase.CLEARED)

TRANSITIONS: dict[tuple[Phase, Event], Phase] = {
    **{(phase, Event.SEEN_MOVING): Phase.APPROACH for phase in _OPEN},
    **{(phase, Event.SEEN_STANDING): Phase.WAITING for phase in _OPEN},
    **{(phase, Event.SEEN_INSIDE): Phase.OCCUPYING for phase in _OPEN},
    **{(phase, Event.SEEN_FALLBACK): Phase.FALLBACK for phase in _OPEN},
    **{(phase, Event.CLEARED): Phase.CLEARED for phase in (*_OPEN, *HOLDING)},
    **{(phase, Event.ADOPTED): Phase.COMMITTED for phase in _BEFORE},
    (Phase.OCCUPYING, Event.ADOPTED): Phase.CROSSING,
    (Phase.COMMITTED, Event.PASSED): Phase.CROSSING,
    (Phase.CROSSING, Event.PASSED): Phase.CROSSING,
    (Phase.COMMITTED, Event.ADOPTED): Phase.COMMITTED,
    (Phase.COMMITTED, Event.LOST): Phase.APPROACH,
    (Phase.CROSSING, Event.OVERDUE): Phase.OCCUPYING,
    (Phase.OCCUPYING, Event.LOST): Phase.OCCUPYING,
}

OBSERVED: dict[Phase, Event] = {
    Phase.APPROACH: Event.SEEN_MOVING,
    Phase.WAITING: Event.SEEN_STANDING,
    Phase.OCCUPYING: Event.SEEN_INSIDE,
    Phase.FALLBACK: Event.SEEN_FALLBACK,
    Phase.CLEARED: Event.CLEARED,
}
"""What the node's observation of itself means; COMMITTED and CROSSING are the core's own to say."""


def after(phase: Phase, event: Event) -> Phase:
    """The phase after ``event``; raises :class:`LocalProtocolError` where the table has no such transition."""
    following = TRANSITIONS.get((phase, event))
    if following is None:
        raise LocalProtocolError(f"phase {phase.name} has no transition on {event.name} ({event.value})")
    return following
