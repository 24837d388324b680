"""``fleet bench protocol``: decisions by loss (L1, L8, gossip), beside leader-based protocols, and under faults."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from sim.bench_table import Row, Section
from sim.delay_bench import delays
from sim.peers.channel import Medium
from sim.peers.runs import LIMIT_MS, NEVER, PROTOCOLS, Tally, halves, percentile, run_accord, run_case
from sim.scale_bench import scale

LIMITS_MS = {(2, 0.5, 5.0): 2_000, (8, 0.5, 5.0): 1_000}
"""L1: p99.9 of these rows; and without loss p99 of every row is 150 ms and two one-way times."""
NO_LOSS_MS = 190
SHARES = (0.5, 0.99, 0.999)


def _ms(value: int) -> str:
    return f">{LIMIT_MS}" if value == NEVER else str(value)


def _latency_row(count: int, loss: float, burst: float, vehicles: int) -> list[str]:
    one = run_accord(count, Medium(loss=loss, burst=burst), range(-(-vehicles // count)))
    limit = "" if loss else f"p99 <= {NO_LOSS_MS}"
    if (count, loss, burst) in LIMITS_MS:
        limit = f"p99.9 <= {LIMITS_MS[count, loss, burst]}"
    met = one.percentile_ms(0.99 if loss == 0.0 else 0.999) <= LIMITS_MS.get((count, loss, burst), NO_LOSS_MS)
    rounds = percentile(one.rounds, 0.999)
    return [
        str(count), f"{100 * loss:.0f} %", "-" if burst == 1.0 else f"of {burst:g}", str(one.vehicles),
        *(_ms(one.percentile_ms(share)) for share in SHARES),
        f"{limit}: {'met' if met else 'NOT met'}" if limit else "",
        str(one.unfinished), str(percentile(one.failures, 0.999)), "never" if rounds == NEVER else str(rounds),
        f"{one.messages / one.vehicles:.0f}", f"{one.bytes / one.vehicles / 1e3:.1f}", str(one.unsafe),
    ]  # fmt: skip


def latency(vehicles: int) -> Section:
    """L1, L8 and gossip, by number of vehicles and loss; rows with a limit have more samples than ``vehicles``."""
    rows = []
    for count in (2, 4, 8, 16):
        for loss in (0.0, 0.1, 0.3, 0.5, 0.9):
            for burst in (1.0, 5.0) if loss else (1.0,):
                limited = loss == 0.0 or (count, loss, burst) in LIMITS_MS
                # With two, half of the runs have the one link that counts: the tail needs more of them.
                samples = vehicles * (1 if not limited else 10 if count == 2 and loss else 3)
                name = f"n={count} loss={loss:g} burst={burst:g} samples={samples}"
                rows.append(Row(name, partial(_latency_row, count, loss, burst, samples)))
    return Section(
        "latency",
        "From when a vehicle that wants a turn may sign to its own commitment, failed attempts included; one sample a\n"
        "vehicle, all of a run want a turn at once and have heard each other for 3 s. Ticks at 20 Hz, 20 ms one way.\n"
        "Bursts: a directed link is down for whole slots of 50 ms, five in the mean. *Failed in a row*: proposals\n"
        "that nobody committed to, p99.9 of runs (L8). *Gossip*: rounds of 50 ms from the first who has all\n"
        "signatures of a proposal to each of its members, p99.9.",
        ("n", "loss", "bursts", "samples", "p50, ms", "p99", "p99.9", "limit", f"undecided after {LIMIT_MS // 1000} s",
         "failed in a row", "gossip", "datagrams a vehicle", "kB", "unsafe"),
        tuple(rows),
    )  # fmt: skip


def _comparison_row(protocol: str, channel: str, medium: Medium, runs: int) -> list[str]:
    one = run_case(protocol, 8, medium, range(runs))
    shares = [_ms(one.percentile_ms(share)) for share in SHARES]
    cost = [f"{one.messages / one.vehicles:.1f}", f"{one.bytes / one.vehicles / 1e3:.1f}"]
    return [protocol, channel, *shares, f"{one.unfinished}/{one.vehicles}", *cost, str(one.unsafe)]


def comparison(vehicles: int) -> Section:
    """Eight vehicles: every protocol on a good channel and under loss."""
    media = {
        "no loss": Medium(),
        "30 %, bursts of 5": Medium(loss=0.3, burst=5.0),
        "50 %, bursts of 5": Medium(loss=0.5, burst=5.0),
    }
    runs = -(-vehicles // 8)
    rows = [
        Row(f"{protocol}, {name}, runs={runs}", partial(_comparison_row, protocol, name, medium, runs))
        for protocol in PROTOCOLS
        for name, medium in media.items()
    ]
    return Section(
        "comparison",
        "Eight vehicles want one place at one moment, unannounced; from there to each one's certain knowledge of\n"
        "its turn. The baselines know their members, and have their leader, from the start.",
        ("protocol", "channel", "p50, ms", "p99", "p99.9", "undecided", "datagrams a vehicle", "kB a vehicle",
         "unsafe"),
        tuple(rows),
    )  # fmt: skip


def _faults_row(protocol: str, runs: int) -> list[str]:
    split = run_case(protocol, 8, halves(8, 5_000), range(runs))
    cells = [protocol, f"{split.early}/{split.vehicles}, {split.unsafe}"]
    for count in (8, 3):
        lied: Tally = run_case(protocol, count, Medium(), range(runs), lie=True)
        cells.append(f"{len(lied.latencies_ms)}/{lied.vehicles}, {lied.unsafe}")
    return cells


def faults(vehicles: int) -> Section:
    """Two halves for five seconds, and one equivocating liar where it hurts most."""
    runs = -(-vehicles // 24)
    return Section(
        "faults",
        "Eight vehicles in two halves that do not hear each other for five seconds; and one equivocating liar where\n"
        "it hurts most: the primary, the leader, the server, any member of Accord.",
        ("protocol", "two halves of 4 for 5 s: decided meanwhile, unsafe pairs", "liar among 8: decided, unsafe pairs",
         "liar among 3: decided, unsafe pairs"),
        tuple(Row(f"{protocol}, runs={runs}", partial(_faults_row, protocol, runs)) for protocol in PROTOCOLS),
    )  # fmt: skip


SECTIONS: dict[str, Callable[[int], Section]] = {
    "latency": latency, "comparison": comparison, "faults": faults, "delays": delays, "scale": scale,
}  # fmt: skip
"""Name -> the section for so many vehicles a row."""
