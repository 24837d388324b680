"""A reservation server (as Dresner and Stone's intersection manager): it alone gives out turns."""

from __future__ import annotations

from sim.peers.channel import Packet, Use
from sim.peers.table import RETRY_MS, Turns, batch_of, pack, unpack

SERVER = "server"


class Server:
    """Answers each request with the turn it gave, as often as it is asked."""

    def __init__(self) -> None:
        self.name, self.honest = SERVER, True
        self.use: Use | None = Use(SERVER, 0, 0, 0)
        """Needs no turn."""
        self._turns = Turns()

    def want(self, now_ms: int) -> None: ...

    def tick(self, now_ms: int) -> list[Packet]:
        return []

    def hear(self, sender: str, raw: bytes, now_ms: int) -> list[Packet]:
        kind, *_ = unpack(raw)
        if kind != "request":
            return []
        turn = self._turns.given.get(sender)
        if turn is None or turn[0] <= now_ms:
            self._turns.apply(batch_of((sender,), now_ms))
        return [Packet(pack("grant", sender, *self._turns.given[sender]))]


class LyingServer(Server):
    """Tells everybody that the next turn is theirs."""

    def __init__(self) -> None:
        super().__init__()
        self.honest = False

    def hear(self, sender: str, raw: bytes, now_ms: int) -> list[Packet]:
        kind, *_ = unpack(raw)
        start_ms, vehicles = batch_of((sender,), now_ms)
        return [Packet(pack("grant", *vehicles, start_ms, start_ms + 1_000), (sender,))] if kind == "request" else []


class Client:
    """A vehicle: asks until it is answered."""

    def __init__(self, name: str) -> None:
        self.name, self.honest = name, True
        self.use: Use | None = None
        self._wants = False
        self._asked_ms = 0

    def want(self, now_ms: int) -> None:
        self._wants = True

    def tick(self, now_ms: int) -> list[Packet]:
        if not self._wants or self.use is not None or now_ms - self._asked_ms < RETRY_MS:
            return []
        self._asked_ms = now_ms
        return [Packet(pack("request"))]

    def hear(self, sender: str, raw: bytes, now_ms: int) -> list[Packet]:
        kind, *fields = unpack(raw)
        if kind == "grant" and sender == SERVER and fields[0] == self.name and self.use is None:
            start_ms, end_ms = fields[1], fields[2]
            if now_ms < start_ms:
                self.use = Use(self.name, start_ms, end_ms, now_ms)
        return []
