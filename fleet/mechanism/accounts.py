"""Karma accounts: whole units, bound to enrolled names, moved by receipts that both sides sign, chained by hashes.

A third party needs only the file, the keys and :func:`replay`. Units are neither made nor lost: accounts that are
there at the beginning share the endowment, later ones start with nothing (a fresh identity must never pay), and only
redistribution, which the office signs, lifts those who have none. What a vehicle does not sign for stays due, and
counts against what it can spend: refusing to pay leaves it without bids.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

from fleet.charter.model import canonical_json
from fleet.errors import RemoteProtocolError
from fleet.mechanism.interface import OFFICE
from fleet.mechanism.karma import BALANCE_MAX

GENESIS = "0" * 64
_DOMAIN = b"ACCORD/karma-receipt/v1\0"
Verify = Callable[[str, bytes, bytes], bool]
Sign = Callable[[bytes], bytes]


@dataclass(frozen=True, slots=True)
class Receipt:
    """Units that changed hands. ``crossing`` names what they are paid for; no crossing is paid twice by one to one."""

    index: int
    prev: str
    zone: str
    crossing: str
    payer: str
    payee: str
    units: int
    stamp_ms: int
    payer_signature: bytes = b""
    payee_signature: bytes = b""

    def statement(self) -> bytes:
        """What both sides sign: place in the chain included, so that nothing is left out or played again."""
        names = ("crossing", "index", "payee", "payer", "prev", "stamp_ms", "units", "zone")
        return _DOMAIN + canonical_json({name: getattr(self, name) for name in names})

    def digest(self) -> str:
        """Of statement and signatures: the next receipt's ``prev``."""
        return hashlib.sha256(self.statement() + self.payer_signature + self.payee_signature).hexdigest()

    def line(self) -> dict[str, object]:
        """As it is written, one JSON object per line."""
        found: dict[str, object] = {name: getattr(self, name) for name in self.__dataclass_fields__}
        return found | {name: found[name].hex() for name in ("payer_signature", "payee_signature")}  # type: ignore[attr-defined]

    @staticmethod
    def from_line(line: Mapping[str, object]) -> Receipt:
        """Raises :class:`RemoteProtocolError` unless it is exactly a receipt."""
        try:
            values = {name: line[name] for name in Receipt.__dataclass_fields__}
            for name in ("payer_signature", "payee_signature"):
                values[name] = bytes.fromhex(str(values[name]))
            texts = all(type(values[name]) is str for name in ("prev", "zone", "crossing", "payer", "payee"))
            whole = all(type(values[name]) is int for name in ("index", "units", "stamp_ms"))
        except (KeyError, ValueError) as error:
            raise RemoteProtocolError(f"not a receipt: {error}") from error
        if not texts or not whole or len(line) != len(values):
            raise RemoteProtocolError("not a receipt: a value of the wrong type, or one too many")
        return Receipt(**values)  # type: ignore[arg-type]


