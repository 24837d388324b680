"""Doing what the agreement core asks, in its order: disk before air, air before motion (records.Ready)."""

from __future__ import annotations

from collections.abc import Callable

from fleet.node.parts import Noter
from fleet.node.stable_log import StableLog
from fleet.protocol.core import Core
from fleet.protocol.records import Adopt, Drop


def carry_out(
    core: Core, store: StableLog, note: Noter, now_ms: int,
    adopt: Callable[[int, Adopt], None], drop: Callable[[int, Drop], None],
) -> tuple[bytes, ...]:  # fmt: skip
    """Do what is ready until nothing is; returns the datagrams to broadcast."""
    sent: list[bytes] = []
    while True:
        ready = core.ready()
        if not ready:
            return tuple(sent)
        if ready.to_persist:
            store.append(ready.to_persist, now_ms)
        sent += ready.to_send
        for effect in ready.to_apply:
            if isinstance(effect, Adopt):
                adopt(now_ms, effect)
            elif isinstance(effect, Drop):
                drop(now_ms, effect)
            else:
                proof: dict[str, object] = {"kind": effect.kind, "first": effect.first, "second": effect.second}
                if effect.proposal:
                    proof["proposal"] = effect.proposal
                note(now_ms, "contradiction", {"vehicle": effect.vehicle, **proof})
        for kind, detail in ready.notes:
            note(now_ms, kind, detail)
        core.advance(ready)
