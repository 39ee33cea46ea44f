"""Tokens of endpoints with auth_mode aml_token or aad_token: signed, for one endpoint, and short-lived.

On the desk there is no Entra ID to ask; `az ml online-endpoint get-credentials` hands these out instead.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import time
from typing import Final

LIFETIME: Final = 3600
"""Seconds."""


def make(endpoint: str, secret: str, now: float | None = None) -> tuple[str, int]:
    """A token, and when it ends in seconds since 1970."""
    ends = int(time.time() if now is None else now) + LIFETIME
    return f"{ends}.{_signature(endpoint, secret, ends)}", ends


def refuse(token: str, endpoint: str, secret: str, now: float | None = None) -> str:
    """What is wrong with a token; empty if nothing is."""
    ends, _, signature = token.partition(".")
    if not (ends.isascii() and ends.isdigit()) or len(ends) > 12:
        return "this is no token of the endpoint"
    if not hmac.compare_digest(signature.encode(), _signature(endpoint, secret, int(ends)).encode()):
        return "this is no token of the endpoint"
    if (time.time() if now is None else now) >= int(ends):
        return "the token has expired; get another one: az ml online-endpoint get-credentials"
    return ""


def _signature(endpoint: str, secret: str, ends: int) -> str:
    digest = hmac.new(secret.encode(), f"{endpoint}\0{ends}".encode(), hashlib.sha256).digest()
    return base64.urlsafe_b64encode(digest).rstrip(b"=").decode()
