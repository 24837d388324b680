"""What every vehicle's sensors see, computed once per period for all of them from one snapshot of the truth.

Noise depends only on the seed, the time of the snapshot and the bodies in it, never on who asks first.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import partial
from itertools import repeat
from typing import Any

import numpy as np
import numpy.typing as npt

from fleet.errors import HardwareError
from hardware.base import Track
from hardware.vehicle import Vehicle
from sim._perception import SECTOR_COUNT, visible_pairs
from sim.world import Truth

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

# Half the cost of calling Track(...): a vehicle among many others gets thousands of tracks a second.
_new_track: Any = partial(tuple.__new__, Track)


class Perception:
    """Sensors of all attached bodies. Bodies that nobody drives by a node are attached too: others see them.

    Parameters
    ----------
    seed : int
        Of the measurement noise.
    period_s : float
        Snapshots are used at most this often; in between, the last tracks stand with their old stamp.
    """

    def __init__(self, *, seed: int = 0, period_s: float = 0.1) -> None:
        self._seed, self._period_ns = seed & 0xFFFFFFFFFFFFFFFF, round(period_s * 1e9)
        self._vehicles: dict[int, Vehicle] = {}
        self._identity: dict[int, int] = {}
        self._identity_next = 0
        self._known: dict[int, dict[int, int]] = {}
        """Of each observer: identity of a target -> the track number it was given when first seen."""
        self._period_index = -1
        self._snapshot: tuple[int, Truth] | None = None
        self._newcomers: set[int] = set()
        """Slots whose body in the snapshot is not the body that is attached now."""
        self._tracks: dict[int, tuple[Track, ...]] = {}
        self._seen: _Seen | None = None
        self._layout: _Layout | None = None

    def attach(self, slot: int, vehicle: Vehicle) -> None:
        """A body appears in ``slot``; it is nobody that was there before."""
        self._vehicles[slot] = vehicle
        self._identity[slot] = self._identity_next
        self._identity_next += 1
        self._known[slot] = {}
        self._newcomers.add(slot)
        self._tracks[slot] = ()
        self._layout = None

    def detach(self, slot: int) -> None:
        if slot not in self._vehicles:
            raise HardwareError(f"slot {slot} was never attached to the sensors; attached: {sorted(self._vehicles)}")
        del self._vehicles[slot], self._identity[slot], self._known[slot]
        self._tracks.pop(slot, None)
        self._layout = None

    def offer(self, truth: Truth, now_ns: int) -> None:
        """Take ``truth`` as the next snapshot if a new period has begun."""
        index = now_ns // self._period_ns
        if index != self._period_index:
            self._period_index = index
            self._snapshot, self._seen = (now_ns, truth), None
            self._tracks.clear()
            self._newcomers.clear()

    def tracks(self, slot: int) -> tuple[Track, ...]:
        """What the sensors of ``slot`` saw in the last snapshot; nothing before the body's first one."""
        tracks = self._tracks.get(slot)
        if tracks is None:
            tracks = self._tracks[slot] = self._build(slot)
        return tracks

    def _build(self, slot: int) -> tuple[Track, ...]:
        if self._snapshot is None or slot not in self._vehicles:
            return ()
        if self._seen is None:
            self._seen = self._look(*self._snapshot)
        seen = self._seen
        row = seen.rows.get(slot)
        if row is None:
            return ()
        part = slice(seen.first[row], seen.first[row + 1])
        known, identities = self._known[slot], seen.identity[part]
        for identity in identities:
            if identity not in known:
                known[identity] = len(known)
        columns = zip(
            [known[identity] for identity in identities], repeat(self._snapshot[0]), *[c[part] for c in seen.columns],
            repeat(self._vehicles[slot].sensors.perception_position_std_m),
        )  # fmt: skip
        return tuple(map(_new_track, columns))

    def _look(self, stamp_ns: int, truth: Truth) -> _Seen:
        """Pairs and noisy measurements of the snapshot, for all observers."""
        rows = [k for k, s in enumerate(truth.slots.tolist()) if s in self._vehicles and s not in self._newcomers]
        slots = tuple(truth.slots[rows].tolist())
        if self._layout is None or self._layout.slots != slots:
            self._layout = _Layout.of(slots, [self._vehicles[slot] for slot in slots])
        layout, state = self._layout, truth.state[rows]
        pose = state[:, :3].copy()
        pose[:, 0] += layout.ahead * np.cos(state[:, 2])
        pose[:, 1] += layout.ahead * np.sin(state[:, 2])
        found = visible_pairs(
            pose, layout.half, layout.sensor, layout.outline, layout.near, layout.head, layout.following,
            layout.item, layout.first, layout.target,
        )  # fmt: skip
        target = layout.target[:found]
        std = layout.noise[np.repeat(np.arange(len(slots)), np.diff(layout.first))]
        # A heading is measured between the two ends of an outline, so that of long bodies is known better.
        std[:, 2] /= layout.half[target, 0]
        generator = np.random.Generator(np.random.Philox(key=np.array([self._seed, stamp_ns], dtype=np.uint64)))
        measured = np.column_stack((pose[target], state[target, 3])) + std * generator.standard_normal((found, 4))
        measured[:, 2] = math.pi - np.mod(math.pi - measured[:, 2], 2.0 * math.pi)
        identity = np.array([self._identity[slot] for slot in slots], dtype=np.int64)
        columns = [*measured.T.tolist(), *(2.0 * layout.half[target]).T.tolist()]
        return _Seen(
            {slot: row for row, slot in enumerate(slots)}, layout.first.tolist(), identity[target].tolist(), columns
        )


