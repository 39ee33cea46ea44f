"""`az ad`, `az identity`, `az role`, `az provider`, `az bicep`, and whether names are free: who may do what, kept and answered in Azure's shapes.

Nothing here gives or checks a right: on the desk whoever runs it may do all. It is there so that the scripts that give rights in Azure can be
run and looked at.
"""

from __future__ import annotations

import json
import uuid
from pathlib import Path
from typing import Any, Final

from lockgate.az.context import Context
from lockgate.az.errors import ArgumentError, AzError
from lockgate.az.handlers import Handler
from lockgate.workspace.arm import Arm
from lockgate.workspace.cloud import SUBSCRIPTION, TENANT
from lockgate.workspace.directory import Directory
from lockgate.workspace.errors import MissingError

_IDS: Final = uuid.UUID("5b2f64bb-1a1f-4c51-9d0c-0c5d4a1f2b77")
_SECRET: Final = "the-desk-gives-no-secrets"  # noqa: S105 - what stands where Azure would hand out a secret
BUILT_IN: Final = {
    "AcrPull": "7f951dda-4ed3-4680-a7ca-43fe172d538d",
    "AcrPush": "8311e382-0749-4cb8-b61a-304f252e45ec",
    "AzureML Data Scientist": "f6c7c914-8db3-469d-8ca1-694a8f32e121",
    "AzureML Registry User": "1823dd4f-9b8c-4ab6-ab4e-7397a3684615",
    "Contributor": "b24988ac-6180-42a0-ab88-20f7382dd24c",
    "Owner": "8e3af657-a8ff-443c-a75c-2fe8c4bcb635",
    "Reader": "acdd72a7-3385-48ef-bd42-f606fba81ae7",
    "Role Based Access Control Administrator": "f58310d9-a9f6-439a-9e8d-f62e7b41a168",
    "Storage Blob Data Contributor": "ba92f5b4-2d11-453d-a403-e96b0029c9fe",
    "Storage Blob Data Reader": "2a2b9908-6ea1-4ae2-8e65-a410df84e7d1",
}
"""The built-in roles that the desk knows: name → id."""


def _id(*parts: str) -> str:
    return str(uuid.uuid5(_IDS, " ".join(parts)))


def _file_or_text(word: str, option: str) -> dict[str, Any]:
    """JSON of an option: the text itself, or a file's name."""
    text = Path(word).read_text(encoding="utf-8") if not word.lstrip().startswith("{") and Path(word).is_file() else word
    try:
        found = json.loads(text)
    except ValueError as error:
        raise ArgumentError(f"{option}: '{word[:60]}' is neither JSON nor a file with JSON: {error}") from None
    if not isinstance(found, dict):
        raise ArgumentError(f"{option}: found {type(found).__name__}; allowed: a JSON object")
    return found


# Applications and service principals ---------------------------------------------------------------------------------------


def _app_create(context: Context) -> Any:
    directory, name = Directory(context.root), context.text("display_name")
    # az gives back an application of the same name, changed, and makes no second one.
    there = next((one for one in directory.all("app") if one["displayName"] == name), None)
    number = len(directory.all("app"))
    app = there or {
        "appId": _id("app", name, str(number)),
        "displayName": name,
        "id": _id("app object", name, str(number)),
        "signInAudience": context.text("sign_in_audience", "AzureADMyOrg"),
        "passwordCredentials": [],
        "keyCredentials": [],
    }
    directory.put("app", app["appId"], app)
    return app


def _apps(context: Context) -> list[dict[str, Any]]:
    wanted = context.text("display_name")
    return [
        one
        for one in Directory(context.root).all("app")
        # --display-name is a beginning.
        if one["displayName"].startswith(wanted) and context.text("app_id") in ("", one["appId"])
    ]


def _object(context: Context, kind: str) -> dict[str, Any]:
    """An application or service principal by --id: its appId or its object id."""
    wanted = context.text("id")
    for one in Directory(context.root).all(kind):
        if wanted.lower() in (one["appId"], one["id"]):
            return one
    raise MissingError(f"Resource '{wanted}' does not exist or one of its queried reference-property objects are not present.")


