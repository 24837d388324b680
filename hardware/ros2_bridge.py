"""The topics of a real vehicle, filled by something else: how a node is tested without hardware.

One :class:`Port` per vehicle is what the vehicle's own drivers would be: it publishes odometry, tracks and states,
and gives the commands that come to a :class:`Plant`. A node cannot tell.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, Protocol

import rclpy
from nav_msgs.msg import Odometry
from rclpy.event_handler import SubscriptionEventCallbacks
from rclpy.executors import ExternalShutdownException, SingleThreadedExecutor
from sensor_msgs.msg import BatteryState, PointCloud2
from std_msgs.msg import Bool, String, UInt8MultiArray

from hardware import ros2_topics as topics
from hardware.base import Command, Track, VehicleState
from hardware.ros2_convert import (
    Odometer,
    PoseFix,
    Refused,
    fleet_ns,
    from_twist,
    read_envelope,
    to_ns,
    write_odometry,
    write_tracks,
)  # fmt: skip
from hardware.ros2_writers import WRITERS
from hardware.vehicle import Vehicle

FIRMWARE = "sim-bridge"
"""What simulated vehicles say they run; a real one never does, so acceptance of the one is none of the other."""


class Plant(Protocol):
    """One vehicle's body: what its sensors say, and what it does with a command."""

    name: str
    vehicle: Vehicle
    gone: bool
    """It has left the world: its topics fall silent, and what still comes for it is dropped."""

    def state(self, now_ns: int) -> VehicleState: ...

    def tracks(self, now_ns: int) -> tuple[Track, ...]: ...

    def command(self, command: Command, now_ns: int) -> None: ...

    def stop(self, on: bool) -> None:
        """Latch the emergency stop, or let an operator clear it at standstill."""
        ...

    @property
    def latched(self) -> bool: ...

    def event(self, kind: str) -> None:
        """Something of the middleware to be counted, such as a missed deadline."""
        ...


class Port:
    """One vehicle's topics."""

    def __init__(self, node: Any, plant: Plant, now_ns: Callable[[], int]) -> None:
        self.plant, self._now_ns = plant, now_ns
        self._vehicle = plant.vehicle
        space = f"/{plant.name}/"
        latest, standing = topics.latest(), topics.standing()
        self._odometry = node.create_publisher(Odometry, space + topics.ODOMETRY, latest)
        self._tracks = node.create_publisher(PointCloud2, space + topics.TRACKS, latest)
        self._battery = node.create_publisher(BatteryState, space + topics.BATTERY, latest)
        self._latched = node.create_publisher(Bool, space + topics.ESTOP_LATCHED, standing)
        pressed = node.create_publisher(Bool, space + topics.ESTOP_PRESSED, standing)
        manual = node.create_publisher(Bool, space + topics.MANUAL, standing)
        pressed.publish(Bool(data=False))
        manual.publish(Bool(data=False))
        firmware = node.create_publisher(String, space + topics.FIRMWARE, standing)
        firmware.publish(String(data=FIRMWARE))
        self._pressed, self._manual, self._firmware = pressed, manual, firmware
        self._shown: bool | None = None
        self._kind = self._vehicle.ros2.command
        late = SubscriptionEventCallbacks(deadline=lambda event: plant.event("command_late"))
        kind, quality = WRITERS[self._kind]()[0], topics.commands()
        node.create_subscription(kind, space + topics.COMMAND, self._on_command, quality, event_callbacks=late)
        node.create_subscription(Bool, space + topics.ESTOP, self._on_estop, topics.stops())

    def publish_state(self, now_ns: int) -> None:
        """Odometry of now."""
        state, ros2 = self.plant.state(now_ns), self._vehicle.ros2
        fix = PoseFix(now_ns, state.x_m, state.y_m, state.yaw_rad, state.position_std_m, state.yaw_std_rad)
        turn = state.speed_mps * math.tan(state.steer_rad) / self._vehicle.body.wheelbase_m
        message = write_odometry(Odometer(fix, state.speed_mps, turn), ros2.map_frame, ros2.base_frame)
        self._odometry.publish(message)
        self._show_latched()

    def publish_tracks(self, now_ns: int) -> None:
        self._tracks.publish(write_tracks(self.plant.tracks(now_ns), now_ns, self._vehicle.ros2.map_frame))

    def publish_battery(self) -> None:
        self._battery.publish(BatteryState(percentage=0.9, temperature=30.0, present=True))

    def press(self, *, pressed: bool) -> None:
        """The vehicle's button."""
        self._pressed.publish(Bool(data=pressed))

    def _show_latched(self) -> None:
        if self.plant.latched is not self._shown:
            self._shown = self.plant.latched
            self._latched.publish(Bool(data=self._shown))

    def _on_estop(self, message: Bool) -> None:
        if not self.plant.gone:
            self.plant.stop(bool(message.data))
        self._shown = None  # whoever repeats a stop has not heard yet that it is latched
        self._show_latched()

    def _on_command(self, message: Any) -> None:
        if self.plant.gone:
            return
        now_ns, lead_s = self._now_ns(), self._vehicle.ros2.speed_lead_s
        state = self.plant.state(now_ns)
        stamp_ns, frame_id = now_ns, self._vehicle.ros2.base_frame
        if hasattr(message, "header"):
            stamp_ns, frame_id = to_ns(message.header.stamp), message.header.frame_id
        if self._kind == "ackermann":
            steer, accel = message.drive.steering_angle, (message.drive.speed - state.speed_mps) / lead_s
        else:
            twist = message.twist if self._kind == "twist_stamped" else message
            wheelbase = self._vehicle.body.wheelbase_m
            _, steer, accel = from_twist(twist, state.speed_mps, state.steer_rad, lead_s, wheelbase)
        self.plant.command(Command(stamp_ns, steer, accel, frame_id=frame_id), now_ns)


