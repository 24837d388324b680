"""The one decorator of compiled kernels: strict floating point, no GIL, and a cache that cannot go stale.

numba's own cache does not notice a change in a callee or constant of another file, so the cache folder
is keyed by a digest of all kernel sources of this project and the versions of numba and numpy.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numba

_ROOT = Path(__file__).resolve().parent.parent


def kernel_sources() -> tuple[Path, ...]:
    """Every file that may hold compiled kernels: ``planners/_*.py`` and ``sim/_*.py``."""
    return tuple(
        sorted(p for room in ("planners", "sim") for p in (_ROOT / room).glob("_*.py") if p.name != "__init__.py")
    )


def cache_dir() -> Path:
    """Where compiled kernels of exactly these sources are kept."""
    from importlib.metadata import version

    digest = hashlib.sha256()
    for path in kernel_sources():
        digest.update(path.name.encode() + b"\0" + path.read_bytes())
    digest.update(f"{version('numba')} {version('numpy')}".encode())
    base = os.environ.get("ACCORD_CACHE_DIR") or os.environ.get("XDG_CACHE_HOME") or str(Path.home() / ".cache")
    return Path(base) / "accord" / "kernels" / digest.hexdigest()[:16]


if not os.environ.get("NUMBA_CACHE_DIR"):
    # Not by the environment: numba has read that already where a kernel file imported it first.
    numba.config.CACHE_DIR = str(cache_dir())


def kernel(signature: Any = None) -> Callable[[Callable[..., Any]], Any]:
    """Compile for exactly ``signature`` (a string or list of them); helpers without one are inlined by LLVM."""
    options = {"error_model": "numpy", "fastmath": False, "nogil": True, "cache": True}
    return numba.njit(**options) if signature is None else numba.njit(signature, **options)
