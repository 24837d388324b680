"""A datagram network in virtual milliseconds: delay, loss in bursts, duplicates, reordering, range, dead radios.

Every datagram of one sender goes to all others (a broadcast medium, such as ITS-G5, C-V2X side link or
UDP multicast); each *directed link* has its own random stream, keyed by the two names and the number of
the datagram (see ``sim/_network.py``). So results do not depend on the order of registration or of
service, and a vehicle that joins or leaves does not change the luck of the others.

Losses are independent, or come in bursts by the Gilbert-Elliott chain with a lossless good and a fully
lossy bad state (Gilbert 1960): mean burst ``burst_mean`` datagrams, long-run share ``loss``.
"""

from __future__ import annotations

from bisect import bisect_left
from dataclasses import asdict, dataclass
from hashlib import blake2b
from typing import Annotated

import msgspec
import numpy as np
import numpy.typing as npt

from fleet.errors import LocalProtocolError
from sim import _network as kernels

Floats = npt.NDArray[np.float64]
Share = Annotated[float, msgspec.Meta(ge=0.0, le=1.0)]

INBOX_MAX = 8192
"""Datagrams that may wait for one receiver; more are dropped and counted as ``overflowed``."""
_ALL_TOPICS = np.uint64(0xFFFFFFFFFFFFFFFF)


