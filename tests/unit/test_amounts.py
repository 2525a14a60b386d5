"""Amounts as people read them."""

from mpiepm.core.amounts import in_bytes, in_time, number_of


def test_amounts() -> None:
    assert [number_of(number, "rank") for number in (0, 1, 2)] == ["0 ranks", "1 rank", "2 ranks"]
    assert [in_time(seconds) for seconds in (34, 300, 9000, 3e5)] == ["34 s", "5 min", "2.5 h", "3.5 days"]
    assert [in_bytes(number) for number in (0, 82130, 4e9)] == ["0 bytes", "82.13 kB", "4 GB"]
