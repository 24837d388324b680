"""Seeded faults against an omniscient observer; canary mutants prove that the observer can see."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from fleet.protocol.ballot import Ballot, Own
from fleet.protocol.records import LiveTube, Local
from fleet.protocol.situation import Objections, Situation
from tests.protocol.harness import World, bursty, violations
from tests.protocol.liar import Equivocator

SEEDS = 80
PATHS = ("R1", "R2", "R1+R2", "R2+R3", "R3", "R1+R3")


def soak(seed: int, duration_ms: int = 9_000) -> World:
    """One run: 2 to 5 honest cars, up to two liars; loss to 50 %, delays to 300 ms, duplicates, skewed clocks."""
    world = World(seed, tick_ms=50)
    rng = world.rng
    low = rng.randint(1, 40)
    delays = (low, low + rng.choice((0, 20, 100, 260)))
    world.fault = bursty(
        rng, rng.choice((0.0, 0.1, 0.3, 0.5)), rng.choice((1.0, 3.0, 5.0)), delays, rng.choice((0.0, 0.2))
    )
    world.perfect_eyes = True
    duel = rng.random() < 0.3  # two honest vehicles, one place, one liar between them
    for index in range(1 if duel else rng.choice((0, 1, 1, 2))):
        world.liars[f"liar{index}"] = Equivocator(world, f"liar{index}", rng.choice((150, 350)))
    for index in range(2 if duel else rng.choice((2, 3, 4, 5))):
        car = world.add(f"v{index}", "R1" if duel else rng.choice(PATHS), skew_ms=rng.randint(-10, 10))
        if index and not duel:
            world.run(rng.choice((0, 0, 40, 700)))
        world.engage(car)
    world.run(duration_ms, world.all_done)
    return world


def test_no_two_honest_vehicles_ever_use_overlapping_tubes() -> None:
    crossed = 0
    for seed in range(SEEDS):
        world = soak(seed)
        assert violations(world) == [], f"seed {seed}: reproduce with tests.protocol.test_soak.soak({seed})"
        crossed += len(world.used)
    assert crossed > SEEDS, "the runs must do something to show anything"


def test_the_same_seed_gives_the_same_run() -> None:
    first, second = soak(3), soak(3)
    assert first.log == second.log
    assert first.air == second.air


def test_another_hash_seed_gives_the_same_run() -> None:
    program = (
        "import hashlib; from tests.protocol.test_soak import soak; world = soak(3);"
        "print(hashlib.sha256(repr((world.log, world.air)).encode()).hexdigest())"
    )
    digests = set()
    for hash_seed in ("1", "2"):
        environment = {**os.environ, "PYTHONHASHSEED": hash_seed}
        root = Path(__file__).parents[2]
        run = subprocess.run(
            [sys.executable, "-c", program], cwd=root, env=environment, capture_output=True, check=True
        )
        digests.add(run.stdout)
    assert len(digests) == 1


def caught(seeds: int) -> int | None:
    """The first seed at which the observer sees a violation."""
    return next((seed for seed in range(seeds) if violations(soak(seed))), None)


def test_a_mutant_that_commits_on_a_majority_is_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    majority = property(lambda ballot: 2 * len(ballot.votes) > len(ballot.proposal.members))
    monkeypatch.setattr(Ballot, "complete", majority)
    assert caught(2 * SEEDS) is not None


def test_a_mutant_that_locks_the_epoch_and_not_the_tube_is_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    known = Situation.known
    objections = Situation.objections

    def no_promises(self: Situation, now_ms: int, *, without: bytes = b"") -> list[LiveTube]:
        return [tube for tube in known(self, now_ms, without=without) if tube.kind != "promise"]

    def one_per_epoch(self: Situation, ballot: Ballot, local: Local, now_ms: int) -> Objections:
        epochs = {b.proposal.epoch for b in self.ballots.values() if b.own is Own.ACCEPTED}
        if ballot.proposal.epoch in epochs:
            return Objections(("epoch",), True, ())
        return objections(self, ballot, local, now_ms)

    monkeypatch.setattr(Situation, "known", no_promises)
    monkeypatch.setattr(Situation, "objections", one_per_epoch)
    assert caught(2 * SEEDS) is not None


def test_a_mutant_that_lets_proposers_leave_members_out_is_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Situation, "_missing", lambda self, proposal, concerned, local, now_ms: ((), False))
    assert caught(2 * SEEDS) is not None
