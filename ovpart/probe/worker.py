"""The process that measures: takes trials from standard input, gives measurements on standard output.

Run as ``python -m ovpart.probe.worker``. Messages are pickles, exchanged with the process that started it and nobody
else. Whatever an engine prints goes to standard error, so that it cannot get between the messages.
"""

from __future__ import annotations

import os
import pickle
import sys
from typing import BinaryIO


def serve(inlet: BinaryIO, outlet: BinaryIO) -> None:
    """Measure trials until there are no more.

    Each message in is ``(trial, device, engine)``. Messages out: ``("asking", backend)`` before a backend is asked, and
    ``("done", measurement)``.
    """
    import warnings

    from ovpart.probe.judge import measure

    warnings.simplefilter("ignore")

    def send(*message: object) -> None:
        pickle.dump(message, outlet)
        outlet.flush()

    while True:
        try:
            trial, device, engine = pickle.load(inlet)
        except EOFError:
            return
        send("done", measure(trial, device, engine, lambda name: send("asking", name)))


def main() -> None:
    """Serve over the pipes that the process was started with."""
    inlet, outlet = os.fdopen(os.dup(0), "rb"), os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    sys.stdout = sys.stderr
    serve(inlet, outlet)


if __name__ == "__main__":
    main()
