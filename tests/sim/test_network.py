"""The network: statistics of its faults, and what must not change them."""

from __future__ import annotations

from itertools import groupby

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fleet.errors import LocalProtocolError
from sim import _network as kernels
from sim.network import INBOX_MAX, Network, NetworkConfig

MASK = 2**64 - 1


def plain_mix(z: int) -> int:
    """splitmix64's finaliser in Python's unbounded integers."""
    z = ((z ^ (z >> 30)) * 0xBF58476D1CE4E5B9) & MASK
    z = ((z ^ (z >> 27)) * 0x94D049BB133111EB) & MASK
    return z ^ (z >> 31)


def network(*names: str, seed: int = 1, **config: object) -> Network:
    net = Network(NetworkConfig(**config), seed)  # type: ignore[arg-type]
    for name in names:
        net.register(name)
    return net


def heard(net: Network, count: int, *, sender: int = 0, receiver: int = 1, period_ms: int = 100) -> list[bool]:
    """Whether each of ``count`` datagrams arrives, sent ``period_ms`` apart."""
    arrived = []
    for k in range(count):
        net.broadcast(k * period_ms, sender, b"x")
        arrived.append(bool(net.poll(receiver, k * period_ms + period_ms - 1)))
    return arrived


@given(st.integers(0, MASK))
def test_the_hash_agrees_with_plain_integers(z: int) -> None:
    with np.errstate(over="ignore"):
        assert int(kernels.mix(np.uint64(z))) == plain_mix(z)


def test_the_hash_gives_the_published_splitmix64_sequence() -> None:
    """First outputs for seed 1234567, as in the reference implementations."""
    state, found = 1234567, []
    for _ in range(3):
        state = (state + int(kernels.GOLDEN)) & MASK
        with np.errstate(over="ignore"):
            found.append(int(kernels.mix(np.uint64(state))))
    assert found == [6457827717110365317, 3203168211198807973, 9817491932198370423]


def test_a_good_radio_delivers_everything_after_its_delay() -> None:
    net = network("a", "b", "c", delay_ms=30.0)
    assert net.broadcast(1000, 0, b"hello") == 2
    assert net.poll(1, 1029) == []
    assert net.poll(1, 1030) == [b"hello"]
    assert net.poll(2, 5000) == [b"hello"]
    assert net.poll(0, 5000) == []
    assert net.poll(1, 5000) == []


def test_order_is_by_time_then_sender_then_number() -> None:
    net = network("a", "b", "c", delay_ms=10.0)
    net.broadcast(0, 1, b"b0")
    net.broadcast(0, 1, b"b1")
    net.broadcast(0, 0, b"a0")
    net.broadcast(1, 0, b"a1")
    assert net.poll(2, 100) == [b"a0", b"b0", b"b1", b"a1"]


@pytest.mark.parametrize("loss", [0.05, 0.3, 0.6])
def test_independent_losses_have_the_share_asked_for(loss: float) -> None:
    lost = [not ok for ok in heard(network("a", "b", loss=loss), 20_000)]
    assert np.mean(lost) == pytest.approx(loss, abs=4.0 * np.sqrt(loss * (1.0 - loss) / 20_000))
    pairs = np.mean([x and y for x, y in zip(lost, lost[1:], strict=False)])
    assert pairs == pytest.approx(loss * loss, abs=0.02)


@pytest.mark.parametrize(("loss", "burst"), [(0.3, 5.0), (0.1, 3.0), (0.5, 1.0)])
def test_bursts_have_the_share_and_the_mean_length_asked_for(loss: float, burst: float) -> None:
    lost = [not ok for ok in heard(network("a", "b", loss=loss, burst_mean=burst), 40_000)]
    lengths = [len(list(run)) for bad, run in groupby(lost) if bad]
    assert np.mean(lost) == pytest.approx(loss, abs=0.02)
    assert np.mean(lengths) == pytest.approx(burst, rel=0.06)


def test_a_share_that_needs_longer_bursts_gets_them() -> None:
    lost = [not ok for ok in heard(network("a", "b", loss=0.9, burst_mean=2.0), 20_000)]
    assert np.mean(lost) == pytest.approx(0.9, abs=0.01)


@pytest.mark.parametrize("burst", [None, 5.0])
def test_loss_one_loses_everything_and_loss_zero_nothing(burst: float | None) -> None:
    assert not any(heard(network("a", "b", loss=1.0, burst_mean=burst), 500))
    assert all(heard(network("a", "b", loss=0.0, burst_mean=burst), 500))


def test_links_are_independent_of_each_other() -> None:
    """Both directions, and two receivers of one sender."""
    net = network("a", "b", "c", loss=0.5)
    table = []
    for k in range(8000):
        for sender in (0, 1):
            net.broadcast(k * 100, sender, bytes([sender]))
        at = {who: net.poll(who, k * 100 + 99) for who in range(3)}
        table.append((b"\0" in at[1], b"\1" in at[0], b"\0" in at[2]))
    correlation = np.corrcoef(np.array(table, float).T)
    assert np.abs(correlation - np.eye(3)).max() < 0.05


