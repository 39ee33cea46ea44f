"""Azure's rules for the names of resources: length, characters, and how far a name is taken once."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True)
class Rule:
    """A rule for names of a type.

    Attributes:
        pattern: what the whole name matches.
        says: the same in words.
        everywhere: whether the name is taken once in all of Azure.
    """

    pattern: str
    says: str
    everywhere: bool = False


_ML: Final = Rule(r"[A-Za-z0-9][A-Za-z0-9_-]{2,32}", "3 to 33 letters, digits, - and _, a letter or digit first")
RULES: Final[dict[str, Rule]] = {
    "microsoft.storage/storageaccounts": Rule(r"[a-z0-9]{3,24}", "3 to 24 lower-case letters and digits", everywhere=True),
    "microsoft.keyvault/vaults": Rule(
        r"(?=.{3,24}\Z)[A-Za-z](?:-?[A-Za-z0-9])*",
        "3 to 24 letters, digits and -, a letter first, a letter or digit last, no two - together",
        everywhere=True,
    ),
    "microsoft.containerregistry/registries": Rule(r"[A-Za-z0-9]{5,50}", "5 to 50 letters and digits", everywhere=True),
    "microsoft.operationalinsights/workspaces": Rule(
        r"[A-Za-z0-9][A-Za-z0-9-]{2,61}[A-Za-z0-9]", "4 to 63 letters, digits and -, a letter or digit first and last"
    ),
    "microsoft.insights/components": Rule(r"[^%&\\?/]{0,259}[^%&\\?/ .]", "1 to 260 characters but % & \\ ? /, no space or dot last"),
    "microsoft.insights/actiongroups": Rule(
        r"[^:<>+/&%\\?|]{0,259}[^:<>+/&%\\?| .]", "1 to 260 characters but : < > + / & % \\ ? |, no space or dot last"
    ),
    "microsoft.insights/metricalerts": Rule(
        r"[^*#&+:<>?@%{}\\/]{0,259}[^*#&+:<>?@%{}\\/ .]", "1 to 260 characters but * # & + : < > ? @ % { } \\ /, no space or dot last"
    ),
    "microsoft.managedidentity/userassignedidentities": Rule(
        r"[A-Za-z0-9][A-Za-z0-9_-]{2,127}", "3 to 128 letters, digits, - and _, a letter or digit first"
    ),
    "microsoft.machinelearningservices/workspaces": _ML,
    "microsoft.machinelearningservices/registries": _ML,
    "microsoft.machinelearningservices/workspaces/computes": Rule(
        r"(?=.{2,16}\Z)[A-Za-z](?:[A-Za-z0-9-]*[A-Za-z0-9])?", "2 to 16 letters, digits and -, a letter first, not - last"
    ),
    "microsoft.machinelearningservices/workspaces/onlineendpoints": Rule(
        r"(?=.{3,32}\Z)[A-Za-z][A-Za-z0-9-]*[A-Za-z0-9]", "3 to 32 letters, digits and -, a letter first, not - last"
    ),
    "microsoft.resources/resourcegroups": Rule(r"[-\w.()]{1,90}(?<!\.)", "1 to 90 letters, digits, - _ . ( ), no dot last"),
    "microsoft.consumption/budgets": Rule(r"[A-Za-z0-9_-]{1,63}", "1 to 63 letters, digits, _ and -"),
    "microsoft.authorization/roleassignments": Rule(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}", "a GUID"),
}
"""`provider/type` in lower case → rule. From Azure's list of naming rules; a type that is not here is not checked."""


def problem(kind: str, name: str) -> str:
    """What is wrong with a resource's name; empty if nothing is, or if no rule is known.

    Args:
        kind: its type, `Provider/type/subtype`.
        name: its own name, without those of its parents.
    """
    rule = RULES.get(kind.lower())
    if rule is None or re.fullmatch(rule.pattern, name):
        return ""
    return f"{kind.rsplit('/', 1)[-1]} name '{name}' ({len(name)} characters); allowed: {rule.says}"
