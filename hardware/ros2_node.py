"""The node of one vehicle as a managed (lifecycle) ROS 2 node: parameters, topics, timers, calls; no logic.

*Configure* opens the topics and listens; *activate* asks the crew for a guarded driver, which preflight may refuse;
*deactivate* holds the brakes. The driver's turn comes with every new odometry, so that a command is a few
milliseconds younger than the state it answers; a timer stands in where odometry does not come. Datagrams are
taken at once and answered at once, all that wait in one call.
"""

from __future__ import annotations

import time
from typing import Any

from nav_msgs.msg import Odometry
from rclpy.event_handler import PublisherEventCallbacks
from rclpy.lifecycle import LifecycleNode, LifecycleState, TransitionCallbackReturn
from std_msgs.msg import Bool, String

from fleet.errors import FleetError
from fleet.node.clock_sync import clock_error_s
from hardware import ros2_topics as topics
from hardware.ros2_clock import WatchedClock
from hardware.ros2_convert import fleet_ns, to_ns
from hardware.ros2_crew import Crew
from hardware.ros2_figures import Figures
from hardware.ros2_inputs import listen
from hardware.ros2_mirrors import Mirrors
from hardware.ros2_parameters import declare
from hardware.ros2_radio import Radio
from hardware.ros2_vehicle import Ros2Vehicle
from hardware.ros2_writers import WRITERS

_LATE = 1.5
"""Periods without odometry after which the timer takes the turn."""


class FleetNode(LifecycleNode):  # type: ignore[misc]
    """One vehicle; ``crew`` makes and keeps what is not ROS."""

    def __init__(self, crew: Crew) -> None:
        super().__init__("fleet_node", namespace=f"/{crew.name}")
        self.crew, self.settings = crew, declare(self)
        simulated = bool(self.get_parameter("use_sim_time").value)
        clock = self.get_clock()
        self.clock = WatchedClock(
            lambda: fleet_ns(clock.now().nanoseconds), time.monotonic_ns,
            lambda: self.settings.clock_error_s or clock_error_s(), simulated=simulated,
        )  # fmt: skip
        self.hardware: Ros2Vehicle | None = None
        self.figures = Figures()
        self._late_commands = 0
        self._turn_ns = self._mirror_ns = self._told_ns = self._try_ns = 0
        self._plan: Any = None

    # --- lifecycle

    def on_configure(self, state: LifecycleState) -> TransitionCallbackReturn:
        ros2 = self.crew.vehicle.ros2
        kind, write = WRITERS[ros2.command]()
        events = PublisherEventCallbacks(deadline=self._on_late_command)
        self._commands = self.create_publisher(kind, topics.COMMAND, topics.commands(), event_callbacks=events)
        self._stops = self.create_publisher(Bool, topics.ESTOP, topics.stops())
        wheelbase = self.crew.vehicle.body.wheelbase_m
        self.hardware = vehicle = Ros2Vehicle(
            self.crew.vehicle,
            lambda drive, now_ns: self._commands.publish(write(drive, now_ns, ros2.base_frame, wheelbase)),
            lambda stop: self._stops.publish(Bool(data=stop)),
        )
        self.create_subscription(Odometry, topics.ODOMETRY, self._on_odometry, topics.latest())
        self.create_subscription(String, topics.RESET, self._on_reset, topics.stops())
        listen(self, vehicle, self.clock)
        self._radio = Radio(self, self._hear)
        self._mirrors = Mirrors(self, self.crew.name, self.crew.vehicle)
        self.create_timer(self.settings.control_period_s, self._on_timer)
        vehicle.gate.configure()
        self.crew.prepare(vehicle, self.clock)
        return TransitionCallbackReturn.SUCCESS

    def on_activate(self, state: LifecycleState) -> TransitionCallbackReturn:
        self.clock.trust()
        if self.hardware is None:
            return TransitionCallbackReturn.FAILURE
        try:
            now_ns = self.clock.now_ns()
            self.crew.board(now_ns, self.clock.error_s(now_ns), self._radio.present(), self.settings.peers)
        except FleetError as error:
            self.get_logger().error(f"not activated: {error}")
            return TransitionCallbackReturn.FAILURE
        return super().on_activate(state)

    def on_deactivate(self, state: LifecycleState) -> TransitionCallbackReturn:
        self.crew.stand_down()
        return super().on_deactivate(state)

    def _on_reset(self, message: String) -> None:
        """An operator clears a stop, by name, at standstill. The vehicle is inactive then: nothing moves by this."""
        cleared = self.crew.reset(str(message.data))
        self.get_logger().info(f"reset by {message.data!r}: {'cleared' if cleared else 'refused'}")

    # --- turns

    def _on_odometry(self, message: Odometry) -> None:
        now_ns = self.clock.now_ns()
        fresh = self.hardware is not None and self.hardware.on_odometry(message, now_ns)
        if fresh and now_ns - self._turn_ns >= 0.7e9 * self.settings.control_period_s:
            self._turn(now_ns)
            if self.crew.node is not None:
                self.figures.turn(to_ns(message.header.stamp), self.clock.now_ns())

    def _on_timer(self) -> None:
        now_ns = self.clock.now_ns()
        if now_ns - self._turn_ns > _LATE * 1e9 * self.settings.control_period_s:
            self._turn(now_ns)

    def _turn(self, now_ns: int) -> None:
        self._turn_ns = now_ns
        vehicle = self.hardware
        if vehicle is None:
            return
        self._radio.send(self.crew.turn(now_ns))
        if self.settings.autostart and self.crew.idle and not self.crew.ready and now_ns >= self._try_ns:
            self._try_ns = now_ns + 500_000_000
            self.trigger_activate()
        if now_ns - self._mirror_ns >= 1e9 * self.settings.mirror_period_s:
            self._mirror_ns = now_ns
            self._mirror(now_ns, vehicle)

    def _hear(self, datagrams: list[bytes]) -> None:
        self._radio.send(self.crew.hear(self.clock.now_ns(), datagrams))

    def _mirror(self, now_ns: int, vehicle: Ros2Vehicle) -> None:
        state = vehicle.read(now_ns)
        self._mirrors.estimate(state)
        self._mirrors.markers(state, self.crew.phase, committed=self.crew.committed)
        if self.crew.plan is not self._plan:
            self._plan = self.crew.plan
            self._mirrors.plan(now_ns, self.crew.plan_poses())
        if now_ns - self._told_ns >= 1e9:
            self._told_ns = now_ns
            values = {
                "alive_peers": self._radio.peers, "refused_envelopes": self._radio.refused,
                "late_commands": self._late_commands, **self.crew.figures(), "refused": dict(vehicle.refused),
                "last": vehicle.last_refusal,
            }  # fmt: skip
            self._mirrors.diagnostics(now_ns, self.crew.causes(), values)

    # --- quality of service

    def _on_late_command(self, event: Any) -> None:
        self._late_commands = event.total_count
