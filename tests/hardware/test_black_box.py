"""The black box: bounded, whole, written at once, and replayed bit for bit."""

from __future__ import annotations

import time
from pathlib import Path

import msgspec
import pytest

from fleet.cli import main
from fleet.errors import HardwareError
from hardware.black_box import BYTES_MAX, SPAN_NS, BlackBox
from hardware.failsafe import Phase
from hardware.replay import replay
from hardware.vehicle import digest, load_vehicle
from sim.hil.trials import EGO, clear, fleet_in, inject
from sim.hil.yard import MockYard

CAR = load_vehicle("car")
CAUSES = ("localisation_jump", "command_stale", "steer_mismatch", "manual", "battery")


@pytest.fixture(scope="module")
def dumps() -> dict[str, bytes]:
    """The black boxes of a minute and a half with several troubles, an operator's reset among them."""
    found: dict[str, bytes] = {}
    for cause in CAUSES:
        fleet = fleet_in(Phase.IDLE, CAR, MockYard)
        assert fleet is not None
        ego = fleet.members[EGO]
        inject(fleet, "localisation_nan")
        for _ in range(30):
            fleet.tick()
        clear(fleet)
        for _ in range(1500 if cause == "battery" else 120):
            fleet.tick()
        inject(fleet, cause)
        for _ in range(120):
            fleet.tick()
        clear(fleet)
        for _ in range(60):
            fleet.tick()
        ego.guard.reset("operator")
        for _ in range(10):
            fleet.tick()
        assert ego.guard.black_box is not None
        found[cause] = ego.guard.black_box.dump("test", fleet.now_ms * 1_000_000)
    return found


@pytest.mark.parametrize("cause", CAUSES)
def test_a_replay_decides_everything_again_bit_for_bit(dumps: dict[str, bytes], cause: str) -> None:
    found = replay(dumps[cause], CAR)
    assert found.differences == ()
    assert found.ticks > 200 and found.gate_calls > 200 and found.others["command"] > 200
    assert found.others["tracks"] > 10
    if cause != "battery":  # there the last minute is one of standing alone
        assert found.others["rx"] > 10 and found.others["tx"] > 10
    assert any(cause in causes or cause == "command_stale" for _, _, causes in found.actions)


def test_no_more_than_the_last_minute_is_kept(dumps: dict[str, bytes]) -> None:
    stamps = [msgspec.json.decode(line)[1] for line in dumps["battery"].splitlines()[1:] if b"NaN" not in line]
    assert 0.95 * SPAN_NS < stamps[-1] - min(stamps) <= SPAN_NS + 1_500_000_000


def test_another_vehicle_or_another_last_bit_is_a_difference(dumps: dict[str, bytes]) -> None:
    heavier = msgspec.structs.replace(CAR, limits=msgspec.structs.replace(CAR.limits, brake_mps2_max=7.5))
    assert replay(dumps["steer_mismatch"], heavier).differences != ()


def test_what_was_altered_or_cut_off_is_refused(dumps: dict[str, bytes]) -> None:
    data = dumps["manual"]
    with pytest.raises(HardwareError, match="cut off or altered"):
        replay(data[: len(data) // 2], CAR)
    with pytest.raises(HardwareError, match="cut off or altered"):
        replay(data.replace(b"battery", b"bettary", 1) if b"battery" in data else data.replace(b"0.9", b"0.8", 1), CAR)
    with pytest.raises(HardwareError, match="not a black box"):
        replay(b"hello\n", CAR)


def test_a_flood_does_not_grow_it() -> None:
    box = BlackBox({})
    box.add("early", 0, "dropped: no page is open")
    assert box.size_bytes == 0
    text = "x" * 1_000_000
    for now_ms in range(0, 20_000, 500):
        if box.wants_page(now_ms * 1_000_000):
            box.open_page(now_ms * 1_000_000, [])
        box.add("rx", now_ms * 1_000_000, text)
        assert box.size_bytes <= BYTES_MAX
    for _ in range(40):
        box.add("rx", 20_000_000_000, text)
        assert box.size_bytes <= BYTES_MAX
    assert box.size_bytes > 0.9 * BYTES_MAX


def test_writing_it_does_not_stall_the_loop(dumps: dict[str, bytes]) -> None:
    """What is encoded already is only copied: a dump takes less than a tenth of the loop's limit."""
    box = BlackBox({})
    for now_ms in range(0, 60_000, 5):
        if box.wants_page(now_ms * 1_000_000):
            box.open_page(now_ms * 1_000_000, [])
        box.add("tick", now_ms * 1_000_000, "y" * 300)
    begun = time.process_time()
    box.dump("stop", 60_000_000_000)
    assert time.process_time() - begun < 0.05


def test_the_command_replays_a_file(
    dumps: dict[str, bytes], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:  # fmt: skip
    file = tmp_path / "stop.jsonl"
    file.write_bytes(dumps["steer_mismatch"])
    assert main.run(["blackbox", str(file)]) == 2
    assert "give one with --vehicle" in capsys.readouterr().err
    assert main.run(["blackbox", str(file), "--vehicle", "car"]) == 0
    out = capsys.readouterr().out
    assert "bit for bit" in out and "emergency" in out and "steer_mismatch" in out
    assert main.run(["blackbox", str(file), "--vehicle", "bus"]) == 3
    assert f"{digest(load_vehicle('bus'))}, recorded {digest(CAR)}" in capsys.readouterr().out
    assert main.run(["blackbox", str(tmp_path / "none")]) == 2
