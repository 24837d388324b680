"""``fleet doctor``: what is installed, what works, and the command that mends what does not."""

from __future__ import annotations

import importlib
import os
import platform
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version

import click

from fleet import __version__
from fleet.cli.main import EXTRAS

CORE = {
    "numpy": "numpy",
    "numba": "numba",
    "shapely": "shapely",
    "casadi": "casadi",
    "msgspec": "msgspec",
    "pyyaml": "yaml",
    "pynacl": "nacl",
    "pyarrow": "pyarrow",
    "mcap": "mcap",
    "mcap-ros2-support": "mcap_ros2",
    "click": "click",
    "rich": "rich",
    "matplotlib": "matplotlib",
}
"""Distribution -> module of what every installation needs."""

OPTIONAL = {
    "pybullet": ("pybullet", "physics world"),
    "commonroad-io": ("commonroad", "CommonRoad maps and recorded traffic"),
    "rclpy": ("rclpy", "ROS 2 vehicles"),
    "distributed": ("distributed", "sweeps on a cluster"),
    "pettingzoo": ("pettingzoo", "learning interface"),
}
"""Distribution -> (module, what it is for)."""

_MARKS = {"ok": ("ok", "green"), "absent": ("--", "yellow"), "broken": ("!!", "red")}


@dataclass(frozen=True, slots=True)
class Finding:
    """One line of the doctor: ``state`` is ok, absent (works without) or broken (must be mended)."""

    name: str
    state: str
    detail: str
    mend: str = ""


@click.command("doctor")
@click.option("--warm", is_flag=True, help="Compile every kernel now, so that the first run does not wait.")
def command(warm: bool) -> int:
    """Say what is installed, what works, and which command mends the rest.

    Exit status 3: something that every run needs is broken.

    \b
    Examples:
      fleet doctor
      fleet doctor --warm
    """
    findings: list[Finding] = []
    checks: tuple[Callable[[], Iterator[Finding]], ...] = (_python, _core, _optional, _crypto, _kernels)
    for check in (*checks, *((_warm,) if warm else ())):
        for finding in check():
            findings.append(finding)
            _show(finding)
    broken = sum(finding.state == "broken" for finding in findings)
    absent = sum(finding.state == "absent" for finding in findings)
    click.echo(f"{broken} broken, {absent} optional absent" if broken or absent else "everything is there and works")
    return 3 if broken else 0


def _show(finding: Finding) -> None:
    mark, colour = _MARKS[finding.state]
    click.echo(f"{click.style(mark, fg=colour)} {finding.name:<18} {finding.detail}")
    if finding.mend:
        click.echo(f"   {'':<18} -> {finding.mend}")


def _python() -> Iterator[Finding]:
    yield Finding("accord-fleet", "ok", __version__)
    text = f"{platform.python_version()} ({platform.system()} {platform.machine()})"
    yield Finding("python", "ok", text)


def _core() -> Iterator[Finding]:
    for distribution, module in CORE.items():
        yield _module(distribution, module, missing="broken", mend=f"pip install {distribution}")


def _optional() -> Iterator[Finding]:
    for distribution, (module, purpose) in OPTIONAL.items():
        found = _module(distribution, module, missing="absent", mend=EXTRAS[module])
        yield Finding(found.name, found.state, f"{found.detail} ({purpose})", found.mend)


def _module(distribution: str, module: str, *, missing: str, mend: str) -> Finding:
    """Import it: a wheel for another machine is found by its metadata and fails only here."""
    from sim.quiet import quiet

    try:
        with quiet():
            importlib.import_module(module)
    except ModuleNotFoundError as error:
        if (error.name or "").split(".")[0] == module:
            return Finding(distribution, missing, "not installed", mend)
        return Finding(
            distribution, "broken", f"needs {error.name}, which is not installed", f"pip install {error.name}"
        )
    except Exception as error:  # whatever an import of foreign code may raise is what we are here to report
        reason = " ".join(str(error).split())[:120]
        return Finding(
            distribution, "broken", f"{type(error).__name__}: {reason}", f"pip install --force-reinstall {distribution}"
        )
    try:
        return Finding(distribution, "ok", version(distribution))
    except PackageNotFoundError:  # such as rclpy of a sourced ROS installation
        return Finding(distribution, "ok", "installed without metadata")


def _crypto() -> Iterator[Finding]:
    """Sign and check once: a libsodium that does not load shows only when used."""
    try:
        from nacl.exceptions import BadSignatureError
        from nacl.signing import SigningKey

        key = SigningKey(bytes(range(32)))
        signed = key.sign(b"doctor")
        key.verify_key.verify(signed)
        try:
            key.verify_key.verify(b"dactor", signed.signature)
        except BadSignatureError:
            yield Finding("signatures", "ok", "Ed25519 signs, verifies and refuses")
        else:
            yield Finding(
                "signatures", "broken", "a forged signature was accepted", "pip install --force-reinstall pynacl"
            )
    except ImportError as error:
        yield Finding("signatures", "broken", str(error), "pip install --force-reinstall pynacl")


def _kernels() -> Iterator[Finding]:
    try:
        from planners._jit import cache_dir, kernel_sources
    except ImportError as error:
        yield Finding("compiled kernels", "broken", str(error), "pip install numba")
        return
    folder = cache_dir()
    nearest = next(path for path in (folder, *folder.parents) if path.exists())
    if not os.access(nearest, os.W_OK):
        yield Finding(
            "compiled kernels", "broken", f"{nearest} cannot be written", "set ACCORD_CACHE_DIR to a folder of yours"
        )
        return
    count = sum(1 for _ in folder.rglob("*.nbc"))
    if count:
        yield Finding("compiled kernels", "ok", f"{count} functions of {len(kernel_sources())} files in {folder}")
    else:
        yield Finding(
            "compiled kernels", "absent", f"none yet in {folder}; the first run compiles them", "fleet doctor --warm"
        )


def _warm() -> Iterator[Finding]:
    """Importing a kernel file compiles it: every kernel has an explicit signature."""
    from planners._jit import kernel_sources

    start = time.perf_counter()
    names = [f"{path.parent.name}.{path.stem}" for path in kernel_sources() if path.stem != "_jit"]
    with click.progressbar(names, label="   compiling", item_show_func=str, file=sys.stderr) as bar:
        for name in bar:
            importlib.import_module(name)
    yield Finding("warm", "ok", f"{len(names)} files in {time.perf_counter() - start:.1f} s")
