"""The failsafe table: what goes wrong, how soon it is noticed, what is done, and how it ends. Data only.

The monitor runs by this table, ``docs/reference/failsafe.md`` is made from it, and the tests take every row
through every phase. Where two rows apply, the more severe action wins (:class:`Action` is in that order).

Numbers have these parents: ArduPilot Rover (0.2 s loop stall), Autoware (0.5 s without commands; emergency
-2.5 m/s2), PX4 (1.0 s of data link loss), UN R157 (minimum-risk manoeuvre of at most 4 m/s2), ISO 13850 (a
reset permits a start and never causes one).
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum, IntEnum


class Action(IntEnum):
    """What is done, the most severe last."""

    CONTINUE = 0
    SIGN_NOTHING = 1
    """Finish a commitment past the point of no return; otherwise give it back, and stop before the zone."""
    LEAVE = 2
    """Give the commitment back before the point of no return, and stop before the zone; drive on otherwise."""
    GUARD = 3
    """The safety kernel brakes for what is there: RSS response, or an emergency."""
    COMFORT_STOP = 4
    """Brake comfortably to standstill, steering; a commitment past the point of no return is finished first."""
    STOP_IN_LANE = 5
    """Brake with the steering held; what the plan says no longer counts."""
    HAND_OVER = 6
    """A person drives; autonomy's commands are answered only."""
    EMERGENCY = 7
    """Full braking with the steering held."""


class Latch(Enum):
    NO = "no"
    OPERATOR = "operator"
    """Until an operator's reset at standstill with the cause cleared; then somebody has to activate."""
    SESSION = "session"
    """Until the peer is enrolled anew."""


class Phase(Enum):
    """Where a vehicle is when it happens; columns of the test matrix."""

    IDLE = "idle"
    NEGOTIATING = "negotiating"
    COMMITTED = "committed"
    PAST_NO_RETURN = "past the point of no return"
    STOPPED = "stopped"


class Effect(Enum):
    """What the vehicle's motion must show."""

    HALT = "stands, wherever it is"
    BEFORE_ZONE = "stands before the zone"
    FINISH = "finishes its commitment"
    FINISH_AND_HALT = "finishes its commitment, then stands"
    HOLD = "goes on standing"
    GO_ON = "goes on by right alone"
    """Moves, and is never inside a zone without a right."""


@dataclass(frozen=True, slots=True)
class Row:
    """One line of the table.

    Attributes
    ----------
    causes : tuple of str
        Names that logs, ``Applied.limited_by`` and tests use.
    detect_s : float, optional
        The longest time from the cause to its action; None: at once, by what is decided anyway.
    seen_by : str
        Which part notices: gate, supervisor, monitor, kernel, node or core.
    recover_s : float
        The cause must have been absent for so long; with a latch: before a reset is heeded.
    effects : tuple of Effect
        One per :class:`Phase`, in its order.
    """

    title: str
    causes: tuple[str, ...]
    detect_s: float | None
    seen_by: str
    action: Action
    latch: Latch
    recover: str
    recover_s: float
    effects: tuple[Effect, Effect, Effect, Effect, Effect]


_HALT = (Effect.HALT,) * 4 + (Effect.HOLD,)
_BEFORE = (Effect.BEFORE_ZONE, Effect.BEFORE_ZONE, Effect.BEFORE_ZONE, Effect.FINISH, Effect.BEFORE_ZONE)
_BY_RIGHT = (Effect.GO_ON, Effect.GO_ON, Effect.GO_ON, Effect.FINISH, Effect.GO_ON)