def _app(context: Context) -> dict[str, Any]:
    return _object(context, "app")


def _credentials(context: Context) -> list[dict[str, Any]]:
    owner = _app(context)["id"]
    return [
        {key: value for key, value in one.items() if key != "owner"}
        for one in Directory(context.root).all("federated")
        if one["owner"] == owner
    ]


def _credential_create(context: Context) -> Any:
    app, given = _app(context), _file_or_text(context.text("parameters"), "--parameters")
    lacking = [key for key in ("name", "issuer", "subject", "audiences") if not given.get(key)]
    if lacking:
        raise ArgumentError(f"--parameters: lacks {', '.join(lacking)}")
    if any(one["name"] == given["name"] for one in _credentials(context)):
        raise AzError(f"FederatedIdentityCredential with name {given['name']} already exists.")
    spec = {"description": None, **given, "id": _id("federated", app["id"], given["name"])}
    Directory(context.root).put("federated", f"{app['id']}/{given['name']}", {**spec, "owner": app["id"]})
    return spec


def _credential_update(context: Context) -> None:
    app, given, wanted = _app(context), _file_or_text(context.text("parameters"), "--parameters"), context.text("federated_credential_id")
    found = next((one for one in _credentials(context) if wanted in (one["id"], one["name"])), None)
    if found is None:
        raise MissingError(f"FederatedIdentityCredential {wanted} was not found.")
    Directory(context.root).put("federated", f"{app['id']}/{found['name']}", {**found, **given, "owner": app["id"]})


def _sp_create(context: Context) -> Any:
    app = _app(context)
    directory = Directory(context.root)
    if directory.get("sp", app["appId"]):
        raise AzError(
            f"The service principal cannot be created, updated, or restored because the service principal name {app['appId']} is already in use."
        )
    spec = {"appId": app["appId"], "displayName": app["displayName"], "id": _id("sp", app["appId"]), "servicePrincipalType": "Application"}
    directory.put("sp", app["appId"], spec)
    return spec


def _sps(context: Context) -> list[dict[str, Any]]:
    wanted = context.text("display_name")
    return [
        one
        for one in Directory(context.root).all("sp")
        if one["displayName"].startswith(wanted) and context.text("spn") in ("", one["appId"])
    ]


def _sp_for_rbac(context: Context) -> Any:
    """A service principal whose password opens nothing: the desk hands out no secret."""
    name = context.text("name") or f"azure-cli-{len(Directory(context.root).all('app'))}"
    context.invocation.values["display_name"] = [name]
    app = _app_create(context)
    context.invocation.values["id"] = [app["appId"]]
    if Directory(context.root).get("sp", app["appId"]) is None:
        _sp_create(context)
    if context.has("role"):
        if not context.words("scopes"):
            raise ArgumentError("Usage error: To create role assignments, specify both --role and --scopes.")
        for scope in context.words("scopes"):
            _assign(context, _id("sp", app["appId"]), context.text("role"), scope)
    return {"appId": app["appId"], "displayName": name, "password": _SECRET, "tenant": TENANT}


# Managed identities --------------------------------------------------------------------------------------------------------


def _identity_id(group: str, name: str) -> str:
    return f"/subscriptions/{SUBSCRIPTION}/resourceGroups/{group}/providers/Microsoft.ManagedIdentity/userAssignedIdentities/{name}"


def _identity(identifier: str, location: str) -> dict[str, Any]:
    from lockgate.bicep.azure import client_of, principal_of

    parts = identifier.split("/")
    return {
        "clientId": client_of(identifier),
        "id": identifier,
        "location": location,
        "name": parts[-1],
        "principalId": principal_of(identifier),
        "resourceGroup": parts[4],
        "tags": {},
        "tenantId": TENANT,
        "type": "Microsoft.ManagedIdentity/userAssignedIdentities",
    }


def _identity_create(context: Context) -> Any:
    group = context.cloud.group(context.group())
    identifier, location = _identity_id(group.name, context.text("name")), context.text("location") or group.location
    body = {"location": location, "tags": context.pairs("tags")}
    kind = "Microsoft.ManagedIdentity/userAssignedIdentities"
    Arm(context.root).put([(identifier, group.name, kind, context.text("name"), "2024-11-30", body)])
    return _identity(identifier, location)


