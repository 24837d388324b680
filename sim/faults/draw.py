"""A case from a seed: its own subset of the fault model, each fault with its own strength."""

from __future__ import annotations

import random
from dataclasses import dataclass

from fleet.errors import ConfigError
from sim.faults.case import CRASH_POINTS, Case, ChannelCase, Fault, VehicleCase
from sim.faults.plans import Path

LIES = (
    "equivocate", "withhold", "selective", "replay", "false_position", "ghost", "flip_flop", "bad_plan", "forge",
    "omit_members", "foreign_zone",
)  # fmt: skip

EACH_MS = 12_000
"""One crossing by sight: a turn, and the way through."""


@dataclass(frozen=True, slots=True)
class Profile:
    """Bounds of the draws (protocol.md, fault model)."""

    honest: tuple[int, int]
    liars: tuple[int, ...]
    """How many, each entry equally likely."""
    loss: tuple[float, ...]
    delay_ms: tuple[int, int]
    tail_ms: tuple[int, ...]
    duplicate: float
    chance: float
    """Of each link or node fault that can occur."""
    drift_ppm: int
    steps_ms: tuple[int, ...]
    legacy: float
    """Chance of each unconnected body."""
    faulty_s: tuple[int, int]
    calm_s: int = 60
    """After healing, for everybody to get across; too little for all: liveness is not what the profile is about."""
    near: bool = False
    """All come up to the line at once: the run is the few seconds around one crossing."""


PROFILES = {
    "ci": Profile(
        (2, 8), (0, 0, 0, 1), (0.0, 0.1, 0.2, 0.3), (2, 100), (0,), 0.2, 0.15, 50, (), 0.15, (4, 8)
    ),
    "nightly": Profile(
        (2, 8), (0, 0, 1, 2), (0.0, 0.1, 0.3, 0.5, 0.8, 1.0), (2, 200), (0, 500, 60_000), 1.0, 0.2, 200,
        (-1000, -100, -20, 20, 100, 1000), 0.3, (5, 15),
    ),
    "release": Profile(
        (2, 12), (0, 0, 1, 2, 3), (0.0, 0.1, 0.3, 0.5, 0.8, 1.0), (2, 300), (0, 500, 60_000), 1.0, 0.25, 200,
        (-1000, -100, -20, 20, 100, 1000), 0.3, (5, 30),
    ),
    "byzantine": Profile(
        (1, 3), (1, 1, 2, 3), (0.0, 0.1, 0.3), (2, 100), (0, 500), 0.3, 0.08, 50, (), 0.1, (3, 5), 1, True
    ),
}  # fmt: skip


def draw(seed: int, profile: str = "ci") -> Case:
    """The case of ``seed``; equal arguments give equal cases.

    Raises
    ------
    ConfigError
        There is no such profile.
    """
    if profile not in PROFILES:
        raise ConfigError(f"no profile {profile!r}; known: {', '.join(PROFILES)}")
    bounds = PROFILES[profile]
    rng = random.Random(f"{profile}:{seed}")
    paths = _paths(rng)
    heal_ms = 1000 * rng.randint(*bounds.faulty_s)
    vehicles = _vehicles(rng, bounds, len(paths), heal_ms)
    return Case(
        seed=seed, profile=profile, paths=paths, vehicles=vehicles, channel=_channel(rng, bounds),
        healed=ChannelCase(rng.choice((0.0, 0.1)), 1.0, rng.randint(2, 60), rng.choice((0, 20))),
        heal_ms=heal_ms, end_ms=heal_ms + _calm_ms(bounds, vehicles), faults=_faults(rng, bounds, vehicles, heal_ms),
        real_keys=rng.random() < 0.01, everybody=rng.random() < 0.3,
    )  # fmt: skip


def _calm_ms(bounds: Profile, vehicles: tuple[VehicleCase, ...]) -> int:
    """Longer where somebody silent may stay at a line: then the others go one at a time."""
    honest = sum(vehicle.role == "honest" for vehicle in vehicles)
    by_sight_ms = EACH_MS * honest if honest < len(vehicles) and bounds.calm_s > 10 else 0
    return 1000 * bounds.calm_s + by_sight_ms


def _paths(rng: random.Random) -> tuple[Path, ...]:
    """Two to four paths through one to four resources; the first two always meet."""
    resources = rng.randint(1, 4)
    found = []
    for index in range(rng.randint(2, 4)):
        chosen = [0] if index < 2 else []
        chosen += [r for r in range(1, resources) if rng.random() < 0.5]
        if not chosen:
            chosen = [rng.randrange(resources)]
        rng.shuffle(chosen)
        path, s = [], rng.randint(300, 3000)
        for resource in chosen:
            length = rng.randint(3000, 9000)
            path.append((resource, s, s + length))
            s += length + rng.randint(0, 4000)
        found.append(tuple(path))
    return tuple(found)


