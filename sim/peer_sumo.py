"""SUMO as a peer of the bench: the same junction, the same arrivals, its best controllers.

SUMO (Eclipse, EPL 2.0 or GPL 2) is never a dependency of this project: whoever wants its rows in the table
installs it by hand, best into an environment of its own (``pip install eclipse-sumo``), and has ``sumo`` and
``netconvert`` on the path, or names their folder. Pitfalls minded here: teleporting is off, waiting before
insertion counts, free flow is measured one vehicle at a time on a network without rules, nothing is cut off.
"""

from __future__ import annotations

import csv
import os
import shutil
import subprocess
import xml.etree.ElementTree as ET
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from fleet.errors import ConfigError

STEP_S = 0.1
TIME_S_MAX = 900.0
"""Wall time after which one run of SUMO is given up."""
_ARM_M, _SPEED_MPS, _LANE_M = 250.0, 13.89, 3.5
_LONE_GAP_S = 120.0
"""Between two vehicles whose free flow is measured."""
_TURN = {"left": 1, "straight": 2, "right": 3}
_ARMS = "NESW"
_AT = {"N": (0.0, _ARM_M), "E": (_ARM_M, 0.0), "S": (0.0, -_ARM_M), "W": (-_ARM_M, 0.0)}
_HUMAN = {"sigma": "0.5", "tau": "1.0"}
_AV = {"sigma": "0", "tau": "0.5"}


@dataclass(frozen=True, slots=True)
class Controller:
    """A junction of SUMO and the drivers on it."""

    name: str
    node_type: str
    signal: str
    """``static`` or ``actuated``; empty: none."""
    driver: dict[str, str]


CONTROLLERS = (
    Controller("SUMO right-before-left, human", "right_before_left", "", _HUMAN),
    Controller("SUMO static signal 45 s, human", "traffic_light", "static", _HUMAN),
    Controller("SUMO actuated signal, human", "traffic_light", "actuated", _HUMAN),
    Controller("SUMO actuated signal, AV", "traffic_light", "actuated", _AV),
    Controller("SUMO all-way stop, AV", "allway_stop", "", _AV),
)


@dataclass(frozen=True, slots=True)
class Trip:
    """What became of one vehicle: ``delay_s`` counts from its scheduled arrival, waiting outside included."""

    approach: str
    scheduled_s: float
    left_s: float
    delay_s: float
    waited_s: float


