"""The supervisor of a vehicle on ROS 2: a process of its own, with a participant of its own in the middleware.

Started by the node (``hardware.supervisor.Link`` with this module's name). When the node stalls or dies it
publishes the emergency stop of ``--path ros2:NAMESPACE`` every 20 ms until the vehicle says that it is latched.
"""

from __future__ import annotations

import sys
import time

import rclpy
from std_msgs.msg import Bool

from hardware import ros2_topics as topics
from hardware.realtime import take_priority
from hardware.supervisor import open_link, serve

GONE_S = 60.0
"""No driver of the vehicle listens for so long: there is nobody left to brake, and the process ends."""


class Ros2BrakePath:
    """See :class:`hardware.supervisor.BrakePath`."""

    def __init__(self, namespace: str) -> None:
        self._node = rclpy.create_node("supervisor", namespace=namespace, start_parameter_services=False)
        self._publisher = self._node.create_publisher(Bool, topics.ESTOP, topics.stops())
        self._subscription = self._node.create_subscription(
            Bool, topics.ESTOP_LATCHED, self._on_latched, topics.standing()
        )
        self._latched = False
        self._heard_s = time.monotonic()
        """When anybody listened to the stop last."""

    def brake(self, reason: str) -> None:
        self._publisher.publish(Bool(data=True))
        rclpy.spin_once(self._node, timeout_sec=0.0)
        if self._publisher.get_subscription_count():
            self._heard_s = time.monotonic()

    def held(self) -> bool:
        """Also when the vehicle's computer has been gone for so long that nothing drives any more."""
        return self._latched or time.monotonic() - self._heard_s > GONE_S

    def _on_latched(self, message: Bool) -> None:
        self._latched = bool(message.data)


def main() -> None:
    arguments = sys.argv[1:]
    link, path, limit_s = open_link(arguments)
    rclpy.init(args=[], signal_handler_options=rclpy.SignalHandlerOptions.NO)
    brakes = Ros2BrakePath(path.removeprefix("ros2:"))
    if "--realtime" in arguments:
        take_priority(int(arguments[arguments.index("--realtime") + 1]))
    serve(link, brakes, limit_s)
    rclpy.try_shutdown()


if __name__ == "__main__":
    main()
