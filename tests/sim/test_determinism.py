"""The same scenario and seed give the same bytes, in this process and in others; another seed does not."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
from pathlib import Path

import pytest

from sim.run_folder import FILES
from tests.sim.whole_runs import drive

ROOT = Path(__file__).resolve().parents[2]
PINNED = ("decisions.jsonl", "trajectories.parquet", "run.mcap", "vehicles.json", "map.json")
"""What holds no wall-clock time."""
LOSSY = {"loss": 0.3, "burst": 5.0, "delay_ms": 50.0}


def digests(out: Path, names: tuple[str, ...] = PINNED) -> dict[str, str]:
    return {name: hashlib.sha256((out / name).read_bytes()).hexdigest() for name in names}


def test_the_list_of_pinned_files_leaves_out_only_those_with_wall_clock_times() -> None:
    assert set(FILES) - set(PINNED) == {"run.json", "metrics.json", "report.html"}


@pytest.fixture(scope="module")
def lossy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Losses, jitter and sensors draw random numbers, so this run has every source of chance."""
    return drive("four_way", tmp_path_factory.mktemp("lossy") / "a", world="kinematic", mcap=True, **LOSSY).out


def test_the_same_seed_twice_in_one_process(lossy: Path, tmp_path: Path) -> None:
    again = drive("four_way", tmp_path / "b", world="kinematic", mcap=True, **LOSSY)
    assert digests(again.out) == digests(lossy)


def test_another_seed_is_another_run(lossy: Path, tmp_path: Path) -> None:
    other = drive("four_way", tmp_path / "b", world="kinematic", mcap=True, seed=2, **LOSSY)
    different = {name for name, digest in digests(other.out).items() if digest != digests(lossy)[name]}
    assert different == set(PINNED) - {"map.json"}


def test_a_run_in_between_leaves_no_trace(lossy: Path, tmp_path: Path) -> None:
    """No state of a process, such as a cache or a generator, reaches from one run into the next."""
    drive("roundabout", tmp_path / "between", world="kinematic", seed=5, duration_s=20.0)
    again = drive("four_way", tmp_path / "b", world="kinematic", mcap=True, **LOSSY)
    assert digests(again.out) == digests(lossy)


@pytest.mark.parametrize("hash_seed", ["1", "2"])
def test_other_processes_with_other_hash_seeds(lossy: Path, tmp_path: Path, hash_seed: str) -> None:
    """Sets and dictionaries of text are ordered by the hash seed; nothing may depend on that."""
    out = tmp_path / "out"
    line = [sys.executable, "-m", "fleet", "run", "four_way", "--world", "kinematic", "--quiet", "--out", str(out)]
    line += ["--loss", "0.3", "--burst", "5", "--delay-ms", "50"]
    environment = {**os.environ, "PYTHONHASHSEED": hash_seed}
    done = subprocess.run(line, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert digests(out) == digests(lossy)


def test_physics_too(tmp_path: Path) -> None:
    pytest.importorskip("pybullet")
    runs = [drive("t_junction", tmp_path / name, mcap=True, duration_s=28.0).out for name in ("a", "b")]
    assert "commit" in (runs[0] / "decisions.jsonl").read_text(encoding="utf-8")
    assert digests(runs[0]) == digests(runs[1])
    out = tmp_path / "c"
    line = [sys.executable, "-m", "fleet", "run", "t_junction", "--duration", "28", "--quiet", "--out", str(out)]
    environment = {**os.environ, "PYTHONHASHSEED": "7"}
    done = subprocess.run(line, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 3, done.stderr  # in so short a time nobody arrives
    assert digests(out) == digests(runs[0])


def test_silent_cars_and_dead_radios_are_no_exception(tmp_path: Path) -> None:
    for changes in ({"dead": True}, {}):
        name = "four_way" if changes else "four_way_runner"
        runs = [drive(name, tmp_path / f"{name}{k}", world="kinematic", duration_s=35.0, **changes).out for k in (0, 1)]
        pinned = tuple(name for name in PINNED if name != "run.mcap")
        assert digests(runs[0], pinned) == digests(runs[1], pinned)