class NetworkConfig(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The network and its faults; the default is a good radio."""

    delay_ms: Annotated[float, msgspec.Meta(ge=0.0, le=60_000.0)] = 10.0
    """Least one-way delay; delivery times are rounded to whole milliseconds."""
    jitter_ms: Annotated[float, msgspec.Meta(ge=0.0, le=60_000.0)] = 0.0
    """Uniform extra delay in [0, jitter_ms); more than the sending period reorders."""
    loss: Share = 0.0
    """Long-run share of datagrams lost on each directed link."""
    burst_mean: Annotated[float, msgspec.Meta(ge=1.0, le=10_000.0)] | None = None
    """Mean length of a loss burst, in datagrams of the link; none: losses are independent."""
    range_m: Annotated[float, msgspec.Meta(gt=0.0)] | None = None
    """Receivers farther than this hear nothing; none: unlimited."""
    duplicate: Share = 0.0
    """Share of delivered datagrams that arrive twice, the copy with a delay of its own."""
    reorder: Share = 0.0
    """Share of delivered datagrams that are held back by ``reorder_ms``."""
    reorder_ms: Annotated[float, msgspec.Meta(ge=0.0, le=60_000.0)] = 100.0
    dead: bool | tuple[str, ...] = False
    """True: no radio works; or the names of the vehicles whose radio does not."""


@dataclass(frozen=True, slots=True)
class NetworkCounters:
    """Totals since the start; all but ``broadcasts`` and ``bytes_sent`` count directed copies."""

    broadcasts: int
    bytes_sent: int
    copies: int
    delivered: int
    lost: int
    out_of_range: int
    radio_dead: int
    other_topic: int
    duplicated: int
    held_back: int
    overflowed: int


class Network:
    """The medium between the nodes of one run; time is an argument.

    Parameters
    ----------
    config : NetworkConfig
    seed : int
        Of the run; two networks with equal seed and traffic deliver the same.
    """

    def __init__(self, config: NetworkConfig, seed: int) -> None:
        self._config = config
        self._p = _parameters(config)
        self._seed = _key("seed", str(seed))
        self._index: dict[str, int] = {}
        self._free: list[int] = []
        self._inbox: list[list[tuple[int, int, int, bytes]]] = []
        self._base: list[np.uint64] = []
        self._count: list[int] = []
        self._topics: dict[str, np.uint64] = {}
        self._keys = np.zeros(0, np.uint64)
        self._hears = np.zeros(0, np.uint64)
        self._masks = np.zeros(0, np.uint64)
        self._dead = np.zeros(0, np.bool_)
        self._bad = np.zeros((0, 0), np.uint8)
        self._delay_ms = np.zeros((2, 0), np.int64)
        self._no_positions = np.zeros((0, 2))
        self._tally = np.zeros(7, np.int64)
        self._broadcasts = self._bytes = self._delivered = self._overflowed = 0

    def register(self, node_id: str) -> int:
        """Give ``node_id`` a radio; returns its index (the lowest free one).

        Raises
        ------
        LocalProtocolError
            The name is registered already.
        """
        if node_id in self._index:
            raise LocalProtocolError(f"{node_id} is on the network already; names are unique")
        if not self._free:
            self._grow()
        index = self._free.pop(0)
        self._index[node_id] = index
        self._keys[index] = key = _key("node", node_id)
        self._base[index] = np.uint64(int(self._seed) ^ int(_key("sender", node_id)))
        self._count[index] = 0
        self._inbox[index] = []
        self._hears[index] = _ALL_TOPICS
        self._dead[index] = self._config.dead if isinstance(self._config.dead, bool) else node_id in self._config.dead
        self._bad[index, :] = self._bad[:, index] = kernels.FRESH
        self._tune(index)
        if key == 0:  # one name in 2^64; zero marks unused slots
            self._keys[index] = np.uint64(1)
        return index

    def unregister(self, node_id: str) -> None:
        """Take the radio away; what is under way to it is gone, what it sent still arrives."""
        index = self._index.pop(node_id)
        self._keys[index] = self._masks[index] = np.uint64(0)
        self._inbox[index] = []
        self._free = sorted((*self._free, index))

    def subscribe(self, index: int, topics: str | tuple[str, ...] | None) -> None:
        """Hear only these topics (and datagrams without one); none: hear everything.

        Topics are a filter for speed, not for secrecy: beyond 64 different ones some share a bit, and
        a receiver may then hear more than it asked for, never less.
        """
        wanted = (topics,) if isinstance(topics, str) else topics
        mask = int(_ALL_TOPICS) if wanted is None else 0
        for topic in wanted or ():
            mask |= int(self._bit(topic))
        self._hears[index] = np.uint64(mask)
        self._tune(index)

    def silence(self, index: int, dead: bool) -> None:
        """Kill or revive a radio; a dead one neither sends nor hears."""
        self._dead[index] = dead
        self._tune(index)

    def broadcast(
        self, now_ms: int, index: int, raw: bytes, xy: Floats | None = None, *, topic: str | None = None
    ) -> int:
        """Send ``raw`` from node ``index`` to everybody; returns the number of copies that will arrive.

        Parameters
        ----------
        now_ms : int
            Virtual time; with a delay of zero the copies can be polled at the same ``now_ms``.
        xy : float64 [index, 2]
            Positions in W by network index, metres; needed where ``range_m`` is set.
        topic : str, optional
            Such as the zone; only subscribers of it get a copy.
        """
        self._broadcasts += 1
        self._bytes += len(raw)
        count = self._count[index]
        self._count[index] = count + 1
        if self._dead[index]:
            self._tally[kernels.DEAD] += len(self._index) - 1
            return 0
        size = len(self._keys)
        positions = self._no_positions if xy is None else _by_index(xy, size)
        bit = _ALL_TOPICS if topic is None else self._bit(topic)
        with np.errstate(over="ignore"):  # the hash wraps; only seen where kernels run as plain Python
            kernels.broadcast_fate(
                self._base[index], np.uint64(count), index, self._keys, self._masks, bit, positions, self._p,
                self._bad[index], self._delay_ms, self._tally,
            )  # fmt: skip
        copies = self._enqueue(now_ms, index, count, raw, self._delay_ms[0])
        if self._config.duplicate > 0.0:
            copies += self._enqueue(now_ms, index, count, raw, self._delay_ms[1])
        return copies

    def poll(self, index: int, now_ms: int) -> list[bytes]:
        """What has arrived at ``index`` until ``now_ms``, by delivery time, then sender, then number."""
        inbox = self._inbox[index]
        if not inbox:
            return []
        inbox.sort()
        due = bisect_left(inbox, (now_ms + 1,))
        if not due:
            return []
        taken = [item[3] for item in inbox[:due]]
        del inbox[:due]
        self._delivered += due
        return taken

    def counts(self) -> dict[str, int]:
        """The counters by name."""
        return asdict(self.counters())

    def counters(self) -> NetworkCounters:
        tally = [int(value) for value in self._tally]
        return NetworkCounters(
            broadcasts=self._broadcasts,
            bytes_sent=self._bytes,
            copies=tally[kernels.SENT],
            delivered=self._delivered,
            lost=tally[kernels.LOST],
            out_of_range=tally[kernels.RANGE],
            radio_dead=tally[kernels.DEAD],
            other_topic=tally[kernels.FILTERED],
            duplicated=tally[kernels.DUPLICATED],
            held_back=tally[kernels.HELD],
            overflowed=self._overflowed,
        )

    def _enqueue(self, now_ms: int, sender: int, count: int, raw: bytes, delay_ms: npt.NDArray[np.int64]) -> int:
        receivers = np.flatnonzero(delay_ms >= 0)
        items: dict[int, tuple[int, int, int, bytes]] = {}
        for receiver, delay in zip(receivers.tolist(), delay_ms[receivers].tolist(), strict=True):
            item = items.get(delay)
            if item is None:
                item = items[delay] = (now_ms + delay, sender, count, raw)
            inbox = self._inbox[receiver]
            if len(inbox) < INBOX_MAX:
                inbox.append(item)
            else:
                self._overflowed += 1
        return len(receivers)

    def _bit(self, topic: str) -> np.uint64:
        bit = self._topics.get(topic)
        if bit is None:
            bit = self._topics[topic] = np.uint64(1 << (len(self._topics) % 64))
        return bit

    def _tune(self, index: int) -> None:
        self._masks[index] = np.uint64(0) if self._dead[index] else self._hears[index]

    def _grow(self) -> None:
        old = len(self._keys)
        size = max(16, 2 * old)
        self._free = list(range(old, size))
        self._inbox += [[] for _ in range(size - old)]
        self._base += [np.uint64(0)] * (size - old)
        self._count += [0] * (size - old)
        for name in ("_keys", "_hears", "_masks", "_dead"):
            setattr(self, name, np.concatenate([getattr(self, name), np.zeros(size - old, getattr(self, name).dtype)]))
        bad = np.full((size, size), kernels.FRESH, np.uint8)
        bad[:old, :old] = self._bad
        self._bad = bad
        self._delay_ms = np.zeros((2, size), np.int64)
        self._no_positions = np.zeros((size, 2))


def _by_index(xy: Floats, size: int) -> Floats:
    """``xy`` as long as the tables of the network; missing rows are out of every range."""
    if len(xy) >= size:
        return np.ascontiguousarray(xy, np.float64)
    rows = np.full((size, 2), np.nan)
    rows[: len(xy)] = xy
    return rows


def _parameters(config: NetworkConfig) -> Floats:
    """The chain's probabilities q (good to bad) and r (bad to good) from share and mean burst, and the rest.

    Stationary share q / (q + r) = loss and mean burst 1 / r. A share above burst / (burst + 1) needs
    longer bursts than asked for: then every good datagram is followed by a burst of the needed length.
    """
    q, r = 0.0, -1.0
    if config.burst_mean is not None:
        if config.loss >= 1.0:
            q, r = 1.0, 0.0
        else:
            r = 1.0 / config.burst_mean
            q = config.loss * r / (1.0 - config.loss)
            if q > 1.0:
                q, r = 1.0, (1.0 - config.loss) / config.loss
    reach = -1.0 if config.range_m is None else config.range_m * config.range_m
    values = (
        config.loss,
        q,
        r,
        config.delay_ms,
        config.jitter_ms,
        config.duplicate,
        config.reorder,
        config.reorder_ms,
        reach,
    )
    return np.array(values, np.float64)


def _key(*parts: str) -> np.uint64:
    """64 bits of a name; blake2b, since Python's own string hash differs between processes."""
    return np.uint64(int.from_bytes(blake2b("\0".join(parts).encode(), digest_size=8).digest(), "little"))
