"""A bare propose-and-vote exchange over rclpy, to measure agreement against: ``python -m hardware.ros2_bare``.

Arguments: nodes, rounds, bytes of a proposal, bytes of a vote, real-time priority (0: none), own index. Index 0
proposes; everybody hears everything, answers a proposal with a vote, and counts votes; the last line of
index 0's output is its figures as JSON.
"""

from __future__ import annotations

import array
import json
import sys
import time

import rclpy
from rclpy.executors import SingleThreadedExecutor
from std_msgs.msg import UInt8MultiArray

from hardware import ros2_topics as topics
from hardware.realtime import take_priority

_PAUSE_S = 0.03
_ROUND_S_MAX = 2.0
_GATHER_S = 30.0


class Voter:
    """One process of the exchange."""

    def __init__(self, nodes: int, vote_bytes: int, index: int) -> None:
        self.node = rclpy.create_node(f"bare{index}", start_parameter_services=False)
        self._publisher = self.node.create_publisher(UInt8MultiArray, topics.ENVELOPES, topics.envelopes())
        self.node.create_subscription(UInt8MultiArray, topics.ENVELOPES, self._hear, topics.envelopes())
        self._vote, self.index, self.nodes = bytes(vote_bytes), index, nodes
        self.votes: set[int] = set()
        self.round = -1
        self.over = False

    def say(self, kind: int, number: int, body: bytes) -> None:
        raw = bytes((kind, self.index, number % 256)) + body
        self._publisher.publish(UInt8MultiArray(data=array.array("B", raw)))

    def _hear(self, message: UInt8MultiArray) -> None:
        kind, sender, number = message.data[0], message.data[1], message.data[2]
        if kind == 0 and self.index:
            self.say(1, number, self._vote)
        elif kind == 1 and number == self.round % 256:
            self.votes.add(sender)
        elif kind == 2:
            self.over = True


def main() -> None:
    nodes, rounds, proposal_bytes, vote_bytes, priority, index = map(int, sys.argv[1:7])
    rclpy.init(args=[])
    voter, executor = Voter(nodes, vote_bytes, index), SingleThreadedExecutor()
    executor.add_node(voter.node)
    take_priority(priority or None)
    latencies_ms: list[float] = []
    began, cpu = time.perf_counter(), time.process_time()
    end = began + _GATHER_S + rounds * _ROUND_S_MAX
    while index and not voter.over and time.perf_counter() < end:
        executor.spin_once(timeout_sec=0.5)
    if index == 0:
        while voter.node.count_subscribers(topics.ENVELOPES) < nodes and time.perf_counter() < began + _GATHER_S:
            executor.spin_once(timeout_sec=0.05)
        began, cpu = time.perf_counter(), time.process_time()
        for number in range(rounds):
            voter.votes, voter.round = set(), number
            start = time.perf_counter()
            voter.say(0, number, bytes(proposal_bytes))
            while len(voter.votes) < nodes - 1 and time.perf_counter() - start < _ROUND_S_MAX:
                executor.spin_once(timeout_sec=0.1)
            if len(voter.votes) == nodes - 1 and number:
                latencies_ms.append((time.perf_counter() - start) * 1e3)
            pause = time.perf_counter() + _PAUSE_S
            while time.perf_counter() < pause:
                executor.spin_once(timeout_sec=0.005)
        for _ in range(5):
            voter.say(2, 0, b"")
            executor.spin_once(timeout_sec=0.02)
        share = (time.process_time() - cpu) / (time.perf_counter() - began)
        sys.stdout.write(json.dumps({"latencies_ms": latencies_ms, "cpu_share": share}) + "\n")
    rclpy.try_shutdown()


if __name__ == "__main__":
    main()
