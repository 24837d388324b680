"""A charter as a value with canonical bytes, so that every vehicle and every auditor hashes the same.

The canonical form is RFC 8785 (``fleet/charter/canonical.py``) with integers only. The id covers everything that the
fleet agrees to; the signatures under it do not belong to it (``fleet/charter/ratification.py``).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

from fleet.charter.canonical import canonical_json, digest_of
from fleet.charter.rulebook import SOFT_RULES, Compiled, Rulebook, compiled, default_rulebook
from fleet.charter.terms import (
    NORMS_MAX,
    OPERATOR,
    SAFETY_REVIEWER,
    SIGNATORIES_MAX,
    CommitmentTerms,
    Monitors,
    Norm,
    Oversight,
    Signatory,
    hexadecimal,
    one_of,
    text,
    within,
)
from fleet.errors import CharterError

CHARTER_VERSION = 2
MECHANISMS = ("first_come", "emergency_only", "karma", "vcg", "lottery", "max_pressure")
FALLBACK = "first_come"
"""What goes on when a mechanism gives no answer in time; it needs nothing but the intents."""
VOTING_RULES = ("utilitarian", "independent_markets")
WELFARE_RULES = ("least_cost",)
"""Minus the sum of the vehicles' costs, see ``planners/welfare.py``."""
CANDIDATES = ("own", "first_come", "welfare")
"""Joint plans that a proposer compares by the rulebook: of the fleet's own planner, and of others by name."""
WEIGHT_SUM_MILLI = 1000
STARVATION_S_MAX = 3600
PARAMETERS_MAX = 32
TIME_S_MAX = 2**40


