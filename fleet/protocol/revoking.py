"""A key is out: from now on its holder is a body and not a voice (property X6).

At once, at the call: its messages are not heard, its intents are forgotten (so that its body, if it has
one, is a silent one to the sensors), proposals that need its signature are closed and new ones refused.
The tubes it holds stay obstacles until they die: revoking a key moves no vehicle.

Never backwards past the point of no return: what was agreed with it stands where somebody can no longer
stop. Before that point a commitment that rests on its signature is given back.
"""

from __future__ import annotations

from fleet.protocol.situation import Situation
from fleet.protocol.voting import Voting


def revoke(at: Situation, voting: Voting, vehicle: str, now_ms: int) -> None:
    """Silence ``vehicle``; the own id stops this vehicle's own signing."""
    if vehicle in at.revoked:
        return
    at.revoked.add(vehicle)
    at.outbox.note("revoked", vehicle=vehicle)
    at.peers.forget(vehicle)
    for ballot in list(at.ballots.values()):
        if vehicle in ballot.position:
            voting.close(ballot, f"revoked:{vehicle}", now_ms)
    held = at.commitment
    beyond = at.local is not None and at.local.pnr_passed
    if held is not None and vehicle in held.members and not beyond:
        voting.end_commitment(f"released:revoked:{vehicle}", now_ms)
