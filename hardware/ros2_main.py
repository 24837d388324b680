"""The process of one vehicle's node: one executor thread, signals, and an orderly end."""

from __future__ import annotations

import signal
from pathlib import Path
from types import FrameType

import rclpy
from rclpy.executors import SingleThreadedExecutor

from hardware.ros2_crew import Crew, Orders
from hardware.ros2_node import FleetNode

_WAIT_S = 0.05


def run_node(orders: Orders, arguments: list[str], figures: Path | None = None) -> int:
    """Run until SIGINT or SIGTERM; the brakes hold when it returns. Returns the exit status."""
    caught: list[int] = []

    def note(number: int, frame: FrameType | None) -> None:
        caught.append(number)

    # Not rclpy's handlers: they close the middleware at once, and the last command could not be sent any more.
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, note)
    rclpy.init(args=arguments, signal_handler_options=rclpy.SignalHandlerOptions.NO)
    node = FleetNode(Crew(orders))
    executor = SingleThreadedExecutor()
    executor.add_node(node)
    try:
        node.trigger_configure()
        while not caught:
            executor.spin_once(timeout_sec=_WAIT_S)
    finally:
        if figures is not None:
            node.figures.write(figures, node.crew)
        node.crew.leave(node.clock.now_ns())
        executor.shutdown()
        node.destroy_node()
        rclpy.try_shutdown()
    return 0
