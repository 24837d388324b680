"""One case of the fault simulator as plain values: who drives, what the channel does, which faults come when.

A case is drawn from a seed (draw.py), cut down (shrink.py), and written as text to be run again.
"""

from __future__ import annotations

from pathlib import Path

import msgspec
from msgspec import Struct

from fleet.errors import ConfigError
from sim.faults.plans import Path as RoadPath

START_MS = 1_000_000
"""True time at which every case begins; times in a case count from here."""
ZONE, SESSION = "soak", 1

FAULT_KINDS = {
    "split": "two-way partition: `group` and the rest do not hear each other",
    "one_way": "nothing from `group` reaches the rest",
    "flap": "a two-way partition that comes and goes every `amount` ms",
    "blackout": "nobody hears anybody",
    "deaf": "`who` receives nothing",
    "mute": "nobody receives `who`",
    "shadow": "links of `who` lose `amount` thousandths more",
    "crash": "the node of `who` ends (at the boundary `amount`) and starts again after `for_ms`",
    "pause": "the node of `who` is stopped for `for_ms` (SIGSTOP); its datagrams wait",
    "lease_pause": "as pause, from shortly before the end of the next lease that `who` holds",
    "clock_step": "the clock of `who` jumps by `amount` ms and is mended after `for_ms`",
    "lost_estimate": "`who` does not trust its own position for `for_ms`",
}
CRASH_POINTS = ("anywhere", "before_sync", "torn_tail", "after_sync", "after_first_send", "before_apply")


class VehicleCase(Struct, frozen=True):
    """One body, and what is in it."""

    name: str
    role: str
    """honest, legacy (unconnected) or liar."""
    path: int
    start_mm: int
    speed_mmps: int
    enter_ms: int
    tick_ms: int = 50
    phase_ms: int = 0
    """Of its ticks within the tick period."""
    offset_ms: int = 0
    drift_ppm: int = 0
    lies: tuple[str, ...] = ()
    goes_ms: int = -1
    """When a legacy body or a liar's body starts to cross; -1: never."""
    looks: bool = True
    """Whether it waits until the place is free and still (a legacy driver who keeps to the rules)."""


class ChannelCase(Struct, frozen=True):
    """One-way properties of every link."""

    loss: float = 0.0
    burst: float = 1.0
    """Mean length of a run of lost datagrams (Gilbert-Elliott)."""
    delay_ms: int = 20
    spread_ms: int = 0
    """Uniform on top of ``delay_ms``: what reorders."""
    tail: float = 0.0
    """Share of datagrams that take up to ``tail_ms`` longer."""
    tail_ms: int = 0
    duplicate: float = 0.0


class Fault(Struct, frozen=True):
    """One fault; times count from the case's start."""

    kind: str
    at_ms: int
    for_ms: int
    who: str = ""
    group: tuple[str, ...] = ()
    amount: int = 0


class Case(Struct, frozen=True):
    """Everything that a run depends on."""

    seed: int
    profile: str
    paths: tuple[RoadPath, ...]
    vehicles: tuple[VehicleCase, ...]
    channel: ChannelCase
    healed: ChannelCase
    heal_ms: int
    """From here on no fault and no lie: the liveness phase."""
    end_ms: int
    faults: tuple[Fault, ...] = ()
    real_keys: bool = False
    everybody: bool = False
    """Every vehicle heard has to be a member, whether its path meets the batch's or not."""
    eps_ms: int = 10
    lost: tuple[int, ...] = ()
    """Deliveries, by their number, that are dropped besides (shrinking, silence variants)."""
    moved: tuple[tuple[int, int], ...] = ()
    """(delivery, further ms): deliveries that come later."""
    doubled: tuple[tuple[int, int], ...] = ()
    """(delivery, ms after the first copy): deliveries that come twice."""

    @property
    def honest(self) -> tuple[VehicleCase, ...]:
        return tuple(v for v in self.vehicles if v.role == "honest")


def read_case(path: Path) -> Case:
    """A case from its file; lines that begin with ``#`` are for people.

    Raises
    ------
    ConfigError
        The file cannot be read or is not a case.
    """
    try:
        text = "\n".join(line for line in path.read_text().splitlines() if not line.startswith("#"))
        return msgspec.json.decode(text, type=Case)
    except (OSError, msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path}: not a case of the fault simulator: {error}") from error


def case_text(case: Case, head: list[str]) -> str:
    """The file's text: comment lines, then one value per line."""
    lines = [f"# {line}" for line in head]
    return "\n".join([*lines, msgspec.json.format(msgspec.json.encode(case), indent=1).decode()]) + "\n"
