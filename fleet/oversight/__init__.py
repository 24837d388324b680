"""Oversight of the fleet as a group: monitors that only read, the few responses they may ask for, and commitments.

Nothing here knows a clock or draws anything at random: time and facts are arguments, so that a finding can be found
again from the log by anybody.
"""
