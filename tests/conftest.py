"""What all tests share: order, and where the data beside the checkout is."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

DATA = Path(__file__).resolve().parents[1].parent / "shared" / "data"


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Slow tests last, so that a defect shows early; otherwise the order stays. Soaks only when asked for."""
    items.sort(key=lambda item: item.get_closest_marker("slow") is not None)
    if os.environ.get("ACCORD_SOAK") == "1" or "soak" in config.getoption("markexpr"):
        return
    soaks = [item for item in items if item.get_closest_marker("soak") is not None]
    if soaks:
        config.hook.pytest_deselected(items=soaks)
        items[:] = [item for item in items if item.get_closest_marker("soak") is None]


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The folder with recorded and published data; without it the test is skipped."""
    if not DATA.is_dir():
        pytest.skip(f"no data in {DATA.parent.name}/{DATA.name} beside the checkout")
    return DATA
