"""Deterministic fault simulation of the agreement: the real core, virtual time, separate oracles."""
