"""What a command works with: the state of the desk, the account, the defaults, and its own options."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from lockgate.az.arguments import Invocation
from lockgate.az.errors import ArgumentError, AzError
from lockgate.state import STATE_FOLDER
from lockgate.workspace.cloud import SUBSCRIPTION, TENANT, Cloud, Place
from lockgate.workspace.store import Store

_DEFAULTS: Final = {"resource_group": "group", "workspace_name": "workspace", "registry_name": "registry", "location": "location"}
"""Option → its name in `az configure --defaults`."""


class Context:
    """A command's surroundings.

    Args:
        invocation: the command and its options.
        root: the folder that holds `.lockgate`.
        environment: the process's environment.
    """

    def __init__(self, invocation: Invocation, root: Path, environment: Mapping[str, str]) -> None:
        self.invocation = invocation
        self.root = root
        self.cloud = Cloud(root)
        self._environment = environment
        own = environment.get("AZURE_CONFIG_DIR", "")
        self.config = Path(own) if own else root / STATE_FOLDER / "az"
        self._defaults: dict[str, str] | None = None

    # Options -----------------------------------------------------------------------------------------------------------

    def text(self, key: str, default: str = "") -> str:
        """An option, or its default of `az configure`."""
        return self.invocation.text(key) or self.defaults().get(_DEFAULTS.get(key, ""), "") or default

    def has(self, key: str) -> bool:
        """Whether an option was given."""
        return self.invocation.has(key)

    def words(self, key: str) -> list[str]:
        """All words given to an option."""
        return self.invocation.words(key)

    def pairs(self, key: str) -> dict[str, str]:
        """Words such as `a=1 b=2`.

        Raises:
            ArgumentError: one has no =.
        """
        found: dict[str, str] = {}
        for word in self.words(key):
            name, sign, value = word.partition("=")
            if not sign or not name:
                raise ArgumentError(f"--{key.replace('_', '-')}: found '{word}'; allowed: name=value, several with spaces between")
            found[name] = value
        return found

    def number(self, key: str, least: int = 1) -> int:
        """A whole number of at least `least`; 0 if it was not given.

        Raises:
            ArgumentError: it is none.
        """
        text = self.invocation.text(key)
        if text and not (text.isascii() and text.isdigit() and int(text) >= least):
            raise ArgumentError(f"argument --{key.replace('_', '-')}: invalid int value: '{text}'")
        return int(text or 0)

    # Configuration --------------------------------------------------------------------------------------------------------

    def defaults(self) -> dict[str, str]:
        """What `az configure --defaults` has set, and AZURE_DEFAULTS_… of the environment, which counts more."""
        if self._defaults is None:
            import configparser

            parser = configparser.ConfigParser(interpolation=None)
            parser.read(self.config / "config", encoding="utf-8")
            found = dict(parser["defaults"]) if parser.has_section("defaults") else {}
            for name in _DEFAULTS.values():
                if value := self._environment.get(f"AZURE_DEFAULTS_{name.upper()}"):
                    found[name] = value
            self._defaults = found
        return self._defaults

    def set_defaults(self, values: Mapping[str, str]) -> None:
        """Change the defaults; an empty value takes one away."""
        import configparser
        import fcntl

        self.config.mkdir(parents=True, exist_ok=True)
        # Of two that change defaults at once, the second one sees what the first one wrote.
        with (self.config / ".lock").open("a") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            parser = configparser.ConfigParser(interpolation=None)
            parser.read(self.config / "config", encoding="utf-8")
            if not parser.has_section("defaults"):
                parser.add_section("defaults")
            for name, value in values.items():
                if value:
                    parser.set("defaults", name, value)
                else:
                    parser.remove_option("defaults", name)
            beside = self.config / f".config.{os.getpid()}"
            with beside.open("w", encoding="utf-8") as stream:
                parser.write(stream)
            beside.replace(self.config / "config")
        self._defaults = None

    def subscriptions(self) -> list[dict[str, Any]]:
        """The subscriptions of whoever is logged in. By hand somebody always is; inside a run a step has to log in, as in Azure.

        Raises:
            AzError: nobody is logged in.
        """
        try:
            profile = json.loads((self.config / "azureProfile.json").read_text(encoding="utf-8-sig"))
            found: list[dict[str, Any]] = profile.get("subscriptions", [])
        except (OSError, ValueError):
            found = []
        if found:
            return found
        if self._environment.get("LOCKGATE_RUN") or (self.config / "logged-out").exists():
            raise AzError("Please run 'az login' to setup account.")
        return [desk_subscription("user", "desk")]

    def log_in(self, kind: str, name: str) -> list[dict[str, Any]]:
        """Leave a profile."""
        self.config.mkdir(parents=True, exist_ok=True)
        (self.config / "logged-out").unlink(missing_ok=True)
        subscriptions = [desk_subscription(kind, name)]
        self.keep_profile(subscriptions)
        return subscriptions

    def keep_profile(self, subscriptions: list[dict[str, Any]]) -> None:
        """Write the profile."""
        beside = self.config / f".azureProfile.{os.getpid()}"
        beside.write_text(json.dumps({"subscriptions": subscriptions}), encoding="utf-8")
        beside.replace(self.config / "azureProfile.json")

    def log_out(self) -> None:
        """Take the profile away."""
        self.config.mkdir(parents=True, exist_ok=True)
        (self.config / "azureProfile.json").unlink(missing_ok=True)
        (self.config / "logged-out").touch()

    # Places --------------------------------------------------------------------------------------------------------------

    def group(self) -> str:
        """The resource group of --resource-group or the defaults.

        Raises:
            ArgumentError: none is given.
        """
        found = self.text("resource_group")
        if not found:
            raise ArgumentError("the following arguments are required: --resource-group/-g")
        return found

    def workspace(self) -> Place:
        """The workspace of --workspace-name or the defaults.

        Raises:
            ArgumentError: none is given.
        """
        name = self.text("workspace_name")
        if not name:
            raise ArgumentError("the following arguments are required: --workspace-name/-w")
        return self.cloud.place("workspace", name, self.group())

    def place(self) -> Place:
        """The registry of --registry-name, or the workspace."""
        if registry := self.invocation.text("registry_name"):
            return self.cloud.place("registry", registry)
        return self.workspace()

    def store(self, place: Place | None = None) -> Store:
        """What is in a place; in the one of the options if none is given."""
        return self.cloud.store(place or self.place())


def desk_subscription(kind: str, name: str) -> dict[str, Any]:
    """The desk's subscription, as az shows subscriptions."""
    return {
        "cloudName": "AzureCloud",
        "homeTenantId": TENANT,
        "id": SUBSCRIPTION,
        "isDefault": True,
        "managedByTenants": [],
        "name": "desk",
        "state": "Enabled",
        "tenantId": TENANT,
        "user": {"name": name, "type": kind},
    }
