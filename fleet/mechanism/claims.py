"""Claims of urgency with something behind them: dispatch tickets and emergency credentials, checked and counted.

Whoever issues a credential signs who, how urgent, from when to when and for how many crossings. Vehicles hold the list
of credentials as they hold the list of keys; on air an intent says the urgency only. A credential is never worth more
than it says, and never more crossings (rule F5): both are noted, granted or refused.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from fleet.charter.model import canonical_json
from fleet.errors import ConfigError
from fleet.mechanism.interface import URGENCY_MAX, Evidence

PASSES_MAX = 1_000
VALID_MS_MAX = 24 * 3_600_000
"""No credential is good for longer than a day: one that is lost or copied ends by itself."""
_DOMAIN = b"ACCORD/urgency-claim/v1\0"
Verify = Callable[[str, bytes, bytes], bool]
"""(issuer, statement, signature) -> whether the signature is that issuer's, and the issuer may issue."""


@dataclass(frozen=True, slots=True)
class Credential:
    """What stands behind claims of one vehicle.

    Raises
    ------
    ConfigError
        A value is out of range.
    """

    evidence: Evidence
    issuer: str
    vehicle: str
    urgency_milli_max: int
    valid_from_ms: int
    valid_until_ms: int
    passes_max: int
    signature: bytes = b""

    def __post_init__(self) -> None:
        if self.evidence is Evidence.NONE:
            raise ConfigError(f"credential of {self.vehicle}: its kind is NONE; give TICKET or EMERGENCY")
        if not 1 <= self.urgency_milli_max <= URGENCY_MAX:
            raise ConfigError(
                f"credential of {self.vehicle}: urgency {self.urgency_milli_max} is not in 1..{URGENCY_MAX}"
            )
        if not 1 <= self.passes_max <= PASSES_MAX:
            raise ConfigError(f"credential of {self.vehicle}: {self.passes_max} passes; allowed are 1..{PASSES_MAX}")
        if not 0 < self.valid_until_ms - self.valid_from_ms <= VALID_MS_MAX:
            span = self.valid_until_ms - self.valid_from_ms
            raise ConfigError(f"credential of {self.vehicle}: valid for {span} ms; allowed are 1..{VALID_MS_MAX}")

    def statement(self) -> bytes:
        """What the issuer signs."""
        return _DOMAIN + canonical_json(
            {
                "evidence": self.evidence.name.lower(), "issuer": self.issuer, "passes_max": self.passes_max,
                "urgency_milli_max": self.urgency_milli_max, "valid_from_ms": self.valid_from_ms,
                "valid_until_ms": self.valid_until_ms, "vehicle": self.vehicle,
            }
        )  # fmt: skip


@dataclass(frozen=True, slots=True)
class Grant:
    """What a claim is worth after checking; ``reason`` says why it is worth less than it says, or is empty."""

    evidence: Evidence
    urgency_milli: int
    reason: str = ""


@dataclass(slots=True)
class ClaimDesk:
    """Checks claims against credentials, and counts crossings.

    Every vehicle has one; they agree because they count the same visits. A visit is (zone, time of arrival).
    """

    verify: Verify
    _held: dict[str, list[Credential]] = field(default_factory=dict)
    _visits: dict[tuple[str, Evidence], list[tuple[str, int]]] = field(default_factory=dict)

    def hold(self, credentials: Iterable[Credential]) -> tuple[str, ...]:
        """Take credentials in; returns why some were refused."""
        refused = []
        for one in credentials:
            if self.verify(one.issuer, one.statement(), one.signature):
                self._held.setdefault(one.vehicle, []).append(one)
            else:
                refused.append(f"bad_signature:{one.vehicle} by {one.issuer}")
        return tuple(refused)

    def grant(self, vehicle: str, urgency_milli: int, visit: tuple[str, int], now_ms: int) -> Grant:
        """The evidence behind ``vehicle`` saying this urgency at this visit; the best credential counts."""
        if urgency_milli <= 0:
            return Grant(Evidence.NONE, 0)
        reason = ""
        for one in sorted(self._held.get(vehicle, ()), key=lambda c: (-c.evidence, -c.urgency_milli_max)):
            if not one.valid_from_ms <= now_ms <= one.valid_until_ms:
                reason = "expired" if now_ms > one.valid_until_ms else "not_yet_valid"
                continue
            visits = self._visits.setdefault((vehicle, one.evidence), [])
            if visit not in visits and len(visits) >= one.passes_max:
                reason = f"passes_used:{one.passes_max}"
                continue
            if visit not in visits:
                visits.append(visit)
            granted = min(urgency_milli, one.urgency_milli_max)
            return Grant(one.evidence, granted, f"capped:{granted}" if granted < urgency_milli else "")
        return Grant(Evidence.NONE, urgency_milli, reason or "no_credential")
