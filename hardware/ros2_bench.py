"""Benches of ``fleet hil`` over ROS 2: a simulated vehicle behind ``fleet sim-bridge``, in processes of their own.

The bench is what a node would be: it sends commands and stops on the vehicle's topics. What came of them is measured
where the actuators are, by the bridge, and read from its ``bridge.json``. Phases of the failsafe table need a node
under way; they are run on the mock (``--bench mock``), and with processes that die by the tests.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import rclpy
import yaml
from geometry_msgs.msg import TwistStamped
from nav_msgs.msg import Odometry
from std_msgs.msg import Bool

from fleet.errors import HardwareError
from hardware import ros2_topics as topics
from hardware.bench import AbsentBench, BenchInfo, Trial
from hardware.conformance import NotPossible, Rig
from hardware.failsafe import Phase
from hardware.ros2_convert import EPOCH_NS, Drive, to_ns, write_twist_stamped
from hardware.vehicle import Vehicle

OUTPUT_S = 0.1
"""Design: an emergency stop is at the output within 100 ms over ROS 2."""
PERIOD_S = 0.02
_START_S = 90.0


def bridge_bench(vehicle: Vehicle, options: dict[str, str]) -> BridgeBench:
    """``--set domain=N``, ``world=bullet`` and ``realtime=PRIORITY`` change the defaults 78, kinematic and none."""
    return BridgeBench(vehicle, options)


def vehicle_bench(vehicle: Vehicle, options: dict[str, str]) -> AbsentBench:
    """A real vehicle needs an interlock and an echo of its actuators, which no standard topic carries."""
    text = "no interlock and no echo of the actuators is wired; see docs/how-to/deploy.md"
    return AbsentBench("vehicle", vehicle, text)


class BridgeBench:
    """See :class:`hardware.bench.Bench`."""

    tick_period_s = PERIOD_S

    def __init__(self, vehicle: Vehicle, options: dict[str, str]) -> None:
        self.info = BenchInfo(name="bridge", real_time=True, output_latency_s=OUTPUT_S)
        self.vehicle = vehicle
        if vehicle.ros2.command != "twist_stamped":
            raise HardwareError(f"bench bridge: ros2.command {vehicle.ros2.command}; twist_stamped is what it sends")
        self._folder = Path(tempfile.mkdtemp(prefix="fleet-hil-"))
        self._world = options.get("world", "kinematic")
        self._priority = ["--realtime", options["realtime"]] if "realtime" in options else []
        os.environ.update(ROS_DOMAIN_ID=options.get("domain", "78"), ROS_AUTOMATIC_DISCOVERY_RANGE="LOCALHOST")
        os.environ.setdefault("FASTDDS_BUILTIN_TRANSPORTS", "UDPv4")
        self._processes: list[subprocess.Popen[bytes]] = []
        self._out: Path | None = None
        self._files: dict[str, str] = {}
        rclpy.init(args=[])
        self._node = rclpy.create_node("bench", start_parameter_services=False)
        self._stamps_s: list[float] = []
        """When the vehicle's loop ran, by its odometry."""
        self._commands = self._node.create_publisher(TwistStamped, "/v0/" + topics.COMMAND, topics.commands())
        self._stops = self._node.create_publisher(Bool, "/v0/" + topics.ESTOP, topics.stops())
        self._node.create_subscription(Odometry, "/v0/" + topics.ODOMETRY, self._on_odometry, topics.latest())

    def interlock(self) -> bool:
        return True

    def rig(self, speed_mps: float) -> AbstractContextManager[Rig]:
        raise NotPossible("the conformance suite steers time: --bench sim runs it, on the same gate")

    def trial(self, cause: str, phase: Phase) -> Trial | None:
        return None

    # --- measured at the actuators

    def latency_s(self, count: int) -> list[float]:
        self._bridge()
        before, sent = len(self._report()["command_ages_us"]["v0"]), 0
        ages: list[int] = []
        while len(ages) < count and sent < 4 * count:
            for _ in range(50):
                self._send(0.0)
                self._wait(0.01)
            sent += 50
            ages = self._report()["command_ages_us"]["v0"][before:]
        return [age * 1e-6 for age in ages[:count]]

    def tick_intervals_s(self, count: int) -> list[float]:
        self._bridge()
        self._stamps_s.clear()
        self._until(lambda: len(self._stamps_s) > count, "odometry", 0.1 * count + 5.0)
        pairs = zip(self._stamps_s, self._stamps_s[1:], strict=False)
        return [after - before for before, after in pairs][:count]

    def estop_latency_s(self, count: int) -> list[float]:
        self._bridge()
        samples = []
        for _ in range(count):
            sent_ns = self._now_ns()
            self._stops.publish(Bool(data=True))
            samples.append((self._seen("estop", sent_ns) - sent_ns) * 1e-9)
            self._stops.publish(Bool(data=False))
            self._seen("reset", sent_ns)
        return samples

    def deadman_s(self, count: int) -> list[float]:
        self._bridge()
        samples = []
        for _ in range(count):
            for _ in range(14):  # more than the gate wants to see again after a silence
                last_ns = self._send(0.0)
                self._wait(PERIOD_S)
            samples.append((self._seen("command_stale", last_ns) - last_ns) * 1e-9)
        return samples

    def agree(self, nodes: int) -> Mapping[str, float]:
        self.close_processes()
        out = self._bridge(nodes)
        for index in range(nodes):
            state = out.parent / "state" / f"v{index}"
            arguments = ["node", f"v{index}", "--fleet", str(out.parent / "fleet.yaml"), "--state", str(state)]
            arguments += self._priority
            self._start(*arguments, "--", "--ros-args", "-p", "clock_error_s:=0.001", "-p", f"peers:={nodes - 1}")
        self._until(lambda: len(self._report()["left"]) == nodes or None, "all have left", 150.0)
        report = self._report()
        self.close_processes()
        self._files = {"mcap": str(out / "run.mcap"), "bridge": str(out / "bridge.json")}
        return {"crossed": len(report["left"]), "contacts": len(report["contacts"]), "seconds": report["seconds"]}

    def evidence(self) -> Mapping[str, str]:
        """The run's MCAP, read back to its end."""
        if "mcap" in self._files:
            from mcap.reader import make_reader

            with open(self._files["mcap"], "rb") as stream:
                summary = make_reader(stream).get_summary()
            if summary is None or summary.statistics is None or not summary.statistics.message_count:
                raise HardwareError(f"{self._files['mcap']}: no messages")
        return self._files

    def close(self) -> None:
        self.close_processes()
        self._node.destroy_node()
        rclpy.try_shutdown()

    def close_processes(self) -> None:
        """End what was started here."""
        for process in reversed(self._processes):
            if process.poll() is None:
                process.send_signal(signal.SIGINT)
        for process in self._processes:
            try:
                process.wait(10.0)
            except subprocess.TimeoutExpired:
                process.kill()
        self._processes, self._out = [], None

    # ---

    def _bridge(self, vehicles: int = 1) -> Path:
        """The bridge's folder; started where none runs."""
        if self._out is None:
            folder = Path(tempfile.mkdtemp(dir=self._folder))
            kind = folder / "vehicle.yaml"
            kind.write_text(yaml.safe_dump(_plain(self.vehicle)), encoding="utf-8")
            listed = [
                {"id": f"v{index}", "approach": "NESW"[index], "movement": "straight", "vehicle": str(kind),
                 "start_s_m": 15.0, "speed_mps": 0.0}
                for index in range(vehicles)
            ]  # fmt: skip
            road = {"builtin": "four_way", "arm_m": 75.0, "speed_limit_mps": 8.0}
            fleet = folder / "fleet.yaml"
            document = {"name": "hil", "map": road, "demand": {"vehicles": listed}}
            fleet.write_text(yaml.safe_dump(document), encoding="utf-8")
            self._out = folder / "out"
            state = ["--state", str(folder / "state")]
            self._start("sim-bridge", str(fleet), "--world", self._world, "--out", str(self._out), *state,
                        "--duration", "900", *self._priority)  # fmt: skip
            file = self._out / "bridge.json"
            self._until(file.exists, "a bridge", _START_S)
            self._until(lambda: self._commands.get_subscription_count() or None, "its topics", 20.0)
        return self._out

    def _start(self, *arguments: str) -> None:
        log = open(self._folder / f"{len(self._processes)}.log", "wb")  # noqa: SIM115 - the child's
        self._processes.append(
            subprocess.Popen([sys.executable, "-m", "fleet", *arguments], stdout=log, stderr=log)
        )  # fmt: skip
        log.close()

    def _send(self, speed_mps: float) -> int:
        now_ns = self._now_ns()
        drive = Drive(speed_mps, 0.0, 0.0)
        ros2, body = self.vehicle.ros2, self.vehicle.body
        self._commands.publish(write_twist_stamped(drive, now_ns, ros2.base_frame, body.wheelbase_m))
        return now_ns

    def _report(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(((self._out or self._folder) / "bridge.json").read_text(encoding="utf-8"))
        return found

    def _event(self, kind: str, after_ns: int) -> int | None:
        times = [one["t_ns"] for one in self._report()["events"] if one["kind"] == kind and one["t_ns"] > after_ns]
        return min(times) if times else None

    def _seen(self, kind: str, after_ns: int) -> int:
        """When the bridge saw it."""
        return int(self._until(lambda: self._event(kind, after_ns), kind))

    def _until(self, found: Callable[[], Any], what: str, seconds: float = 10.0) -> Any:
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            value = found()
            if value is not None and value is not False:
                return value
            self._wait(0.02)
        raise HardwareError(f"bench bridge: {what}: not within {seconds:g} s; logs: {self._folder}")

    def _wait(self, seconds: float) -> None:
        end = time.monotonic() + seconds
        while (left := end - time.monotonic()) > 0.0:
            rclpy.spin_once(self._node, timeout_sec=left)

    def _now_ns(self) -> int:
        return time.time_ns() - EPOCH_NS

    def _on_odometry(self, message: Odometry) -> None:
        self._stamps_s.append(to_ns(message.header.stamp) * 1e-9)


def _plain(vehicle: Vehicle) -> Any:
    import msgspec

    return msgspec.to_builtins(vehicle)
