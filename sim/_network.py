"""Compiled kernel: the fate of one broadcast on every directed link at once.

Randomness is a counter-based hash: link and datagram number in, uniform number out. So the fate of
the k-th datagram from A to B depends on the seed, the two names, k, and the link's burst state, and on
nothing else: not on who else is there, nor on the order in which nodes are served.

==========  =============================================================
symbol      meaning
==========  =============================================================
GOLDEN      2^64 / golden ratio: the increment of the splitmix64 generator
mix         splitmix64's finaliser (Steele, Lea, Flood, OOPSLA 2014)
==========  =============================================================
"""

from __future__ import annotations

import numpy as np

from planners._jit import kernel

GOLDEN = np.uint64(0x9E3779B97F4A7C15)
_M1, _M2 = np.uint64(0xBF58476D1CE4E5B9), np.uint64(0x94D049BB133111EB)
_S30, _S27, _S31, _S11 = np.uint64(30), np.uint64(27), np.uint64(31), np.uint64(11)
_TO_UNIT = 1.0 / 9007199254740992.0
"""2^-53: the top 53 bits of a hash become a float64 in [0, 1)."""

LOSS, BURST, INIT, JITTER, DUPLICATE, JITTER_2, REORDER = 1, 2, 3, 4, 5, 6, 7
"""Purposes: each draw of one datagram on one link has its own."""

GOOD, BAD, FRESH = 0, 1, 2
"""Burst state of a directed link; FRESH has carried nothing yet and starts from the stationary law."""

SENT, LOST, RANGE, DEAD, FILTERED, DUPLICATED, HELD = 0, 1, 2, 3, 4, 5, 6
"""Rows of the counters that the kernel fills; SENT counts directed copies that were tried."""


@kernel("uint64(uint64)")
def mix(z):
    """splitmix64's finaliser: a bijection of 64-bit words that passes the usual test batteries."""
    z = (z ^ (z >> _S30)) * _M1
    z = (z ^ (z >> _S27)) * _M2
    return z ^ (z >> _S31)


@kernel("float64(uint64, int64)")
def uniform(word, purpose):
    """The uniform number in [0, 1) for one purpose of the datagram hashed to ``word``."""
    return np.float64(mix(word + np.uint64(purpose) * GOLDEN) >> _S11) * _TO_UNIT


@kernel(
    "void(uint64, uint64, int64, Array(uint64, 1, 'C', readonly=True), Array(uint64, 1, 'C', readonly=True),"
    " uint64, Array(float64, 2, 'C', readonly=True), Array(float64, 1, 'C', readonly=True),"
    " uint8[::1], int64[:, ::1], int64[::1])"
)
def broadcast_fate(base, count, sender, keys, masks, topic, xy, p, bad, delay_ms, counters):
    """Fill ``delay_ms`` [2, node]: delay of the datagram and of its duplicate per receiver, -1 for none.

    ``base`` hashes seed and sender, ``count`` numbers the sender's datagrams. ``masks`` [node] are the
    topics that a node hears (0: slot unused or radio dead); ``topic`` is the datagram's. ``p`` [9]: loss, q (good to
    bad), r (bad to good; negative: independent losses), delay, jitter, duplicate, reorder, reorder
    delay, squared range (negative: unlimited). ``bad`` [node] is the burst state of the sender's links.
    """
    for j in range(keys.shape[0]):
        delay_ms[0, j] = -1
        delay_ms[1, j] = -1
        if j == sender or keys[j] == np.uint64(0):
            continue
        word = mix(mix(base ^ keys[j]) + count * GOLDEN)
        if p[2] < 0.0:
            lost = uniform(word, LOSS) < p[0]
        else:
            if bad[j] == FRESH:
                bad[j] = BAD if uniform(word, INIT) < p[0] else GOOD
            elif bad[j] == BAD:
                bad[j] = GOOD if uniform(word, BURST) < p[2] else BAD
            else:
                bad[j] = BAD if uniform(word, BURST) < p[1] else GOOD
            lost = bad[j] == BAD
        if masks[j] == np.uint64(0):
            counters[DEAD] += 1
            continue
        if masks[j] & topic == np.uint64(0):
            counters[FILTERED] += 1
            continue
        counters[SENT] += 1
        if p[8] >= 0.0:
            dx, dy = xy[j, 0] - xy[sender, 0], xy[j, 1] - xy[sender, 1]
            if not dx * dx + dy * dy <= p[8]:  # also true for a position that is NaN
                counters[RANGE] += 1
                continue
        if lost:
            counters[LOST] += 1
            continue
        held = 0.0
        if p[6] > 0.0 and uniform(word, REORDER) < p[6]:
            held = p[7]
            counters[HELD] += 1
        delay_ms[0, j] = np.int64(p[3] + p[4] * uniform(word, JITTER) + held + 0.5)
        if p[5] > 0.0 and uniform(word, DUPLICATE) < p[5]:
            delay_ms[1, j] = np.int64(p[3] + p[4] * uniform(word, JITTER_2) + 0.5)
            counters[DUPLICATED] += 1
