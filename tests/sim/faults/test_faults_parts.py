"""Plans, the oracles' own reading of plans, disk, channel and bodies."""

from __future__ import annotations

import math

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fleet.errors import ConfigError, PlanError
from sim.faults.body import Body
from sim.faults.case import START_MS, ChannelCase, Fault, case_text, read_case
from sim.faults.channel import Channel
from sim.faults.disk import Disk
from sim.faults.draw import draw
from sim.faults.plans import STOP_MM, Roads, approach, braking, clash, departing
from sim.faults.tubes import FOREVER, Tubes, meet

PATHS = (((0, 500, 6000), (1, 7000, 12_000)), ((1, 300, 4000),))


@settings(max_examples=150, deadline=None)
@given(
    path=st.integers(0, 1), start=st.integers(2_000, 60_000), share=st.floats(0.0, 1.0), wait=st.integers(0, 20_000),
    goes=st.booleans(),
)  # fmt: skip
def test_judge_and_oracle_read_the_same_times_from_a_plan(
    path: int, start: int, share: float, wait: int, goes: bool
) -> None:
    speed = int(share * min(12_000, (3_000 * (start - 1_000)) ** 0.5))
    raw = approach(path, START_MS, -start, speed)
    raw = departing(raw, START_MS + wait) if goes else raw
    roads = Roads(PATHS)
    judged = roads.uses(raw)
    seen = Tubes(PATHS).of(raw)
    assert {resource for resource, _, _ in judged} == set(seen)
    for resource, begin, end in judged:
        assert abs(begin - seen[resource][0]) <= 1.5
        assert abs(end - seen[resource][1]) <= 1.5 or (end == math.inf and seen[resource][1] == FOREVER)
    if not goes:
        assert judged == ()
        assert roads.own(raw).at(START_MS + 120_000)[0] <= STOP_MM + 100


@settings(max_examples=100, deadline=None)
@given(wait=st.integers(0, 8_000), other=st.integers(0, 8_000))
def test_what_meets_for_the_oracle_clashes_for_the_judge(wait: int, other: int) -> None:
    roads, tubes = Roads(PATHS), Tubes(PATHS)
    a = departing(approach(0, START_MS, -20_000, 5_000), START_MS + wait)
    b = departing(approach(1, START_MS, -15_000, 4_000), START_MS + other)
    if meet(tubes.of(a), tubes.of(b)) is not None:
        assert clash(roads.uses(a), roads.uses(b))


def test_bytes_that_are_no_plan_use_nothing_and_cannot_be_driven() -> None:
    roads = Roads(PATHS)
    for raw in (b"", b"\xff" * 40, approach(7, 0, -5_000, 1_000)):
        assert roads.plan(raw) is None
        assert roads.uses(raw) == ()
        assert Tubes(PATHS).of(raw) == {}
    with pytest.raises(PlanError, match="not a plan"):
        roads.own(b"no")


@pytest.mark.parametrize("speed", [0.3, 2.0, 8.0])
def test_at_the_kernels_point_of_no_return_a_body_can_still_stop_before_the_line(speed: float) -> None:
    roads = Roads(PATHS)
    body = Body("v", roads, roads.own(departing(approach(0, 0, -40_000, round(speed * 1000)), 0)), 0.0)
    times = {what: t for t, what, _ in body.passages(0.0)}
    assert times["kernel"] < times["no_return"] < times["enter"] if "enter" in times else True
    s, v = body.at(times["kernel"])
    stop = roads.own(braking(0, round(times["kernel"]), s, v))
    assert stop.time_at(0.0) == math.inf


def test_a_crash_loses_what_was_not_flushed_and_a_torn_tail_is_cut_off() -> None:
    disk = Disk()
    disk.append(b"first")
    disk.sync()
    disk.append(b"second, longer than what is kept of it")
    disk.crash(500)
    assert disk.holds(b"first")
    assert disk.records() == [b"first"]
    disk.append(b"third")
    disk.sync()
    assert disk.records() == [b"first", b"third"]


def test_a_flipped_bit_ends_the_log_before_it() -> None:
    disk = Disk()
    for record in (b"one", b"two"):
        disk.append(record)
    disk.sync()
    disk.durable[-1] ^= 1
    assert disk.records() == [b"one"]


def test_the_channel_loses_as_much_as_asked_in_runs_as_long_as_asked() -> None:
    case = msgspec.structs.replace(draw(1), channel=ChannelCase(loss=0.3, burst=5.0), faults=())
    channel = Channel(case, 0)
    lost = [not channel.delays("a", "b", t, channel.active(t)) for t in range(40_000)]
    runs = sum(one and not before for before, one in zip([False, *lost], lost, strict=False))
    assert abs(sum(lost) / len(lost) - 0.3) < 0.03
    assert abs(sum(lost) / runs - 5.0) < 0.5


@pytest.mark.parametrize(
    ("fault", "open_links"),
    [
        (Fault("split", 0, 100, group=("a",)), {"bc", "cb"}),
        (Fault("one_way", 0, 100, group=("a",)), {"ba", "ca", "bc", "cb"}),
        (Fault("blackout", 0, 100), set()),
        (Fault("deaf", 0, 100, "a"), {"ab", "ac", "bc", "cb"}),
        (Fault("mute", 0, 100, "a"), {"ba", "ca", "bc", "cb"}),
    ],
)
def test_a_cut_closes_its_links_for_its_time(fault: Fault, open_links: set[str]) -> None:
    case = msgspec.structs.replace(draw(1), channel=ChannelCase(delay_ms=20), faults=(fault,))
    channel = Channel(case, 0)
    links = [a + b for a in "abc" for b in "abc" if a != b]
    assert {link for link in links if channel.delays(*link, 50, channel.active(50))} == open_links
    assert {link for link in links if channel.delays(*link, 150, channel.active(150))} == set(links)


def test_a_case_survives_its_file(tmp_path) -> None:  # type: ignore[no-untyped-def]
    case = draw(4, "byzantine")
    path = tmp_path / "some.case"
    path.write_text(case_text(case, ["why it was kept"]))
    assert read_case(path) == case
    path.write_text("{}")
    with pytest.raises(ConfigError, match="not a case"):
        read_case(path)