@dataclass(frozen=True, slots=True)
class Charter:
    """What the fleet agreed to want.

    Attributes
    ----------
    version : int
        Of this record's form, not of the text.
    name : str
        1 to 64 printable characters.
    mechanism : str
        Who proposes, and in which order vehicles go; one of ``MECHANISMS``.
    weights_milli : mapping of str to int
        Voted weights of the soft tier, the terms of the welfare; thousandths that add up to 1000.
    starvation_bound_s : int
        Voted. A vehicle that has waited longer may refuse to let later arrivals go first. 1 to 3600.
    parent : str
        Id (64 hexadecimal digits) of the charter that this one amends; empty for a first one.
    not_before_s, not_after_s : int
        Unix seconds between which it may be rolled out; ``not_after_s`` 0: no end.
    poll_closes_s : int
        Unix seconds; ballots that come later do not count. 0: no end.
    signatories : tuple of Signatory
        Operators vote and sign; safety reviewers may veto, and one of them has to sign.
    signatures_min : int
        So many signatures make a charter valid; 0 where nobody is named (the built-in charter only).
    rulebook : Rulebook
    welfare_rule, voting_rule : str
        Of the soft tier, and by which its weights are voted.
    candidates : tuple of str
        Joint plans among which the rulebook chooses; one: nothing to choose.
    mechanism_parameters : mapping of str to int
    fallback : str
        Always ``first_come``.
    """

    version: int
    name: str
    mechanism: str
    weights_milli: Mapping[str, int]
    starvation_bound_s: int
    parent: str = ""
    not_before_s: int = 0
    not_after_s: int = 0
    poll_closes_s: int = 0
    signatories: tuple[Signatory, ...] = ()
    signatures_min: int = 0
    rulebook: Rulebook = field(default_factory=default_rulebook)
    welfare_rule: str = WELFARE_RULES[0]
    voting_rule: str = VOTING_RULES[0]
    candidates: tuple[str, ...] = ("own",)
    mechanism_parameters: Mapping[str, int] = field(default_factory=dict)
    fallback: str = FALLBACK
    commitments: CommitmentTerms = field(default_factory=CommitmentTerms)
    norms: tuple[Norm, ...] = ()
    oversight: Oversight = field(default_factory=Oversight)
    monitors: Monitors = field(default_factory=Monitors)

    def __post_init__(self) -> None:
        if self.version != CHARTER_VERSION:
            raise CharterError(f"charter version {self.version}: this program knows {CHARTER_VERSION}")
        text("name", self.name)
        one_of("mechanism", self.mechanism, MECHANISMS)
        one_of("welfare_rule", self.welfare_rule, WELFARE_RULES)
        one_of("voting_rule", self.voting_rule, VOTING_RULES)
        if self.fallback != FALLBACK:
            raise CharterError(
                f"charter fallback {self.fallback!r} must be {FALLBACK}: it needs nothing but the intents"
            )
        within("starvation_bound_s", self.starvation_bound_s, 1, STARVATION_S_MAX)
        check_weights(self.weights_milli)
        if self.parent:
            hexadecimal("parent", self.parent)
        self._check_times()
        self._check_people()
        self._check_lists()
        object.__setattr__(self, "weights_milli", MappingProxyType(dict(self.weights_milli)))
        object.__setattr__(self, "mechanism_parameters", MappingProxyType(dict(self.mechanism_parameters)))
        canonical_json(self.document())

    def _check_times(self) -> None:
        for name in ("not_before_s", "not_after_s", "poll_closes_s"):
            within(name, getattr(self, name), 0, TIME_S_MAX)
        if self.not_after_s and self.not_after_s <= self.not_before_s:
            raise CharterError(f"charter not_after_s {self.not_after_s} is not after not_before_s {self.not_before_s}")

    def _check_people(self) -> None:
        if len(self.signatories) > SIGNATORIES_MAX:
            raise CharterError(f"charter has {len(self.signatories)} signatories; the limit is {SIGNATORIES_MAX}")
        for what in ("name", "public_key"):
            values = [getattr(one, what) for one in self.signatories]
            double = next((value for value in values if values.count(value) > 1), None)
            if double is not None:
                raise CharterError(f"charter signatories: {what} {double!r} stands there twice; one key is one voice")
        least = 1 if self.signatories else 0
        within("signatures_min", self.signatures_min, least, len(self.signatories))

    def _check_lists(self) -> None:
        if not self.candidates:
            raise CharterError(f"charter candidates is empty; allowed are {', '.join(CANDIDATES)}")
        for name in self.candidates:
            one_of("candidates", name, CANDIDATES)
        if len(set(self.candidates)) < len(self.candidates) or self.candidates[0] != "own":
            raise CharterError(
                f"charter candidates {', '.join(self.candidates)} must begin with own and name each once"
            )
        if len(self.mechanism_parameters) > PARAMETERS_MAX:
            raise CharterError(
                f"charter mechanism_parameters has {len(self.mechanism_parameters)} entries;"
                f" the limit is {PARAMETERS_MAX}"
            )
        names = [norm.name for norm in self.norms]
        if len(names) > NORMS_MAX or len(set(names)) < len(names):
            raise CharterError(f"charter norms must be at most {NORMS_MAX} of different names; there are {len(names)}")

    def document(self) -> dict[str, object]:
        """As canonical JSON holds it; :func:`fleet.charter.document.charter_of` reads it back."""
        return {
            "candidates": list(self.candidates),
            "commitments": self.commitments.document(),
            "fallback": self.fallback,
            "mechanism": self.mechanism,
            "mechanism_parameters": dict(self.mechanism_parameters),
            "monitors": self.monitors.document(),
            "name": self.name,
            "norms": [norm.document() for norm in self.norms],
            "not_after_s": self.not_after_s,
            "not_before_s": self.not_before_s,
            "oversight": self.oversight.document(),
            "parent": self.parent,
            "poll_closes_s": self.poll_closes_s,
            "rulebook": self.rulebook.document(),
            "signatories": [one.document() for one in self.signatories],
            "signatures_min": self.signatures_min,
            "starvation_bound_s": self.starvation_bound_s,
            "version": self.version,
            "voting_rule": self.voting_rule,
            "weights_milli": dict(self.weights_milli),
            "welfare_rule": self.welfare_rule,
        }

    def canonical(self) -> bytes:
        """The bytes that are hashed."""
        return canonical_json(self.document())

    def charter_id(self) -> bytes:
        """32 bytes that name this charter in every intent and proposal."""
        return digest_of("ACCORD/charter/v2", self.document())

    def poll_id(self) -> bytes:
        """32 bytes that ballots name: the charter without what they decide, so the same before and after the tally."""
        voted = {"starvation_bound_s", "weights_milli"}
        return digest_of("ACCORD/poll/v1", {key: item for key, item in self.document().items() if key not in voted})

    def compiled(self) -> Compiled:
        """The rulebook as flat arrays, with the voted weights; made once, never in the control loop."""
        return compiled(self.rulebook, self.weights_milli)

    def people(self, role: str) -> tuple[Signatory, ...]:
        """The signatories of one role."""
        return tuple(one for one in self.signatories if one.role == role)

    def valid_at(self, now_s: int) -> str:
        """Empty, or why it may not be rolled out at this time."""
        if now_s < self.not_before_s:
            return f"not valid before {self.not_before_s} (it is {now_s})"
        if self.not_after_s and now_s >= self.not_after_s:
            return f"expired at {self.not_after_s} (it is {now_s})"
        return ""


def check_weights(weights_milli: Mapping[str, int]) -> None:
    """Refuse weights off the simplex.

    Raises
    ------
    CharterError
        An unknown value, a negative weight, or a sum other than 1000 thousandths.
    """
    for name, weight in sorted(weights_milli.items()):
        one_of("weight", name, SOFT_RULES)
        within(f"weight {name}", weight, 0, WEIGHT_SUM_MILLI)
    total = sum(weights_milli.values())
    if total != WEIGHT_SUM_MILLI:
        raise CharterError(f"charter weights add up to {total} thousandths; they must add up to {WEIGHT_SUM_MILLI}")


def default_charter() -> Charter:
    """First come, first served, by least total delay; nobody is overtaken after waiting a minute."""
    return Charter(
        version=CHARTER_VERSION,
        name="default",
        mechanism="first_come",
        weights_milli={"delay": 1000, "energy": 0, "fairness": 0, "stops": 0, "urgency": 0},
        starvation_bound_s=60,
    )


__all__ = [
    "CANDIDATES",
    "CHARTER_VERSION",
    "MECHANISMS",
    "OPERATOR",
    "SAFETY_REVIEWER",
    "Charter",
    "canonical_json",
    "check_weights",
    "default_charter",
]
