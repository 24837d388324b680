"""The agreement core, sans I/O: no clock, no randomness of its own, no sockets, no files. See DESIGN.md."""
