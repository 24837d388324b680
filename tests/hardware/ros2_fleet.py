"""Real processes on real DDS: a bridge and nodes, started, signalled and watched from a test. Waits are bounded."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

EPOCH_NS = 1_577_836_800 * 10**9
"""Of the fleet's clock (hardware/ros2_convert.py, which cannot be imported where ROS is absent)."""
START_S = 150.0
"""For five processes to load on a busy machine."""


def environment(number: int) -> dict[str, str]:
    """Loopback only, and a domain of this run's own."""
    domain = 1 + (os.getpid() * 7 + number) % 100
    return {**os.environ, "ROS_DOMAIN_ID": str(domain), "ROS_AUTOMATIC_DISCOVERY_RANGE": "LOCALHOST"}


def may_be_realtime() -> bool:
    """Whether this user may have SCHED_RR: then a loaded machine does not disturb what is measured."""
    before = os.sched_getscheduler(0), os.sched_getparam(0)
    try:
        os.sched_setscheduler(0, os.SCHED_RR, os.sched_param(5))
        os.sched_setscheduler(0, *before)
    except OSError:
        return False
    return True


class Fleet:
    """A bridge for ``scenario`` in ``folder`` and its nodes."""

    def __init__(self, folder: Path, scenario: str, number: int, *, world: str = "kinematic") -> None:
        self.folder, self.scenario = folder, scenario
        self.env = environment(number)
        self.processes: dict[str, subprocess.Popen[bytes]] = {}
        self._rt = may_be_realtime()
        options = ["--realtime", "5"] if self._rt else []
        self._start(
            "bridge", "sim-bridge", scenario, "--world", world, "--out", str(folder / "out"),
            "--state", str(folder / "state"), "--duration", "600", *options,
        )  # fmt: skip

    def _start(self, name: str, *arguments: str) -> None:
        with open(self.folder / f"{name}.log", "wb") as log:
            command = [sys.executable, "-m", "fleet", *arguments]
            self.processes[name] = subprocess.Popen(command, env=self.env, stdout=log, stderr=log)

    def start_nodes(self, *names: str, peers: int, parameters: tuple[str, ...] = ()) -> None:
        """Once the bridge has made the state folders."""
        self.until(lambda: (self.folder / "out" / "bridge.json").exists(), START_S, "bridge.json")
        options = ["--realtime", "4"] if self._rt else []
        ros = ["--", "--ros-args", "-p", "clock_error_s:=0.001", "-p", f"peers:={peers}"]
        for parameter in parameters:
            ros += ["-p", parameter]
        for name in names:
            state = str(self.folder / "state" / name)
            self._start(name, "node", name, "--fleet", self.scenario, "--state", state, *options, *ros)

    @property
    def report(self) -> dict[str, Any]:
        return json.loads((self.folder / "out" / "bridge.json").read_text())

    def events(self, vehicle: str, kind: str) -> list[int]:
        """Times (ns) of all such events."""
        return [one["t_ns"] for one in self.report["events"] if one["vehicle"] == vehicle and one["kind"] == kind]

    def disturbed(self) -> str:
        """What the machine did, if it held up the world or a loop: then a run says nothing of the stack."""
        moved = [one["t_ns"] for one in self.report["events"] if one["kind"] == "moves"]
        lost = [one for one in self.report["events"] if one["kind"] == "time_lost" and moved and one["t_ns"] > moved[0]]
        if lost:
            return f"the world stood still for {lost[0]['s']:.2f} s"
        held = ("loop_stall", "supervisor_lost", "localisation_frozen")
        boxes = [box.name for box in self.folder.glob("state/*/black-box/*") if any(one in box.name for one in held)]
        return f"a loop was held up: {boxes[0]}" if boxes else ""

    def log(self, name: str) -> str:
        return (self.folder / f"{name}.log").read_text(errors="replace")

    def until(self, done: Callable[[], bool], seconds: float, what: str) -> None:
        """Wait for a condition; fails with the ends of all logs."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            if done():
                return
            time.sleep(0.05)
        tails = "\n".join(f"--- {name}\n{self.log(name)[-1500:]}" for name in self.processes)
        raise AssertionError(f"{what}: not within {seconds:g} s\n{tails}")

    def moving(self, name: str, speed_mps: float) -> bool:
        return self.report["speeds"].get(name, 0.0) >= speed_mps

    def supervisor(self, name: str) -> int:
        """Process id of the supervisor that a node has started."""
        children = Path(f"/proc/{self.processes[name].pid}/task/{self.processes[name].pid}/children").read_text()
        for child in children.split():
            if b"ros2_supervisor" in Path(f"/proc/{child}/cmdline").read_bytes():
                return int(child)
        raise AssertionError(f"{name} has no supervisor: {children}")

    def signal(self, pid: int, number: int) -> int:
        """Send a signal; the time of it on the fleet's clock, ns."""
        now_ns = time.time_ns() - EPOCH_NS
        os.kill(pid, number)
        return now_ns

    def stop(self) -> None:
        """End everything that was started here, by its id."""
        supervisors = []
        for name in self.processes:
            with contextlib.suppress(AssertionError, OSError):
                supervisors.append(self.supervisor(name))
        for process in self.processes.values():
            with contextlib.suppress(ProcessLookupError):
                process.send_signal(signal.SIGCONT)
                process.send_signal(signal.SIGINT)
        end = time.monotonic() + 5.0
        for process in self.processes.values():
            try:
                process.wait(max(0.1, end - time.monotonic()))
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        for pid in supervisors:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
