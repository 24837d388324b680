"""The command line, in process: what it prints, its exit status, and that it starts quickly."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from fleet import __version__
from fleet.cli.main import COMMANDS, EXTRAS, run
from hardware.vehicle import VEHICLES
from planners.registry import PLANNERS as REGISTERED
from sim import reactive
from sim.maps import BUILTIN_MAPS
from sim.scenario import scenario_names
from sim.scenario_checks import MECHANISMS, PLANNERS, WORLDS

ROOT = Path(__file__).resolve().parents[2]
HEAVY = ("numpy", "numba", "shapely", "msgspec", "yaml", "pyarrow", "matplotlib", "rich", "casadi", "pybullet")


def child(code: str) -> str:
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    return done.stdout


def one_error(capsys: pytest.CaptureFixture[str], *args: str) -> str:
    """The text of a known error: status 2, one line on standard error, nothing on standard output."""
    assert run(args) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith("fleet: error: ")
    assert err.count("\n") == 1
    return err


def test_help_needs_no_heavy_library_and_little_time() -> None:
    code = (
        "import sys, time\nfrom fleet.cli.main import run\nassert run(['--help']) == 0\n"
        f"print('heavy:', [name for name in {HEAVY} if name in sys.modules])\nprint('cpu_s:', time.process_time())"
    )
    outs = [child(code) for _ in range(3)]
    assert "heavy: []" in outs[0]
    assert min(float(out.split("cpu_s: ")[1]) for out in outs) < 0.3


@pytest.mark.parametrize("command", COMMANDS)
def test_each_command_has_help_with_examples_and_imports_nothing_heavy(command: str) -> None:
    code = (
        f"import sys\nfrom fleet.cli.main import run\nassert run(['{command}', '--help']) == 0\n"
        f"print('heavy:', [name for name in {HEAVY} if name in sys.modules])"
    )
    out = child(code)
    assert "heavy: []" in out
    assert f"  fleet {command}" in out.split("Examples:")[1]


def test_help_lists_every_command(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["--help"]) == 0
    with_option = capsys.readouterr().out
    assert run([]) == 0
    assert capsys.readouterr().out == with_option
    for name, (_, text) in COMMANDS.items():
        assert f"{name} " in with_option
        assert text in with_option


def test_version(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["--version"]) == 0
    assert __version__ in capsys.readouterr().out


def test_list_names_everything(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["list"]) == 0
    out = capsys.readouterr().out
    for known in (
        scenario_names(),
        BUILTIN_MAPS,
        WORLDS,
        PLANNERS,
        MECHANISMS,
        [f.stem for f in VEHICLES.glob("*.yaml")],
    ):
        for name in known:
            assert f"  {name} " in out
    assert run(["list", "worlds"]) == 0
    assert [line.split()[0] for line in capsys.readouterr().out.splitlines()] == list(WORLDS)


def test_the_planners_that_scenarios_may_name_are_those_that_exist() -> None:
    assert set(PLANNERS) == {*REGISTERED, reactive.NAME}


@pytest.mark.parametrize(
    ("args", "message"),
    [
        (
            ("rn",),
            "no command 'rn'; known: run, list, map, report, plan, mechanism, bench, soak, keys, charter, evidence, "
            "node, sim-bridge, preflight, hil, blackbox, doctor; did you mean run?",
        ),
        (("run",), "Missing argument 'SCENARIO'"),
        (("run", "four_wy"), "no scenario named 'four_wy'"),
        (("run", "four_way", "--sed", "1"), "No such option"),
        (("run", "four_way", "--seed", "x"), "'x' is not a valid integer"),
        (("run", "four_way", "--loss", "2"), "--loss 2.0: Expected `float` <= 1.0"),
        (("run", "four_way", "--world", "moon"), "unknown name 'moon'; known: bullet, kinematic"),
        (("map", "nope.xml"), "nope.xml: No such file"),
        (("list", "cars"), "'cars' is not one of"),
        (("report",), "Missing argument 'RUNS...'"),
        (("bench", "spead"), "No such command 'spead'"),
        (("bench", "speed", "--only", "moon"), "no case contains 'moon'"),
        (("bench", "planning", "--section", "moon"), "'moon' is not"),
        (("bench", "planning", "--planner", "moon"), "unknown name 'moon'; known: first_come"),
        (("bench", "planning", "--vph", "300;600"), "'300;600' is not a list of whole numbers"),
        (("bench", "planning", "--data", ".", "--vph", "1", "--sumo", "."), "holds no sumo and netconvert"),
    ],
)
def test_known_errors_are_one_line(capsys: pytest.CaptureFixture[str], args: tuple[str, ...], message: str) -> None:
    assert message in one_error(capsys, *args)


def test_a_folder_without_a_run_has_no_report(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    assert "not the folder of a run" in one_error(capsys, "report", str(tmp_path))


def test_a_bad_scenario_leaves_nothing_behind(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    file = tmp_path / "s.yaml"
    file.write_text("name: s\nmap: {builtin: four_way}\ndemand: {vehicles: [{id: a, path: N_up}]}\n", encoding="utf-8")
    out = tmp_path / "out"
    assert "no path 'N_up'" in one_error(capsys, "run", str(file), "--out", str(out), "--quiet")
    assert not out.exists()


def test_a_missing_extra_is_named_with_what_to_do(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "pybullet", None)
    monkeypatch.delitem(sys.modules, "sim.bullet_world", raising=False)
    error = one_error(capsys, "run", "four_way", "--world", "bullet", "--out", str(tmp_path / "out"), "--quiet")
    assert "pybullet" in error.lower()
    assert "--world kinematic" in error
    assert not (tmp_path / "out").exists()


def test_a_defect_keeps_its_traceback(monkeypatch: pytest.MonkeyPatch) -> None:
    import sim.scenario

    def broken(name: str) -> None:
        raise ZeroDivisionError(name)

    monkeypatch.setattr(sim.scenario, "load_scenario", broken)
    with pytest.raises(ZeroDivisionError):
        run(["run", "four_way"])


def test_an_interrupt_before_anything_began_is_status_130(monkeypatch: pytest.MonkeyPatch) -> None:
    import sim.scenario

    def stopped(name: str) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(sim.scenario, "load_scenario", stopped)
    assert run(["run", "four_way"]) == 130


def test_a_run_that_misses_an_expectation_is_status_3_and_can_be_reported_again(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    """Eight vehicles cannot cross in two seconds, so ``finished: all`` fails."""
    runs = [tmp_path / "a", tmp_path / "b"]
    for out in runs:
        args = ["run", "four_way", "--world", "kinematic", "--duration", "2", "--no-mcap", "--quiet", "--out", str(out)]
        assert run(args) == 3
    printed = capsys.readouterr()
    assert printed.out == ""
    manifest = json.loads((runs[0] / "run.json").read_text())
    assert manifest["status"] == 3
    assert not (runs[0] / "run.mcap").exists()
    (runs[0] / "report.html").unlink()
    assert run(["report", str(runs[0])]) == 0
    assert (runs[0] / "report.html").is_file()
    assert run(["report", *map(str, runs), "--out", str(tmp_path / "compare.html")]) == 0
    assert (tmp_path / "compare.html").is_file()


def test_a_map_is_drawn(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    target = tmp_path / "t.png"
    assert run(["map", "t_junction", "--out", str(target)]) == 0
    assert target.read_bytes()[:8] == b"\x89PNG\r\n\x1a\n"
    assert "paths: 6" in capsys.readouterr().out


def test_doctor_finds_everything_that_a_run_needs(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["doctor"]) == 0
    out = capsys.readouterr().out
    assert "0 broken" in out or "everything is there" in out
    assert "Ed25519 signs, verifies and refuses" in out


def test_doctor_warm_leaves_nothing_for_a_plan_to_compile(tmp_path: Path) -> None:
    """Warm, then plan in one process: no kernel file is imported and no kernel gains a signature after the doctor."""
    (tmp_path / "one.yaml").write_text(
        "agents: [{name: a, start: [5, 5, 0], goal: [20, 9, 1]}]\nmap: {dimensions: [30, 30], obstacles: [[12, 6]]}\n",
        encoding="utf-8",
    )
    code = (
        "import sys\nfrom numba.core.dispatcher import Dispatcher\nfrom fleet.cli.main import run\n"
        "def kernels():\n"
        "    mine = [m for n, m in sorted(sys.modules.items()) if n.startswith(('planners.', 'sim.'))]\n"
        "    found = [k for m in mine for k in vars(m).values() if isinstance(k, Dispatcher)]\n"
        "    return {(k.py_func.__module__, k.py_func.__name__): len(k.signatures) for k in found}\n"
        "assert run(['doctor', '--warm']) == 0\nwarm = kernels()\nassert ('planners._free_search', 'search') in warm\n"
        f"assert run(['plan', {str(tmp_path / 'one.yaml')!r}, '--out', {str(tmp_path / 'p.json')!r}, '--quiet']) == 0\n"
        "after = kernels()\nprint('late:', sorted(set(after.items()) - set(warm.items())))"
    )
    assert "late: []" in child(code)


def test_doctor_says_how_to_mend_what_is_missing(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "casadi", None)
    monkeypatch.setitem(sys.modules, "pybullet", None)
    assert run(["doctor"]) == 3
    out = capsys.readouterr().out
    assert "-> pip install casadi" in out
    assert EXTRAS["pybullet"] in out
    assert "1 broken" in out
