"""What one vehicle is about to do: signed datagrams, records, effects and notes, in order, until ``advance``."""

from __future__ import annotations

from fleet.errors import LocalProtocolError
from fleet.protocol import keys
from fleet.protocol.codec import Codec
from fleet.protocol.ports import Signer
from fleet.protocol.records import Effect, Note, Ready, Stats
from fleet.protocol.wire import KIND_OF, Body, Message, encode_body, seal

_NOTHING = Ready()


class Outbox:
    """Collects effects; signs in the zone and session engaged with."""

    def __init__(self, me: str, signer: Signer, codec: Codec, stats: Stats) -> None:
        self.me = me
        self.zone = ""
        self.session = 0
        self.stats = stats
        self._signer = signer
        self._codec = codec
        self._persist: list[bytes] = []
        self._send: list[bytes] = []
        self._apply: list[Effect] = []
        self._notes: list[Note] = []
        self._given: Ready | None = None

    def sign(self, body: Body) -> Message:
        """Seal ``body`` into a datagram that has not been sent yet.

        Raises
        ------
        LocalProtocolError
            It would not fit one datagram, or a peer would refuse it unread.
        """
        kind = KIND_OF[type(body)]
        payload = encode_body(body)
        covered = keys.statement(kind.name.lower(), self.zone, self.session, self.me, payload)
        opened = self._codec.open(seal(kind, self.zone, self.session, self.me, payload, self._signer.sign(covered)))
        if opened.message is None:
            raise LocalProtocolError(f"own {kind.name.lower()} is not a valid message: {opened.error}")
        return opened.message

    def send(self, message: Message) -> None:
        name = message.kind.name.lower()
        self.stats.sent[name] += 1
        self.stats.sent_bytes[name] += len(message.raw)
        self._send.append(message.raw)

    def relay(self, raw: bytes) -> None:
        """Pass on somebody else's datagram as it is."""
        self.stats.sent["relay"] += 1
        self.stats.sent_bytes["relay"] += len(raw)
        self._send.append(raw)

    def post(self, body: Body) -> Message:
        """Sign and send."""
        message = self.sign(body)
        self.send(message)
        return message

    def persist(self, record: bytes) -> None:
        self._persist.append(record)

    def apply(self, effect: Effect) -> None:
        self._apply.append(effect)

    def note(self, kind: str, **detail: object) -> None:
        self._notes.append((kind, detail))

    def ready(self) -> Ready:
        """Everything collected; the same until :meth:`advance`, then only what came since."""
        if self._given is None:
            if not (self._persist or self._send or self._apply or self._notes):
                return _NOTHING
            self._given = Ready(tuple(self._persist), tuple(self._send), tuple(self._apply), tuple(self._notes))
            self._persist, self._send, self._apply, self._notes = [], [], [], []
        return self._given

    def advance(self, ready: Ready | None) -> None:
        """``ready`` has been done."""
        if self._given is None or (ready is not None and ready is not self._given):
            raise LocalProtocolError("advance() was given something other than the outstanding ready()")
        self._given = None