def _identity_show(context: Context) -> Any:
    identifier = context.text("ids") or _identity_id(context.group(), context.text("name"))
    found = Arm(context.root).get(identifier)
    if found is None:
        raise MissingError(f"(ResourceNotFound) The Resource '{identifier.split('/providers/')[-1]}' was not found.")
    return _identity(found.id, str(found.body.get("location")))


def _identity_list(context: Context) -> Any:
    found = Arm(context.root).all(context.text("resource_group"), "Microsoft.ManagedIdentity/userAssignedIdentities")
    return [_identity(one.id, str(one.body.get("location"))) for one in found]


# Roles -----------------------------------------------------------------------------------------------------------------------


def _definitions(context: Context) -> list[dict[str, Any]]:
    built_in = [
        {
            "id": _definition_id(number),
            "name": number,
            "roleName": name,
            "roleType": "BuiltInRole",
            "type": _DEFINITIONS,
            "assignableScopes": ["/"],
        }
        for name, number in BUILT_IN.items()
    ]
    return [*built_in, *Directory(context.root).all("role")]


_DEFINITIONS: Final = "Microsoft.Authorization/roleDefinitions"
_ASSIGNMENTS: Final = "Microsoft.Authorization/roleAssignments"


def _definition_id(number: str) -> str:
    return f"/subscriptions/{SUBSCRIPTION}/providers/{_DEFINITIONS}/{number}"


def _definition(context: Context, role: str) -> dict[str, Any]:
    wanted = role.rsplit("/", 1)[-1].lower()
    for one in _definitions(context):
        if wanted in (one["name"].lower(), one["roleName"].lower()):
            return one
    raise AzError(f"Role '{role}' doesn't exist. The desk knows: {', '.join(one['roleName'] for one in _definitions(context))}.")


def _definition_list(context: Context) -> Any:
    wanted = context.text("name").lower()
    own = context.text("custom_role_only").lower() == "true"
    return [
        one
        for one in _definitions(context)
        if wanted in ("", one["roleName"].lower(), one["name"].lower()) and (not own or one["roleType"] == "CustomRole")
    ]


def _definition_put(context: Context, *, there: bool) -> Any:
    given = _file_or_text(context.text("role_definition"), "--role-definition")
    name = given.get("Name") or given.get("roleName") or given.get("name")
    scopes = given.get("AssignableScopes") or given.get("assignableScopes")
    if not name or not scopes:
        raise ArgumentError("--role-definition: lacks Name or AssignableScopes")
    known = next((one for one in Directory(context.root).all("role") if one["roleName"].lower() == str(name).lower()), None)
    if known and not there:
        raise AzError(
            f"(RoleDefinitionWithSameNameExists) A custom role with the same name already exists in this directory. Use a different name: {name}"
        )
    if there and not known:
        raise AzError(f"Cannot find the role definition '{name}'")
    number = known["name"] if known else _id("role", str(name))
    permissions = {
        "actions": given.get("Actions") or given.get("actions") or [],
        "notActions": given.get("NotActions") or [],
        "dataActions": given.get("DataActions") or [],
        "notDataActions": given.get("NotDataActions") or [],
    }
    spec = {
        "assignableScopes": scopes,
        "description": given.get("Description") or "",
        "id": _definition_id(number),
        "name": number,
        "permissions": [permissions],
        "roleName": name,
        "roleType": "CustomRole",
        "type": _DEFINITIONS,
    }
    Directory(context.root).put("role", number, spec)
    return spec


def _principal(context: Context) -> str:
    given = context.text("assignee_object_id")
    if given:
        return given
    wanted = context.text("assignee")
    if not wanted:
        raise ArgumentError("usage error: --assignee STRING | --assignee-object-id GUID")
    for one in Directory(context.root).all("sp"):
        if wanted.lower() in (one["appId"], one["id"], one["displayName"].lower()):
            return str(one["id"])
    return wanted


