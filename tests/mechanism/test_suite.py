"""The property suite: what ships keeps its promises, and a bad plug-in does not get through."""

from __future__ import annotations

import itertools
import json

import pytest

from fleet.cli.main import run
from fleet.errors import ConfigError
from fleet.mechanism import properties
from fleet.mechanism.guard import Guarded
from fleet.mechanism.interface import Meter, Situation
from fleet.mechanism.lottery import SLOT_MS, lot
from fleet.mechanism.registry import BUILT_IN, make_mechanism
from fleet.mechanism.static_game import arrivals_gain_ms, delays_ms, misreport_gain_ms, situations, social_cost_ms
from fleet.mechanism.suite import table, verify
from fleet.mechanism.vcg import Vcg

HERE = "tests.mechanism.plug_ins"


@pytest.fixture
def short(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(properties, "MEETINGS", 3_000)
    monkeypatch.setattr(properties, "_SLOTS_PER_HOUR", 300)


@pytest.mark.soak
@pytest.mark.parametrize("name", list(BUILT_IN))
def test_what_ships_keeps_all_its_promises(name: str) -> None:
    assert verify(name).broken == ()


@pytest.mark.parametrize("name", ["first_come", f"{HERE}:Fair"])
def test_a_sound_mechanism_passes_also_as_a_plug_in(short: None, name: str) -> None:
    report = verify(name)
    assert report.broken == ()
    assert "Not promised:" in table(report)


@pytest.mark.parametrize(
    ("plug_in", "broken"),
    [
        ("Favours", {"anonymity", "no_misreport_gain", "no_overbid_gain"}), ("Counterfeits", {"no_overbid_gain"}),
        ("Forgets", {"determinism"}), ("Endless", {"bounded_work"}),
    ],
)  # fmt: skip
def test_a_bad_plug_in_is_found_out(
    short: None, plug_in: str, broken: set[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["mechanism", "verify", f"{HERE}:{plug_in}", "--json"]) == 3
    shown = capsys.readouterr()
    assert broken <= set(json.loads(shown.out)["broken"])
    assert "does not keep" in shown.err


def test_unknown_names_and_unknown_promises_are_errors_of_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["mechanism", "verify", "carma"]) == 2
    assert "did you mean karma?" in capsys.readouterr().err
    assert run(["mechanism", "verify", "tests.mechanism.plug_ins:Nobody"]) == 2
    with pytest.raises(ConfigError, match="has no name"):
        make_mechanism("builtins:dict")
    assert run(["mechanism", "list"]) == 0
    assert set(BUILT_IN) <= set(capsys.readouterr().out.split())


def test_vcg_finds_the_least_cost_and_no_lie_about_urgency_pays() -> None:
    for situation in situations(21, 15, size=4):
        names = [claim.vehicle for claim in situation.claims]
        lists = set(itertools.permutations(names))
        best = min(social_cost_ms(situation.claims, one) for one in lists)
        order = Vcg().decide(situation, Meter(999)).order
        assert social_cost_ms(situation.claims, order) == pytest.approx(best)
    assert misreport_gain_ms(Guarded(Vcg()), 22, 25)[:2] == (0.0, 0)


def test_with_arrivals_a_lie_to_vcg_can_pay_and_the_documented_limit_stays_documented() -> None:
    gain_ms, paying, _ = arrivals_gain_ms(Guarded(Vcg()), 1, 25)
    assert paying > 0
    assert gain_ms > 1_000.0
    assert "no_arrivals_gain" not in Vcg.promises
    assert any("arrivals" in text for text in Vcg.limits)


def test_a_lot_changes_with_name_zone_session_and_ten_seconds_only() -> None:
    own = lot("z", 1, "v", 12_000)
    assert own == lot("z", 1, "v", 12_000 // SLOT_MS * SLOT_MS)
    others = {lot("y", 1, "v", 12_000), lot("z", 2, "v", 12_000), lot("z", 1, "w", 12_000), lot("z", 1, "v", 22_000)}
    assert own not in others


def test_nobody_overtakes_inside_an_approach() -> None:
    situation = next(one for one in situations(23, 50) if len({c.approach for c in one.claims}) < len(one.claims))
    late = delays_ms(situation.claims, [c.vehicle for c in situation.claims[::-1]])
    for a, b in itertools.combinations(situation.claims, 2):
        if a.approach == b.approach:
            assert late[a.vehicle] < late[b.vehicle]


def test_a_situation_holds_the_first_who_came() -> None:
    assert Situation.of("z", 1, 0, []).claims == ()
