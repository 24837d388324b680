"""One vehicle of the model checker through one step, remembered: deliveries, then its tick.

In a step vehicles act on what was sent in the step before, so what one does depends on its own core, what
arrives, and what it sees, never on the others' turns. Many states differ in one vehicle only; what the
others do then has been seen before. Frozen cores, datagrams, logs and held tubes are numbered, so that equal
ones are kept once and compared by number.
"""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Generic, TypeVar

from fleet.protocol import limits
from fleet.protocol.core import Core
from fleet.protocol.records import Adopt, Drop, Local
from fleet.protocol.restore import restore
from fleet.protocol.table import Phase
from sim.faults.body import MOVING
from sim.faults.case import SESSION, ZONE
from sim.faults.frozen import thaw
from sim.faults.model import BEGIN_MS, NOTHING, STEP_MS, Model
from sim.faults.plans import approach

if TYPE_CHECKING:
    from sim.faults.model_check import Checker

Item = TypeVar("Item", bound=Hashable)
Held = tuple[bytes, int, bytes]
"""(plan, lease end, proposal)."""


class Numbers(Generic[Item]):
    """Equal items have one number."""

    def __init__(self) -> None:
        self._items: list[Item] = []
        self._numbers: dict[Item, int] = {}

    def of(self, item: Item) -> int:
        number = self._numbers.setdefault(item, len(self._items))
        if number == len(self._items):
            self._items.append(item)
        return number

    def __getitem__(self, number: int) -> Item:
        return self._items[number]


@dataclass(frozen=True, slots=True)
class Said:
    """What a vehicle did at once: datagrams sent, then effects applied."""

    sent: tuple[int, ...]
    effects: tuple[Adopt | Drop, ...]


@dataclass(frozen=True, slots=True)
class Turn:
    """What one vehicle did in a step."""

    core: int
    held: int
    written: tuple[int, ...]
    delivered: tuple[tuple[Said, ...], ...]
    """Of each datagram that came."""
    ticked: tuple[Said, ...]


@dataclass(frozen=True, slots=True)
class Sight:
    """Bodies of others as they were a step ago."""

    moving: tuple[tuple[int, bytes], ...]
    """(vehicle, what it drives): moves or is inside."""
    standing: tuple[int, ...]


class Vehicles:
    """The turns of one model, each worked out once."""

    def __init__(self, checker: Checker) -> None:
        self._checker = checker
        self._model: Model = checker.model
        self.names = checker.names
        self.freeze = checker.freezer.freeze
        self.cores: Numbers[bytes] = Numbers()
        self.datagrams: Numbers[bytes] = Numbers()
        self.logs: Numbers[tuple[int, int]] = Numbers()
        self.tubes: Numbers[Held] = Numbers()
        self._turns: dict[Hashable, Turn] = {}
        self._sights: dict[Hashable, Sight] = {}

    def turn(self, index: int, step: int, core: int, log: int, held: int, heard: tuple[int, ...], sight: Sight) -> Turn:
        """Vehicle ``index`` in ``step``; with ``core`` :data:`NOTHING` it starts from what ``log`` says."""
        key = (index, step, core, log if core == NOTHING else NOTHING, held, heard, sight)
        turn = self._turns.get(key)
        if turn is None:
            turn = self._turns[key] = _Work(self, index, step, held).run(core, log, heard, sight)
        return turn

    def start(self, index: int, step: int, log: int) -> Core:
        """With what the log says (rule P11); one that comes late has none."""
        core = self._checker.core(index)
        if self.was_here(index, step):
            now_ms = BEGIN_MS + step * STEP_MS
            core.restore(restore(self.written(log), self._checker.names[index], now_ms, core.eps_ms))
        return core

    def sight(self, index: int, step: int, helds: tuple[int, ...]) -> Sight:
        """What ``index`` sees in ``step`` of those that held ``helds`` in the step before."""
        if not self._model.eyes:
            return Sight((), ())
        key = (index, step, helds)
        found = self._sights.get(key)
        if found is None:
            found = self._sights[key] = self._look(index, step, helds)
        return found

    def was_here(self, index: int, step: int) -> bool:
        """Whether vehicle ``index`` had come into sight before ``step``."""
        return index != self._model.vehicles - 1 or step > self._model.late

    def times(self, held: int) -> tuple[float, float]:
        """When the shared place is entered and left."""
        uses = self._checker.roads.uses(self.tubes[held][0]) if held != NOTHING else ()
        return (uses[0][1], uses[-1][2]) if uses else (0.0, 0.0)

    def driven(self, index: int, held: int) -> bytes:
        if held != NOTHING:
            return self.tubes[held][0]
        if self._model.moving and index == 0:
            return approach(0, BEGIN_MS, -50_000, 9_000)
        return approach(0, BEGIN_MS, -1000, 0)

    def has_moved(self, index: int, step: int) -> bool:
        """Rule P8: it has moved in everybody's sight for long enough to leave out somebody who stands."""
        return self._model.moving and index == 0 and step * STEP_MS >= limits.SHOWN_MS

    def written(self, log: int) -> list[bytes]:
        """All that is on a disk, oldest first."""
        found = []
        while log != NOTHING:
            log, raw = self.logs[log]
            found.append(self.datagrams[raw])
        return found[::-1]

    def _look(self, index: int, step: int, helds: tuple[int, ...]) -> Sight:
        then = BEGIN_MS + (step - 1) * STEP_MS
        moving, standing = [], []
        for k, held in enumerate(helds):
            gone = held != NOTHING and then >= self.times(held)[1]
            if k == index or gone or not self.was_here(k, step):
                continue
            raw = self.driven(k, held)
            s, v = self._checker.roads.own(raw).at(then)
            if v <= MOVING and s <= 0.0:
                standing.append(k)
            else:
                moving.append((k, raw))
        return Sight(tuple(moving), tuple(standing))


