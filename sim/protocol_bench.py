"""Decision latency and safety of Accord beside leader-based protocols, on the same simulated channel.

The task: ``n`` vehicles want one place for a second each, at once. All protocols have half a second before
that: Accord's vehicles to hear each other, the others have their members and leader given. A decision is a
vehicle's first certain knowledge of its turn. Ticks of 25 ms, 20 ms one way. The checker counts pairs of
honest vehicles that have the right to the place at one time.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from fleet.protocol.records import Tuning
from sim.peers.accord import AccordNode, LyingMember, shared_codec
from sim.peers.channel import Channel, Medium, Peer, unsafe
from sim.peers.pbft import LyingPrimary, PbftNode
from sim.peers.raft import LyingLeader, RaftNode
from sim.peers.reservation import SERVER, Client, LyingServer, Server

WARM_MS = 500
LIMIT_MS = 15_000
Say = Callable[[str], None]


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

    def percentile_ms(self, share: float) -> str:
        """Vehicles without a decision count as slower than all others."""
        ordered = sorted(self.latencies_ms)
        at = min(self.vehicles - 1, int(share * self.vehicles))
        return f"{ordered[at]}" if at < len(ordered) else f">{LIMIT_MS}"


def run_case(
    protocol: str, count: int, medium: Medium, seeds: Sequence[int], *, lie: bool = False, warm_ms: int = WARM_MS
) -> Tally:
    """Runs of one protocol under one channel; with ``lie``, its leader (or any one member of Accord) equivocates.

    Without ``warm_ms`` all arrive and ask at once, and the time in which Accord only listens does not count.
    """
    tally = Tally()
    names = [f"v{index:02}" for index in range(count)]
    for seed in seeds:
        channel = Channel(PROTOCOLS[protocol](names, seed, lie), medium, seed)
        channel.run(warm_ms)
        channel.ask()
        channel.run(LIMIT_MS, until_done=True)
        uses = [use for use in channel.uses() if use.vehicle != SERVER]
        since_ms = channel.asked_ms + (0 if warm_ms else Tuning().listen_ms)
        tally.latencies_ms += [max(0, use.known_ms - since_ms) for use in uses]
        honest = count - (lie and protocol != "reservation server")
        tally.vehicles += honest
        tally.unfinished += honest - len(uses)
        tally.unsafe += unsafe(uses)
        tally.messages += channel.messages
        tally.bytes += channel.bytes
        tally.early += sum(use.known_ms < channel.asked_ms + medium.split_ms[1] for use in uses)
    return tally


def halves(count: int, split_ms: int) -> Medium:
    """The first half of the vehicles (and the server) do not hear the second for a while."""
    names = [f"v{index:02}" for index in range(count)]
    first, second = frozenset((*names[: count // 2], SERVER)), frozenset(names[count // 2 :])
    return Medium(split_ms=(0, split_ms), halves=(first, second))


def comparison(runs: int, say: Say) -> str:
    """Eight vehicles: every protocol on a good channel, under loss, split in halves, and with a liar that leads."""
    media = {
        "no loss": Medium(),
        "30 %, bursts of 5": Medium(loss=0.3, burst=5.0),
        "50 %, bursts of 5": Medium(loss=0.5, burst=5.0),
    }
    lines = [
        "| protocol | channel | p50, ms | p99 | p99.9 | undecided | datagrams a vehicle | kB a vehicle | unsafe |",
        "| --- | --- | --- | --- | --- | --- | --- | --- | --- |",
    ]
    for protocol in PROTOCOLS:
        for name, medium in media.items():
            one = run_case(protocol, 8, medium, range(runs))
            shares = " | ".join(one.percentile_ms(share) for share in (0.5, 0.99, 0.999))
            cost = f"{one.messages / one.vehicles:.1f} | {one.bytes / one.vehicles / 1e3:.1f}"
            lines.append(
                f"| {protocol} | {name} | {shares} | {one.unfinished}/{one.vehicles} | {cost} | {one.unsafe} |"
            )
            say(lines[-1])
    return "\n".join(lines)


def faults(runs: int, say: Say) -> str:
    """Two halves for five seconds, and one equivocating liar where it hurts most."""
    lines = [
        "| protocol | two halves of 4 for 5 s: decided meanwhile, unsafe | liar among 8: decided, unsafe pairs"
        " | liar among 3: decided, unsafe pairs |",
        "| --- | --- | --- | --- |",
    ]
    for protocol in PROTOCOLS:
        split = run_case(protocol, 8, halves(8, 5_000), range(runs))
        cells = [f"{split.early}/{split.vehicles}, {split.unsafe}"]
        for count in (8, 3):
            lied = run_case(protocol, count, Medium(), range(runs), lie=True)
            cells.append(f"{len(lied.latencies_ms)}/{lied.vehicles}, {lied.unsafe}")
        lines.append(f"| {protocol} | {' | '.join(cells)} |")
        say(lines[-1])
    return "\n".join(lines)


def latency(runs: int, say: Say) -> str:
    """L1: from when signing is allowed to each vehicle's own commitment, by number of vehicles and loss.

    ``runs`` vehicles a row.
    """
    lines = ["| vehicles | loss | bursts | p50, ms | p99 | p99.9 | undecided after 15 s |", "| " + "--- | " * 7]
    for count in (2, 4, 8, 16):
        for loss in (0.0, 0.1, 0.3, 0.5, 0.9):
            for burst in (1.0, 5.0) if loss else (1.0,):
                one = run_case("Accord", count, Medium(loss=loss, burst=burst), range(max(1, runs // count)), warm_ms=0)
                shares = " | ".join(one.percentile_ms(share) for share in (0.5, 0.99, 0.999))
                kind = "of 5" if burst > 1.0 else "-"
                lines.append(f"| {count} | {100 * loss:.0f} % | {kind} | {shares} | {one.unfinished}/{one.vehicles} |")
                say(lines[-1])
    return "\n".join(lines)
