"""Agreement protocols to compare with, on one channel: Accord's core, PBFT-like, Raft-like, a reservation server."""
