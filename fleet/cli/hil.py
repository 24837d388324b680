"""``fleet hil``: checks on a bench, with hardware or without, as JUnit XML and a capability report."""

from __future__ import annotations

import importlib
import json
import signal
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from hardware.bench import Bench
    from hardware.hil import Outcome
    from hardware.vehicle import Vehicle

BENCHES = {
    "mock": ("sim.hil.bench", "mock_bench", "ideal vehicles in virtual time"),
    "sim": ("sim.hil.bench", "sim_bench", "the kinematic world in virtual time"),
    "bridge": ("hardware.ros2_bench", "bridge_bench", "ROS 2 nodes and the simulated vehicle behind fleet sim-bridge"),
    "vehicle": ("hardware.ros2_bench", "vehicle_bench", "a real vehicle on its bench, over ROS 2"),
}
"""Name -> (module, function from (vehicle, options) to a Bench, what it is). ROS 2 is imported only when asked for."""
INSTALL = "pip install 'accord-fleet[ros]', or source a ROS 2 installation"


@click.command("hil")
@click.argument("vehicle")
@click.option("--suite", default="smoke", show_default=True, type=click.Choice(["smoke", "full"]))
@click.option("--bench", "bench_name", default="bridge", show_default=True, type=click.Choice(list(BENCHES)),
              help="What to run on.")  # fmt: skip
@click.option("--only", metavar="WORD", help="Only cases whose name has WORD in it, such as failsafe or estop.")
@click.option("--junit", type=click.Path(dir_okay=False, path_type=Path), help="Write JUnit XML here.")
@click.option("--report", type=click.Path(dir_okay=False, path_type=Path), help="Write the capability report (JSON).")
@click.option("--state", type=click.Path(file_okay=False, path_type=Path),
              help="The vehicle's state folder: brake and e-stop tests that passed are recorded there.")  # fmt: skip
@click.option("--operator", default="", metavar="NAME", help="Who is at the button; goes into the records.")
@click.option("--set", "settings", multiple=True, metavar="KEY=VALUE", help="For the bench, such as domain=42.")
@click.option("--safe-state", is_flag=True, help="Check nothing: only bring the bench into its safe state.")
@click.option("--quiet", is_flag=True, help="No progress.")
def command(
    vehicle: str, suite: str, bench_name: str, only: str | None, junit: Path | None, report: Path | None,
    state: Path | None, operator: str, settings: tuple[str, ...], safe_state: bool, quiet: bool,
) -> int:  # fmt: skip
    """Check VEHICLE (a vehicle file, or the name of one) on a bench.

    Exit status 3: something failed, or nothing could be checked: skipped is not passed. A real vehicle is
    refused while the bench interlock is open. Ctrl-C or SIGTERM brings the bench into its safe state at once;
    what was checked until then is written.

    \b
    Examples:
      fleet hil car --bench mock
      fleet hil car --suite smoke --junit out.xml --report car.json
      fleet hil my_car.yaml --bench vehicle --suite full --state state/v1 --operator anna
      fleet hil my_car.yaml --bench vehicle --safe-state
    """
    from hardware.hil import SUITES, case_names, run_suite
    from hardware.vehicle import load_vehicle
    from sim.progress import Progress

    car = load_vehicle(vehicle)
    bench = open_bench(bench_name, car, _options(settings))
    if safe_state:
        bench.close()
        click.echo(bench.info.missing or f"{bench_name}: in its safe state")
        return 3 if bench.info.missing else 0
    chosen, outcomes = SUITES[suite], []
    before = _terminate_as_interrupt()
    try:
        with Progress(not quiet) as bar:
            bar.start(f"{suite} on {bench_name}", len(case_names(bench, chosen, only or "")), "cases")
            for outcome in run_suite(bench, chosen, time.perf_counter, only or ""):
                outcomes.append(outcome)
                bar.count(len(outcomes), f"{outcome.group}: {outcome.name}")
    finally:
        if before is not None:
            signal.signal(signal.SIGTERM, before)
        _write(outcomes, junit, report, _about(vehicle, car, bench, suite))
        if state is not None:
            _record(outcomes, state, operator or f"fleet hil --bench {bench_name}", real=bench.info.real)
    click.echo(_table(outcomes))
    bad = any(one.status in ("failed", "error") for one in outcomes)
    return 3 if bad or not any(one.status == "passed" for one in outcomes) else 0


