"""How much agreement one core of this machine carries: many members, many zones, real signatures; CPU time, no I/O."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from time import process_time

from fleet.node.signing import Keyring, Signer, simulation_seed
from fleet.protocol.codec import Codec
from fleet.protocol.ports import Signer as SignerPort
from sim.bench_table import Row, Section
from sim.peers.accord import AccordNode, StubKeys, shared_codec
from sim.peers.channel import Channel, Medium
from sim.peers.runs import LIMIT_MS, WARM_MS

CASES = ((1, 2), (1, 8), (1, 32), (100, 2), (100, 4))
"""Zones in one process, and vehicles in each."""


class CountedKeys:
    """A keyring that counts the signatures it looks at."""

    def __init__(self, keys: Keyring) -> None:
        self._keys = keys
        self.checked = 0

    def verify(self, sender: str, data: bytes, signature: bytes) -> bool:
        self.checked += 1
        return self._keys.verify(sender, data, signature)


def _zone(names: Sequence[str], seed: int, signers: dict[str, SignerPort], codec: Codec) -> Channel:
    nodes = [AccordNode(name, names, seed, codec, listen_ms=WARM_MS, signer=signers[name]) for name in names]
    channel = Channel(nodes, Medium(), seed)
    for node in nodes:
        node.want(channel.now_ms)
    return channel


def _row(zones: int, count: int, real: bool) -> list[str]:
    """All zones are run in turns of 100 ms until every vehicle has its turn."""
    names = [[f"z{zone:02}v{index:02}" for index in range(count)] for zone in range(zones)]
    every = [name for one in names for name in one]
    signers: dict[str, SignerPort] = {name: StubKeys(name) for name in every}
    codec, counted = shared_codec(), None
    if real:
        keys = {name: Signer(simulation_seed(1, name)) for name in every}
        counted = CountedKeys(Keyring({name: key.public_key for name, key in keys.items()}))
        signers, codec = dict(keys), Codec(counted)
    began_s = process_time()
    channels = [_zone(one, zone, signers, codec) for zone, one in enumerate(names)]
    start_ms, now_ms = channels[0].now_ms, 0
    while now_ms < WARM_MS + LIMIT_MS and not (now_ms >= WARM_MS and all(one.done() for one in channels)):
        for channel in channels:
            channel.run(100)
        now_ms += 100
    cpu_s = process_time() - began_s
    events = sum(one.events for one in channels)
    done = sum(len(one.uses()) for one in channels)
    seen = "-" if counted is None else f"{events / max(1, counted.checked):.1f}"
    took_ms = max(use.known_ms for one in channels for use in one.uses()) - start_ms - WARM_MS
    return [
        str(zones), str(count), "Ed25519" if real else "stub", f"{done}/{zones * count}", str(took_ms), str(events),
        f"{events / cpu_s:,.0f}", f"{1e3 * cpu_s / now_ms:.2f}", seen,
    ]  # fmt: skip


def scale(vehicles: int) -> Section:
    """Always the same cases; ``vehicles`` does not matter."""
    rows = [
        Row(f"{zones} zones of {count}, {'real' if real else 'stub'} signatures", partial(_row, zones, count, real))
        for zones, count in CASES
        for real in (False, True)
    ]
    return Section(
        "scale",
        "Everybody in every zone hears each other for 3 s and then agrees, in one process, without loss. *Event*:\n"
        "a datagram taken or a tick. *CPU*: of all vehicles together; a real vehicle's share is one of all these.\n"
        "*Per check*: events for each signature really checked; the rest were answered by the memory of parsed\n"
        "datagrams, which all share here; a vehicle of its own has it for relays and repeats.",
        ("zones", "vehicles in each", "signatures", "decided", "slowest decision, ms", "events", "events/s of a core",
         "CPU s per simulated s", "events per check"),
        tuple(rows),
    )  # fmt: skip
