"""What a report says of numbers that are known."""

import numpy as np
import pytest
import xarray

from mpiepm.campaign.findings import Family, compact, sentences

DEPENDS = "depends on the size: 200(10) (L = 32), 490(24) (L = 128), a factor of 2.45(17), 12.7 standard errors"


@pytest.mark.parametrize(
    ("peaks", "said"),
    [
        ((500, 510, 490), "shows no size dependence within errors: 500(25) (L = 32), 490(24) (L = 128), a factor of 0.980(69)"),
        ((200, 510, 490), "depends on the size: 200(10) (L = 32), 510(26) (L = 64), a factor of 2.55(18), 13.2 standard "
                          "errors; none within errors from L = 64 on: 510(26) (L = 64), 490(24) (L = 128), a factor of 0"),
        ((500, 200, 490), "depends on the size: 500(25) (L = 32), 200(10) (L = 64), a factor of 0.400(28), 13.0"),
        ((200, 300, 490), f"{DEPENDS}."),
        ((430, 440, 500), "seems to depend on the size: 430(22) (L = 32), 500(25) (L = 128), a factor of 1.163(82), 2.1"),
        ((np.nan, 510, 490), "shows no size dependence within errors: 510(26) (L = 64), 490(24) (L = 128)"),
    ],
)  # fmt: skip
def test_size_dependence_of_the_chi4_peak(peaks: tuple[float, ...], said: str) -> None:
    unknown, known = np.full(3, np.nan), np.array(peaks)
    columns = {"chi4_peak": known, "chi4_peak_error": 0.05 * known, "tau_alpha": unknown, "tau_alpha_error": unknown}
    coordinates = {"temperature": ("state", [0.01] * 3), "length": ("state", [32.0, 64.0, 128.0])}
    table = xarray.Dataset({name: ("state", column) for name, column in columns.items()}, coordinates)
    sentence, *others = sentences(Family("epmq", [], table, {}, {}, {}))
    assert sentence.startswith(f"At T = 0.01 χ₄ peak {said}")
    assert not others


def test_errors_are_the_last_digits() -> None:
    assert [compact(715.0, 40.0), compact(2.71e12, 2e11), compact(0.5, np.nan), compact(np.nan, 1.0)] == [
        "715(40)", "2.71(20)×10¹²", "0.5 (no error)", "–",
    ]  # fmt: skip
