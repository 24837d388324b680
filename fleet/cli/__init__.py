"""The command ``fleet``: one module per command, heavy imports inside the command that needs them."""