class Bridge:
    """A ROS node with the ports of all vehicles, and an ear for what the fleet says.

    Parameters
    ----------
    step : callable
        Called by a timer with the present time, ns; answers False when it is over.
    hear : callable
        Gets every envelope with the time.
    """

    def __init__(
        self, step_s: float, step: Callable[[int], bool], hear: Callable[[bytes, int], None] | None = None
    ) -> None:
        self.node = rclpy.create_node("sim_bridge", start_parameter_services=False)
        self._clock = self.node.get_clock()
        self._step, self._hear = step, hear
        self.over = False
        self.node.create_timer(step_s, self._on_timer)
        if hear is not None:
            self.node.create_subscription(UInt8MultiArray, topics.ENVELOPES, self._on_envelope, topics.latest(256))

    def now_ns(self) -> int:
        return fleet_ns(int(self._clock.now().nanoseconds))

    def port(self, plant: Plant) -> Port:
        return Port(self.node, plant, self.now_ns)

    def spin(self, interrupted: Callable[[], bool]) -> None:
        """Until the step says that it is over."""
        executor = SingleThreadedExecutor()
        executor.add_node(self.node)
        try:
            while not self.over and not interrupted():
                executor.spin_once(timeout_sec=0.1)
        except ExternalShutdownException:
            pass
        finally:
            executor.shutdown()
            self.node.destroy_node()

    def _on_timer(self) -> None:
        self.over = self.over or not self._step(self.now_ns())

    def _on_envelope(self, message: UInt8MultiArray) -> None:
        raw = read_envelope(message)
        if not isinstance(raw, Refused) and self._hear is not None:
            self._hear(raw, self.now_ns())


def open_middleware() -> bool:
    """Join the middleware if this process has not; True if :func:`close_middleware` is to be called for it."""
    if rclpy.ok():
        return False
    rclpy.init(args=[], signal_handler_options=rclpy.SignalHandlerOptions.NO)
    return True


def close_middleware() -> None:
    rclpy.try_shutdown()
