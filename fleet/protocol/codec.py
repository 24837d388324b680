"""Parsing and signature checks, remembered: both are pure functions of the bytes.

One codec may serve many cores in one process (as in simulation): what one has checked the others need
not check again. The memory is bounded; the oldest entries go first and are computed again if needed.
"""

from __future__ import annotations

from fleet.errors import RemoteProtocolError
from fleet.protocol import limits
from fleet.protocol.ports import Verifier
from fleet.protocol.wire import Message, decode


class Opened:
    """A datagram's message, or the reason why there is none, and whether its signature holds (None: not looked)."""

    __slots__ = ("authentic", "error", "message")

    def __init__(self, message: Message | None, error: str) -> None:
        self.message = message
        self.error = error
        self.authentic: bool | None = None


class Codec:
    """Datagrams to messages."""

    def __init__(self, verifier: Verifier, memo_max: int = limits.CODEC_MEMO_MAX) -> None:
        self._verifier = verifier
        self._memo_max = memo_max
        self._opened: dict[bytes, Opened] = {}
        self._checked: dict[tuple[str, bytes, bytes], bool] = {}

    def open(self, raw: bytes) -> Opened:
        """Parse ``raw`` without looking at its signature; never raises."""
        opened = self._opened.get(raw)
        if opened is not None:
            return opened
        try:
            opened = Opened(decode(raw), "")
        except RemoteProtocolError as error:
            opened = Opened(None, str(error))
        if len(self._opened) >= self._memo_max:
            del self._opened[next(iter(self._opened))]
        if len(raw) <= limits.DATAGRAM_BYTES_MAX:
            self._opened[raw] = opened
        return opened

    def authenticate(self, opened: Opened) -> bool:
        """Whether the message is signed by whom it names."""
        if opened.authentic is None:
            message = opened.message
            opened.authentic = message is not None and self._verifier.verify(
                message.sender, message.statement, message.signature
            )
        return opened.authentic

    def check(self, signer: str, covered: bytes, signature: bytes) -> bool:
        """Whether ``signature`` is ``signer``'s on ``covered``; for signatures inside certificates."""
        key = (signer, covered, signature)
        known = self._checked.get(key)
        if known is None:
            known = self._verifier.verify(signer, covered, signature)
            if len(self._checked) >= self._memo_max:
                del self._checked[next(iter(self._checked))]
            self._checked[key] = known
        return known
