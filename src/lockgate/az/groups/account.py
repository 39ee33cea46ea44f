"""`az login`, `logout`, `account`, `configure`, `version` and `extension`."""

from __future__ import annotations

from typing import Any, Final

from lockgate.az.context import Context
from lockgate.az.errors import ArgumentError, AzError
from lockgate.az.handlers import Handler

CLI: Final = "2.91.0"
ML: Final = "2.40.0"
"""The versions that the desk stands in for."""
_SHOWN: Final = ("cloudName", "homeTenantId", "id", "isDefault", "managedByTenants", "name", "state", "tenantId", "user")
_ANYONE: Final = "whoever runs the desk is let in"


def _login(context: Context) -> Any:
    if context.has("service_principal"):
        name = context.text("username")
        if not name or not (context.has("password") or context.has("federated_token") or context.has("certificate")):
            raise ArgumentError(
                "usage error: --service-principal --username NAME --password SECRET --tenant TENANT, or --federated-token TOKEN"
            )
        return context.log_in("servicePrincipal", name)
    if context.has("identity"):
        return context.log_in("servicePrincipal", "systemAssignedIdentity")
    return context.log_in("user", context.text("username", "desk"))


def _logout(context: Context) -> None:
    context.subscriptions()
    context.log_out()


def _one(context: Context) -> dict[str, Any]:
    wanted = context.text("name")
    found = context.subscriptions()
    if not wanted:
        return next((one for one in found if one.get("isDefault")), found[0])
    for one in found:
        if wanted.lower() in (str(one["id"]).lower(), str(one["name"]).lower()):
            return one
    raise AzError(
        f"The subscription of '{wanted}' doesn't exist in cloud 'AzureCloud'. There is: {', '.join(str(one['name']) for one in found)}."
    )


def _account_show(context: Context) -> Any:
    one = _one(context)
    shown: dict[str, Any] = {key: one[key] for key in _SHOWN if key in one}
    if "cloudName" in shown:
        shown = {"environmentName": shown.pop("cloudName"), **shown}
    return shown


def _account_set(context: Context) -> None:
    chosen = _one(context)
    found = context.subscriptions()
    context.config.mkdir(parents=True, exist_ok=True)
    context.keep_profile([{**one, "isDefault": one["id"] == chosen["id"]} for one in found])


def _configure(context: Context) -> Any:
    if context.has("defaults"):
        context.set_defaults(context.pairs("defaults"))
        return None
    if context.has("list_defaults"):
        return [
            {"name": name, "source": str(context.config / "config"), "value": value} for name, value in sorted(context.defaults().items())
        ]
    raise ArgumentError("usage error: --defaults name=value … or --list-defaults true")


def _version(context: Context) -> Any:
    del context
    return {"azure-cli": CLI, "azure-cli-core": CLI, "azure-cli-telemetry": "1.1.0", "extensions": {"ml": ML}}


def _extension(context: Context) -> dict[str, Any]:
    name = context.text("name")
    if name != "ml":
        raise AzError(f"The extension {name} is not installed. The desk has: ml.")
    return {"experimental": False, "extensionType": "whl", "name": "ml", "path": "", "preview": False, "version": ML}


def _extension_add(context: Context) -> None:
    wanted = context.text("version")
    _extension(context)
    if wanted and wanted != ML:
        # A pipeline pins its ml; that the desk stands in for another one has to be seen.
        raise AzError(f"No matching extensions for 'ml' version '{wanted}'. The desk stands in for {ML}; pin that.")


_OWN: Final = "the desk has its own ml"
_UNPROVED: Final = ("allow_no_subscriptions", "claims_challenge", "client_id", "object_id", "resource_id", "scope", "tenant", "use_cert_sn_issuer", "use_device_code")  # fmt: skip
COMMANDS: Final = {
    "login": Handler(
        _login, "log in", ("service_principal", "username", "password", "federated_token", "certificate", "identity"),
        tuple((name, _ANYONE) for name in _UNPROVED),
    ),
    "logout": Handler(_logout, "log out", (), (("username", "the desk has one account"),)),
    "account show": Handler(_account_show, "the subscription"),
    "account list": Handler(
        lambda context: context.subscriptions(), "all subscriptions", (), (("all", "the desk has one, enabled"), ("refresh", "nothing is cached"))
    ),
    "account set": Handler(_account_set, "choose a subscription"),
    "configure": Handler(_configure, "defaults such as group and workspace", ("defaults", "list_defaults")),
    "version": Handler(_version, "versions"),
    "extension add": Handler(
        _extension_add, "see that ml is there", ("name", "version"), tuple((name, _OWN) for name in ("allow_preview", "system", "upgrade", "yes"))
    ),
    "extension update": Handler(lambda context: _extension(context) and None, "see that ml is there", ("name",), (("allow_preview", _OWN),)),
    "extension list": Handler(lambda context: [_extension_of(context)], "the extensions"),
    "extension show": Handler(_extension, "an extension"),
}  # fmt: skip


def _extension_of(context: Context) -> dict[str, Any]:
    context.invocation.values["name"] = ["ml"]
    return _extension(context)
