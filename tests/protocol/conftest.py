"""``--rewrite`` records what the text scenarios in testdata/ print now."""

from __future__ import annotations

import pytest


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--rewrite", action="store_true", help="rewrite the expected output of text scenarios")
