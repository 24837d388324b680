"""A path of arcs in integers: what vehicles off the road agree to drive along, written into the plan itself.

A road's path has a name that the zone map explains. Off the road there is no map of paths: each plan makes
its own. Its arcs are a few dozen bytes, so they stand where the name would, as text, and whoever has the
plan has the path. ``digest`` names it where there is room for a name only.

The reference point (the rear axle) starts in a pose and drives arcs one after the other, each of a signed
length (negative: backwards) and a curvature. Where the sign changes the vehicle stands: a *cusp*. This is
the format; where the arcs lie is computed by ``arcs.py`` for planners and nodes, and by the verifier on its own.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import math
from dataclasses import dataclass
from functools import cached_property

from fleet.errors import PlanError
from planners.timed_path import VarintReader, put_varint, unzigzag, zigzag

Pose = tuple[float, float, float]

PREFIX = "arcs:"
ARC_COUNT_MAX = 40
TEXT_CHARS_MAX = 255
"""The longest name that a TimedPath carries; more arcs than fit cannot be agreed on."""
YAW_UNIT_RAD = 1e-5
KAPPA_UNIT_1PM = 1e-4
_VERSION = 1


@dataclass(frozen=True)
class ArcPath:
    """``start`` is x and y in mm and yaw in 1e-5 rad; ``arcs`` are (length in mm, curvature in 1e-4 1/m).

    A path without arcs is a place to stand.
    """

    start: tuple[int, int, int]
    arcs: tuple[tuple[int, int], ...]

    @staticmethod
    def of(start: Pose, arcs: list[tuple[float, float]]) -> ArcPath:
        """From metres and radians. Lengths are rounded so that errors do not add up."""
        done, rounded = 0.0, 0
        rows = []
        for length_m, kappa_1pm in arcs:
            done += abs(length_m) * 1000.0
            size = round(done) - rounded
            rounded += size
            if size:
                rows.append((size if length_m > 0.0 else -size, round(kappa_1pm / KAPPA_UNIT_1PM)))
        yaw = math.remainder(start[2], math.tau)
        return ArcPath((round(start[0] * 1000.0), round(start[1] * 1000.0), round(yaw / YAW_UNIT_RAD)), tuple(rows))

    @cached_property
    def text(self) -> str:
        """The path as the name of itself; :class:`PlanError` where it is too long for a plan."""
        out = bytearray([_VERSION])
        for value in self.start:
            put_varint(out, zigzag(value))
        for length, kappa in self.arcs:
            put_varint(out, zigzag(length))
            put_varint(out, zigzag(kappa))
        text = PREFIX + base64.urlsafe_b64encode(bytes(out)).decode().rstrip("=")
        if len(self.arcs) > ARC_COUNT_MAX or len(text) > TEXT_CHARS_MAX:
            raise PlanError(f"a path of {len(self.arcs)} arcs takes {len(text)} characters; the limit is 255 (40 arcs)")
        return text

    @staticmethod
    def parse(text: str) -> ArcPath:
        """The path that ``text`` is; anything but its one canonical form raises :class:`PlanError`."""
        if not text.startswith(PREFIX) or len(text) > TEXT_CHARS_MAX:
            raise PlanError(f"{text[:24]!r} is no path of arcs")
        body = text[len(PREFIX) :]
        try:
            raw = base64.b64decode(body + "=" * (-len(body) % 4), altchars=b"-_", validate=True)
            path = _decode(raw)
        except (binascii.Error, IndexError, ValueError) as error:
            raise PlanError(f"{text[:24]!r} is a malformed path of arcs") from error
        if path.text != text:
            raise PlanError(f"{text[:24]!r} is not in canonical form")
        return path

    @cached_property
    def digest(self) -> str:
        """The path's name by its content."""
        return "arcs/" + hashlib.sha256(self.text.encode()).hexdigest()[:24]

    @cached_property
    def length_m(self) -> float:
        return 1e-3 * sum(abs(length) for length, _ in self.arcs)

    @cached_property
    def cusps_m(self) -> tuple[float, ...]:
        """Where along the path the direction of driving changes."""
        found, done = [], 0
        for (length, _), (after, _) in zip(self.arcs, self.arcs[1:], strict=False):
            done += abs(length)
            if length * after < 0:
                found.append(1e-3 * done)
        return tuple(found)

    @property
    def kappa_max_1pm(self) -> float:
        return max((abs(kappa) * KAPPA_UNIT_1PM for _, kappa in self.arcs), default=0.0)


def _decode(raw: bytes) -> ArcPath:
    reader = VarintReader(raw)
    version = reader.varint()
    if version != _VERSION:
        raise PlanError(f"path of arcs has version {version}; this program knows {_VERSION}")
    start = tuple(unzigzag(reader.varint()) for _ in range(3))
    arcs = []
    while reader.at < len(raw):
        arcs.append((unzigzag(reader.varint()), unzigzag(reader.varint())))
        if len(arcs) > ARC_COUNT_MAX or not arcs[-1][0]:
            raise PlanError(f"path of arcs has more than {ARC_COUNT_MAX} arcs, or one without a length")
    return ArcPath((start[0], start[1], start[2]), tuple(arcs))
