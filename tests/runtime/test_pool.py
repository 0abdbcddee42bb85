"""Taken without waiting, made on demand, nothing kept after closing."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest

from ovpart.errors import RunError
from ovpart.runtime.pool import Pool


def test_the_last_one_given_back_is_taken_first_and_none_is_made_in_vain() -> None:
    made: list[object] = []

    def make() -> object:
        made.append(object())
        return made[-1]

    pool = Pool(make)
    a, b = pool.take(), pool.take()
    pool.give(a)
    pool.give(b)
    assert pool.take() is b
    assert pool.take() is a
    assert len(made) == 2


def test_no_item_is_in_two_hands() -> None:
    pool: Pool[list[int]] = Pool(list)

    def work(number: int) -> None:
        for _ in range(2000):
            item = pool.take()
            item.append(number)
            assert item == [number]
            item.clear()
            pool.give(item)

    with ThreadPoolExecutor(8) as threads:
        list(threads.map(work, range(8)))
    assert 1 <= len(pool) <= 8


def test_a_closed_pool_gives_nothing_and_keeps_nothing() -> None:
    pool: Pool[list[int]] = Pool(list)
    item = pool.take()
    pool.give(pool.take())
    pool.close()
    pool.give(item)
    assert len(pool) == 0
    with pytest.raises(RunError, match="closed"):
        pool.take()


def test_what_cannot_be_made_leaves_the_pool_as_it_was() -> None:
    answers = iter([ValueError("no"), [1]])

    def make() -> list[int]:
        answer = next(answers)
        if isinstance(answer, Exception):
            raise answer
        return answer

    pool = Pool(make)
    with pytest.raises(ValueError, match="no"):
        pool.take()
    assert pool.take() == [1]
