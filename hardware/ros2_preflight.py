"""What ``fleet preflight --backend ros2`` asks of a vehicle: it listens for a few seconds and sends nothing."""

from __future__ import annotations

import time
from typing import Any

import rclpy
from nav_msgs.msg import Odometry

from fleet.errors import HardwareError
from fleet.node.clock_sync import clock_error_s
from hardware import ros2_topics as topics
from hardware.ros2_clock import WatchedClock
from hardware.ros2_convert import fleet_ns
from hardware.ros2_inputs import listen
from hardware.ros2_vehicle import Ros2Vehicle
from hardware.vehicle import Vehicle

LISTEN_S = 3.0


def measure(vehicle: Vehicle, vehicle_id: str, options: dict[str, str]) -> dict[str, Any]:
    """Facts by name; ``--set namespace=NAME`` where it is not the vehicle's id. The supervisor is the node's matter.

    Raises
    ------
    HardwareError
        No good odometry came; the text says what came instead.
    """
    rclpy.init(args=[])
    node = rclpy.create_node("preflight", namespace="/" + options.get("namespace", vehicle_id))
    try:
        clock = node.get_clock()
        watched = WatchedClock(
            lambda: fleet_ns(clock.now().nanoseconds), time.monotonic_ns, clock_error_s, simulated=False
        )
        hardware = Ros2Vehicle(vehicle, lambda drive, now_ns: None, lambda stop: None)
        node.create_subscription(
            Odometry, topics.ODOMETRY, lambda one: hardware.on_odometry(one, watched.now_ns()), topics.latest()
        )
        listen(node, hardware, watched)
        end = time.monotonic() + LISTEN_S
        while time.monotonic() < end:
            rclpy.spin_once(node, timeout_sec=0.1)
        return _facts(hardware, vehicle_id, watched.now_ns(), node.count_publishers(topics.ENVELOPES))
    finally:
        node.destroy_node()
        rclpy.try_shutdown()


def _facts(hardware: Ros2Vehicle, vehicle_id: str, now_ns: int, peers: int) -> dict[str, Any]:
    if not hardware.known:
        raise HardwareError(f"no odometry of {vehicle_id} in {LISTEN_S:g} s: {hardware.last_refusal or 'nothing came'}")
    state, vitals = hardware.read(now_ns), hardware.vitals(now_ns)
    pressed = vitals.estop_pressed
    return {
        "position_std_m": state.position_std_m,
        "yaw_std_rad": state.yaw_std_rad,
        "state_age_s": (now_ns - state.stamp_ns) * 1e-9,
        "speed_mps": state.speed_mps,
        "battery": vitals.battery,
        "temperature_c": vitals.temperature_c,
        "firmware": vitals.firmware,
        "manual": vitals.manual,
        "estop_released": None if pressed is None else not (pressed or hardware.latched),
        "peers_heard": peers,
    }