def _vehicles(rng: random.Random, bounds: Profile, paths: int, heal_ms: int) -> tuple[VehicleCase, ...]:
    eps_ms = 10
    drift = min(bounds.drift_ppm, 200)
    found = []

    def far_and_fast() -> tuple[int, int]:
        """Where it enters (mm), and a speed (mm/s) from which it can stop gently before the line."""
        start_mm = -rng.randint(2_000, 25_000 if bounds.near else 60_000)
        return start_mm, min(rng.randint(0, 12_000), int((3_000 * (-start_mm - 1_000)) ** 0.5))

    together = bounds.near or rng.random() < 0.4
    for index in range(rng.randint(*bounds.honest)):
        found.append(
            VehicleCase(
                f"v{index}", "honest", rng.randrange(paths), *far_and_fast(),
                0 if together else rng.choice((0, 0, rng.randint(0, heal_ms))), rng.choice((50, 50, 50, 100)),
                rng.randrange(50), rng.randint(2 - eps_ms, eps_ms - 2), rng.randint(-drift, drift),
            )
        )  # fmt: skip
    liars = rng.choice(bounds.liars)
    shared = tuple(lie for lie in LIES if rng.random() < 0.35)
    for index in range(liars):
        lies = shared if rng.random() < 0.5 else tuple(lie for lie in LIES if rng.random() < 0.35)
        drives = rng.random() < 0.2
        found.append(
            VehicleCase(
                f"x{index}", "liar", rng.randrange(paths), *far_and_fast(), 0,
                50, rng.randrange(50), lies=lies or ("equivocate",), goes_ms=rng.randrange(heal_ms) if drives else -1,
                looks=False,
            )
        )  # fmt: skip
    for index in range(2):
        if rng.random() < bounds.legacy:
            found.append(
                VehicleCase(
                    f"u{index}", "legacy", rng.randrange(paths), *far_and_fast(),
                    rng.randrange(heal_ms), goes_ms=rng.randrange(heal_ms), looks=rng.random() < 0.6,
                )
            )  # fmt: skip
    return tuple(found)


def _channel(rng: random.Random, bounds: Profile) -> ChannelCase:
    low = rng.randint(bounds.delay_ms[0], bounds.delay_ms[1] // 2)
    tail_ms = rng.choice(bounds.tail_ms)
    return ChannelCase(
        loss=rng.choice(bounds.loss), burst=rng.choice((1.0, 3.0, 4.0, 5.0)), delay_ms=low,
        spread_ms=rng.choice((0, rng.randint(0, bounds.delay_ms[1] - low))),
        tail=rng.choice((0.0, 0.05)) if tail_ms else 0.0, tail_ms=tail_ms,
        duplicate=rng.choice((0.0, bounds.duplicate)),
    )  # fmt: skip


def _faults(rng: random.Random, bounds: Profile, vehicles: tuple[VehicleCase, ...], heal_ms: int) -> tuple[Fault, ...]:
    names = [vehicle.name for vehicle in vehicles if vehicle.role != "legacy"]
    honest = [vehicle.name for vehicle in vehicles if vehicle.role == "honest"]
    found = []
    for kind in ("split", "one_way", "flap", "blackout"):
        if rng.random() < bounds.chance and len(names) > 1:
            group = tuple(sorted(rng.sample(names, rng.randint(1, len(names) - 1))))
            at_ms, for_ms = _window(rng, heal_ms, 500, 6_000)
            found.append(Fault(kind, at_ms, for_ms, group=group, amount=rng.randint(200, 5_000)))
    for name in honest:
        for kind in ("crash", "pause", "lease_pause", "deaf", "mute", "shadow", "clock_step", "lost_estimate"):
            if rng.random() >= bounds.chance / 2:
                continue
            if kind == "clock_step" and not bounds.steps_ms:
                continue
            at_ms, for_ms = _window(rng, heal_ms, 100, 4_000)
            if kind == "crash" and rng.random() < 0.5:
                for_ms = rng.randint(20, 500)  # back while what it promised is still open to others
            found.append(Fault(kind, at_ms, for_ms, name, amount=_amount(rng, bounds, kind)))
    return tuple(sorted(found, key=lambda fault: (fault.at_ms, fault.kind, fault.who)))


def _amount(rng: random.Random, bounds: Profile, kind: str) -> int:
    if kind == "crash":
        return rng.randrange(len(CRASH_POINTS))
    if kind == "shadow":
        return rng.randint(100, 900)
    return rng.choice(bounds.steps_ms) if kind == "clock_step" else 0


def _window(rng: random.Random, heal_ms: int, shortest_ms: int, longest_ms: int) -> tuple[int, int]:
    at_ms = rng.randrange(heal_ms - shortest_ms)
    return at_ms, rng.randint(shortest_ms, min(longest_ms, heal_ms - at_ms))
