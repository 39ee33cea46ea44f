"""What git knows about a folder."""

from __future__ import annotations

import os
import subprocess
from dataclasses import dataclass
from pathlib import Path

_ANSWER = "%H%x00%an%x00%ae%x00%s"


@dataclass(frozen=True)
class Commit:
    """Where a repository stands. All texts are empty where there is no commit."""

    sha: str = ""
    author: str = ""
    email: str = ""
    message: str = ""
    branch: str = ""
    """`refs/heads/main`; `refs/tags/…` never; empty with a detached HEAD."""
    remote: str = ""


def git(folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    """Run git in a folder, untouched by variables such as GIT_DIR that a hook may have set."""
    environment = {k: v for k, v in os.environ.items() if not k.startswith("GIT_")}
    return subprocess.run(
        ["git", "-C", str(folder), *words],  # noqa: S607 - the git that the person uses
        capture_output=True,
        text=True,
        errors="replace",
        check=False,
        env={**environment, "GIT_TERMINAL_PROMPT": "0", "GIT_OPTIONAL_LOCKS": "0"},
    )


def commit_of(folder: Path) -> Commit:
    """Where the repository of a folder stands; an empty commit if there is no git, no repository or no commit."""
    try:
        log = git(folder, "log", "-1", f"--format={_ANSWER}")
    except FileNotFoundError:
        return Commit()
    if log.returncode:
        return Commit()
    sha, author, email, message = log.stdout.rstrip("\n").split("\0")
    branch = git(folder, "symbolic-ref", "--quiet", "HEAD").stdout.strip()
    remote = git(folder, "config", "--get", "remote.origin.url").stdout.strip()
    return Commit(sha, author, email, message, branch, remote)


def tracked_files(folder: Path) -> list[str] | None:
    """Files that git knows or would add, relative to a folder; None if it is no repository."""
    try:
        found = git(folder, "ls-files", "-z", "--cached", "--others", "--exclude-standard")
    except FileNotFoundError:
        return None
    return None if found.returncode else [name for name in found.stdout.split("\0") if name]
