"""Routing: which rule an image follows, from its header."""

from __future__ import annotations

from collections.abc import Sequence

import regex

from lexiseg.errors import UsageError
from lexiseg.gateway.configuration import Rule
from lexiseg.gateway.header import Header

_PATTERN_SECONDS = 1.0


def rule_for(header: Header, rules: Sequence[Rule]) -> Rule | None:
    """Return the first rule that fits an image; None if none does.

    Raises:
        UsageError: The regular expression of a rule takes too long.
    """
    return next((rule for rule in rules if _fits(header, rule)), None)


def _fits(header: Header, rule: Rule) -> bool:
    if rule.modality and header.modality not in rule.modality:
        return False
    if rule.body_part and header.body_part not in rule.body_part:
        return False
    if rule.description is None:
        return True
    try:
        return any(
            regex.search(rule.description, text, regex.IGNORECASE, timeout=_PATTERN_SECONDS)
            for text in header.descriptions
        )
    except TimeoutError as error:
        raise UsageError(
            f"The description {rule.description!r} of rule {rule.name!r} takes longer than "
            f"{_PATTERN_SECONDS:g} s to compare with a text. Write a simpler regular expression.",
            code="LEX-USE-1235",
        ) from error
