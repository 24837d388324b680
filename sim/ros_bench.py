"""``fleet bench ros``: agreement over real DDS between processes, beside a bare rclpy exchange of the same size.

*Bare*: each process subscribes to one topic and publishes on it; one sends a proposal of the same bytes, the others
answer with a vote of the same bytes, all hear all, and the time counts until the proposer has every vote. *Accord*: the
same with the agreement core of a node, its signatures, its judge and its durable log between the messages, from
the proposal to the complete certificate at its proposer. Both in one run, in turns, on the same executor.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

ROUNDS = 60
RUN_S = 240.0
PROPOSAL_BYTES, VOTE_BYTES = 700, 200
"""As seen at 8 vehicles: a proposal of three plans, and a vote."""
_BARE = "hardware.ros2_bare"


@dataclass(frozen=True, slots=True)
class Row:
    """Milliseconds; ``cpu_share`` of one core per process."""

    what: str
    nodes: int
    count: int
    p50_ms: float
    p99_ms: float
    cpu_share: float


def bare(nodes: int, domain: int, realtime: int | None) -> Row:
    """A propose-and-vote exchange with nothing behind it."""
    environment = _environment(domain)
    sizes = (nodes, ROUNDS, PROPOSAL_BYTES, VOTE_BYTES, realtime or 0)
    command = [sys.executable, "-m", _BARE, *map(str, sizes)]
    others = [
        subprocess.Popen([*command, str(index)], env=environment, stdout=subprocess.PIPE) for index in range(1, nodes)
    ]
    first = subprocess.run([*command, "0"], env=environment, stdout=subprocess.PIPE, check=True, timeout=300)
    for other in others:
        other.wait(30)
    found = json.loads(first.stdout.splitlines()[-1])
    return _row("bare rclpy", nodes, found["latencies_ms"], found["cpu_share"])


def accord(nodes: int, folder: Path, domain: int, realtime: int | None, say: Callable[[str], None]) -> list[Row]:
    """A crossing of ``nodes`` real node processes behind a bridge: decisions, and the path from state to command."""
    environment, deadline = _environment(domain), time.monotonic() + RUN_S
    fleet = folder / f"fleet{nodes}.yaml"
    fleet.write_text(yaml.safe_dump(_scenario(nodes)), encoding="utf-8")
    state, out = folder / f"state{nodes}", folder / f"bridge{nodes}"
    run = [sys.executable, "-m", "fleet"]
    priority = ["--realtime", str(realtime)] if realtime is not None else []
    rest: dict[str, Any] = {"env": environment, "stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    bridge = subprocess.Popen(
        [*run, "sim-bridge", str(fleet), "--world", "kinematic", "--state", str(state), "--out", str(out),
         "--duration", str(RUN_S), *priority], **rest,
    )  # fmt: skip
    processes = []
    try:
        names = [f"v{index}" for index in range(nodes)]
        while not (out / "bridge.json").exists() and time.monotonic() < deadline and bridge.poll() is None:
            _pass(bridge, 0.1)
        for name in names:
            arguments = ["node", name, "--fleet", str(fleet), "--state", str(state / name)]
            arguments += ["--figures", str(folder / f"{name}.figures.json"), *priority, "--", "--ros-args"]
            arguments += ["-p", "clock_error_s:=0.001", "-p", f"peers:={nodes - 1}"]
            processes.append(subprocess.Popen([*run, *arguments], **rest))
        say(f"{nodes} nodes started")
        while bridge.poll() is None and time.monotonic() < deadline:
            _pass(bridge, 0.5)
    finally:
        for process in (*processes, bridge):
            if process.poll() is None:
                process.send_signal(signal.SIGINT)
        for process in (*processes, bridge):
            _end(process)
    found = [json.loads((folder / f"{name}.figures.json").read_text(encoding="utf-8")) for name in names]
    share = statistics.fmean(one["cpu_share"] for one in found)
    report = json.loads((out / "bridge.json").read_text(encoding="utf-8"))
    say(f"{nodes} nodes: left {len(report['left'])}, contacts {len(report['contacts'])}")
    rows = []
    for what, key in (("Accord, proposal to certificate", "decision_ms"), ("state to command", "state_to_command_ms")):
        samples = [value for one in found for value in one[key]]
        if samples:
            rows.append(_row(what, nodes, samples, share))
    return rows


def _scenario(nodes: int) -> dict[str, Any]:
    """Vehicles at standstill, on all arms in turns."""
    vehicles = [
        {"id": f"v{index}", "approach": "NESW"[index % 4], "movement": "straight", "speed_mps": 0.0,
         "start_s_m": 25.0 - 12.0 * (index // 4)}
        for index in range(nodes)
    ]  # fmt: skip
    road = {"builtin": "four_way", "arm_m": 75.0, "speed_limit_mps": 8.0}
    return {"name": f"bench{nodes}", "map": road, "demand": {"vehicles": vehicles}, "duration_s_max": RUN_S}


def table(rows: list[Row]) -> str:
    """Markdown."""
    lines = ["| what | nodes | count | p50, ms | p99, ms | CPU per process |", "| --- | --- | --- | --- | --- | --- |"]
    lines += [
        f"| {row.what} | {row.nodes} | {row.count} | {row.p50_ms:.1f} | {row.p99_ms:.1f} | {row.cpu_share:.0%} |"
        for row in rows
    ]
    return "\n".join(lines)


def _end(process: subprocess.Popen[bytes]) -> None:
    try:
        process.wait(30)
    except subprocess.TimeoutExpired:
        process.kill()


def _pass(process: subprocess.Popen[bytes], seconds: float) -> None:
    """Wait, but not beyond the end of a process."""
    with contextlib.suppress(subprocess.TimeoutExpired):
        process.wait(seconds)


def _row(what: str, nodes: int, latencies_ms: list[float], cpu_share: float) -> Row:
    ranked = sorted(latencies_ms)
    p99 = ranked[min(len(ranked) - 1, round(0.99 * len(ranked)))]
    return Row(what, nodes, len(ranked), statistics.median(ranked), p99, cpu_share)


def _environment(domain: int) -> dict[str, str]:
    own = {"ROS_DOMAIN_ID": str(domain), "ROS_AUTOMATIC_DISCOVERY_RANGE": "LOCALHOST"}
    return {**os.environ, "FASTDDS_BUILTIN_TRANSPORTS": "UDPv4", **own}
