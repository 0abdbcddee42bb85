"""Times of steps: summed over leases, kept when a lease is dropped."""

from __future__ import annotations

from ovpart.runtime.profile import Profile


def test_stopwatches_are_summed_over_leases_and_parts() -> None:
    profile = Profile(["A", "A", "B"])
    first, second = profile.stopwatch(), profile.stopwatch()
    first.counts, first.totals_ns = [2, 2, 1], [1000, 500, 4000]
    second.counts, second.totals_ns = [1, 1, 1], [2000, 0, 1000]
    times = profile.times()
    assert list(times) == ["A", "B"]
    assert (times["A"].count, times["A"].total_us) == (3, 3.5)
    assert (times["B"].count, times["B"].mean_us) == (2, 2.5)
    profile.retire(first)
    assert profile.times() == times


def test_a_cluster_that_never_ran_has_no_mean() -> None:
    assert Profile(["A"]).times()["A"].mean_us == 0