@dataclass(frozen=True, slots=True)
class _Seen:
    """One snapshot's result as plain lists; the observer in row i sees the entries ``first[i]`` to ``first[i + 1]``.

    ``columns``: x, y, yaw, speed, length, width.
    """

    rows: dict[int, int]
    first: list[int]
    identity: list[int]
    columns: list[list[float]]


@dataclass(frozen=True, slots=True)
class _Layout:
    """Arrays that stay the same while the same bodies are present, and the kernel's workspaces."""

    slots: tuple[int, ...]
    ahead: Floats
    half: Floats
    sensor: Floats
    noise: Floats
    outline: Floats
    near: Ints
    head: Ints
    following: Ints
    item: Ints
    first: Ints
    target: Ints

    @staticmethod
    def of(slots: tuple[int, ...], vehicles: list[Vehicle]) -> _Layout:
        count = len(slots)
        bodies, sensors = [v.body for v in vehicles], [v.sensors for v in vehicles]
        half = np.array([(0.5 * b.length_m, 0.5 * b.width_m) for b in bodies], dtype=np.float64).reshape(count, 2)
        noise = [(s.perception_position_std_m,) * 3 + (s.perception_speed_std_mps,) for s in sensors]
        cover = [(s.perception_range_m, s.perception_fov_rad) for s in sensors]
        return _Layout(
            slots=slots,
            ahead=np.array([0.5 * b.length_m - b.rear_overhang_m for b in bodies], dtype=np.float64),
            half=half,
            sensor=np.array(cover, dtype=np.float64).reshape(count, 2),
            noise=np.array(noise, dtype=np.float64).reshape(count, 4),
            outline=np.zeros((count, 12)),
            near=np.zeros(count, dtype=np.int64),
            head=np.zeros(SECTOR_COUNT, dtype=np.int64),
            following=np.zeros(count * (SECTOR_COUNT + 2), dtype=np.int64),
            item=np.zeros(count * (SECTOR_COUNT + 2), dtype=np.int64),
            first=np.zeros(count + 1, dtype=np.int64),
            target=np.zeros(count * max(0, count - 1), dtype=np.int64),
        )
