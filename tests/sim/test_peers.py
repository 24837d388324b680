"""The protocols of the comparison: each does what its authors promise, and fails where they say it may."""

from __future__ import annotations

from pathlib import Path

import pytest

from fleet.cli.main import run
from sim.bench_table import Row, Section, measure
from sim.peers.channel import Channel, Medium, Use, unsafe
from sim.peers.pbft import PbftNode
from sim.peers.raft import RaftNode
from sim.peers.runs import LIMIT_MS, NEVER, PROTOCOLS, WARM_MS, halves, run_case
from sim.protocol_bench import faults

SEEDS = range(6)
LEADERS = [name for name in PROTOCOLS if name != "Accord"]


@pytest.mark.parametrize("protocol", PROTOCOLS)
@pytest.mark.parametrize("count", [1, 2, 5])
def test_without_faults_everybody_gets_a_turn_of_its_own(protocol: str, count: int) -> None:
    tally = run_case(protocol, count, Medium(), SEEDS)
    assert (tally.unfinished, tally.unsafe, len(tally.latencies_ms)) == (0, 0, 6 * count)


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_under_bursty_loss_and_reordering_nobody_gets_the_turn_of_another(protocol: str) -> None:
    tally = run_case(protocol, 4, Medium((5, 120), 0.3, 5.0), SEEDS)
    assert tally.unsafe == 0
    assert tally.unfinished <= 1


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_when_two_halves_hear_each_other_again_everybody_gets_a_turn(protocol: str) -> None:
    tally = run_case(protocol, 4, halves(4, 3_000), SEEDS)
    assert (tally.unfinished, tally.unsafe) == (0, 0)
    if protocol != "reservation server":
        assert tally.early == 0, "half is no majority, and no unanimity"


def test_a_majority_goes_on_without_the_rest_and_unanimity_does_not() -> None:
    names = [f"v{index:02}" for index in range(5)]
    medium = Medium(split_ms=(0, 4_000), halves=(frozenset(names[:4]), frozenset(names[4:])))
    assert run_case("Raft-like, leader", 5, medium, SEEDS).early >= 20
    assert run_case("PBFT-like, 2f+1 of 3f+1", 5, medium, SEEDS).early >= 20
    assert run_case("Accord", 5, medium, SEEDS).early == 0


def test_one_liar_in_the_lead_breaks_those_that_trust_their_leader() -> None:
    assert run_case("Raft-like, leader", 4, Medium(), SEEDS, lie=True).unsafe > 0
    assert run_case("reservation server", 4, Medium(), SEEDS, lie=True).unsafe > 0


@pytest.mark.parametrize("count", [4, 7])
def test_pbft_bears_one_liar_of_four_and_decides_after_a_change_of_view(count: int) -> None:
    tally = run_case("PBFT-like, 2f+1 of 3f+1", count, Medium(), SEEDS, lie=True)
    assert (tally.unsafe, tally.unfinished) == (0, 0)


def test_pbft_of_three_has_no_liar_to_spare() -> None:
    assert run_case("PBFT-like, 2f+1 of 3f+1", 3, Medium(), SEEDS, lie=True).unsafe > 0


@pytest.mark.parametrize("count", [3, 4, 8])
def test_accord_bears_one_liar_of_any_number(count: int) -> None:
    tally = run_case("Accord", count, Medium(), SEEDS, lie=True)
    assert (tally.unsafe, tally.unfinished) == (0, 0), "quarantined, it keeps nobody from agreeing"


@pytest.mark.parametrize(("kind", "first"), [(RaftNode, "v00"), (PbftNode, "v00")])
def test_a_leader_that_falls_silent_is_replaced(kind: type[RaftNode] | type[PbftNode], first: str) -> None:
    names = [f"v{index:02}" for index in range(4)]
    channel = Channel([kind(name, names, 1) for name in names], Medium(), 1)
    channel.run(WARM_MS)
    leader = channel.peers[first]
    leader.tick = lambda now_ms: []  # type: ignore[method-assign]
    leader.hear = lambda sender, raw, now_ms: []  # type: ignore[method-assign]
    channel.ask()
    channel.run(LIMIT_MS, until_done=False)
    uses = channel.uses()
    assert {use.vehicle for use in uses} == set(names[1:])
    assert unsafe(uses) == 0


def test_raft_logs_never_disagree_on_what_is_committed() -> None:
    for seed in SEEDS:
        names = [f"v{index:02}" for index in range(5)]
        nodes = [RaftNode(name, names, seed) for name in names]
        channel = Channel(nodes, Medium((5, 200), 0.4, 5.0), seed)
        channel.ask()
        for _ in range(40):
            channel.run(200)
            logs = [node.log[: node.commit] for node in nodes]
            longest = max(logs, key=len)
            assert all(log == longest[: len(log)] for log in logs)


def test_the_same_seed_gives_the_same_tally() -> None:
    medium = Medium((5, 60), 0.3, 5.0)
    for protocol in PROTOCOLS:
        assert run_case(protocol, 3, medium, [4]) == run_case(protocol, 3, medium, [4])


def test_the_checker_counts_pairs_that_overlap() -> None:
    uses = [Use("a", 0, 100, 0), Use("b", 99, 150, 0), Use("c", 150, 200, 0), Use("d", 120, 160, 0)]
    assert unsafe(uses) == 3


def test_a_vehicle_without_a_decision_counts_as_slower_than_all() -> None:
    tally = run_case("Accord", 2, Medium(loss=1.0), [0])
    assert tally.unfinished == 2
    assert tally.percentile_ms(0.5) == NEVER


def test_the_table_of_faults_has_a_row_for_each_protocol() -> None:
    section = faults(24)
    assert [row.cells()[0] for row in section.rows] == list(PROTOCOLS)
    assert all(len(row.cells()) == len(section.columns) for row in section.rows[:1])


def test_a_section_of_the_bench_that_does_not_exist_is_one_clear_line(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["bench", "protocol", "--section", "nothing"]) == 2
    assert "known: latency, comparison, faults, delays, scale" in capsys.readouterr().err


def test_an_interrupted_bench_goes_on_at_the_row_where_it_was(tmp_path: Path) -> None:
    asked: list[str] = []

    def cells(name: str, broken: bool) -> list[str]:
        asked.append(name)
        if broken:
            raise KeyboardInterrupt
        return [name]

    def section(broken: bool) -> Section:
        rows = (Row("a", lambda: cells("a", False)), Row("b", lambda: cells("b", broken)))
        return Section("one", "about", ("name",), rows)

    kept = tmp_path / "rows.jsonl"
    with pytest.raises(KeyboardInterrupt):
        measure([section(True)], kept, False)
    text = measure([section(False)], kept, False)
    assert asked == ["a", "b", "b"]
    assert "| a |\n| b |" in text and not kept.exists()
