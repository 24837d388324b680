"""``fleet evidence verify`` on a breach: keys of a real register, the file, and nothing else."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from fleet.cli import main
from fleet.cli.breach_files import read_breach, write_breach
from fleet.node.key_files import read_secret
from fleet.oversight.breach import place_mm
from fleet.oversight.breach_case import BreachCase, Sighting, SignedCommitment
from planners.timed_path import TimedPath

NOW = 1_000_000_000_000
PLAN = TimedPath("z", "N.straight", NOW, 0, 8_000, ((10_000, 0),))


@pytest.fixture
def case(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> BreachCase:
    """An office, three enrolled vehicles, and a vehicle z that two others saw stand still."""
    monkeypatch.chdir(tmp_path)
    assert main.run(["keys", "new", "office.key", "--owner", "office"]) == 0
    for owner in ("z", "b", "c"):
        assert main.run(["keys", "new", f"{owner}.key", "--owner", owner]) == 0
        enrol = ["keys", "enrol", f"{owner}.key.request", "--authority", "office.key", "--register", "keys.json"]
        assert main.run([*enrol, "--at-ms", str(NOW)]) == 0
    bare = SignedCommitment("z", "c" * 64, "0" * 16, PLAN.encode(), 500)
    commitment = replace(bare, signature=read_secret(Path("z.key"))[1].sign(bare.statement()))
    return BreachCase(commitment, (*saw("b", 0), *saw("c", 200)))


def saw(observer: str, s_mm: int | None) -> tuple[Sighting, ...]:
    signer, found = read_secret(Path(f"{observer}.key"))[1], []
    for stamp_ms in range(NOW, NOW + 3_000, 100):
        place = place_mm(PLAN, stamp_ms) if s_mm is None else s_mm
        one = Sighting(observer, "z", PLAN.path_id, stamp_ms, place or 0)
        found.append(replace(one, signature=signer.sign(one.statement())))
    return tuple(found)


def verify() -> int:
    return main.run(["evidence", "verify", "breach.json", "--register", "keys.json"])


def test_a_breach_seen_by_two_is_upheld_from_the_file_alone(
    case: BreachCase, capsys: pytest.CaptureFixture[str]
) -> None:
    write_breach(Path("breach.json"), case)
    assert read_breach(Path("breach.json"))[0] == case
    assert verify() == 0
    said = capsys.readouterr().out.splitlines()[-1]
    assert said.startswith(f"upheld: breach by z at {NOW + 500} ms: seen by b, c")


def test_an_answer_by_another_observer_makes_it_a_case_for_a_person(
    case: BreachCase, capsys: pytest.CaptureFixture[str]
) -> None:
    one_sided = BreachCase(case.commitment, (*saw("b", 0), *saw("c", None)))
    write_breach(Path("breach.json"), one_sided)
    assert verify() == 3
    assert "a person has to look" in capsys.readouterr().out


def test_keys_of_another_authority_prove_nothing(case: BreachCase, capsys: pytest.CaptureFixture[str]) -> None:
    write_breach(Path("breach.json"), case)
    assert main.run(["keys", "new", "other.key", "--owner", "other"]) == 0
    enrol = ["keys", "enrol", "b.key.request", "--authority", "other.key", "--register", "others.json"]
    assert main.run([*enrol, "--at-ms", str(NOW)]) == 0
    assert main.run(["evidence", "verify", "breach.json", "--register", "others.json"]) == 3
    assert "no key of z is known" in capsys.readouterr().out


def test_a_breach_file_with_strange_keys_is_refused_in_one_line(
    case: BreachCase, capsys: pytest.CaptureFixture[str]
) -> None:
    write_breach(Path("breach.json"), case)
    text = Path("breach.json").read_text().replace('"allowance_mm"', '"allowance_m"')
    Path("breach.json").write_text(text)
    assert verify() == 2
    assert "breach.json" in capsys.readouterr().err
