"""Cases that once failed, or show a rule at work: they stay safe, and say what they were kept for."""

from __future__ import annotations

from pathlib import Path

import pytest

from fleet.protocol.core import Core
from sim.faults.case import read_case
from sim.faults.trace import story

CASES = Path(__file__).parent / "testdata"


@pytest.mark.parametrize("path", sorted(CASES.glob("*.case")), ids=lambda path: path.stem)
def test_a_kept_case_is_safe(path: Path) -> None:
    text, status = story(read_case(path))
    assert status == 0, text


def test_two_that_stand_and_do_not_hear_each_other_go_one_after_the_other() -> None:
    text, _ = story(read_case(CASES / "p08-both-stand.case"))
    before = text.partition("commit")[0]
    assert before.count("by_sight") == 1, "the second agrees only when the first is gone"


def test_who_starts_by_sight_stops_again_for_one_that_has_started_too() -> None:
    text, _ = story(read_case(CASES / "p09-both-start.case"))
    assert text.count("v0 by_sight") + text.count("v0 commit") >= 2


def test_who_stands_gives_back_what_it_holds_when_one_comes_that_does_not_hear_it() -> None:
    text, _ = story(read_case(CASES / "p08-heard-by-one-only.case"))
    assert "v1 release p1 reason=released:silent:v3" in text


def test_canary_without_asking_who_is_heard_the_holder_keeps_its_tube(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Core, "is_heard_by", lambda self, vehicle, now_ms: True)
    text, _ = story(read_case(CASES / "p08-heard-by-one-only.case"))
    assert "v1 release p1 reason=released:silent:v3" not in text
