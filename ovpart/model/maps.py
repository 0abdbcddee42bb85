"""Files that several models map once: who reads one while another still holds a map of it gets that one."""

from __future__ import annotations

import os
import threading
import weakref
from typing import TYPE_CHECKING

from ovpart.model.external import map_file

if TYPE_CHECKING:
    import numpy as np

Stamp = tuple[int, int, int, int]
"""What tells a file from others, and from itself when it was changed: device, inode, size, time of change in ns."""


def stamp_of(path: str | os.PathLike[str]) -> Stamp | None:
    """Return the stamp of a file as it is now, ``None`` where there is none."""
    try:
        status = os.stat(path)
    except OSError:
        return None
    return status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns


class Maps:
    """Maps of files, each held by those who use it and by nobody else. Safe to use from several threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._maps: weakref.WeakValueDictionary[Stamp, np.ndarray] = weakref.WeakValueDictionary()

    def open(self, path: str, subject: str) -> tuple[np.ndarray, bool]:
        """Return the map of a file, and whether it was there already.

        A file that was changed since is mapped anew: what others made of it is made of the old content.

        Raises
        ------
        ModelError
            As :func:`ovpart.model.external.map_file`.
        """
        with self._lock:
            stamp = stamp_of(path)
            found = None if stamp is None else self._maps.get(stamp)
            if found is not None:
                return found, True
            mapped = map_file(path, subject)
            # What was changed between the two looks has no stamp that is certain.
            if stamp is not None and stamp == stamp_of(path):
                self._maps[stamp] = mapped
            return mapped, False
