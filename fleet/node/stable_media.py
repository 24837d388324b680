"""Where a stable log lives: a file with every append flushed to the disk, or memory in simulation."""

from __future__ import annotations

import contextlib
import fcntl
import os
from pathlib import Path

from fleet.errors import ConfigError


class MemoryMedium:
    """Bytes that survive a crash of the simulated node, in the format of the file."""

    def __init__(self, name: str = "memory", content: bytes = b"") -> None:
        self.name = name
        self._content = bytearray(content)

    def read(self) -> bytes:
        return bytes(self._content)

    def append(self, data: bytes) -> None:
        self._content += data

    def replace(self, data: bytes) -> None:
        self._content[:] = data

    def close(self) -> None:
        """What was written stays."""


class FileMedium:
    """One file of one node; locked, readable by its owner only.

    Raises
    ------
    ConfigError
        The file cannot be opened, or another process has it.
    """

    def __init__(self, path: Path) -> None:
        self.name = str(path)
        self._path = path
        self.existed = path.exists()
        """Without a log from before, a node cannot know what it has promised (rule P11)."""
        try:
            self._file = self._open(path)
        except OSError as error:
            raise ConfigError(f"{path}: {error.strerror}") from error

    def read(self) -> bytes:
        return self._path.read_bytes()

    def append(self, data: bytes) -> None:
        _write_all(self._file, data)
        os.fsync(self._file)

    def replace(self, data: bytes) -> None:
        beside = self._path.with_name(self._path.name + ".new")
        with contextlib.suppress(FileNotFoundError):
            beside.unlink()
        file = self._open(beside)
        _write_all(file, data)
        os.fsync(file)
        os.replace(beside, self._path)
        self._sync_folder()
        os.close(self._file)
        self._file = file

    def close(self) -> None:
        os.close(self._file)

    def _open(self, path: Path) -> int:
        file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            os.close(file)
            raise ConfigError(f"{path}: another node is using this log; two nodes must not share one") from error
        self._sync_folder()
        return file

    def _sync_folder(self) -> None:
        """A new or renamed file is on disk only once its folder is."""
        folder = os.open(self._path.parent, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)


def _write_all(file: int, data: bytes) -> None:
    view = memoryview(data)
    while view:
        view = view[os.write(file, view) :]
