from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from ovpart.placement.bisect import first_failing_prefix


@given(st.integers(1, 200), st.data())
def test_the_guilty_node_is_found_in_log2_tries(count, data):
    nodes = list(range(10, 10 + 3 * count, 3))
    guilty = data.draw(st.sampled_from(nodes))
    tries = []

    def refuses(prefix):
        tries.append(len(prefix))
        return guilty in prefix

    assert first_failing_prefix(nodes, refuses) == guilty
    assert len(tries) <= count.bit_length()
