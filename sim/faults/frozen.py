"""Cores as bytes: cheap copies for the model checker, equal where the cores would behave alike.

What never changes (ports, tuning, statistics) is shared. Messages are kept as their datagrams, and intents
and proposals as their payloads, so that a pickle holds no reference into the process: equal bytes mean equal
behaviour (the converse fails for values that are equal but were built apart, which costs states, not soundness).
"""

from __future__ import annotations

import io
import pickle
from collections.abc import Callable
from typing import Any

import msgspec

from fleet.protocol import ports
from fleet.protocol.codec import Codec, Opened
from fleet.protocol.peers import Peers
from fleet.protocol.records import Commitment, Identity, LiveTube, Local, Stats, Tuning
from fleet.protocol.wire import Intent, Message, Proposal, VehicleBody, encode_body
from sim.faults.signing import StubSigner
from sim.faults.stub_planning import Judge, Planner
from sim.faults.tubes import Tubes

_KEPT_MAX = 100_000


class Freezer:
    """Copies of one checker's cores."""

    def __init__(self, codec: Codec, fixed: tuple[type, ...]) -> None:
        global _codec  # noqa: PLW0603 - functions named in a pickle find what is shared here
        _codec = codec
        _shared.clear()
        _intents.clear()
        kept = (*fixed, Stats, Tuning, Identity, VehicleBody, ports.Ports, Codec, Judge, Planner, StubSigner, Tubes)
        self._dispatch: dict[type, Callable[[Any], Any]] = dict.fromkeys(kept, _keep)
        self._dispatch |= {Message: _datagram, Opened: _opened, Intent: _intent, Proposal: _proposal}
        self._dispatch |= dict.fromkeys((Local, LiveTube, Commitment), _plain)
        self._dispatch[Peers] = _peers

    def freeze(self, value: object) -> bytes:
        file = io.BytesIO()
        pickler = pickle.Pickler(file, protocol=5)
        pickler.dispatch_table = self._dispatch
        pickler.dump(value)
        return file.getvalue()


thaw = pickle.loads

_codec: Codec
_shared: dict[str, Any] = {}
_intents: dict[bytes, Intent] = {}
"""By payload: a vehicle says few different things, and all cores that heard one share it."""


def _keep(value: Any) -> Any:
    """By kind and name: all vehicles' statistics are one, since nothing is decided by them."""
    name = f"{type(value).__name__}:{getattr(value, 'vehicle', '')}{id(value) if isinstance(value, _NAMED) else ''}"
    _shared.setdefault(name, value)
    return _kept, (name,)


_NAMED = (ports.Ports, StubSigner)
_READ_INTENT = msgspec.msgpack.Decoder(Intent).decode
_READ_PROPOSAL = msgspec.msgpack.Decoder(Proposal).decode


def _kept(name: str) -> Any:
    return _shared[name]


def _datagram(message: Message) -> Any:
    return _message_of, (message.raw,)


def _message_of(raw: bytes) -> Message | None:
    return _codec.open(raw).message


def _opened(opened: Opened) -> Any:
    return _open, (opened.message.raw if opened.message is not None else b"",)


def _open(raw: bytes) -> Opened:
    return _codec.open(raw)


def _intent(intent: Intent) -> Any:
    payload = encode_body(intent)
    if len(_intents) > _KEPT_MAX:
        _intents.clear()
    _intents.setdefault(payload, intent)
    return _intent_of, (payload,)


def _intent_of(payload: bytes) -> Intent:
    found = _intents.get(payload)
    if found is None:
        found = _intents[payload] = _READ_INTENT(payload)
    return found


def _proposal(proposal: Proposal) -> Any:
    return _proposal_of, (encode_body(proposal),)


def _proposal_of(payload: bytes) -> Proposal:
    return _READ_PROPOSAL(payload)


def _plain(value: Any) -> Any:
    kind = type(value)
    return kind, tuple([getattr(value, name) for name in kind.__slots__])


def _peers(peers: Peers) -> Any:
    """Without the memory of answers, which has no effect."""
    peers._memo.clear()
    return object.__reduce_ex__(peers, 5)
