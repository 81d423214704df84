"""Quantities (``500m``, ``2Gi``) and what a pod asks of a node."""

from __future__ import annotations

import re
from collections import Counter
from decimal import Decimal, InvalidOperation
from typing import Any

PATTERN = r"^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$"
_SUFFIXES = {
    "n": Decimal("1e-9"),
    "u": Decimal("1e-6"),
    "m": Decimal("1e-3"),
    "": Decimal(1),
    "k": Decimal(10**3),
    "M": Decimal(10**6),
    "G": Decimal(10**9),
    "T": Decimal(10**12),
    "P": Decimal(10**15),
    "E": Decimal(10**18),
    **{f"{letter}i": Decimal(1024 ** (power + 1)) for power, letter in enumerate("KMGTPE")},
}


def parse(text: object) -> Decimal:
    """Return the number that a quantity means.

    Raises:
        ValueError: it is none.
    """
    found = re.fullmatch(PATTERN, str(text))
    if not found or isinstance(text, bool):
        raise ValueError(f"quantities must match the regular expression '{PATTERN}'")
    number, unit = found.groups()
    try:
        if unit in _SUFFIXES:
            return Decimal(number) * _SUFFIXES[unit]
        return Decimal(f"{number}{unit}")
    except InvalidOperation as error:
        raise ValueError("unable to parse quantity's suffix") from error


def thousandths(text: object) -> int:
    """Return a quantity in whole thousandths: exact, and quick to add."""
    return int(parse(text) * 1000)


def asked(pod_spec: dict[str, Any], kind: str = "requests") -> Counter[str]:
    """Return what a pod asks for, by resource, in thousandths: the sum of its containers.

    An init container counts where it alone asks for more.
    """
    total: Counter[str] = Counter()
    for container in pod_spec.get("containers", ()):
        total.update(_of(container, kind))
    for container in pod_spec.get("initContainers") or ():
        for name, amount in _of(container, kind).items():
            total[name] = max(total[name], amount)
    return total


def _of(container: dict[str, Any], kind: str) -> dict[str, int]:
    resources = container.get("resources") or {}
    amounts = resources.get(kind) or {}
    if kind == "requests":
        amounts = {**(resources.get("limits") or {}), **amounts}  # a limit alone is a request too
    return {name: thousandths(amount) for name, amount in amounts.items()}
