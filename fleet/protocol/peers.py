"""Who is heard: the newest intent of each sender, with cheap checks before the costly ones.

``hear`` runs for every intent of every neighbour and only stores; what follows from an intent is
worked out at the next tick.
"""

from __future__ import annotations

from zlib import crc32

from fleet.protocol import limits
from fleet.protocol.channel import Channel
from fleet.protocol.codec import Codec, Opened
from fleet.protocol.table import Phase
from fleet.protocol.wire import Intent, Message, with_plan


class Peer:
    """What is known of one sender."""

    __slots__ = ("heard_ms", "intent", "opened", "since_ms", "token_ms", "tokens_at_ms")

    def __init__(self, now_ms: int) -> None:
        self.intent: Intent | None = None
        self.opened: Opened | None = None
        self.since_ms = now_ms
        self.heard_ms = now_ms
        self.token_ms = limits.TOKENS_MS_MAX
        self.tokens_at_ms = now_ms


class Peers:
    """Senders of the zone and session engaged with, by id."""

    def __init__(self, codec: Codec, eps_ms: int) -> None:
        self._codec = codec
        self._eps_ms = eps_ms
        self._peers: dict[str, Peer] = {}
        self._silent: dict[str, Intent] = {}
        self._strangers = [Peer(0) for _ in range(limits.STRANGER_BUCKETS)]
        self._changed: dict[str, None] = {}
        self._memo: dict[tuple[int, int], dict[str, Intent]] = {}
        """Answers of :meth:`within` since the last change; a tick asks several times."""
        self.channel = Channel()
        self.full_until_ms = 0
        """While ahead of the clock, a stranger had to be turned away: nothing may be signed."""

    def clear(self) -> None:
        self._peers.clear()
        self._silent.clear()
        self._memo.clear()
        self._changed.clear()
        self.full_until_ms = 0

    def forget(self, vehicle: str) -> None:
        """As if ``vehicle`` had never spoken: neither its words nor its silence count."""
        self._peers.pop(vehicle, None)
        self._silent.pop(vehicle, None)
        self._changed.pop(vehicle, None)
        self._memo.clear()

    def hear(self, opened: Opened, sender: str, intent: Intent, now_ms: int) -> str:
        """Take an intent; returns why not, or nothing. Size, zone and session are already checked."""
        peer = self._peers.get(sender)
        if peer is None:
            return self._admit(opened, sender, intent, now_ms)
        held = peer.intent
        if held is not None and intent.seq <= held.seq:
            return "contradiction" if intent.seq == held.seq and opened is not peer.opened else "replayed"
        age_ms = now_ms - intent.stamp_ms
        if age_ms > limits.FRESH_MS + self._eps_ms or age_ms < -2 * self._eps_ms:
            return "not_fresh"
        if not opened.authentic and not self._codec.authenticate(opened):
            return "bad_signature"
        if held is not None and intent.stamp_ms < held.stamp_ms:
            return "replayed"
        if held is not None and held.phase is not Phase.CLEARED:
            self.channel.waited(intent.stamp_ms - held.stamp_ms, held.ready, now_ms)
        peer.intent = intent
        peer.opened = opened
        peer.heard_ms = now_ms
        self._changed[sender] = None
        self._memo.clear()
        return ""

    def spend(self, sender: str, now_ms: int) -> bool:
        """Take one message's tokens from the sender's bucket; False: the message is dropped unread.

        Strangers share few buckets, so that invented names buy little.
        """
        peer, price_ms = self._peers.get(sender), limits.TOKEN_MS
        if peer is None:
            peer = self._strangers[crc32(sender.encode()) % limits.STRANGER_BUCKETS]
            price_ms = limits.STRANGER_TOKEN_MS
        tokens = min(limits.TOKENS_MS_MAX, peer.token_ms + now_ms - peer.tokens_at_ms) - price_ms
        peer.tokens_at_ms = now_ms
        if tokens < 0:
            peer.token_ms = tokens + price_ms
            return False
        peer.token_ms = tokens
        return True

    def relayable(self, vehicle: str, now_ms: int) -> bytes:
        """The datagram of the newest intent, if others have had time to hear it themselves; else nothing."""
        peer = self._peers.get(vehicle)
        if peer is None or peer.opened is None or peer.opened.message is None:
            return b""
        return peer.opened.message.raw if now_ms - peer.since_ms >= limits.RELAY_AFTER_MS else b""

    def take_changed(self) -> list[str]:
        """Senders with an intent not looked at yet, sorted."""
        if not self._changed:
            return []
        names = sorted(self._changed)
        self._changed.clear()
        return names

    def offer(self, vehicle: str, plan: bytes) -> None:
        """A counter-offer: plan with this as the sender's own plan until its next intent.

        A holder drives what it holds: an offer that comes after its intent is an old one.
        """
        peer = self._peers.get(vehicle)
        if peer is not None and peer.intent is not None and not peer.intent.held:
            peer.intent = with_plan(peer.intent, plan)
            self._memo.clear()

    def intent(self, vehicle: str) -> Intent | None:
        peer = self._peers.get(vehicle)
        return None if peer is None else peer.intent

    def within(self, now_ms: int, age_ms_max: int) -> dict[str, Intent]:
        """Newest intents not older than ``age_ms_max`` by their stamp, in order of id."""
        found = self._memo.get((now_ms, age_ms_max))
        if found is not None:
            return found
        if len(self._memo) > 4:
            self._memo.clear()
        oldest_ms = now_ms - age_ms_max - self._eps_ms
        found = self._memo[now_ms, age_ms_max] = {}
        for vehicle in sorted(self._peers):
            intent = self._peers[vehicle].intent
            if intent is not None and intent.stamp_ms >= oldest_ms:
                found[vehicle] = intent
        return found

    def fresh(self, now_ms: int) -> dict[str, Intent]:
        return self.within(now_ms, limits.FRESH_MS)

    def concerned(self, now_ms: int) -> dict[str, Intent]:
        """Whoever may have to be a member: heard within ``PEER_SILENT_MS`` and not yet clear of the zone."""
        return {
            vehicle: intent
            for vehicle, intent in self.within(now_ms, limits.PEER_SILENT_MS).items()
            if intent.phase is not Phase.CLEARED or intent.live
        }

    def latency_ms(self, now_ms: int) -> int:
        """The largest one-way delay among the newest intents of fresh peers."""
        delays = [
            peer.heard_ms - peer.intent.stamp_ms
            for peer in self._peers.values()
            if peer.intent is not None and now_ms - peer.heard_ms <= limits.FRESH_MS
        ]
        return max(0, max(delays, default=0))

    def newest(self, vehicle: str) -> Message | None:
        """The message of the newest intent."""
        peer = self._peers.get(vehicle)
        return None if peer is None or peer.opened is None else peer.opened.message

    def silent(self, now_ms: int) -> dict[str, Intent]:
        """Last words of those who no longer count as heard and have not cleared the zone, in order of id."""
        oldest_ms = now_ms - limits.PEER_SILENT_MS - self._eps_ms
        found = dict(self._silent)
        for vehicle, peer in self._peers.items():
            if peer.intent is not None and peer.intent.stamp_ms < oldest_ms and peer.intent.phase is not Phase.CLEARED:
                found[vehicle] = peer.intent
        return dict(sorted(found.items()))

    def expire(self, now_ms: int) -> None:
        """Those silent for long are no longer peers; what they promised, and their last words, are kept."""
        silent_ms = limits.PEER_SILENT_MS + limits.FRESH_MS + self._eps_ms
        for vehicle, peer in [(v, p) for v, p in self._peers.items() if now_ms - p.heard_ms > silent_ms]:
            self.forget(vehicle)
            if peer.intent is not None and peer.intent.phase is not Phase.CLEARED:
                self._silent[vehicle] = peer.intent
        if self._silent:
            oldest_ms = now_ms - limits.SILENT_KEPT_MS
            self._silent = {v: i for v, i in self._silent.items() if i.stamp_ms >= oldest_ms and v not in self._peers}

    def _admit(self, opened: Opened, sender: str, intent: Intent, now_ms: int) -> str:
        age_ms = now_ms - intent.stamp_ms
        if age_ms > limits.FRESH_MS + self._eps_ms or age_ms < -2 * self._eps_ms:
            return "not_fresh"
        if not self._codec.authenticate(opened):
            return "bad_signature"
        if len(self._peers) >= limits.PEERS_MAX:
            self.expire(now_ms)
        if len(self._peers) >= limits.PEERS_MAX:
            self.full_until_ms = now_ms + limits.PEER_SILENT_MS
            return "peers_full"
        self._memo.clear()
        self._silent.pop(sender, None)
        peer = self._peers[sender] = Peer(now_ms)
        peer.intent = intent
        peer.opened = opened
        self._changed[sender] = None
        return ""