def test_a_link_does_not_notice_who_else_is_there() -> None:
    """Same fate with other nodes, another order of registration, and other traffic."""
    config = {"loss": 0.3, "burst_mean": 4.0, "jitter_ms": 50.0}
    alone = network("a", "b", **config)
    crowd = network("z", "b", "y", "a", **config)

    def trace(net: Network, a: int, b: int, others: tuple[int, ...]) -> list[list[bytes]]:
        out = []
        for k in range(300):
            for other in others:
                net.broadcast(k * 10, other, b"noise")
            net.broadcast(k * 10, a, k.to_bytes(2, "big"))
            out.append([raw for raw in net.poll(b, k * 10) if raw != b"noise"])
        return out

    assert trace(alone, 0, 1, ()) == trace(crowd, 3, 1, (0, 2))


def test_a_node_that_leaves_takes_its_inbox_along_and_its_place_is_used_again() -> None:
    net = network("a", "b", "c", delay_ms=50.0)
    net.broadcast(0, 0, b"old")
    net.unregister("b")
    assert net.register("d") == 1
    assert net.poll(1, 1000) == []
    assert net.poll(2, 1000) == [b"old"]
    net.broadcast(1000, 0, b"new")
    assert net.poll(1, 2000) == [b"new"]


def test_many_nodes_make_the_tables_grow_without_disturbing_links() -> None:
    small, large = network("a", "b", loss=0.4), network("a", "b", loss=0.4)
    before = heard(small, 50) + heard(small, 50)
    first = heard(large, 50)
    for k in range(100):
        large.register(f"n{k}")
    assert first + heard(large, 50) == before


def test_range_is_measured_between_the_two() -> None:
    net = network("a", "b", "c", range_m=100.0)
    xy = np.array([[0.0, 0.0], [60.0, 79.0], [60.0, 81.0]])
    assert net.broadcast(0, 0, b"x", xy) == 1
    assert [len(net.poll(k, 1000)) for k in (1, 2)] == [1, 0]
    xy[1] = np.nan
    assert net.broadcast(0, 0, b"x", xy) == 0
    assert net.counters().out_of_range == 3


def test_dead_radios_neither_send_nor_hear() -> None:
    net = network("a", "b", "c", dead=("b",))
    assert net.broadcast(0, 1, b"x") == 0
    assert net.broadcast(0, 0, b"x") == 1
    net.silence(1, False)
    net.silence(2, True)
    assert net.broadcast(0, 0, b"x") == 1
    assert (len(net.poll(1, 1000)), len(net.poll(2, 1000))) == (1, 1)
    assert network("a", "b", dead=True).broadcast(0, 0, b"x") == 0


def test_topics_reach_their_subscribers_and_datagrams_without_one_reach_all() -> None:
    net = network("a", "b", "c", "d")
    net.subscribe(1, "zone0")
    net.subscribe(2, ("zone1", "zone2"))
    for topic in ("zone0", "zone1", "zone2", None):
        net.broadcast(0, 0, str(topic).encode(), topic=topic)
    assert net.poll(1, 1000) == [b"zone0", b"None"]
    assert net.poll(2, 1000) == [b"zone1", b"zone2", b"None"]
    assert net.poll(3, 1000) == [b"zone0", b"zone1", b"zone2", b"None"]


def test_jitter_duplicates_and_reordering_happen_as_often_as_asked_for() -> None:
    net = network("a", "b", delay_ms=20.0, jitter_ms=40.0, duplicate=0.2, reorder=0.1, reorder_ms=500.0)
    for k in range(5000):
        net.broadcast(k * 1000, 0, k.to_bytes(2, "big"))
    counters = net.counters()
    assert counters.duplicated == pytest.approx(1000, abs=120)
    assert counters.held_back == pytest.approx(500, abs=90)
    delays = []
    for at in range(20, 600, 1):
        fresh = network("a", "b", delay_ms=20.0, jitter_ms=40.0, seed=at)
        fresh.broadcast(0, 0, b"x")
        delays.append(next(ms for ms in range(200) if fresh.poll(1, ms)))
    assert min(delays) >= 20
    assert max(delays) <= 60
    assert np.mean(delays) == pytest.approx(40.0, abs=2.5)


def test_an_inbox_that_nobody_empties_is_bounded() -> None:
    net = network("a", "b")
    for k in range(INBOX_MAX + 10):
        net.broadcast(k, 0, b"x")
    assert net.counters().overflowed == 10
    assert len(net.poll(1, 10**9)) == INBOX_MAX


def test_one_name_registers_once() -> None:
    with pytest.raises(LocalProtocolError, match="a is on the network already"):
        network("a", "a")


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 2**32), st.floats(0.0, 0.9), st.floats(0.0, 300.0))
def test_the_same_seed_gives_the_same_deliveries(seed: int, loss: float, jitter_ms: float) -> None:
    def trace() -> list[list[bytes]]:
        net = network("a", "b", "c", seed=seed, loss=loss, jitter_ms=jitter_ms, duplicate=0.1, reorder=0.1)
        out = []
        for k in range(40):
            net.broadcast(k * 50, k % 3, bytes([k]))
            out += [net.poll(who, k * 50) for who in range(3)]
        return out

    assert trace() == trace()


def test_counters_add_up() -> None:
    net = network("a", "b", "c", loss=0.3, burst_mean=3.0)
    for k in range(1000):
        net.broadcast(k, k % 3, b"1234")
    delivered = sum(len(net.poll(who, 10**6)) for who in range(3))
    counters = net.counters()
    assert (counters.broadcasts, counters.bytes_sent, counters.copies) == (1000, 4000, 2000)
    assert counters.delivered == delivered
    assert counters.delivered + counters.lost == counters.copies
