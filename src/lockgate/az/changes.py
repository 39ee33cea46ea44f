"""What `--set` and `--remove` of an update change: tags, properties and a few texts; the rest of an asset or job never changes."""

from __future__ import annotations

from lockgate.az.context import Context
from lockgate.az.errors import ArgumentError


def apply(context: Context, tags: dict[str, str], properties: dict[str, str], texts: dict[str, str]) -> None:
    """Change what is given, in place.

    Args:
        context: the command.
        tags, properties: are changed by tags.NAME and properties.NAME.
        texts: the texts that may change, by key.

    Raises:
        ArgumentError: something else is named.
    """
    for key, value in context.pairs("set").items():
        first, _, rest = key.partition(".")
        if first == "tags" and rest:
            tags[rest] = value
        elif first == "properties" and rest:
            properties[rest] = value
        elif key in texts:
            texts[key] = value
        else:
            raise ArgumentError(f"--set {key}: allowed: tags.NAME, properties.NAME, {', '.join(texts)}; the rest never changes")
    for key in context.words("remove"):
        first, _, rest = key.partition(".")
        if first != "tags" or rest not in tags:
            raise ArgumentError(f"--remove {key}: allowed: tags.NAME of {', '.join(tags) or 'none'}")
        del tags[rest]