class _Work:
    """One turn, worked out with the core itself."""

    def __init__(self, vehicles: Vehicles, index: int, step: int, held: int) -> None:
        self._vehicles = vehicles
        self._index = index
        self._step = step
        self._now_ms = BEGIN_MS + step * STEP_MS
        self._held = held
        self._written: list[int] = []

    def run(self, core_before: int, log: int, heard: tuple[int, ...], sight: Sight) -> Turn:
        vehicles = self._vehicles
        if core_before == NOTHING:
            core = vehicles.start(self._index, self._step, log)
        else:
            core = thaw(vehicles.cores[core_before])
        delivered = []
        for raw in heard:
            core.step(vehicles.datagrams[raw], self._now_ms)
            delivered.append(tuple(self._carry_out(core)))
        ticked = tuple(self._tick(core, sight))
        after = vehicles.cores.of(vehicles.freeze(core))
        return Turn(after, self._held, tuple(self._written), tuple(delivered), ticked)

    def _tick(self, core: Core, sight: Sight) -> list[Said]:
        vehicles, now, index, said = self._vehicles, self._now_ms, self._index, []
        if not core._zone:
            core.engage(ZONE, SESSION, now)
            if core.commitment is not None and self._held == NOTHING:
                core.release("restarted", now)
                said += self._carry_out(core)
        start, end = vehicles.times(self._held)
        threats, waiting = self._unaccounted(core, sight)
        if self._held != NOTHING and threats and now < start - 500:
            core.release(f"silent:{threats[0]}", now)
            said += self._carry_out(core)
        held = self._held != NOTHING
        core.tick(
            Local(
                now, Phase.WAITING, "p0", BEGIN_MS + index, now, vehicles.driven(index, self._held),
                wants_commit=not held and (not waiting or vehicles.has_moved(index, self._step)),
                pnr_passed=held and now >= start - 500, cleared=held and now >= end,
                perceived=threats, blocking=tuple([f"silent:{name}" for name in threats]),
            )
        )  # fmt: skip
        return said + self._carry_out(core)

    def _unaccounted(self, core: Core, sight: Sight) -> tuple[tuple[str, ...], tuple[str, ...]]:
        """(silent bodies that move or are inside, silent ones that stand)."""
        now, names = self._now_ms, self._vehicles.names
        heard, known = core.heard(now), core.known_tubes(now)
        new = now - BEGIN_MS <= limits.NEWCOMER_MS
        threats = []
        for k, raw in sight.moving:
            name = names[k]
            told = name in heard and (heard[name].plan == raw or any(t.plan == raw for t in known if t.vehicle == name))
            if not told or not (new or core.is_heard_by(name, now)):
                threats.append(name)
        return tuple(threats), tuple([names[k] for k in sight.standing if names[k] not in heard])

    def _carry_out(self, core: Core) -> list[Said]:
        vehicles, found = self._vehicles, []
        number = vehicles.datagrams.of
        while ready := core.ready():
            self._written += map(number, ready.to_persist)
            for effect in ready.to_apply:
                if isinstance(effect, Drop):
                    self._held = NOTHING
                else:
                    self._held = vehicles.tubes.of((effect.plan, effect.lease_end_ms, effect.proposal_hash))
            found.append(Said(tuple(map(number, ready.to_send)), tuple(ready.to_apply)))
            core.advance(ready)
        return found
