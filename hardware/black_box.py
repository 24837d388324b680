"""The black box: the last 60 s of what a vehicle observed, decided and drove, in a bounded ring.

Every entry is encoded when it is made, so that a dump at the worst moment is a copy of bytes and no work.
The ring consists of pages of one second; each begins with all that the monitor and the gate remember, so
that a replay (``hardware/replay.py``) can start at any page. A dump is text: a header, then one JSON array
per line, ``[kind, now_ns, ...]``; numbers are written so that reading gives the same bits.
"""

from __future__ import annotations

import hashlib
import json
from collections import deque
from collections.abc import Mapping

SPAN_NS = 60_000_000_000
PAGE_NS = 1_000_000_000
BYTES_MAX = 32 * 2**20
"""Older pages are given up before this is passed, however much is recorded (a flood of datagrams, say)."""
FORMAT = "accord black box 1"


def encode(entry: object) -> bytes:
    """One line. Python's shortest floats read back bit for bit; NaN and infinities are written by name."""
    return json.dumps(entry, separators=(",", ":")).encode() + b"\n"


class BlackBox:
    """A ring of encoded entries.

    Parameters
    ----------
    header : mapping
        Whose it is: vehicle id, vehicle file, versions. Written in front of every dump.
    """

    def __init__(self, header: Mapping[str, object]) -> None:
        self._header = dict(header)
        self._pages: deque[tuple[int, list[bytes]]] = deque()
        self._sizes: deque[int] = deque()
        self._bytes = 0

    @property
    def size_bytes(self) -> int:
        return self._bytes

    def wants_page(self, now_ns: int) -> bool:
        """Whether the next entry should be a new page's snapshot (:meth:`open_page`)."""
        return not self._pages or now_ns - self._pages[-1][0] >= PAGE_NS

    def open_page(self, now_ns: int, snapshot: object) -> None:
        """Begin a page with all that the deciding parts remember."""
        while self._pages and now_ns - self._pages[0][0] > SPAN_NS:
            self._drop()
        self._pages.append((now_ns, []))
        self._sizes.append(0)
        self._append(encode(["snapshot", now_ns, snapshot]))

    def add(self, kind: str, now_ns: int, *values: object) -> None:
        """One entry. Before the first page it is dropped: nothing could be replayed with it."""
        if self._pages:
            self._append(encode([kind, now_ns, *values]))

    def dump(self, reason: str, now_ns: int) -> bytes:
        """All that is held, with the header and a digest of it all."""
        head = encode({"format": FORMAT, **self._header, "reason": reason, "now_ns": now_ns})
        body = b"".join(entry for _, page in self._pages for entry in page)
        return head + body + encode(["end", now_ns, hashlib.sha256(head + body).hexdigest()])

    def _append(self, entry: bytes) -> None:
        self._pages[-1][1].append(entry)
        self._sizes[-1] += len(entry)
        self._bytes += len(entry)
        while self._bytes > BYTES_MAX and len(self._pages) > 1:
            self._drop()
        if self._bytes > BYTES_MAX:  # one second of a flood: the page is kept as far as it goes
            self._pages[-1][1].pop()
            self._sizes[-1] -= len(entry)
            self._bytes -= len(entry)

    def _drop(self) -> None:
        self._pages.popleft()
        self._bytes -= self._sizes.popleft()