TABLE: tuple[Row, ...] = (
    Row("emergency stop, any source", ("estop",), 0.02, "gate", Action.EMERGENCY, Latch.OPERATOR,
        "operator's reset at standstill, input let go; then activate", 0.0, _HALT),
    Row("no valid command: stale, from the future, out of order, not a number, wrong frame",
        ("command_stale", "future", "stamp_order", "non_finite", "wrong_frame"), 0.2, "gate",
        Action.COMFORT_STOP, Latch.NO, "10 valid commands; full braking after 0.3 s more without one", 0.0, _HALT),
    Row("the node's loop stalls, or the node or its supervisor dies", ("loop_stall", "node_died", "supervisor_lost"),
        0.2, "supervisor", Action.EMERGENCY, Latch.OPERATOR, "operator", 0.0, _HALT),
    Row("localisation in error, frozen, jumping, uncertain or not a number",
        ("localisation_error", "localisation_frozen", "localisation_jump", "localisation_uncertain",
         "localisation_nan"), 0.3, "monitor", Action.STOP_IN_LANE, Latch.NO, "healthy for 2 s", 2.0, _HALT),
    Row("clock in doubt: error above the bound, or unknown", ("clock",), 0.2, "monitor", Action.SIGN_NOTHING, Latch.NO,
        "in sync for 5 s", 5.0, _BEFORE),
    Row("peers lost before the point of no return", ("peer_lost",), 1.0, "node", Action.LEAVE, Latch.NO,
        "by itself, or by sight", 0.0, _BY_RIGHT),
    Row("object in the committed path", ("object",), None, "kernel", Action.GUARD, Latch.NO, "renegotiates", 0.0,
        (Effect.HALT,) * 4 + (Effect.HOLD,)),
    Row("tracking error beyond the budget", ("tracking",), 0.05, "node", Action.LEAVE, Latch.NO, "by itself", 0.0,
        _BY_RIGHT),
    Row("a peer contradicts itself, with proof", ("equivocation",), None, "core", Action.LEAVE, Latch.SESSION,
        "the peer is enrolled anew; its body stays an obstacle", 0.0, _BY_RIGHT),
    Row("actuators do not do what is driven", ("steer_mismatch", "speed_mismatch"), 0.3, "monitor", Action.EMERGENCY,
        Latch.OPERATOR, "operator, after a brake test", 0.0, _HALT),
    Row("battery low, temperature high, or neither known", ("battery", "temperature"), 1.0, "monitor",
        Action.COMFORT_STOP, Latch.OPERATOR, "operator", 0.0,
        (Effect.HALT, Effect.HALT, Effect.HALT, Effect.FINISH_AND_HALT, Effect.HALT)),
    Row("a person takes over", ("manual",), 0.05, "gate", Action.HAND_OVER, Latch.OPERATOR,
        "operator hands back at standstill; then activate", 0.0, _HALT),
)  # fmt: skip


def row_of(cause: str) -> Row:
    """The row in which ``cause`` stands; ``KeyError`` for an unknown one."""
    return _BY_CAUSE[cause]


_BY_CAUSE = {cause: row for row in TABLE for cause in row.causes}


def worst(causes: tuple[str, ...]) -> Action:
    """The most severe action of all causes."""
    return max((row_of(cause).action for cause in causes), default=Action.CONTINUE)


def markdown() -> str:
    """The table as ``docs/reference/failsafe.md`` has it."""
    lines = ["| trigger | causes | noticed within | by | action | latched | ends |", "| --- " * 7 + "|"]
    for row in TABLE:
        within = "at once" if row.detect_s is None else f"{row.detect_s:g} s"
        causes = ", ".join(f"`{cause}`" for cause in row.causes)
        action = row.action.name.lower().replace("_", " ")
        lines.append(
            f"| {row.title} | {causes} | {within} | {row.seen_by} | {action} | {row.latch.value} | {row.recover} |"
        )
    lines += ["", "| trigger | " + " | ".join(phase.value for phase in Phase) + " |", "| --- " * 6 + "|"]
    lines += [f"| {row.title} | " + " | ".join(effect.value for effect in row.effects) + " |" for row in TABLE]
    return "\n".join(lines) + "\n"
