"""Keeps secrets out of everything that is shown or kept."""

from __future__ import annotations

import base64
import json
import re
import threading
import urllib.parse
from typing import Any, Final

MASK: Final = "***"
_HELD: Final = 2
"""So many of a secret's first characters at the end of a line make the line wait for the next one."""
_MOST_HELD: Final = 200


class Masker:
    """The secrets of a run. Several jobs may use it at once."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._secrets: tuple[str, ...] = ()
        self._any: re.Pattern[str] | None = None
        self._beginnings: frozenset[str] = frozenset()
        self._longest = 0

    def add(self, secret: str) -> None:
        """Hide a value from now on, its single lines and its usual encodings too. Empty ones are nothing to hide."""
        forms = {secret, *secret.splitlines()}
        for form in (secret, secret.strip()):
            forms |= {base64.b64encode(form.encode()).decode(), json.dumps(form)[1:-1], urllib.parse.quote(form, safe="")}
        with self._lock:
            secrets = tuple(sorted({*self._secrets, *(form for form in forms if form.strip())}))
            # What is asked of every line has to be quick: one look for any of them, and one for their beginnings.
            self._any = re.compile("|".join(re.escape(secret) for secret in secrets)) if secrets else None
            self._beginnings = frozenset(
                secret[:length] for secret in secrets for length in range(min(_HELD, len(secret) - 1), len(secret)) if length > 0
            )
            self._longest = max((len(beginning) for beginning in self._beginnings), default=0)
            self._secrets = secrets

    def mask(self, text: str) -> str:
        """A text without the secrets; what they leave between them is nothing, so that overlapping ones leave no rest."""
        if self._any is None or self._any.search(text) is None:
            return text
        spans = [
            (at, at + len(secret))
            for secret in self._secrets
            if secret in text
            for at in range(len(text) - len(secret) + 1)
            if text.startswith(secret, at)
        ]
        return _without(text, spans) if spans else text

    def mask_broken(self, text: str) -> str:
        """Lines without the secrets, also those that a line's end divides."""
        places = [index for index, sign in enumerate(text) if sign != "\n"]
        joined = text.replace("\n", "")
        spans = [
            (places[at], places[at + len(secret) - 1] + 1)
            for secret in (secret.replace("\n", "") for secret in self._secrets)
            if secret and secret in joined
            for at in range(len(joined) - len(secret) + 1)
            if joined.startswith(secret, at)
        ]
        return _without(text, spans) if spans else text

    def mask_all(self, value: Any) -> Any:
        """Lists and mappings without the secrets."""
        if isinstance(value, str):
            return self.mask(value)
        if isinstance(value, dict):
            return {self.mask(str(key)): self.mask_all(item) for key, item in value.items()}
        return [self.mask_all(item) for item in value] if isinstance(value, (list, tuple)) else value

    def begins_secret(self, tail: str) -> bool:
        """Whether a text ends with what could be a secret's beginning."""
        return any(tail[-length:] in self._beginnings for length in range(1, min(self._longest, len(tail)) + 1))


def _without(text: str, spans: list[tuple[int, int]]) -> str:
    """A text with spans replaced, those that touch as one; line ends within them stay."""
    spans.sort()
    merged = [list(spans[0])]
    for begin, end in spans[1:]:
        if begin <= merged[-1][1]:
            merged[-1][1] = max(merged[-1][1], end)
        else:
            merged.append([begin, end])
    parts, at = [], 0
    for begin, end in merged:
        parts += [text[at:begin], "\n".join([MASK] * (text.count("\n", begin, end) + 1))]
        at = end
    return "".join([*parts, text[at:]])


class MaskedLines:
    """Masks a stream of lines. A line that ends in what may be a secret's beginning is held back until the next one is there."""

    def __init__(self, masker: Masker) -> None:
        self._masker = masker
        self._held: list[str] = []

    def feed(self, line: str) -> list[str]:
        """The lines that can be shown now."""
        if not self._held and not self._masker.begins_secret(line):
            return [self._masker.mask(line)]
        self._held.append(line)
        if self._masker.begins_secret("".join(self._held)) and len(self._held) < _MOST_HELD:
            return []
        return self.end()

    def end(self) -> list[str]:
        """What was held back."""
        held, self._held = self._held, []
        return self._masker.mask_broken("\n".join(held)).split("\n") if held else []
