"""What a node measures of itself, for ``fleet bench ros`` and for whoever asks why a vehicle answered late."""

from __future__ import annotations

import json
import time
from collections import deque
from pathlib import Path

from hardware.ros2_crew import Crew

_SAMPLES_MAX = 100_000


class Figures:
    """Counts from the first turn under way."""

    def __init__(self) -> None:
        self._paths_ns: deque[int] = deque(maxlen=_SAMPLES_MAX)
        self._began_s = self._cpu_s = 0.0

    def turn(self, state_ns: int, sent_ns: int) -> None:
        """A state's stamp, and when the command that answers it was sent."""
        if not self._paths_ns:
            self._began_s, self._cpu_s = time.perf_counter(), time.process_time()
        self._paths_ns.append(sent_ns - state_ns)

    def write(self, file: Path, crew: Crew) -> None:
        """As JSON: ms from a state's stamp to its command, ms from proposal to certificate, share of a core."""
        wall_s = max(1e-9, time.perf_counter() - self._began_s)
        found = {
            "vehicle": crew.name,
            "state_to_command_ms": [round(one * 1e-6, 3) for one in self._paths_ns],
            "decision_ms": list(crew.node.core.stats.latencies_ms) if crew.node is not None else [],
            "cpu_share": round((time.process_time() - self._cpu_s) / wall_s, 4) if self._paths_ns else 0.0,
        }
        file.write_text(json.dumps(found) + "\n", encoding="utf-8")