def _terminate_as_interrupt() -> Any:
    """SIGTERM as Ctrl-C from now on, so that the bench is closed; the handler before (None: no main thread)."""
    if threading.current_thread() is not threading.main_thread():
        return None
    return signal.signal(signal.SIGTERM, signal.default_int_handler)


def open_bench(name: str, vehicle: Vehicle, options: dict[str, str]) -> Bench:
    """The bench, or one that skips everything and says why."""
    from hardware.bench import AbsentBench

    module, function, _ = BENCHES[name]
    try:
        bench: Bench = getattr(importlib.import_module(module), function)(vehicle, options)
    except ModuleNotFoundError as error:
        return AbsentBench(name, vehicle, f"{error.name} is not installed; {INSTALL}")
    return bench


def _options(settings: tuple[str, ...]) -> dict[str, str]:
    pairs = [text.partition("=") for text in settings]
    wrong = [key for key, sign, _ in pairs if not sign or not key]
    if wrong:
        raise click.UsageError(f"--set {wrong[0]}: wanted is KEY=VALUE")
    return {key: value for key, _, value in pairs}


def _about(name: str, vehicle: Vehicle, bench: Bench, suite: str) -> dict[str, Any]:
    from fleet import __version__
    from hardware.vehicle import digest

    return {"vehicle": name, "vehicle_class": vehicle.vehicle_class, "config_digest": digest(vehicle),
            "bench": bench.info.name, "real": bench.info.real, "suite": suite, "accord": __version__}  # fmt: skip


def _write(outcomes: list[Outcome], junit: Path | None, report: Path | None, about: dict[str, Any]) -> None:
    from hardware.junit import junit_xml

    if junit is not None:
        properties = [(key, str(value)) for key, value in about.items()]
        junit.parent.mkdir(parents=True, exist_ok=True)
        junit.write_bytes(junit_xml("fleet.hil", outcomes, properties))
    if report is None:
        return
    cases = [
        {"group": o.group, "name": o.name, "status": o.status, "text": o.text, "figures": dict(o.figures)}
        for o in outcomes
    ]
    counts = {status: sum(o.status == status for o in outcomes) for status in ("passed", "failed", "error", "skipped")}
    report.parent.mkdir(parents=True, exist_ok=True)
    report.write_text(json.dumps({**about, "counts": counts, "cases": cases}, indent=1) + "\n", encoding="utf-8")


def _record(outcomes: list[Outcome], state: Path, operator: str, *, real: bool) -> None:
    """Tests of a simulated vehicle are recorded too, with their bench's name: preflight of a real one refuses them."""
    from fleet.node.state_folder import StateFolder, TestRecord
    from hardware.hil import TESTS

    folder, now_ms = StateFolder(state), time.time_ns() // 1_000_000
    for name, (group, case) in TESTS.items():
        for one in outcomes:
            if (one.group, one.name) == (group, case) and one.status in ("passed", "failed"):
                value = one.figures.get("brake_mps2")
                passed = one.status == "passed"
                folder.record_test(name, TestRecord(passed=passed, at_ms=now_ms, by=operator, value=value, real=real))


def _table(outcomes: list[Outcome]) -> str:
    """One line per group, the figures of the latencies, and every case that did not pass."""
    lines = []
    for group in dict.fromkeys(one.group for one in outcomes):
        own = [one for one in outcomes if one.group == group]
        states = ", ".join(
            f"{sum(one.status == status for one in own)} {status}"
            for status in ("passed", "failed", "error", "skipped")
            if any(one.status == status for one in own)
        )
        lines.append(f"{group:12} {states}")
        if group in ("latency", "brakes", "agreement"):
            for one in own:
                figures = ", ".join(f"{name} {value:.4g}" for name, value in one.figures.items())
                lines += [f"  {one.name}: {figures}"] if figures else []
    skipped: dict[str, int] = {}
    for one in outcomes:
        if one.status in ("failed", "error"):
            lines.append(f"{one.status.upper()} {one.group}: {one.name}: {one.text}")
        elif one.status == "skipped":
            skipped[one.text] = skipped.get(one.text, 0) + 1
    lines += [f"skipped ({count}): {text}" for text, count in skipped.items()]
    return "\n".join(lines)
