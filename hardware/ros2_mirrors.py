"""What people and their tools see of a node: estimate, plan, markers, diagnostics. Nothing is decided by it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus, KeyValue
from geometry_msgs.msg import PoseStamped
from nav_msgs.msg import Odometry, Path
from rclpy.qos import QoSProfile
from std_msgs.msg import ColorRGBA
from visualization_msgs.msg import Marker, MarkerArray

from hardware import ros2_topics as topics
from hardware.base import VehicleState
from hardware.ros2_convert import Odometer, PoseFix, set_pose, to_stamp, write_odometry
from hardware.vehicle import Vehicle

RELIABLE = QoSProfile(depth=4)
_GREEN, _AMBER = ColorRGBA(r=0.2, g=0.7, b=0.3, a=0.9), ColorRGBA(r=0.95, g=0.65, b=0.2, a=0.9)


class Mirrors:
    """Publishers in the namespace of ``node``."""

    def __init__(self, node: Any, vehicle_id: str, vehicle: Vehicle) -> None:
        self._id, self._vehicle = vehicle_id, vehicle
        self._frame = vehicle.ros2.map_frame
        self._estimate = node.create_publisher(Odometry, topics.ESTIMATE, RELIABLE)
        self._plan = node.create_publisher(Path, topics.PLAN, topics.standing())
        self._markers = node.create_publisher(MarkerArray, topics.MARKERS, RELIABLE)
        self._diagnostics = node.create_publisher(DiagnosticArray, topics.DIAGNOSTICS, RELIABLE)

    def estimate(self, state: VehicleState) -> None:
        fix = PoseFix(state.stamp_ns, state.x_m, state.y_m, state.yaw_rad, state.position_std_m, state.yaw_std_rad)
        self._estimate.publish(
            write_odometry(Odometer(fix, state.speed_mps, 0.0), self._frame, self._vehicle.ros2.base_frame)
        )

    def plan(self, now_ns: int, poses: Iterable[tuple[float, float, float]]) -> None:
        """The way that the vehicle has a right to, as x, y, yaw."""
        message = Path()
        message.header.stamp, message.header.frame_id = to_stamp(now_ns), self._frame
        for x, y, yaw in poses:
            stamped = PoseStamped(header=message.header)
            set_pose(stamped.pose, x, y, yaw)
            message.poses.append(stamped)
        self._plan.publish(message)

    def markers(self, state: VehicleState, phase: str, *, committed: bool) -> None:
        body = self._vehicle.body
        box, label = Marker(type=Marker.CUBE), Marker(type=Marker.TEXT_VIEW_FACING, id=1)
        for one in (box, label):
            one.header.stamp, one.header.frame_id = to_stamp(state.stamp_ns), self._frame
            one.ns, one.color = self._id, _GREEN if committed else _AMBER
            set_pose(one.pose, state.x_m, state.y_m, state.yaw_rad)
        box.scale.x, box.scale.y, box.scale.z = body.length_m, body.width_m, body.height_m
        box.pose.position.z, label.pose.position.z = 0.5 * body.height_m, 1.5 * body.height_m
        label.scale.z, label.text = 0.8 * body.height_m, f"{self._id} {phase}"
        self._markers.publish(MarkerArray(markers=[box, label]))

    def diagnostics(self, now_ns: int, causes: tuple[str, ...], values: Mapping[str, object]) -> None:
        """One status: OK, or an error with all causes that act."""
        status = DiagnosticStatus(
            name=f"{self._id}: fleet_node", hardware_id=self._id, message=", ".join(causes) or "fine",
            level=DiagnosticStatus.ERROR if causes else DiagnosticStatus.OK,
            values=[KeyValue(key=key, value=str(value)) for key, value in values.items()],
        )  # fmt: skip
        message = DiagnosticArray(status=[status])
        message.header.stamp = to_stamp(now_ns)
        self._diagnostics.publish(message)
