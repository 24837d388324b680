"""After healing: the fleet makes progress again and everybody gets across (L3, L5, L7)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sim.faults.draw import EACH_MS

if TYPE_CHECKING:
    from sim.faults.engine import Engine
    from sim.faults.node import Node

CONVERGE_MS = 5_000
"""L5: from healing (and the end of what was promised to vehicles that never spoke again) to the first decision."""
ACROSS_MS = 45_000
"""L7: so long after everything that only time can end, all are across; where somebody silent stays at a line, and
the others go one at a time by sight, so much later as that takes."""
STUCK_MS = 10_000
"""L3: longest time without a decision or a clearing while somebody waits."""


class Liveness:
    """The clock of progress of one run."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._healed_ms = -1
        self._progress_ms = 0
        self._decided = False
        self._done: set[str] = set()
        self._told = False
        self._bound_ms = 0
        """When something stood in the way, for the last time, that only time may move."""
        self.finished = False
        """Everybody is across for the last time."""

    def finish(self, name: str) -> None:
        """``name`` is across for the last time."""
        self._done.add(name)
        self.finished = len(self._done) == len(self._engine.nodes)
        self.progress()

    def progress(self) -> None:
        """Something was decided or cleared."""
        self._progress_ms = self._engine.now_ms
        self._decided = True

    def begin(self) -> None:
        """Faults are over; a vehicle between two laps has done its part."""
        engine = self._engine
        self._healed_ms = self._progress_ms = engine.now_ms
        self._decided = False
        self._done |= {name for name, node in engine.nodes.items() if node.laps and name not in engine.here}
        self.finished = len(self._done) == len(engine.nodes)

    def watch(self) -> None:
        """Called every half second after healing."""
        engine = self._engine
        now = engine.now_ms
        if self._is_bound():
            self._bound_ms = now
        if not self._waiting() or self._bound_ms == now or self._is_under_way():
            self._progress_ms = max(self._progress_ms, now)
            return
        limit_ms = STUCK_MS if self._decided else CONVERGE_MS
        if now - self._progress_ms > limit_ms and not self._told:
            self._told = True
            rule = "L3" if self._decided else "L5"
            engine.observer.fail(rule, f"no decision for {now - self._progress_ms} ms; {self._waiting()} waiting")

    def end(self) -> None:
        """The case is over: everybody should have crossed, if there was time to."""
        engine = self._engine
        had_ms = engine.now_ms - max(self._healed_ms, self._bound_ms)
        others = any(body.name not in engine.nodes for body in engine.bodies)
        late = had_ms >= ACROSS_MS + (EACH_MS * len(engine.nodes) if others else 0)
        if self._healed_ms >= 0 and not self.finished and not engine.out.violations and late:
            left = sorted(set(engine.nodes) - self._done)
            engine.observer.fail("L7", f"not across at the end: {', '.join(left)}")

    def _waiting(self) -> int:
        """Honest vehicles that are up, engaged, and have no tube, and for whom it is not others' turn by sight."""
        engine = self._engine
        return sum(
            node.engaged and node.core is not None and node.held is None and not node.done and not node.waits_turn
            for node in engine.nodes.values()
        )

    def _is_bound(self) -> bool:
        """Whether something stands in the way that only time may move: a body, or a promise to somebody silent."""
        engine = self._engine
        now = engine.now_ms
        silent = {node.name for node in engine.nodes.values() if not node.engaged} | set(engine.liars)
        if engine.observer.promises.alive_until_ms(silent) + 2 * engine.case.eps_ms >= now - 50:
            return True
        if any(self._keeps_clear_of_a_liar(node) for node in engine.nodes.values()):
            return True
        return any(body.is_threat(now) and body.name in _others(engine) for body in engine.bodies)

    def _keeps_clear_of_a_liar(self, node: Node) -> bool:
        """Whether it has promised room to a liar or a ghost whose word that the tube is dead it never heard.

        It may have been lost, or said by one that is shut out by now (rule P14); a liar need not say it again. The
        lease, which ends it, is the one that was sent.
        """
        engine = self._engine
        if node.core is None:
            return False
        proposals, late_ms = engine.observer.promises.proposals, 2 * engine.case.eps_ms + 50
        return any(
            tube.vehicle not in engine.nodes
            and tube.proposal_hash in proposals
            and proposals[tube.proposal_hash].batch[tube.vehicle][1] + late_ms >= engine.now_ms
            for tube in node.core._at.ledger.live()  # as it is: known_tubes() would take in what has come since
        )

    def _is_under_way(self) -> bool:
        """Whether somebody has its tube, or has crossed and not left yet."""
        return any(node.held is not None or node.done for node in self._engine.nodes.values())


def _others(engine: Engine) -> set[str]:
    """Bodies that nobody speaks for now."""
    return {body.name for body in engine.bodies} - {n.name for n in engine.nodes.values() if n.engaged}
