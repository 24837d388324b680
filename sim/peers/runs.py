"""Runs of one protocol of the comparison over one channel, and what they add up to.

The task: ``n`` vehicles want one place for a second each, at once. A decision is a vehicle's first certain
knowledge of its turn. Before that all protocols have three seconds: Accord's vehicles to hear each other, the
others have their members and leader given. The checker counts pairs of honest vehicles that have the right to
the place at one time.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from fleet.protocol.limits import GOSSIP_MS
from sim.peers.accord import AccordNode, LyingMember, shared_codec
from sim.peers.channel import Channel, Medium, Peer, unsafe
from sim.peers.pbft import LyingPrimary, PbftNode
from sim.peers.raft import LyingLeader, RaftNode
from sim.peers.reservation import SERVER, Client, LyingServer, Server

WARM_MS = 3_000
LIMIT_MS = 15_000
TAIL_MS = 12 * GOSSIP_MS
"""Runs go on for so long after the last decision, so that it can be seen how far its signatures come."""
NEVER = 10**9


def _accord(names: Sequence[str], seed: int, lie: bool) -> list[Peer]:
    codec = shared_codec()
    return [LyingMember(n, names) if lie and n == names[0] else AccordNode(n, names, seed, codec) for n in names]


def _pbft(names: Sequence[str], seed: int, lie: bool) -> list[Peer]:
    return [(LyingPrimary if lie and n == names[0] else PbftNode)(n, names, seed) for n in names]


def _raft(names: Sequence[str], seed: int, lie: bool) -> list[Peer]:
    return [(LyingLeader if lie and n == names[0] else RaftNode)(n, names, seed) for n in names]


def _reservation(names: Sequence[str], seed: int, lie: bool) -> list[Peer]:
    return [LyingServer() if lie else Server(), *(Client(name) for name in names)]


PROTOCOLS: dict[str, Callable[[Sequence[str], int, bool], list[Peer]]] = {
    "Accord": _accord,
    "PBFT-like, 2f+1 of 3f+1": _pbft,
    "Raft-like, leader": _raft,
    "reservation server": _reservation,
}


@dataclass(slots=True)
class Tally:
    """Of some runs of one case."""

    latencies_ms: list[int] = field(default_factory=list)
    unfinished: int = 0
    unsafe: int = 0
    messages: int = 0
    bytes: int = 0
    vehicles: int = 0
    early: int = 0
    """Decisions while the fleet was split."""
    failures: list[int] = field(default_factory=list)
    """Of each run of Accord: most proposals in a row that nobody committed to."""
    rounds: list[int] = field(default_factory=list)
    """Of each member of a proposal that was decided: rounds of gossip from the first who knew all signatures."""

    def percentile_ms(self, share: float) -> int:
        """Vehicles without a decision count as slower than all others: :data:`NEVER`."""
        ordered = sorted(self.latencies_ms)
        at = min(self.vehicles - 1, int(share * self.vehicles))
        return ordered[at] if at < len(ordered) else NEVER


def percentile(values: Sequence[int], share: float) -> int:
    """The value that ``share`` of all do not exceed, by the same rule; 0 of none."""
    return sorted(values)[min(len(values) - 1, int(share * len(values)))] if values else 0


def run_case(
    protocol: str, count: int, medium: Medium, seeds: Sequence[int], *, lie: bool = False, warm_ms: int = WARM_MS
) -> Tally:
    """Runs of one protocol: all ask at one moment, unannounced.

    With ``lie`` its leader (or any one member of Accord) equivocates.
    """
    tally = Tally()
    names = [f"v{index:02}" for index in range(count)]
    for seed in seeds:
        channel = Channel(PROTOCOLS[protocol](names, seed, lie), medium, seed)
        channel.run(warm_ms)
        channel.ask()
        _finish(tally, channel, count - (lie and protocol != "reservation server"))
    return tally


def run_accord(count: int, medium: Medium, seeds: Sequence[int]) -> Tally:
    """Runs of Accord as a vehicle's node drives it: it wants a turn from when it engages, and listens first.

    The clock starts when it may sign. Here it listens for three seconds, so that the figure is that of the
    agreement and not of the meeting.
    """
    tally = Tally()
    names = [f"v{index:02}" for index in range(count)]
    for seed in seeds:
        codec = shared_codec()
        nodes = [AccordNode(name, names, seed, codec, listen_ms=WARM_MS) for name in names]
        channel = Channel(nodes, medium, seed)
        for node in nodes:
            node.want(channel.now_ms)
        channel.run(WARM_MS)
        channel.ask()
        _finish(tally, channel, count)
        channel.run(TAIL_MS)
        certified, failed = _told(nodes)
        tally.rounds += certified
        tally.failures.append(failed)
    return tally


def _finish(tally: Tally, channel: Channel, honest: int) -> None:
    channel.run(LIMIT_MS, until_done=True)
    uses = [use for use in channel.uses() if use.vehicle != SERVER]
    tally.latencies_ms += [max(0, use.known_ms - channel.asked_ms) for use in uses]
    tally.vehicles += honest
    tally.unfinished += honest - len(uses)
    tally.unsafe += unsafe(uses)
    tally.messages += channel.messages
    tally.bytes += channel.bytes
    tally.early += sum(use.known_ms < channel.asked_ms + channel.medium.split_ms[1] for use in uses)


def _told(nodes: Sequence[AccordNode]) -> tuple[list[int], int]:
    """Rounds of gossip to each member of each decided proposal, and the longest row of failed proposals."""
    members: dict[str, list[str]] = {}
    known: dict[str, dict[str, int]] = {}
    begun: dict[str, int] = {}
    committed: set[str] = set()
    for node in nodes:
        for at_ms, (kind, detail) in node.notes:
            name = str(detail.get("proposal"))
            if kind == "proposal":
                begun[name], members[name] = at_ms, list(detail["members"])  # type: ignore[call-overload]
            elif kind == "certificate":
                known.setdefault(name, {})[node.name] = at_ms
            elif kind == "commit":
                committed.add(name)
    rounds = []
    for name, at in sorted(known.items()):
        first = min(at.values())
        rounds += [-(-(at[one] - first) // GOSSIP_MS) if one in at else NEVER for one in members[name]]
    worst = row = 0
    for name in sorted(begun, key=lambda one: (begun[one], one)):
        row = 0 if name in committed else row + 1
        worst = max(worst, row)
    return rounds, worst


def halves(count: int, split_ms: int) -> Medium:
    """The first half of the vehicles (and the server) do not hear the second for a while."""
    names = [f"v{index:02}" for index in range(count)]
    first, second = frozenset((*names[: count // 2], SERVER)), frozenset(names[count // 2 :])
    return Medium(split_ms=(0, split_ms), halves=(first, second))