def _assign(context: Context, principal: str, role: str, scope: str) -> dict[str, Any]:
    if not scope.startswith("/"):
        raise ArgumentError(f"--scope: found '{scope}'; allowed: an id such as /subscriptions/…/resourceGroups/…")
    definition = _definition(context, role)
    arm = Arm(context.root)
    for one in _assignments(context):
        if (one["principalId"], one["roleDefinitionId"], one["scope"].lower()) == (principal, definition["id"], scope.lower()):
            return one
    parts = scope.split("/")
    group = parts[4] if len(parts) > 4 and parts[3].lower() == "resourcegroups" else ""
    if group:
        context.cloud.group(group)
    name = context.text("name") if context.invocation.command == "role assignment create" and context.has("name") else ""
    name = name or _id("assignment", principal, definition["id"], scope)
    condition = {
        "condition": context.text("condition") or None,
        "conditionVersion": context.text("condition_version") or ("2.0" if context.text("condition") else None),
    }
    body = {
        "properties": {
            "principalId": principal,
            "principalType": context.text("assignee_principal_type") or "ServicePrincipal",
            "roleDefinitionId": definition["id"],
            "description": context.text("description") or None,
            **condition,
        }
    }
    identifier = f"{scope.rstrip('/')}/providers/{_ASSIGNMENTS}/{name}"
    arm.put([(identifier, group, _ASSIGNMENTS, name, "2022-04-01", body)])
    return next(one for one in _assignments(context) if one["id"] == identifier)


def _assignments(context: Context) -> list[dict[str, Any]]:
    names = {one["id"].lower(): one["roleName"] for one in _definitions(context)}
    found = []
    for one in Arm(context.root).all(kind=_ASSIGNMENTS):
        properties = one.body.get("properties") or {}
        role = str(properties.get("roleDefinitionId"))
        shown = {
            "condition": properties.get("condition"),
            "conditionVersion": properties.get("conditionVersion"),
            "id": one.id,
            "name": one.name,
            "principalId": properties.get("principalId"),
            "principalType": properties.get("principalType"),
            "roleDefinitionId": role,
            "roleDefinitionName": names.get(role.lower(), role),
            "scope": one.id.rsplit("/providers/Microsoft.Authorization/", 1)[0],
            "type": _ASSIGNMENTS,
        }
        found.append(shown)
    return found


def _assignment_create(context: Context) -> Any:
    return _assign(context, _principal(context), context.text("role"), context.text("scope"))


def _assignment_list(context: Context) -> Any:
    principal = _principal(context) if context.has("assignee") or context.has("assignee_object_id") else ""
    role = _definition(context, context.text("role"))["id"] if context.has("role") else ""
    scope = context.text("scope").lower().rstrip("/")
    if context.has("resource_group"):
        scope = context.cloud.group(context.text("resource_group")).id.lower()
    if not scope and not context.has("all"):
        scope = f"/subscriptions/{SUBSCRIPTION}"

    def is_meant(one: dict[str, Any]) -> bool:
        own = one["scope"].lower()
        if context.has("all"):
            return True
        return own == scope or (context.has("include_inherited") and scope.startswith(f"{own}/"))

    return [
        one
        for one in _assignments(context)
        if principal in ("", one["principalId"]) and role in ("", one["roleDefinitionId"]) and is_meant(one)
    ]


def _assignment_delete(context: Context) -> None:
    arm = Arm(context.root)
    if context.words("ids"):
        for identifier in context.words("ids"):
            arm.delete(identifier)
        return
    for one in _assignment_list(context):
        arm.delete(one["id"])


# The rest --------------------------------------------------------------------------------------------------------------------


def _provider(context: Context) -> Any:
    name = context.text("namespace")
    return {"id": f"/subscriptions/{SUBSCRIPTION}/providers/{name}", "namespace": name, "registrationState": "Registered"}


def _name(context: Context, kind: str) -> Any:
    from lockgate.bicep.names import problem

    name = context.text("name")
    wrong = problem(kind, name)
    taken = any(one.name.lower() == name.lower() for one in Arm(context.root).all(kind=kind))
    reason = "AccountNameInvalid" if wrong else "AlreadyExists" if taken else None
    return {
        "message": wrong or (f"The name {name} is already taken." if taken else None),
        "nameAvailable": not (wrong or taken),
        "reason": reason,
    }


