"""The karma accounts of a run, checked as a third party would: from the file alone."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from fleet.errors import ConfigError, RemoteProtocolError
from fleet.mechanism.accounts import Ledger, Receipt, gini, replay
from fleet.node.signing import Keyring
from sim.run_folder import KARMA


def check_accounts(run: Path) -> tuple[str, bool]:
    """(what to say, whether everything holds) of a run's folder or of the file itself.

    Raises
    ------
    ConfigError
        There is no such file, or it is not one of accounts.
    """
    file = run / KARMA if run.is_dir() else run
    if not file.is_file():
        raise ConfigError(f"{file}: No such file; only runs with mechanism karma have accounts")
    lines = file.read_text(encoding="utf-8").splitlines()
    try:
        head = json.loads(lines[0])
        names: Mapping[str, int] = {str(name): int(units) for name, units in head["endowment"].items()}
        ring = Keyring({name: bytes.fromhex(key) for name, key in head["keys"].items()})
        receipts = [Receipt.from_line(json.loads(line)) for line in lines[1:]]
        joined = [str(name) for name in head["joined"]]
    except (IndexError, KeyError, TypeError, ValueError, AttributeError, RemoteProtocolError) as error:
        raise ConfigError(f"{file}: not a file of accounts: {error}") from error
    ledger, why = replay(names, joined, receipts, ring.verify)
    return _text(file, ledger, receipts, why), not why


def _text(file: Path, ledger: Ledger, receipts: list[Any], why: str) -> str:
    balances = ledger.balances.values()
    lines = [
        f"{file}: {len(ledger.receipts)} of {len(receipts)} receipts hold, both signatures each",
        f"  accounts {len(ledger.balances)}, units {sum(balances)}, at the beginning {ledger.total}, "
        f"Gini {gini(balances):.3f}",
        f"  last hash {ledger.last}",
    ]
    return "\n".join([*lines, f"  FAULT: {why}"] if why else lines)
