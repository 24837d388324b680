"""Benches of ``fleet hil`` without hardware: nodes and guards as on vehicles, on the mock and on simulated worlds."""
