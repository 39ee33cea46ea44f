"""The git repository of a job: it borrows the objects of the person's own, and nothing that a step does with it reaches that."""

from __future__ import annotations

import hashlib
import shutil
import tempfile
from pathlib import Path

from lockgate.agent.git import git


def put(origin: Path, sha: str, target: Path, kept: Path, content: str) -> None:
    """Make `.git` in a work folder, its HEAD detached at a commit as on an agent, its index that of the files there.

    Args:
        origin: the person's repository.
        sha: the commit.
        target: the work folder, its files written.
        kept: a folder for what the next job of the same commit and files can have.
        content: stands for the files.
    """
    # As after a fetch: tags, and the branches of origin.
    refs = git(origin, "for-each-ref", "--format=%(objectname) %(refname)", "refs/tags", "refs/heads").stdout
    refs = refs.replace(" refs/heads/", " refs/remotes/origin/")
    key = hashlib.sha256("\0".join((str(origin), sha, refs, content)).encode()).hexdigest()[:16]
    ready = kept / key
    if ready.is_dir() and _copied(ready, target / ".git") and git(target, "update-index", "-q", "--refresh").returncode == 0:
        return
    shutil.rmtree(target / ".git", ignore_errors=True)
    _make(origin, sha, refs, target)
    git(target, "read-tree", "HEAD")
    git(target, "update-index", "-q", "--refresh")
    if (target / ".git" / "shallow").exists():  # It changes with every fetch.
        return
    kept.mkdir(parents=True, exist_ok=True)
    beside = Path(tempfile.mkdtemp(prefix=".", dir=kept))
    shutil.copytree(target / ".git", beside, dirs_exist_ok=True)
    for old in kept.glob("[!.]*"):  # One commit and one state of the files at a time.
        shutil.rmtree(old, ignore_errors=True)
    try:
        beside.rename(ready)
    except OSError:  # Another job was quicker.
        shutil.rmtree(beside, ignore_errors=True)


def _copied(ready: Path, target: Path) -> bool:
    try:
        shutil.copytree(ready, target)
    except OSError:  # Another job is just putting a newer one in its place.
        return False
    return True


def _make(origin: Path, sha: str, refs: str, target: Path) -> None:
    git(target, "init", "--quiet", "--template=")  # Without a dozen samples of hooks.
    (target / ".git" / "info").mkdir()
    (target / ".git" / "info" / "exclude").touch()
    common = git(origin, "rev-parse", "--path-format=absolute", "--git-common-dir").stdout.strip()
    alternates = target / ".git" / "objects" / "info" / "alternates"
    alternates.parent.mkdir(parents=True, exist_ok=True)
    alternates.write_text(f"{common}/objects\n", encoding="utf-8")
    shallow = Path(common) / "shallow"
    if shallow.exists():
        shutil.copyfile(shallow, target / ".git" / "shallow")
    (target / ".git" / "packed-refs").write_text(refs, encoding="utf-8")
    git(target, "update-ref", "--no-deref", "HEAD", sha)
    git(target, "remote", "add", "origin", str(origin))
    # Files are written with the time of the last change that they have in origin: by it and the size git sees what a step changes, and need not
    # read each file in each new work folder to know that it is the one of before.
    for key, value in (("core.checkStat", "minimal"), ("core.trustctime", "false")):
        git(target, "config", key, value)
