"""What a monitor may say, and the only four things that may follow."""

from __future__ import annotations

from dataclasses import dataclass

from fleet.errors import invariant

RAISE_HEADWAY, FIRST_COME, QUARANTINE_KEY, CALL_PERSON = "raise_headway", "first_come", "quarantine_key", "call_person"
RESPONSES = (RAISE_HEADWAY, FIRST_COME, QUARANTINE_KEY, CALL_PERSON)
"""More room; the plainest order; without a key that provably lied; a person. Never anything physical."""


@dataclass(frozen=True, slots=True)
class Finding:
    """One harm to the group, with the witness that anybody can check.

    Attributes
    ----------
    kind : str
        Such as gridlock; see ``docs/reference/group-monitors.md``.
    who : tuple of str
        The vehicles (or the group) that it is found in, sorted.
    since_ms : int
        When it began, as far as the snapshots say.
    figure, threshold : int
        What was measured and what the charter allows, both in ``unit``.
    response : str
        One of ``RESPONSES``.
    text : str
        One sentence for people.
    evidence : str
        Digest of a proof, where the finding rests on one.
    """

    kind: str
    who: tuple[str, ...]
    since_ms: int
    figure: int
    threshold: int
    unit: str
    response: str
    text: str
    evidence: str = ""

    def __post_init__(self) -> None:
        invariant(self.response in RESPONSES, f"{self.response!r} is no response of a monitor")

    @property
    def key(self) -> tuple[str, tuple[str, ...]]:
        """The same harm in the same vehicles has the same key."""
        return self.kind, self.who

    def detail(self) -> dict[str, object]:
        """For the decision log."""
        shown: dict[str, object] = {
            "finding": self.kind, "who": list(self.who), "since_ms": self.since_ms, "figure": self.figure,
            "threshold": self.threshold, "unit": self.unit, "response": self.response, "text": self.text,
        }  # fmt: skip
        return {**shown, "evidence": self.evidence} if self.evidence else shown
