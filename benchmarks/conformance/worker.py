"""Runs tests whose names come on standard input, one answer a line: a process that may be killed or crash.

    python -m benchmarks.conformance.worker ENGINE FORM OPTIONS_AS_JSON < names

The first line tells the versions and all names; then each test has a line when it starts, and one when it is done.
Needs onnx and the engine: what runs ovpart runs where ovpart is installed, the provider has an environment of its own.
"""

from __future__ import annotations

import json
import os
import sys
import warnings


def main() -> None:
    """Answer until there are no more names."""
    os.environ.setdefault("OPENVINO_TELEMETRY_OPT_OUT", "1")
    warnings.simplefilter("ignore")
    answers = os.fdopen(os.dup(1), "w", buffering=1)
    os.dup2(2, 1)  # what an engine prints does not belong among the answers
    engine, form, options = sys.argv[1], sys.argv[2], json.loads(sys.argv[3])

    from benchmarks.conformance import engines, suite

    suites = suite.Suites(engine, form, options)
    print(json.dumps({"versions": engines.version(engine), "tests": suites.names()}), file=answers)
    for line in sys.stdin:
        name = line.strip()
        print(json.dumps({"start": name}), file=answers)
        print(json.dumps(suites.run(name).as_row()), file=answers)


if __name__ == "__main__":
    main()