class Sumo:
    """SUMO's programs, and a folder for the files that they exchange."""

    def __init__(self, programs: Path, folder: Path) -> None:
        self._sumo, self._netconvert = programs / "sumo", programs / "netconvert"
        self._folder = folder
        self._free_s: dict[tuple[int, str], dict[tuple[str, str], float]] = {}

    def run(self, controller: Controller, table: Path, lanes: int, seed: int) -> list[Trip]:
        """Drive the arrivals of ``table`` (``arrival_s,approach,movement``) to the end.

        Raises
        ------
        ConfigError
            SUMO failed, or did not come to an end.
        """
        arrivals = _read(table)
        free_s = self._free(lanes, controller.driver)
        network = self._network(controller.node_type, controller.signal, lanes)
        trips = self._simulate(network, arrivals, controller.driver, lanes, seed)
        found = []
        for number, (arrival_s, approach, movement) in enumerate(arrivals):
            trip = trips.get(str(number))
            if trip is None:
                raise ConfigError(f"{table}: vehicle {number} never left SUMO's network under {controller.name}")
            left_s = float(trip["arrival"])
            delay_s = left_s - arrival_s - free_s[approach, movement]
            waited_s = float(trip["waitingTime"]) + float(trip["departDelay"])
            found.append(Trip(approach, arrival_s, left_s, delay_s, waited_s))
        return found

    def version(self) -> str:
        """As SUMO tells it."""
        words = self._call([str(self._sumo), "--version"]).split()
        return next((word for word in words if word[:1].isdigit()), "of unknown version")

    def _free(self, lanes: int, driver: dict[str, str]) -> dict[tuple[str, str], float]:
        """Travel time of each movement alone, where nothing is regulated."""
        key = (lanes, driver["sigma"])
        if key not in self._free_s:
            ways = [(approach, movement) for approach in _ARMS for movement in _TURN]
            alone = [(k * _LONE_GAP_S, *way) for k, way in enumerate(ways)]
            # Alone, nobody has a reason to dawdle: free flow is that of a driver without imperfection.
            trips = self._simulate(self._network("unregulated", "", lanes), alone, {**driver, "sigma": "0"}, lanes, 1)
            self._free_s[key] = {way: float(trips[str(k)]["duration"]) for k, way in enumerate(ways)}
        return self._free_s[key]

    def _network(self, node_type: str, signal: str, lanes: int) -> Path:
        name = f"{node_type}{signal}{lanes}"
        out = self._folder / f"{name}.net.xml"
        if out.exists():
            return out
        nodes, edges, connections = ET.Element("nodes"), ET.Element("edges"), ET.Element("connections")
        ET.SubElement(nodes, "node", id="C", x="0", y="0", type=node_type)
        for arm, (x, y) in _AT.items():
            ET.SubElement(nodes, "node", id=arm, x=f"{x:g}", y=f"{y:g}", type="priority")
            shape = {"numLanes": str(lanes), "speed": str(_SPEED_MPS), "width": str(_LANE_M)}
            ET.SubElement(edges, "edge", {"id": f"{arm}C", "from": arm, "to": "C", **shape})
            ET.SubElement(edges, "edge", {"id": f"C{arm}", "from": "C", "to": arm, **shape})
            for movement in _TURN:
                lane = str(_lane(movement, lanes))
                ends = {"from": f"{arm}C", "to": f"C{_exit(arm, movement)}", "fromLane": lane, "toLane": lane}
                ET.SubElement(connections, "connection", ends)
        call = [str(self._netconvert), "--no-turnarounds", "true", "--no-warnings", "true", "-o", str(out)]
        for option, root in (("-n", nodes), ("-e", edges), ("-x", connections)):
            call += [option, _write(self._folder / f"{name}.{root.tag}.xml", root)]
        if signal:
            call += ["--tls.default-type", signal, *(["--tls.cycle.time", "45"] if signal == "static" else [])]
        self._call(call)
        return out

    def _simulate(
        self, network: Path, arrivals: Sequence[tuple[float, str, str]], driver: dict[str, str], lanes: int, seed: int
    ) -> dict[str, dict[str, str]]:
        """Attributes of SUMO's trip records by number of the arrival."""
        root = ET.Element("routes")
        body = {"length": "5.0", "width": "1.8", "minGap": "2.5", "accel": "2.6", "decel": "4.5"}
        ET.SubElement(root, "vType", {"id": "car", "speedFactor": "1", "speedDev": "0", **body, **driver})
        for number, (arrival_s, approach, movement) in enumerate(arrivals):
            lane = str(_lane(movement, lanes))
            car = {"id": str(number), "type": "car", "depart": f"{arrival_s:.3f}", "departSpeed": "max"}
            vehicle = ET.SubElement(root, "vehicle", {**car, "departLane": lane})
            ET.SubElement(vehicle, "route", edges=f"{approach}C C{_exit(approach, movement)}")
        trips = self._folder / "trips.xml"
        self._call(
            [
                str(self._sumo), "-n", str(network), "-r", _write(self._folder / "routes.xml", root),
                "--tripinfo-output", str(trips), "--step-length", str(STEP_S), "--time-to-teleport", "-1",
                "--seed", str(seed), "--no-step-log", "true", "--no-warnings", "true", "--xml-validation", "never",
            ]
        )  # fmt: skip
        return {str(trip.get("id")): dict(trip.attrib) for trip in ET.parse(trips).getroot().iter("tripinfo")}

    def _call(self, words: list[str]) -> str:
        try:
            done = subprocess.run(words, capture_output=True, text=True, timeout=TIME_S_MAX, check=False)
        except subprocess.TimeoutExpired as error:
            raise ConfigError(f"{Path(words[0]).name} did not end within {TIME_S_MAX:g} s") from error
        if done.returncode:
            lines = (done.stderr or done.stdout).strip().splitlines()
            raise ConfigError(f"{Path(words[0]).name} failed: {lines[0] if lines else f'status {done.returncode}'}")
        return done.stdout


def find_sumo(folder: str | None = None) -> Path | None:
    """The folder of SUMO's programs: the one named, or that of ``SUMO_HOME``, or of the path; None: not installed.

    Raises
    ------
    ConfigError
        The folder named does not hold them.
    """
    if folder is not None:
        if not (Path(folder) / "sumo").exists() or not (Path(folder) / "netconvert").exists():
            raise ConfigError(f"{folder}: holds no sumo and netconvert; name the folder of SUMO's programs")
        return Path(folder)
    home = os.environ.get("SUMO_HOME")
    if home and (Path(home) / "bin" / "sumo").exists():
        return Path(home) / "bin"
    found = shutil.which("sumo")
    beside = Path(found).parent if found else None
    return beside if beside is not None and (beside / "netconvert").exists() else None


def _read(table: Path) -> list[tuple[float, str, str]]:
    with table.open(newline="", encoding="utf-8") as file:
        return sorted((float(r["arrival_s"]), r["approach"], r["movement"]) for r in csv.DictReader(file))


def _write(path: Path, root: ET.Element) -> str:
    ET.ElementTree(root).write(path, encoding="utf-8", xml_declaration=True)
    return str(path)


def _exit(approach: str, movement: str) -> str:
    """Arms clockwise from north: a left turn from N leads to E, the next one."""
    return _ARMS[(_ARMS.index(approach) + _TURN[movement]) % 4]


def _lane(movement: str, lanes: int) -> int:
    """SUMO counts lanes from the right."""
    return {"right": 0, "straight": (lanes - 1) // 2, "left": lanes - 1}[movement]
