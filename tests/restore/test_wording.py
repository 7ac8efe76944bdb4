"""A message stays one line that can be read, whatever the keys are."""

import pytest

from artifact_store.restore.wording import LONGEST, counted, listed, shortened


@pytest.mark.parametrize(("count", "said"), [(0, "0 keys"), (1, "1 key"), (2, "2 keys"), (1234, "1,234 keys")])
def test_one_is_singular(count: int, said: str) -> None:
    assert counted(count, "key") == said


def test_a_long_key_keeps_its_ends() -> None:
    assert shortened("a\nb") == r"'a\nb'"
    long = shortened("first" + "x" * 1000 + "last")
    assert (len(long), long[:6], long[-5:]) == (LONGEST, "'first", "last'")


def test_what_is_not_named_is_hinted_at() -> None:
    assert [listed(["a", "b"], count) for count in (2, 3)] == ["a, b", "a, b, …"]
