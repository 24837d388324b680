"""Deterministic fault simulation of the agreement: the real core on virtual time, bodies on a line, separate oracles."""
