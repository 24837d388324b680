"""The fleet's envelopes over ROS 2: one topic for all, best effort, everything that waits taken at once."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from rclpy.event_handler import SubscriptionEventCallbacks
from std_msgs.msg import UInt8MultiArray

from hardware import ros2_topics as topics
from hardware.ros2_convert import Refused, read_envelope, write_envelope


class Radio:
    """Says and hears datagrams.

    Parameters
    ----------
    node : LifecycleNode
    hear : callable
        Gets all datagrams that wait.

    Attributes
    ----------
    peers : int
        Other writers that are alive, by the middleware's liveliness.
    refused : int
        Messages that are no datagrams.
    """

    def __init__(self, node: Any, hear: Callable[[list[bytes]], None]) -> None:
        self._node, self._hear = node, hear
        self.peers = self.refused = 0
        self._publisher = node.create_publisher(UInt8MultiArray, topics.ENVELOPES, topics.envelopes())
        self._subscription = node.create_subscription(
            UInt8MultiArray, topics.ENVELOPES, self._on_message, topics.envelopes(),
            event_callbacks=SubscriptionEventCallbacks(liveliness=self._on_liveliness),
        )  # fmt: skip

    def send(self, datagrams: tuple[bytes, ...]) -> None:
        for raw in datagrams:
            self._publisher.publish(write_envelope(raw))

    def present(self) -> int:
        """Other writers that the graph knows of."""
        return int(self._node.count_publishers(topics.ENVELOPES)) - 1

    def _on_message(self, message: UInt8MultiArray) -> None:
        """This one and all behind it: a wake-up of the executor costs more than a datagram."""
        raws, handle = [], self._subscription.handle
        while True:
            raw = read_envelope(message)
            if isinstance(raw, Refused):
                self.refused += 1
            else:
                raws.append(raw)
            taken = handle.take_message(UInt8MultiArray, False)
            if taken is None:
                break
            message = taken[0]
        self._hear(raws)

    def _on_liveliness(self, event: Any) -> None:
        self.peers = max(0, event.alive_count - 1)  # without the own writer
