"""The fault simulator's runs: safe, the same for the same seed, and full of what they are meant to hold."""

from __future__ import annotations

import os
import subprocess
import sys
from collections import Counter
from pathlib import Path

import msgspec
import pytest

from sim.faults.case import ChannelCase
from sim.faults.coverage import dimensions
from sim.faults.draw import LIES, PROFILES, draw
from sim.faults.engine import Engine, Outcome

ROOT = Path(__file__).parents[3]


def run(seed: int, profile: str) -> Outcome:
    return Engine(draw(seed, profile)).run()


@pytest.mark.parametrize(("profile", "seeds"), [("ci", 12), ("nightly", 4), ("release", 2), ("byzantine", 8)])
def test_no_seed_breaks_a_property(profile: str, seeds: int) -> None:
    adopted = 0
    for seed in range(1, seeds + 1):
        out = run(seed, profile)
        assert out.violations == [], f"again: fleet soak --seeds {seed} --profile {profile}"
        adopted += out.adopted
    assert 2 * adopted > seeds, "runs in which nothing is agreed show nothing"


def test_a_case_without_faults_brings_all_across_without_an_abort() -> None:
    case, still = draw(1, "ci"), ChannelCase(delay_ms=20)
    calm = msgspec.structs.replace(case, channel=still, healed=still, faults=(), vehicles=case.honest)
    out = Engine(calm, trace=True).run()
    kinds = Counter(kind for _, _, kind, _ in out.trace)
    assert out.violations == []
    assert out.events["lost"] == 0
    assert kinds["commit"] == out.adopted >= len(calm.vehicles)
    reasons = {str(detail["reason"]) for _, _, kind, detail in out.trace if kind == "release"}
    assert not any(reason.startswith(("released:", "lease_end")) for reason in reasons), "no commitment is given up"


@pytest.mark.parametrize("profile", ["ci", "nightly", "byzantine"])
def test_the_same_seed_gives_the_same_run(profile: str) -> None:
    first, second = run(5, profile), run(5, profile)
    assert first.digest == second.digest
    assert first.events == second.events


def test_fifty_seeds_are_the_same_in_another_process_with_another_hash_seed() -> None:
    program = (
        "from sim.faults.draw import draw; from sim.faults.engine import Engine\n"
        "print([Engine(draw(s, p)).run().digest for p, n in (('byzantine', 46), ('nightly', 4)) for s in range(n)])"
    )
    answers = set()
    for hash_seed in ("1", "2"):
        environment = {**os.environ, "PYTHONHASHSEED": hash_seed}
        command = [sys.executable, "-c", program]
        answers.add(subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, check=True).stdout)
    assert len(answers) == 1


@pytest.mark.soak
@pytest.mark.parametrize("profile", sorted(PROFILES))
def test_a_thousand_seeds_are_the_same_twice(profile: str) -> None:
    for seed in range(1, 251):
        assert run(seed, profile).digest == run(seed, profile).digest, f"{profile} {seed}"


def test_every_fault_and_every_lie_is_drawn() -> None:
    seen: Counter[str] = Counter()
    for profile in ("nightly", "byzantine"):
        for seed in range(200):
            seen.update(dimensions(draw(seed, profile)))
    for word in (
        "split to 2 s", "one_way above 2 s", "flap above 2 s", "blackout above 2 s", "deaf to 2 s", "mute to 2 s",
        "shadow above 2 s", "pause to 2 s", "lease_pause above 2 s", "clock_step 1000 ms", "clock_step 20 ms",
        "lost_estimate to 0.5 s", "crash torn_tail", "crash before_apply", "crash after_first_send", "duplicates 100%",
        "reordering", "loss 100% bursts", "delay tail 60000 ms", "clock drift to 200 ppm", "liars 3 of 4",
        "unconnected, drives without right", "Ed25519", *(f"lie {lie}" for lie in LIES),
    ):  # fmt: skip
        assert seen[word] > 0, word


def test_real_signatures_give_a_safe_run_too() -> None:
    out = Engine(msgspec.structs.replace(draw(3, "byzantine"), real_keys=True)).run()
    assert out.violations == []
    assert out.adopted > 0
