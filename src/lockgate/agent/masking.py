"""Keeps secrets out of everything that is shown or kept."""

from __future__ import annotations

import base64
import json
import re
import threading
import urllib.parse
from typing import Final

MASK: Final = "***"
_HELD: Final = 4
"""So many of a secret's first characters at the end of a line make the line wait for the next one."""


class Masker:
    """The secrets of a run. Several jobs may use it at once."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._secrets: set[str] = set()
        self._pattern: re.Pattern[str] | None = None
        self._broken: re.Pattern[str] | None = None

    def add(self, secret: str) -> None:
        """Hide a value from now on, its single lines and its usual encodings too. Empty ones are nothing to hide."""
        forms = {secret, *secret.splitlines()}
        for form in (secret, secret.strip()):
            forms |= {base64.b64encode(form.encode()).decode(), json.dumps(form)[1:-1], urllib.parse.quote(form, safe="")}
        with self._lock:
            self._secrets |= {form for form in forms if form.strip()}
            ordered = sorted(self._secrets, key=lambda form: (-len(form), form))
            if ordered:
                self._pattern = re.compile("|".join(re.escape(form) for form in ordered))
                self._broken = re.compile("|".join(r"\n?".join(re.escape(c) for c in form) for form in ordered if "\n" not in form))

    def mask(self, text: str) -> str:
        """A text without the secrets."""
        return self._pattern.sub(MASK, text) if self._pattern else text

    def mask_broken(self, text: str) -> str:
        """Lines without the secrets, also those that a line's end divides."""
        return self._broken.sub(lambda match: "\n".join([MASK] * (match[0].count("\n") + 1)), text) if self._broken else text

    def begins_secret(self, tail: str) -> bool:
        """Whether a text ends with what could be a secret's beginning."""
        with self._lock:
            return any(
                tail.endswith(secret[:length])
                for secret in self._secrets
                for length in range(min(len(secret) - 1, len(tail)), min(_HELD, len(secret) - 1) - 1, -1)
                if length > 0
            )


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
        masked = self._masker.mask_broken("\n".join(self._held))
        if self._masker.begins_secret("".join(self._held)) and len(self._held) < 200:
            return []
        self._held = []
        return masked.split("\n")

    def end(self) -> list[str]:
        """What was held back."""
        held, self._held = self._held, []
        return self._masker.mask_broken("\n".join(held)).split("\n") if held else []
