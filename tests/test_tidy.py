"""The rules of the house that a machine can check; each check is shown to bite by a canary."""

from __future__ import annotations

import ast
import re
import subprocess
from collections.abc import Iterator
from fnmatch import fnmatch
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
ROOMS = ("fleet", "planners", "sim", "hardware")

ALLOWED: tuple[tuple[str, tuple[str, ...]], ...] = (
    # The first pattern that fits a file decides which rooms of this project it may import.
    ("fleet/cli/*", ("fleet", "planners", "sim", "hardware")),
    ("fleet/__main__.py", ("fleet.cli",)),
    (
        "fleet/node/*",
        ("fleet.node", "fleet.protocol", "fleet.charter", "fleet.errors", "fleet.config", "planners", "hardware"),
    ),
    ("fleet/oversight/*", ("fleet.oversight", "fleet.charter", "fleet.errors", "planners")),
    ("fleet/mechanism/*", ("fleet.mechanism", "fleet.charter", "fleet.errors", "planners")),
    ("fleet/protocol/*", ("fleet.protocol", "fleet.errors")),
    ("fleet/charter/*", ("fleet.charter", "fleet.errors")),
    ("fleet/*.py", ("fleet.errors",)),
    ("hardware/ros2_*.py", ("hardware", "fleet")),
    ("hardware/vehicle.py", ("fleet.errors", "fleet.config")),
    ("hardware/*", ("hardware", "fleet.errors")),
    ("planners/*", ("planners", "fleet.errors")),
    ("sim/*", ("sim", "fleet", "planners", "hardware")),
)

PLACES: dict[str, tuple[str, ...]] = {
    # Module -> the only files that may import it.
    "numba": ("planners/_*.py", "sim/_*.py"),
    "casadi": ("planners/refine.py", "planners/refine_baseline.py", "tests/planners/*"),
    "pybullet": ("sim/bullet_world.py", "tests/sim/*"),
    "rclpy": ("hardware/ros2_*.py", "launch/*", "tests/hardware/*"),
    "commonroad": ("sim/maps/*", "tests/sim/*"),
    "matplotlib": ("sim/*", "tests/*"),
    "scipy": ("tests/*",),
    "ad_rss": ("tests/*",),
    "hypothesis": ("tests/*",),
    "pytest": ("tests/*",),
    "pandas": (),
    "requests": (),
}

PURE = ("fleet/protocol/*", "fleet/charter/*", "fleet/errors.py")
"""No clock, randomness, socket, thread, file, log or numpy here."""
IMPURE = frozenset(
    "time datetime random secrets socket threading multiprocessing asyncio pathlib os io tempfile logging numpy".split()
)
CODECS = ("fleet/protocol/wire.py", "fleet/protocol/codec.py", "fleet/charter/codec.py")
"""The only pure files that may import msgspec."""

VERIFIER = ("planners/check*.py", "planners/_check*.py")
VERIFIER_MAY = (
    "planners.check",
    "planners._check",
    "planners.interface",
    "planners.timed_path",
    "planners.arc_path",
    "planners.zone_map",
    "planners._jit",
)
"""The verifier shares no geometry with what it judges."""

CALLS = {
    "time.time": "pass now_ms or now_s in; for wall time of a run: time.perf_counter in the runner",
    "time.sleep": "time is an argument; nothing here waits",
    "datetime.now": "datetime.now(timezone.utc) in the runner only, for the manifest",
    "datetime.utcnow": "datetime.now(timezone.utc) in the runner only, for the manifest",
    "random.*": "an injected numpy.random.Generator",
    "os.urandom": "an injected numpy.random.Generator, or PyNaCl for keys",
    "uuid.uuid4": "a name from the scenario",
    "eval": "ast.literal_eval",
    "exec": "a function",
}
IMPORTERS = ("importlib.import_module", "__import__")
NUMPY_RANDOM = frozenset("Generator PCG64 Philox SeedSequence default_rng BitGenerator".split())

FILE_LINES_MAX = 500
FUNCTION_LINES_MAX = 70


def sources(*patterns: str) -> list[Path]:
    found = sorted(path for room in (*ROOMS, "tests", "launch") for path in (ROOT / room).rglob("*.py"))
    return [path for path in found if not patterns or fits(path, patterns)]


def fits(path: Path | str, patterns: tuple[str, ...]) -> bool:
    name = path if isinstance(path, str) else path.relative_to(ROOT).as_posix()
    return any(fnmatch(name, pattern) for pattern in patterns)