def _lint(context: Context) -> None:
    from lockgate.bicep.reader import read

    def look(path: Path, shown: str, seen: set[Path]) -> None:
        if path in seen:
            return
        seen.add(path)
        template = read(path, shown)
        for module in template.modules.values():
            inner = (path.parent / module.what).resolve()
            if not inner.is_file():
                raise template.source.wrong(module.node, f"there is no file {module.what}")
            look(inner, str(Path(shown).parent / module.what), seen)

    look(Path(context.text("file")).resolve(), context.text("file"), set())


_LINT: Final = "the desk checks that files are read; Bicep's own linter runs in Azure DevOps"
COMMANDS: Final = {
    "ad app create": Handler(_app_create, "an application", ("display_name", "sign_in_audience")),
    "ad app list": Handler(_apps, "applications", ("display_name", "app_id"), (("all", "all are listed"), ("show_mine", "all are yours"))),
    "ad app show": Handler(_app, "an application"),
    "ad app federated-credential create": Handler(_credential_create, "whose tokens an application trusts"),
    "ad app federated-credential list": Handler(_credentials, "whose tokens an application trusts"),
    "ad app federated-credential update": Handler(_credential_update, "change whose tokens an application trusts"),
    "ad sp create": Handler(_sp_create, "an application's service principal"),
    "ad sp list": Handler(_sps, "service principals", ("display_name", "spn"), (("all", "all are listed"), ("show_mine", "all are yours"))),
    "ad sp show": Handler(lambda c: _object(c, "sp"), "a service principal"),
    "ad sp create-for-rbac": Handler(
        _sp_for_rbac, "a service principal whose password opens nothing", ("name", "role", "scopes"), (("years", "nothing expires here"),),
    ),
    "ad signed-in-user show": Handler(
        lambda _: {"id": _id("user", "desk"), "displayName": "desk", "userPrincipalName": "desk@desk.invalid"}, "who is logged in",
    ),
    "identity create": Handler(_identity_create, "a managed identity", ("name", "resource_group", "location", "tags")),
    "identity show": Handler(_identity_show, "a managed identity"),
    "identity list": Handler(_identity_list, "managed identities", ("resource_group",)),
    "role definition list": Handler(_definition_list, "roles", ("name", "custom_role_only"), (("scope", "roles are known everywhere here"), ("resource_group", "roles are known everywhere here"))),
    "role definition create": Handler(lambda c: _definition_put(c, there=False), "a role of your own"),
    "role definition update": Handler(lambda c: _definition_put(c, there=True), "change a role of your own"),
    "role assignment create": Handler(_assignment_create, "note who has a role"),
    "role assignment list": Handler(
        _assignment_list, "who has which role", ("all", "assignee", "assignee_object_id", "include_inherited", "resource_group", "role", "scope"),
        (("fill_principal_name", "there is no directory"), ("fill_role_definition_name", "it is always filled"), ("include_groups", "there are no groups")),
    ),
    "role assignment delete": Handler(
        _assignment_delete, "note that a role is gone", ("assignee", "assignee_object_id", "ids", "include_inherited", "resource_group", "role", "scope"),
        (("yes", "it is done at once"),),
    ),
    "provider show": Handler(_provider, "a resource provider", ("namespace",)),
    "provider register": Handler(lambda c: _provider(c) and None, "register a resource provider", ("namespace",), (("wait", "it is there at once"),)),
    "storage account check-name": Handler(lambda c: _name(c, "Microsoft.Storage/storageAccounts"), "whether a name is free here"),
    "acr check-name": Handler(lambda c: _name(c, "Microsoft.ContainerRegistry/registries"), "whether a name is free here", ("name",)),
    "keyvault check-name": Handler(lambda c: _name(c, "Microsoft.KeyVault/vaults"), "whether a name is free here", ("name",)),
    "bicep lint": Handler(_lint, "read a Bicep file and its modules", ("file",), (("no_restore", "there is nothing to restore"), ("diagnostics_format", _LINT))),
}  # fmt: skip
