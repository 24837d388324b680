"""What runs on a vehicle: charter, protocol, node, oversight and the command line."""

__version__ = "0.1.0"