def imports(tree: ast.AST) -> Iterator[tuple[int, str]]:
    """(line, dotted name) of every import, also inside functions and under TYPE_CHECKING."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            if node.level:
                yield node.lineno, "." * node.level
            else:
                yield from ((node.lineno, f"{node.module}.{alias.name}") for alias in node.names)
        elif (
            isinstance(node, ast.Call) and node.args and dotted(node.func) in {"importlib.import_module", "__import__"}
        ):
            named = node.args[0].value if isinstance(node.args[0], ast.Constant) else None
            if isinstance(named, str):
                yield node.lineno, named


def dotted(node: ast.AST) -> str:
    if isinstance(node, ast.Attribute):
        return f"{dotted(node.value)}.{node.attr}"
    return node.id if isinstance(node, ast.Name) else "?"


def within(name: str, packages: tuple[str, ...]) -> bool:
    return any(name == package or name.startswith(package + ".") for package in packages)


def direction_faults(name: str, code: str) -> list[str]:
    allowed = next((rooms for pattern, rooms in ALLOWED if fnmatch(name, pattern)), None)
    faults = []
    for line, module in imports(ast.parse(code)):
        if module.startswith("."):
            faults.append(f"{name}:{line}: relative import; write the whole name")
        elif allowed is not None and module.split(".")[0] in ROOMS and not within(module, allowed):
            own_version = module == "fleet.__version__"
            if not own_version:
                faults.append(f"{name}:{line}: imports {module}; allowed here: {', '.join(allowed)}")
    return faults


def place_faults(name: str, code: str) -> list[str]:
    faults = []
    for line, module in imports(ast.parse(code)):
        top = module.split(".")[0]
        if top in PLACES and not fits(name, PLACES[top]):
            faults.append(f"{name}:{line}: imports {top}; only {', '.join(PLACES[top]) or 'nothing'} may")
        if fits(name, PURE):
            if top in IMPURE:
                faults.append(f"{name}:{line}: imports {top}; this part is pure (values in, values out)")
            if top == "msgspec" and not fits(name, CODECS):
                faults.append(f"{name}:{line}: imports msgspec; only {', '.join(CODECS)} may")
        if fits(name, VERIFIER) and (top == "shapely" or (top == "planners" and not module.startswith(VERIFIER_MAY))):
            faults.append(f"{name}:{line}: the verifier imports {module}; it must not share the planner's geometry")
    return faults


def call_faults(name: str, code: str) -> list[str]:
    faults = []
    tree = ast.parse(code)
    imported = {module.split(".")[0] for _, module in imports(tree)}
    for node in ast.walk(tree):
        if isinstance(node, ast.Assert):
            faults.append(f"{name}:{node.lineno}: assert; use fleet.errors.invariant, which survives python -O")
        if not isinstance(node, ast.Call):
            continue
        call = dotted(node.func)
        short = ".".join(call.split(".")[-2:])
        for banned, instead in CALLS.items():
            whole = banned.endswith(".*") and banned[:-2] in imported and call.startswith(banned[:-1])
            seeded = call == "random.Random" and bool(node.args)
            if banned in {call, short} or (whole and not seeded):
                faults.append(f"{name}:{node.lineno}: {call}(); instead: {instead}")
        match = re.fullmatch(r"(?:np|numpy)\.random\.(\w+)", call)
        if match and match.group(1) not in NUMPY_RANDOM:
            faults.append(f"{name}:{node.lineno}: {call}() uses the global generator; instead: an injected Generator")
        if call in {"np.random.default_rng", "numpy.random.default_rng"} and not node.args and not node.keywords:
            faults.append(f"{name}:{node.lineno}: {call}() without a seed differs from run to run")
        if call == "print" and not fits(name, ("fleet/cli/*",)):
            faults.append(f"{name}:{node.lineno}: print(); return the text, the command line shows it")
        if call == "hash" and not fits(name, ("tests/*",)):
            faults.append(f"{name}:{node.lineno}: hash() of text differs between processes; instead: hashlib.blake2b")
    return faults


def size_faults(name: str, code: str) -> list[str]:
    faults = []
    count = len(code.splitlines())
    if count > FILE_LINES_MAX:
        faults.append(f"{name}: {count} lines; the limit is {FILE_LINES_MAX}: it holds two ideas")
    if fits(name, ("planners/_*.py", "sim/_*.py")):
        return faults
    for node in ast.walk(ast.parse(code)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            length = (node.end_lineno or node.lineno) - node.lineno + 1
            if length > FUNCTION_LINES_MAX:
                faults.append(
                    f"{name}:{node.lineno}: {node.name} has {length} lines; the limit is {FUNCTION_LINES_MAX}"
                )
    return faults


# Spelt in pieces, so that this file does not find itself.
LEFTOVER = re.compile("|".join([r"\bTO" + r"DO\b", r"\bFIX" + r"ME\b", r"\bX" + r"XX\b", "Not" + "ImplementedError"]))
PATHS = re.compile(
    r"(?<![\w.$}])/(?:" + "|".join(["ho" + "me", "ro" + "ot", "wo" + "rk", "Us" + "ers", "tm" + "p/w"]) + r")/"
)
REGISTRY = re.compile(
    "|".join(
        [
            "pyp" + r"i\.org",
            "pythonhos" + r"ted\.org",
            r"--(?:extra-)?index-" + "url",
            r"@ http" + r"s?://",
            r"file:" + "//",
        ]
    )
)


def text_faults(name: str, text: str) -> list[str]:
    faults = []
    for number, line in enumerate(text.splitlines(), start=1):
        for pattern, what in (
            (LEFTOVER, "unfinished work; finish it or write it up"),
            (PATHS, "a path of one machine; make it relative"),
            (REGISTRY, "the address of a package index; leave that to pip's configuration"),
        ):
            found = pattern.search(line)
            if found:
                faults.append(f"{name}:{number}: {found.group(0)!r}: {what}")
    return faults


def each(check, paths: list[Path]) -> list[str]:  # type: ignore[no-untyped-def]
    return [
        fault for path in paths for fault in check(path.relative_to(ROOT).as_posix(), path.read_text(encoding="utf-8"))
    ]


def texts() -> list[Path]:
    """Every text file of the project: what git tracks or would track."""
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    if listed.returncode:
        pytest.skip("not a git checkout")
    endings = (".py", ".md", ".toml", ".txt", ".yaml", ".yml", ".cfg", ".html", ".js", "Makefile", "run")
    names = [name for name in listed.stdout.splitlines() if name.endswith(endings)]
    return [ROOT / name for name in names if (ROOT / name).is_file()]


def test_imports_point_downward() -> None:
    assert each(direction_faults, sources("fleet/*", "planners/*", "sim/*", "hardware/*")) == []


def test_libraries_stay_in_their_places() -> None:
    assert each(place_faults, sources()) == []


def test_no_banned_calls() -> None:
    assert each(call_faults, sources("fleet/*", "planners/*", "sim/*", "hardware/*")) == []


def test_files_and_functions_are_short() -> None:
    assert each(size_faults, sources("fleet/*", "planners/*", "sim/*", "hardware/*")) == []


def test_nothing_unfinished_and_no_addresses() -> None:
    assert each(text_faults, texts()) == []


def test_launch_is_no_package() -> None:
    """A package named launch would shadow ROS 2's own."""
    assert list((ROOT / "launch").rglob("__init__.py")) == []


