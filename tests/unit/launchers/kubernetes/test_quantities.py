"""Amounts as Kubernetes writes them."""

from decimal import Decimal

import pytest

from mltemporal.errors import InvalidRequest
from mltemporal.launchers.kubernetes.quantities import amount


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("2", "2"),
        ("0.5", "0.5"),
        (".5", "0.5"),
        ("5.", "5"),
        ("500m", "0.5"),
        ("100n", "1e-7"),
        ("4Gi", str(4 * 1024**3)),
        ("1.5Ki", "1536"),
        ("2G", "2000000000"),
        ("1e3", "1000"),
        ("1E3", "1000"),
        ("1E", "1e18"),
        ("1e-3", "0.001"),
    ],
)
def test_a_quantity_is_a_number(text: str, number: str) -> None:
    assert Decimal(number) == amount("x", text)


@pytest.mark.parametrize("text", ["", "4 Gi", "4gb", "4GB", "-1", "four", "1e", "1ki", "0x10", "١"])
def test_what_is_no_quantity_is_refused_by_name(text: str) -> None:
    with pytest.raises(InvalidRequest, match=r"^resources memory=.* is no quantity of Kubernetes"):
        amount("resources memory", text)
