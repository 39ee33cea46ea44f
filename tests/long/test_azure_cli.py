"""Every command line of az that belongs to Azure's own command line, read by that: what the ml extension adds has its own reference."""

from __future__ import annotations

import pytest

from delivery_scripts import AZ
from microsoft.azure_cli import mistakes

pytestmark = pytest.mark.long

# `--only-show-errors` and such are read like all others; `ml` and `devops` come with extensions.
OURS = sorted({words[1:] for _, words in AZ if words[1] not in ("ml", "devops", "pipelines")})
WRONG = {
    ("account", "shwo"): "Did you mean 'show'",
    ("group", "create", "--name", "x", "--lokation", "y"): "--location",
    ("extension", "add", "--name"): "expected",
    ("ml", "job", "list"): "aka.ms/cli_ref",
}


@pytest.fixture(scope="module")
def said() -> dict[tuple[str, ...], str | None]:
    asked = [*OURS, *WRONG]
    return dict(zip(asked, mistakes(asked), strict=True))


@pytest.mark.parametrize("words", OURS, ids=" ".join)
def test_azure_s_own_command_line_reads_it(words, said):
    assert said[words] is None


@pytest.mark.parametrize("words", WRONG, ids=" ".join)
def test_azure_s_own_command_line_refuses_what_is_wrong(words, said):
    assert WRONG[words] in (said[words] or "")
