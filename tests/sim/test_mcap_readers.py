"""``run.mcap`` read back by two readers that are not ours: the same counts and types, every message decoded."""

from __future__ import annotations

import math
from collections import Counter
from pathlib import Path

import pytest
from mcap.reader import make_reader
from mcap_ros2.decoder import DecoderFactory

from tests.sim.whole_runs import drive

rosbags = pytest.importorskip("rosbags.highlevel", reason="rosbags is not installed: pip install 'accord-fleet[dev]'")


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("mcap")
    drive("four_way_bench", out, mcap=True, world="kinematic")
    return out / "run.mcap"


def by_rosbags(file: Path) -> tuple[Counter, dict[str, str], list]:
    counts, types, odometry = Counter(), {}, []
    with rosbags.AnyReader([file]) as reader:
        for connection, _, raw in reader.messages():
            message = reader.deserialize(raw, connection.msgtype)
            counts[connection.topic] += 1
            types[connection.topic] = connection.msgtype
            if connection.topic == "/v1/odom":
                p, q = message.pose.pose.position, message.pose.pose.orientation
                odometry.append((p.x, p.y, q.z, q.w))
    return counts, types, odometry


def by_mcap(file: Path) -> tuple[Counter, dict[str, str], list]:
    counts, types, odometry = Counter(), {}, []
    with open(file, "rb") as stream:
        reader = make_reader(stream, decoder_factories=[DecoderFactory()])
        for schema, channel, _, message in reader.iter_decoded_messages():
            counts[channel.topic] += 1
            types[channel.topic] = schema.name
            if channel.topic == "/v1/odom":
                p, q = message.pose.pose.position, message.pose.pose.orientation
                odometry.append((p.x, p.y, q.z, q.w))
    return counts, types, odometry


def test_two_independent_readers_find_the_same_messages(file: Path) -> None:
    ours, other = by_mcap(file), by_rosbags(file)
    assert ours[0] == other[0]
    assert ours[1] == other[1]
    assert ours[2] == other[2]
    assert len(ours[2]) > 50
    assert all(math.isclose(math.hypot(z, w), 1.0, abs_tol=1e-9) for _, _, z, w in ours[2])
    assert {"/fleet/envelopes", "/clock", "/fleet/markers", "/fleet/diagnostics"} <= set(ours[0])
    assert ours[1]["/fleet/envelopes"] == "std_msgs/msg/UInt8MultiArray"
