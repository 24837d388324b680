"""The topics that a vehicle's drivers publish, but odometry, which is the node's pace."""

from __future__ import annotations

from typing import Any

from geometry_msgs.msg import PoseWithCovarianceStamped
from sensor_msgs.msg import BatteryState, PointCloud2
from std_msgs.msg import Bool, String

from hardware import ros2_topics as topics
from hardware.ros2_clock import WatchedClock
from hardware.ros2_vehicle import Ros2Vehicle


def listen(node: Any, vehicle: Ros2Vehicle, clock: WatchedClock) -> None:
    """Subscribe to what this vehicle publishes, and to nothing else: every subscription costs at every wake-up."""
    latest, standing = topics.latest(), topics.standing()

    def on_tracks(message: PointCloud2) -> None:
        vehicle.on_tracks(message, clock.now_ns())

    def on_localisation(message: PoseWithCovarianceStamped) -> None:
        vehicle.on_localisation(message, clock.now_ns())

    node.create_subscription(PointCloud2, topics.TRACKS, on_tracks, latest)
    if vehicle.vehicle.ros2.localisation:
        node.create_subscription(PoseWithCovarianceStamped, topics.LOCALISATION, on_localisation, latest)
    node.create_subscription(Bool, topics.ESTOP_PRESSED, vehicle.on_estop_pressed, standing)
    node.create_subscription(Bool, topics.ESTOP_LATCHED, vehicle.on_latched, standing)
    node.create_subscription(Bool, topics.MANUAL, vehicle.on_manual, standing)
    node.create_subscription(String, topics.FIRMWARE, vehicle.on_firmware, standing)
    node.create_subscription(BatteryState, topics.BATTERY, vehicle.on_battery, latest)
