"""Parts of a charter: who may sign it, what is kept of commitments and norms, who watches, and within which limits.

All numbers are integers with their unit in the name, so that the canonical bytes are the same everywhere.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

from fleet.errors import CharterError

OPERATOR, SAFETY_REVIEWER = "operator", "safety_reviewer"
ROLES = (OPERATOR, SAFETY_REVIEWER)
CONSEQUENCES = ("stake", "lower_class", "operator_review")
"""What may follow a breach, mildest first. Never anything physical."""
NORM_STATES = ("adopted", "tolerated", "forbidden")
TRIGGERS = ("incomparable", "tied", "contested", "breach", "near_miss", "charter_mismatch", "audit")
"""What may call a person."""
SIGNATORIES_MAX, NORMS_MAX, NAME_MAX = 64, 64, 64
_HEX = frozenset("0123456789abcdef")


@dataclass(frozen=True, slots=True)
class Signatory:
    """Somebody with a say: ``public_key`` is 64 hexadecimal digits."""

    name: str
    role: str
    public_key: str

    def __post_init__(self) -> None:
        text("signatory name", self.name)
        one_of(f"role of signatory {self.name}", self.role, ROLES)
        hexadecimal(f"public_key of signatory {self.name}", self.public_key)

    def document(self) -> dict[str, object]:
        return {"name": self.name, "public_key": self.public_key, "role": self.role}


@dataclass(frozen=True, slots=True)
class CommitmentTerms:
    """How long before a zone a commitment is given, what is staked on it, and what follows a breach, in order."""

    notice_ms: int = 0
    stake_points: int = 0
    ladder: tuple[str, ...] = CONSEQUENCES

    def __post_init__(self) -> None:
        within("commitments.notice_ms", self.notice_ms, 0, 60_000)
        within("commitments.stake_points", self.stake_points, 0, 1_000_000)
        if not self.ladder:
            raise CharterError("charter commitments.ladder is empty; a breach needs a consequence")
        for step in self.ladder:
            one_of("commitments.ladder", step, CONSEQUENCES)
        if list(self.ladder) != sorted(set(self.ladder), key=CONSEQUENCES.index):
            raise CharterError(f"charter commitments.ladder must go from mild to severe: {', '.join(CONSEQUENCES)}")

    def document(self) -> dict[str, object]:
        return {"ladder": list(self.ladder), "notice_ms": self.notice_ms, "stake_points": self.stake_points}


@dataclass(frozen=True, slots=True)
class Norm:
    """A convention; ``expires_s`` in unix seconds, 0: never."""

    name: str
    status: str
    owner: str
    expires_s: int

    def __post_init__(self) -> None:
        text("norm name", self.name)
        text(f"owner of norm {self.name}", self.owner)
        one_of(f"status of norm {self.name}", self.status, NORM_STATES)
        within(f"expires_s of norm {self.name}", self.expires_s, 0, 2**40)

    def document(self) -> dict[str, object]:
        return {"expires_s": self.expires_s, "name": self.name, "owner": self.owner, "status": self.status}


@dataclass(frozen=True, slots=True)
class Oversight:
    """When people are asked. Beyond ``queue_max`` open cases autonomy is tightened; cases are never dropped."""

    triggers: tuple[str, ...] = ("breach", "charter_mismatch", "contested", "near_miss", "tied")
    audit_ppm: int = 10_000
    """Decisions sampled at random, in parts per million."""
    queue_max: int = 20

    def __post_init__(self) -> None:
        for trigger in self.triggers:
            one_of("oversight.triggers", trigger, TRIGGERS)
        if "breach" not in self.triggers or "charter_mismatch" not in self.triggers:
            raise CharterError(
                "charter oversight.triggers must hold breach and charter_mismatch: people are told of them"
            )
        within("oversight.audit_ppm", self.audit_ppm, 0, 1_000_000)
        within("oversight.queue_max", self.queue_max, 1, 10_000)

    def document(self) -> dict[str, object]:
        return {"audit_ppm": self.audit_ppm, "queue_max": self.queue_max, "triggers": sorted(set(self.triggers))}


MONITORS: Mapping[str, tuple[int, int, int]] = MappingProxyType(
    {
        # threshold -> (default, least, most)
        "gridlock_ms": (2_000, 500, 60_000),
        "livelock_ms": (2_000, 500, 60_000),
        "jain_milli_min": (700, 0, 1_000),
        "gini_milli_max": (500, 0, 1_000),
        "price_of_anarchy_milli_max": (1_300, 1_000, 100_000),
        "monoculture_milli_max": (1_000, 0, 1_000),
        "silence_ms": (2_000, 500, 60_000),
    }
)


@dataclass(frozen=True, slots=True)
class Monitors:
    """Thresholds of the group's monitors; all that are not given have their defaults."""

    thresholds: Mapping[str, int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for name, value in self.thresholds.items():
            one_of("monitors", name, tuple(MONITORS))
            _, low, high = MONITORS[name]
            within(f"monitors.{name}", value, low, high)
        full = {name: self.thresholds.get(name, row[0]) for name, row in MONITORS.items()}
        object.__setattr__(self, "thresholds", MappingProxyType(full))

    def document(self) -> dict[str, object]:
        return dict(self.thresholds)


def text(what: str, value: str) -> None:
    """Refuse a name that is empty, long or holds what does not print."""
    if not 1 <= len(value) <= NAME_MAX or not value.isprintable():
        raise CharterError(f"charter {what} {value!r} must be 1 to {NAME_MAX} printable characters")


def one_of(what: str, value: str, known: tuple[str, ...]) -> None:
    """Refuse an unknown name."""
    if value not in known:
        raise CharterError(f"charter {what} {value!r} is unknown; known: {', '.join(known)}")


def within(what: str, value: int, low: int, high: int) -> None:
    """Refuse a number outside its range."""
    if isinstance(value, bool) or not low <= value <= high:
        raise CharterError(f"charter {what} {value} is outside {low}..{high}")


def hexadecimal(what: str, value: str) -> None:
    """Refuse what is not 32 bytes in lower-case hexadecimal."""
    if len(value) != 64 or set(value) - _HEX:
        raise CharterError(f"charter {what} {value!r} is not 64 lower-case hexadecimal digits")
