"""Text scenarios: a command line, ``----``, what happened. ``pytest tests/protocol --rewrite`` records them anew.

Commands
--------
``cars NAME[=PATH] ... [tick=MS]``   engage cars, all at once, ticking together
``delay MS``                          one-way delay of every link
``cut FROM>TO ...`` / ``cut``         links that lose everything (``*`` for all); none: all links work
``lose KIND ...`` / ``lose``          message kinds that are lost everywhere
``set NAME KEY=VALUE ...``            fields of the car's own observation (phase, blocking, ...)
``equivocate NAME``                   say the last intent again, otherwise
``wants NAME [PATH]``                 the car wants a plan (on PATH), or wants none
``off NAME``                          the car stops: no ticks, no messages
``crash NAME``                        its node loses power
``restart NAME [lost]``               its node starts again from its log, or without one
``release NAME``                      give the commitment back
``run MS``                            let time pass; prints the notes of all cars
``tubes NAME``                        live tubes the car knows
``phases``                            phases and commitments
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from pathlib import Path

import msgspec
import pytest

from fleet.protocol import keys
from fleet.protocol.table import Phase
from fleet.protocol.wire import Intent, Kind, decode, encode_body, seal
from tests.protocol.crashing import CrashWorld
from tests.protocol.harness import StubKeys

DATA = Path(__file__).parent / "testdata"
SHOWN = (
    "coordinator",
    "members",
    "batch",
    "reasons",
    "reason",
    "why",
    "missing",
    "refused",
    "age_ms",
    "phase",
    "vehicle",
)


class Scenario:
    """One file's state."""

    def __init__(self) -> None:
        self.world = CrashWorld(seed=1, tick_ms=50)
        self.world.fault = self.fault
        self.delay_ms = 20
        self.cut: set[tuple[str, str]] = set()
        self.lose: set[str] = set()
        self.names: dict[str, str] = {}

    def fault(self, a: str, b: str, raw: bytes) -> Sequence[int]:
        if {(a, b), (a, "*"), ("*", b)} & self.cut or decode(raw).kind.name.lower() in self.lose:
            return ()
        return (self.delay_ms,)

    def do(self, line: str) -> str:
        command, *words = line.split()
        answer = getattr(self, f"do_{command}")(*words)
        return answer if answer is not None else "ok"

    def do_cars(self, *words: str) -> None:
        for word in words:
            name, _, path = word.partition("=")
            car = self.world.add(name, path or "R1")
            car.offset_ms = len(self.world.cars) % self.world.tick_ms
            car.core._turn._draw = random.Random(len(self.world.cars)).randrange
            self.world.engage(car)

    def do_delay(self, ms: str) -> None:
        self.delay_ms = int(ms)

    def do_cut(self, *links: str) -> None:
        self.cut = {tuple(link.split(">")) for link in links}  # type: ignore[misc]

    def do_lose(self, *kinds: str) -> None:
        self.lose = set(kinds)

    def do_set(self, name: str, *pairs: str) -> None:
        values: dict[str, object] = {}
        for pair in pairs:
            key, _, text = pair.partition("=")
            if key == "phase":
                values[key] = Phase[text]
            elif key in {"blocking", "perceived"}:
                values[key] = tuple(item for item in text.split(",") if item)
            elif key == "clock_error_ms":
                values[key] = int(text)
            else:
                values[key] = text == "yes"
        self.world.cars[name].overrides = values

    def do_equivocate(self, name: str) -> str:
        """The car's last intent again under the same number, with another arrival time and a good signature."""
        before = len(self.world.log)
        said = next(decode(raw) for _, who, raw in reversed(self.world.air) if who == name and is_intent(raw))
        assert isinstance(said.body, Intent)
        payload = encode_body(msgspec.structs.replace(said.body, eta_ms=said.body.eta_ms + 1))
        covered = keys.statement("intent", said.zone, said.session, name, payload)
        again = seal(said.kind, said.zone, said.session, name, payload, StubKeys(name).sign(covered))
        self.world.broadcast(name, again)
        self.world.run(self.delay_ms)
        return self.notes(before)

    def do_wants(self, name: str, *paths: str) -> None:
        self.world.cars[name].wants = bool(paths)
        self.world.cars[name].path = paths[0] if paths else self.world.cars[name].path

    def do_off(self, name: str) -> None:
        self.world.cars[name].off = True

    def do_crash(self, name: str) -> None:
        self.world.crash(self.world.cars[name])

    def do_restart(self, name: str, *log: str) -> str:
        before = len(self.world.log)
        self.world.restart(self.world.cars[name], log_lost=log == ("lost",))
        return self.notes(before) or "ok"

    def do_release(self, name: str) -> str:
        before = len(self.world.log)
        car = self.world.cars[name]
        car.core.release("asked", self.world.now_ms)
        self.world.drain(car)
        return self.notes(before)

    def do_run(self, ms: str) -> str:
        before = len(self.world.log)
        self.world.run(int(ms))
        return self.notes(before) or "nothing"

    def do_phases(self) -> str:
        cars = self.world.cars.values()
        return "\n".join(
            f"{c.name} {c.core.phase.name} {self.plan(c.adopted.plan) if c.adopted else '-'}" for c in cars
        )

    def do_tubes(self, name: str) -> str:
        tubes = self.world.cars[name].core.known_tubes(self.world.now_ms)
        return "\n".join(f"{t.vehicle} {t.kind} {self.short(t.proposal_hash.hex())} {self.plan(t.plan)}" for t in tubes)

    def notes(self, first: int) -> str:
        lines = []
        for at, who, kind, detail in self.world.log[first:]:
            words = [str(at - 10_000), who, kind]
            if "proposal" in detail:
                words.append(self.short(str(detail["proposal"])))
            words += [self.short(str(p)) for p in detail.get("proposals", [])]  # type: ignore[attr-defined]
            words += [f"{key}={self.show(detail[key])}" for key in SHOWN if detail.get(key)]
            lines.append(" ".join(words))
        return "\n".join(lines)

    def short(self, proposal: str) -> str:
        """Proposals are p1, p2, ... in the order in which the file first shows them."""
        return self.names.setdefault(proposal, f"p{len(self.names) + 1}") if proposal else "-"

    def show(self, value: object) -> str:
        return "[" + ",".join(str(item) for item in value) + "]" if isinstance(value, (list, tuple)) else str(value)

    def plan(self, plan: bytes) -> str:
        parts = [item.split(":") for item in plan.decode().partition("|")[2].split(",") if item]
        return ",".join(f"{r}:{int(s) - 10_000}-{int(e) - 10_000}" for r, s, e in parts) or "-"


def is_intent(raw: bytes) -> bool:
    return decode(raw).kind is Kind.INTENT


@pytest.mark.parametrize("path", sorted(DATA.glob("*.txt")), ids=lambda path: path.stem)
def test_the_scenario_goes_as_recorded(path: Path, request: pytest.FixtureRequest) -> None:
    scenario, out = Scenario(), []
    text = path.read_text()
    for block in text.strip().split("\n\n"):
        lines = block.splitlines()
        head = [line for line in lines if line.startswith("#")]
        rest = [line for line in lines if not line.startswith("#")]
        if not rest:
            out.append("\n".join(head))
            continue
        commands = rest[: rest.index("----")] if "----" in rest else rest
        answers = "\n".join(scenario.do(line) for line in commands)
        out.append("\n".join([*head, *commands, "----", answers]))
    actual = "\n\n".join(out) + "\n"
    if request.config.getoption("--rewrite"):
        path.write_text(actual)
    assert actual == text if not request.config.getoption("--rewrite") else True
