"""A liar in a run: the others' nodes leave proof in its folder that anybody can check offline."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from fleet.cli import main
from fleet.node.driver import Node
from fleet.node.signing import Signer, simulation_seed
from fleet.protocol import keys
from fleet.protocol.wire import Intent, Kind, decode, encode_body, seal
from tests.sim.whole_runs import drive

LIAR, SEED = "v001", 3


def forked(raw: bytes) -> bytes:
    """Another intent under the same number, as validly signed."""
    message = decode(raw)
    assert isinstance(message.body, Intent)
    payload = encode_body(msgspec.structs.replace(message.body, eta_ms=message.body.eta_ms + 1))
    covered = keys.statement("intent", message.zone, message.session, LIAR, payload)
    signature = Signer(simulation_seed(SEED, LIAR)).sign(covered)
    return seal(Kind.INTENT, message.zone, message.session, LIAR, payload, signature)


def test_a_run_with_a_liar_leaves_evidence_that_verifies_offline_and_accuses_nobody_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    honest = Node._carry_out

    def lying(self: Node, now_ms: int) -> tuple[bytes, ...]:
        sent = honest(self, now_ms)
        own = [raw for raw in sent if decode(raw).kind is Kind.INTENT and decode(raw).sender == LIAR]
        return (*sent, *(forked(raw) for raw in own)) if self._parts.name == LIAR else sent

    monkeypatch.setattr(Node, "_carry_out", lying)
    left = tmp_path / "run" / "evidence"
    left.mkdir(parents=True)
    (left / "old-0.json").write_text("{}")
    (tmp_path / "run" / "run.json").write_text("{}")
    drive("four_way", tmp_path / "run", world="kinematic", seed=SEED, duration_s=24.0)
    files = sorted(path.name for path in left.glob("*.json"))
    assert len(files) >= 2 and "keys.json" in files
    assert all(name.startswith(f"{LIAR}-") for name in files if name != "keys.json")
    for name in files:
        if name == "keys.json":
            continue
        assert main.run(["evidence", "verify", str(left / name), "--register", str(left / "keys.json")]) == 0
    assert f"proven: forked_intent: {LIAR}" in capsys.readouterr().out