def test_every_top_folder_has_a_readme() -> None:
    assert [room for room in (*ROOMS, "launch", "tests", "docs") if not (ROOT / room / "README.md").is_file()] == []


@pytest.mark.parametrize(
    ("check", "name", "code", "word"),
    [
        (direction_faults, "planners/order.py", "from fleet.protocol import wire", "allowed here"),
        (direction_faults, "planners/order.py", "def f():\n    import sim.network", "allowed here"),
        (direction_faults, "fleet/protocol/core.py", "from planners.timed_path import TimedPath", "allowed here"),
        (
            direction_faults,
            "fleet/node/driver.py",
            "import importlib\nimportlib.import_module('sim.runner')",
            "allowed here",
        ),
        (direction_faults, "hardware/base.py", "from fleet.config import load_yaml", "allowed here"),
        (direction_faults, "sim/runner.py", "from . import network", "relative"),
        (place_faults, "planners/order.py", "from numba import njit", "numba"),
        (place_faults, "sim/runner.py", "def f():\n    import pybullet", "pybullet"),
        (place_faults, "planners/check.py", "from planners.conflicts import ConflictTables", "verifier"),
        (place_faults, "planners/check_gap.py", "import shapely", "verifier"),
        (place_faults, "planners/_check.py", "from planners import _conflicts", "verifier"),
        (place_faults, "fleet/protocol/core.py", "import time", "pure"),
        (place_faults, "fleet/protocol/core.py", "import msgspec", "msgspec"),
        (call_faults, "sim/runner.py", "import time\nx = time.time()", "now_ms"),
        (call_faults, "sim/runner.py", "import datetime\nx = datetime.datetime.now()", "manifest"),
        (call_faults, "sim/runner.py", "import random\nrandom.shuffle([])", "Generator"),
        (call_faults, "sim/runner.py", "import random\nrandom.Random()", "Generator"),
        (call_faults, "sim/runner.py", "import numpy as np\nnp.random.rand()", "global generator"),
        (call_faults, "sim/runner.py", "import numpy as np\nnp.random.default_rng()", "without a seed"),
        (call_faults, "sim/runner.py", "assert True", "invariant"),
        (call_faults, "sim/runner.py", "print(1)", "command line"),
        (call_faults, "sim/runner.py", "hash('a')", "blake2b"),
        (size_faults, "sim/runner.py", "x = 1\n" * 501, "two ideas"),
        (size_faults, "sim/runner.py", "def f():\n" + "    x = 1\n" * 70, "71 lines"),
        (text_faults, "README.md", "TO" + "DO later", "unfinished"),
        (text_faults, "README.md", "see /ho" + "me/me/file", "one machine"),
        (text_faults, "constraints.txt", "x @ http" + "s://host/x.whl", "index"),
    ],
)
def test_each_check_bites(check, name: str, code: str, word: str) -> None:  # type: ignore[no-untyped-def]
    faults = check(name, code)
    assert len(faults) >= 1
    assert word in faults[0]


def test_the_checks_let_good_code_pass() -> None:
    code = (
        "import random\nimport numpy as np\nfrom fleet.errors import invariant\n\nRNG = random.Random(7)\n\n\n"
        "def f(seed):\n    return np.random.default_rng(seed)\n"
    )
    for check in (direction_faults, place_faults, call_faults, size_faults, text_faults):
        assert check("planners/order.py", code) == []
