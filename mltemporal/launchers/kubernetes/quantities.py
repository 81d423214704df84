"""Amounts as Kubernetes writes them: ``500m``, ``4Gi``, ``1e3``.

The syntax is that of ``resource.Quantity``:
https://kubernetes.io/docs/reference/kubernetes-api/common-definitions/quantity/
"""

from __future__ import annotations

import re
from decimal import Decimal

from mltemporal.errors import InvalidRequest

_SYNTAX = re.compile(r"([0-9]+(?:\.[0-9]*)?|\.[0-9]+)(Ki|Mi|Gi|Ti|Pi|Ei|n|u|m|k|M|G|T|P|E|[eE][+-]?[0-9]+)?")
_LONGEST = 40
_DECIMAL = {"n": -9, "u": -6, "m": -3, "": 0, "k": 3, "M": 6, "G": 9, "T": 12, "P": 15, "E": 18}
_BINARY = {"Ki": 1, "Mi": 2, "Gi": 3, "Ti": 4, "Pi": 5, "Ei": 6}


def amount(what: str, quantity: str) -> Decimal:
    """Return the number that ``quantity`` stands for: cores, bytes or pieces.

    Raises:
        InvalidRequest: it is none; says so of ``what``.
    """
    found = _SYNTAX.fullmatch(quantity)
    if not found or len(quantity) > _LONGEST:
        raise InvalidRequest(
            f"{what}={quantity[:100]!r} is no quantity of Kubernetes",
            "write cores as 2 or '500m', memory as '4Gi' or '512Mi', GPUs as a whole number",
        )
    number, unit = Decimal(found.group(1)), found.group(2) or ""
    if unit in _BINARY:
        return number * Decimal(1024) ** _BINARY[unit]
    if unit in _DECIMAL:
        return number.scaleb(_DECIMAL[unit])
    try:
        return number.scaleb(int(unit[1:]))
    except ArithmeticError as error:
        raise InvalidRequest(f"{what}={quantity!r} is out of all bounds", "write e.g. '4Gi'") from error
