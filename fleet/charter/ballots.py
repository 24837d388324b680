"""Signed ballots, and their tally: one key, one voice; what does not count is refused with its reason.

A ballot names the poll (the charter's text without what is voted), so it cannot be used for another text, and is
signed in a domain of its own, so that no other signature of the key can be shown as a ballot.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

from fleet.charter.canonical import digest_of, statement
from fleet.charter.model import STARVATION_S_MAX, TIME_S_MAX, Charter, check_weights
from fleet.charter.rulebook import SOFT_RULES
from fleet.charter.terms import OPERATOR, SAFETY_REVIEWER, hexadecimal, within
from fleet.charter.voting import amendment_passes, median, voted_weights
from fleet.errors import CharterError

DOMAIN = "ACCORD/ballot/v1"
Verify = Callable[[bytes, bytes, bytes], bool]
"""(public key, data, signature) -> whether the signature is that key's on these data; the port to cryptography."""


@dataclass(frozen=True, slots=True)
class Ballot:
    """One voice. ``signature``: 128 hexadecimal digits, empty while it is not signed.

    ``approve``: for the text as it is; an operator's counts to the two thirds, a safety reviewer's no is a veto.
    ``weights_milli`` and ``starvation_bound_s`` of safety reviewers do not count.
    """

    poll: str
    voter: str
    approve: bool
    weights_milli: Mapping[str, int]
    starvation_bound_s: int
    stamp_s: int
    signature: str = ""

    def document(self) -> dict[str, object]:
        """What is signed."""
        return {
            "approve": self.approve,
            "poll": self.poll,
            "stamp_s": self.stamp_s,
            "starvation_bound_s": self.starvation_bound_s,
            "voter": self.voter,
            "weights_milli": dict(self.weights_milli),
        }

    def statement(self) -> bytes:
        """The bytes under the signature."""
        return statement(DOMAIN, self.document())

    def digest(self) -> str:
        """Names the ballot with its signature."""
        return digest_of(DOMAIN, {**self.document(), "signature": self.signature}).hex()


@dataclass(frozen=True, slots=True)
class Refused:
    """A ballot that does not count."""

    voter: str
    reason: str


@dataclass(frozen=True, slots=True)
class Tally:
    """The outcome of a poll. ``digest`` names it and every ballot that it counts."""

    poll: str
    weights_milli: Mapping[str, int]
    starvation_bound_s: int
    yes: int
    entitled: int
    vetoes: tuple[str, ...]
    counted: tuple[str, ...]
    """Digests of the ballots, sorted."""
    outcome: str
    """Empty if the text passes, else why not."""

    def document(self) -> dict[str, object]:
        return {
            "counted": list(self.counted),
            "entitled": self.entitled,
            "outcome": self.outcome,
            "poll": self.poll,
            "starvation_bound_s": self.starvation_bound_s,
            "vetoes": list(self.vetoes),
            "weights_milli": dict(self.weights_milli),
            "yes": self.yes,
        }

    def digest(self) -> str:
        return digest_of("ACCORD/tally/v1", self.document()).hex()


def ballot_fault(charter: Charter, ballot: Ballot, verify: Verify, electorate: Charter) -> str:
    """Empty, or why this ballot does not count, looked at alone; ``electorate`` as for :func:`tally`."""
    voters = {one.public_key: one for one in electorate.signatories}
    if ballot.poll != charter.poll_id().hex():
        return f"is for another text (poll {ballot.poll[:16]}, this is {charter.poll_id().hex()[:16]})"
    if ballot.voter not in voters:
        return f"key {ballot.voter[:16]} is no signatory's"
    try:
        hexadecimal("ballot voter", ballot.voter)
        check_weights(ballot.weights_milli)
        within("starvation_bound_s", ballot.starvation_bound_s, 1, STARVATION_S_MAX)
        within("stamp_s", ballot.stamp_s, 0, TIME_S_MAX)
        signature = bytes.fromhex(ballot.signature)
    except (CharterError, ValueError) as error:
        return str(error)
    if not verify(bytes.fromhex(ballot.voter), ballot.statement(), signature):
        return "forged: the signature is not this key's"
    if charter.poll_closes_s and ballot.stamp_s > charter.poll_closes_s:
        return f"late: cast at {ballot.stamp_s}, the poll closed at {charter.poll_closes_s}"
    return ""


def tally(
    charter: Charter, ballots: Sequence[Ballot], verify: Verify, electorate: Charter
) -> tuple[Tally, list[Refused]]:
    """Count what counts.

    ``electorate`` is the parent that is amended: its signatories decide, by its voting rule, so that nobody is voted
    out by a text that leaves him out. A first charter is its own.

    Two different ballots of one key cancel neither: the earlier (by stamp, then by digest) counts, the other is
    refused. Where no operator's ballot counts, the weights stay as the draft has them.
    """
    names = {one.public_key: one.name for one in electorate.signatories}
    refused, counted = [], {}
    for ballot in sorted(ballots, key=lambda ballot: (ballot.stamp_s, ballot.digest())):
        name = names.get(ballot.voter, ballot.voter[:16])
        fault = ballot_fault(charter, ballot, verify, electorate)
        if not fault and ballot.voter in counted:
            fault = "double: this key has voted already"
        if fault:
            refused.append(Refused(name, fault))
        else:
            counted[ballot.voter] = ballot
    operators = electorate.people(OPERATOR)
    cast = [counted[one.public_key] for one in operators if one.public_key in counted]
    weights, bound = dict(charter.weights_milli), charter.starvation_bound_s
    if cast:
        weights = voted_weights(electorate.voting_rule, SOFT_RULES, [ballot.weights_milli for ballot in cast])
        bound = median([ballot.starvation_bound_s for ballot in cast])
    reviewers = [one for one in electorate.people(SAFETY_REVIEWER) if one.public_key in counted]
    vetoes = tuple(sorted(one.name for one in reviewers if not counted[one.public_key].approve))
    yes = sum(ballot.approve for ballot in cast)
    outcome = amendment_passes(yes, len(operators), vetoes)
    digests = tuple(sorted(ballot.digest() for ballot in counted.values()))
    poll = charter.poll_id().hex()
    return Tally(poll, weights, bound, yes, len(operators), vetoes, digests, outcome), refused


def with_tally(charter: Charter, result: Tally) -> Charter:
    """The charter with what was voted."""
    return replace(charter, weights_milli=result.weights_milli, starvation_bound_s=result.starvation_bound_s)
