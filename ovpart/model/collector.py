"""The garbage collector, kept from walking millions of new objects that all stay."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def without_collector() -> Iterator[None]:
    """Keep the cyclic garbage collector off for a block that makes many objects, no cycles, and keeps what it makes."""
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_on:
            # Freezing and thawing moves all objects to the oldest generation at no cost; else the first collection
            # would walk them at once. Objects that somebody else has frozen stay frozen.
            if not gc.get_freeze_count():
                gc.freeze()
                gc.unfreeze()
            gc.enable()
