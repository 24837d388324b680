"""The soak around the engine: workers, resuming, silence variants, shrinking, and the command line."""

from __future__ import annotations

from pathlib import Path

import pytest

from fleet.cli.main import run as fleet
from fleet.errors import ConfigError
from fleet.protocol.ballot import Ballot
from sim.faults.draw import draw
from sim.faults.engine import Engine
from sim.faults.shrink import shrink
from sim.faults.silence import run_variants, variant
from sim.faults.soak import Options, soak, table


def majority(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(Ballot, "complete", property(lambda b: 2 * len(b.votes) > len(b.proposal.members)))


def test_two_workers_find_what_one_finds() -> None:
    one = soak(Options(range(1, 5), workers=1, shown=False))
    two = soak(Options(range(1, 5), workers=2, shown=False))
    assert (one.events, one.counts, one.dims, one.status) == (two.events, two.counts, two.dims, 0)


def test_an_interrupted_soak_goes_on_where_it_stopped(tmp_path: Path) -> None:
    file = tmp_path / "ci.jsonl"
    soak(Options(range(1, 4), resume=file, shown=False))
    whole = file.read_bytes()
    file.write_bytes(whole[:-20])
    report = soak(Options(range(1, 5), resume=file, shown=False))
    assert report.seeds == 4
    assert file.read_text().count('"seed":3') == 2, "the line cut short stays, its seed ran again"
    again = soak(Options(range(1, 5), resume=file, shown=False))
    assert again.events == report.events
    with pytest.raises(ConfigError, match="profile ci, wanted is byzantine"):
        soak(Options(range(1, 5), "byzantine", resume=file, shown=False))


def test_silence_keeps_safe_runs_safe() -> None:
    case = draw(4, "byzantine")
    deliveries = Engine(case).run().deliveries
    assert variant(case, deliveries, 3) == variant(case, deliveries, 3) != case
    violations, events = run_variants(case, deliveries, 4)
    assert violations == []
    assert events > 1000


def test_a_failing_case_is_made_small_and_fails_again_from_its_file(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    majority(monkeypatch)
    seed = next(seed for seed in range(1, 50) if Engine(draw(seed)).run().violations)
    whole = draw(seed)
    small, rule = shrink(whole, lambda line: None)
    assert rule
    assert len(small.vehicles) <= len(whole.vehicles)
    assert len(small.faults) == 0 or len(small.faults) < len(whole.faults)
    assert fleet(["soak", "--seeds", str(seed), "--shrink", "--out", str(tmp_path), "--quiet"]) == 3
    assert f"again: fleet soak --seeds {seed} --profile ci" in capsys.readouterr().out
    assert fleet(["soak", "--case", str(tmp_path / f"ci-{seed}.case")]) == 3
    assert f"VIOLATION {rule}" in capsys.readouterr().out


def test_the_command_says_what_was_run_and_refuses_what_it_cannot_run(capsys: pytest.CaptureFixture[str]) -> None:
    assert fleet(["soak", "--seeds", "1..2", "--quiet"]) == 0
    out = capsys.readouterr().out
    assert "2 of 2 seeds" in out
    assert "violations: 0 of 2 seeds" in out
    assert "events/s of a core" in out
    for arguments, word in ((["--seeds", "9..3"], "A <= B"), (["--profile", "quick"], "no profile 'quick'")):
        assert fleet(["soak", "--quiet", *arguments]) == 2
        assert word in capsys.readouterr().err


def test_the_table_names_the_bound_of_zero_violations() -> None:
    assert "95 % bound 1.5 a seed" in table(soak(Options(range(1, 3), shown=False)))