class Ledger:
    """Balances and the chain of receipts behind them."""

    def __init__(self, endowment: Mapping[str, int], verify: Verify, cap: int = BALANCE_MAX) -> None:
        self.balances = dict(sorted(endowment.items()))
        self.total = sum(self.balances.values())
        self.cap, self._verify = cap, verify
        self.receipts: list[Receipt] = []
        self.last = GENESIS
        self._paid: set[tuple[str, str, str]] = set()
        self._due: dict[str, int] = {}

    def open(self, name: str) -> None:
        """An account for a name that has been enrolled since; it holds nothing."""
        self.balances.setdefault(name, 0)

    def spendable(self, name: str) -> int:
        """What ``name`` may bid: its balance without what it owes."""
        return max(0, self.balances.get(name, 0) - self._due.get(name, 0))

    def owe(self, name: str, units: int) -> None:
        """``name`` has gone first and owes so much until it has signed for it; negative: no longer."""
        self._due[name] = max(0, self._due.get(name, 0) + units)

    def draft(self, zone: str, crossing: str, payer: str, payee: str, units: int, stamp_ms: int) -> Receipt:
        """The next receipt, to be signed by both; cut to what the payee can take."""
        units = min(units, self.cap - self.balances.get(payee, 0), self.balances.get(payer, 0))
        return Receipt(len(self.receipts), self.last, zone, crossing, payer, payee, max(0, units), stamp_ms)

    def fault(self, receipt: Receipt) -> str:
        """Why ``receipt`` cannot be the next one, or empty."""
        payer, payee = receipt.payer, receipt.payee
        if receipt.index != len(self.receipts) or receipt.prev != self.last:
            return f"receipt {receipt.index} does not follow the chain at {len(self.receipts)}"
        if payer == payee or payer not in self.balances or payee not in self.balances:
            return f"receipt {receipt.index}: {payer} to {payee}: not two accounts"
        if receipt.units <= 0 or receipt.units > self.balances[payer]:
            return f"receipt {receipt.index}: {receipt.units} units; {payer} has {self.balances[payer]}"
        if self.balances[payee] + receipt.units > self.cap:
            return f"receipt {receipt.index}: {payee} would hold {self.balances[payee] + receipt.units} of {self.cap}"
        if (receipt.crossing, payer, payee) in self._paid:
            return f"receipt {receipt.index}: {payer} has paid {payee} for this crossing already"
        by_office = receipt.zone == OFFICE
        signers = (OFFICE, OFFICE) if by_office else (payer, payee)
        for signer, signature in zip(signers, (receipt.payer_signature, receipt.payee_signature), strict=True):
            if not self._verify(signer, receipt.statement(), signature):
                return f"receipt {receipt.index}: not signed by {signer}"
        return ""

    def append(self, receipt: Receipt) -> str:
        """Move the units; returns why not, or empty."""
        why = self.fault(receipt)
        if why:
            return why
        self.balances[receipt.payer] -= receipt.units
        self.balances[receipt.payee] += receipt.units
        self._paid.add((receipt.crossing, receipt.payer, receipt.payee))
        self.receipts.append(receipt)
        self.last = receipt.digest()
        return ""

    def redistribute(self, stamp_ms: int, sign: Sign) -> int:
        """One unit each from the richest to those who have none, while that leaves the rich above the mean.

        Returns the number of units moved. ``sign`` signs as the office.
        """
        moved, epoch = 0, f"redistribution {stamp_ms}"
        poor = sorted(name for name, balance in self.balances.items() if balance == 0)
        mean = self.total / max(1, len(self.balances))
        for name in poor:
            giver = max(self.balances, key=lambda one: (self.balances[one], one))
            if self.balances[giver] - 1 <= mean:
                break
            draft = self.draft(OFFICE, f"{epoch} {name}", giver, name, 1, stamp_ms)
            moved += not self.append(signed(draft, sign, sign))
        return moved

    @property
    def drift(self) -> int:
        """Units made (or, negative, lost) since the beginning: 0."""
        return sum(self.balances.values()) - self.total


def signed(receipt: Receipt, payer: Sign, payee: Sign) -> Receipt:
    """With both signatures."""
    body = receipt.statement()
    values = {name: getattr(receipt, name) for name in Receipt.__dataclass_fields__}
    return Receipt(**{**values, "payer_signature": payer(body), "payee_signature": payee(body)})


def replay(
    endowment: Mapping[str, int], joined: Iterable[str], receipts: Iterable[Receipt], verify: Verify
) -> tuple[Ledger, str]:
    """The ledger after ``receipts``, and the first fault found (empty: none). Needs no trust in who kept the file."""
    ledger = Ledger(endowment, verify)
    for name in joined:
        ledger.open(name)
    for receipt in receipts:
        why = ledger.append(receipt)
        if why:
            return ledger, why
    return ledger, f"{ledger.drift} units were made" if ledger.drift else ""


def gini(values: Iterable[float]) -> float:
    """Gini's coefficient of values that are not negative: 0 is even; 0 where there is nothing."""
    ordered = sorted(values)
    total, count = sum(ordered), len(ordered)
    if not total:
        return 0.0
    return sum((2 * k - count + 1) * value for k, value in enumerate(ordered)) / (count * total)
