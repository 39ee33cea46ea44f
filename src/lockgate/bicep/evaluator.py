"""From declarations and parameters to resources with names, ids and bodies. Lazy, as Bicep is: order of declaration does not matter."""

from __future__ import annotations

import difflib
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timezone
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from lockgate.bicep.azure import added, principal_of
from lockgate.bicep.functions import FUNCTIONS, text
from lockgate.bicep.operators import OPERATORS, Access, Binary, Operand, Term, Ternary, Unary, term_of
from lockgate.bicep.reader import Declared, Output, Parameter, Template, read
from lockgate.errors import FileError, Mistake, Place, UsageError

if TYPE_CHECKING:
    from tree_sitter import Node

_TYPES: Final = {"string": str, "int": int, "bool": bool, "object": dict, "array": list}
_ESCAPES: Final = {"n": "\n", "r": "\r", "t": "\t", "\\": "\\", "'": "'", "$": "$"}
_KEYS: Final = frozenset(
    {
        "name", "parent", "scope", "dependsOn", "location", "tags", "sku", "kind", "identity", "properties", "zones", "plan", "managedBy",
        "managedByExtended", "extendedLocation", "placement", "etag", "eTag", "asserts",
    }
)  # fmt: skip
"""What a resource may have beside its properties."""
_DOTNET: Final = {"yyyy": "%Y", "MM": "%m", "dd": "%d", "HH": "%H", "mm": "%M", "ss": "%S"}


@dataclass(frozen=True)
class Surroundings:
    """Where a template is deployed: what resourceGroup(), subscription() and deployment() answer."""

    subscription: str
    tenant: str
    group: str
    location: str
    deployment: str
    tags: Mapping[str, str] = field(default_factory=dict)
    now: datetime = field(default_factory=lambda: datetime.now(timezone.utc))

    @property
    def group_id(self) -> str:
        """The ARM id of the resource group."""
        return f"/subscriptions/{self.subscription}/resourceGroups/{self.group}"


@dataclass(eq=False)
class Resource:
    """A resource as a template has it.

    Attributes:
        symbol: its name in the template.
        type: `Provider/type/subtype`.
        version: of its API.
        name: with the names of its parents before it, separated by slashes.
        id: its ARM id.
        body: what is between the braces, evaluated; empty for one that is only referred to.
        place: where it is declared.
        existing: whether it is only referred to.
    """

    symbol: str
    type: str
    version: str
    name: str
    id: str
    place: Place
    existing: bool
    body: dict[str, Any] = field(default_factory=dict)
    evaluated: bool = False


@dataclass
class Outcome:
    """What a template comes to."""

    resources: list[Resource]
    outputs: dict[str, Any]
    modules: dict[str, Outcome] = field(default_factory=dict)

    def everything(self) -> list[Resource]:
        """The resources, those of modules too, without those that are only referred to."""
        own = [resource for resource in self.resources if not resource.existing]
        return [*own, *(resource for module in self.modules.values() for resource in module.everything())]


def evaluate(path: Path, shown: str, arguments: Mapping[str, Any], surroundings: Surroundings, above: tuple[Path, ...] = ()) -> Outcome:
    """Evaluate a file with its modules.

    Args:
        path: the file.
        shown: its name in messages.
        arguments: values of its parameters.
        surroundings: where it is deployed.
        above: the files of which it is a module.

    Raises:
        FileError: the files or the values are wrong, with the places.
        UnsupportedError: an expression that the desk does not evaluate.
        UsageError: an argument that is no parameter, or a parameter without a value.
    """
    template = read(path, shown)
    if template.scope not in ("resourceGroup", "subscription"):
        raise FileError([Mistake(Place(shown), f"targetScope is '{template.scope}'; the desk evaluates resourceGroup and subscription")])
    unknown = [name for name in arguments if name not in template.parameters]
    if unknown:
        known = ", ".join(template.parameters) or "none"
        raise UsageError(f"{shown}: there is no parameter {', '.join(unknown)}; there is: {known}")
    missing = [name for name, one in template.parameters.items() if one.default is None and not one.is_nullable and name not in arguments]
    if missing:
        raise UsageError(f"{shown}: the parameter {', '.join(missing)} has no value and no default")
    return _Evaluator(template, arguments, surroundings, (*above, path.resolve())).outcome()


class _Evaluator:
    def __init__(self, template: Template, arguments: Mapping[str, Any], surroundings: Surroundings, above: tuple[Path, ...]) -> None:
        self.template = template
        self.source = template.source
        self.surroundings = surroundings
        self._above = above
        self._arguments = arguments
        self._values: dict[str, Any] = {}
        self._open: list[str] = []
        self._resources: dict[str, Any] = {}
        self._modules: dict[str, Any] = {}
        self._outcomes: dict[str, Outcome] = {}
        self._bodies: dict[Resource, tuple[Declared, dict[str, Any]]] = {}

    def outcome(self) -> Outcome:
        for name in (*self.template.parameters, *self.template.variables):
            self._symbol(name, self.template.source_of(name))
        for name, declared in self.template.resources.items():
            found = self._symbol(name, declared.node)
            for one in found if isinstance(found, list) else [found]:
                if one is not None:
                    self._body(one)
        for name, declared in self.template.modules.items():
            self._symbol(name, declared.node)
        outputs = {name: self._output(name, output) for name, output in self.template.outputs.items()}
        resources = [
            one for found in self._resources.values() for one in (found if isinstance(found, list) else [found]) if one is not None
        ]
        return Outcome(resources, outputs, self._outcomes)

    def _output(self, name: str, output: Output) -> Any:
        found = self._plain(self._value(output.node, {}))
        wanted = _TYPES.get(output.type.rstrip("?"))
        if wanted is not None and not (found is None and output.type.endswith("?")) and not _is_of(found, wanted):
            raise self.source.wrong(output.node, f"the output {name} is {found!r}; allowed: {output.type}")
        return found

    # Symbols -------------------------------------------------------------------------------------------------------------

    def _symbol(self, name: str, node: Node) -> Any:
        if name in self._values:
            return self._values[name]
        if name in self._open:
            raise self.source.wrong(node, f"{' → '.join([*self._open[self._open.index(name) :], name])} needs itself; break the circle")
        self._open.append(name)
        try:
            self._values[name] = self._declared(name, node)
        finally:
            self._open.pop()
        return self._values[name]

    def _declared(self, name: str, node: Node) -> Any:
        template = self.template
        if name in template.parameters:
            return self._parameter(template.parameters[name])
        if name in template.variables:
            return self._value(template.variables[name], {})
        if name in template.resources:
            self._resources[name] = self._each(template.resources[name], self._resource)
            return self._resources[name]
        if name in template.modules:
            self._modules[name] = self._each(template.modules[name], self._module)
            return self._modules[name]
        raise self.source.wrong(node, f"there is no parameter, variable, resource or module {name}")

    def _parameter(self, parameter: Parameter) -> Any:
        node = parameter.node
        if parameter.name in self._arguments:
            value = self._arguments[parameter.name]
        elif parameter.default is not None:
            value = self._value(parameter.default, {})
        else:
            value = None
        if value is None and parameter.is_nullable:
            return None
        wanted: type | None = _TYPES.get(parameter.type.rstrip("?"))
        if parameter.type.rstrip("?").endswith("[]"):
            wanted = list
        elif wanted is None:
            raise self.source.unsupported(node, f"type {parameter.type}")
        if wanted is int and isinstance(value, str) and re.fullmatch(r"-?\d+", value):
            value = int(value)
        if wanted is bool and isinstance(value, str) and value.lower() in ("true", "false"):
            value = value.lower() == "true"
        if wanted is not None and not _is_of(value, wanted):
            raise self.source.wrong(node, f"the parameter {parameter.name} is {value!r}; allowed: {parameter.type}")
        self._check_decorators(parameter, value)
        return value

    def _check_decorators(self, parameter: Parameter, value: Any) -> None:
        for name, node in parameter.decorators.items():
            if name in ("description", "secure", "metadata", "sys.description"):
                continue
            call = node.named_children[0]
            arguments = call.child_by_field_name("arguments")
            given = arguments.named_children if arguments is not None else []
            if len(given) != 1:
                raise self.source.wrong(node, f"{name} takes one argument, found {len(given)}")
            limit: Any = self._value(given[0], {})
            size: Any = len(value) if hasattr(value, "__len__") else value
            if name == "allowed":
                wrong = value not in limit
                rule = f"one of {', '.join(map(str, limit))}"
            elif name in ("minLength", "minValue"):
                wrong, rule = size < limit, f"at least {limit}{' characters' if name == 'minLength' else ''}"
            elif name in ("maxLength", "maxValue"):
                wrong, rule = size > limit, f"at most {limit}{' characters' if name == 'maxLength' else ''}"
            else:
                raise self.source.unsupported(node, f"decorator {name}")
            if wrong:
                raise self.source.wrong(parameter.node, f"the parameter {parameter.name} is {value!r}; allowed: {rule}")

    def _each(self, declared: Declared, make: Any) -> Any:
        """One for a declaration, a list for one with `for`; None where the condition is false."""
        if declared.loop is None:
            return make(declared, {}) if self._holds(declared, {}) else None
        return [make(declared, scope) if self._holds(declared, scope) else None for scope in self._turns(declared.loop, {})]

    def _holds(self, declared: Declared, scope: dict[str, Any]) -> bool:
        if declared.condition is None:
            return True
        found = self._value(declared.condition, scope)
        if not isinstance(found, bool):
            raise self.source.wrong(declared.condition, f"if asks for true or false, found {found!r}")
        return found

    def _turns(self, loop: Node, scope: dict[str, Any]) -> list[dict[str, Any]]:
        names = next(part for part in loop.named_children if part.type in ("for_loop_parameters", "identifier"))
        inner = [self.source.text(one) for one in names.named_children] or [self.source.text(names)]
        over = self._value(loop.named_children[1], scope)
        if not isinstance(over, list):
            raise self.source.wrong(loop, f"for goes over an array, found {over!r}")
        return [{**scope, inner[0]: item, **({inner[1]: number} if len(inner) > 1 else {})} for number, item in enumerate(over)]

    # Resources -------------------------------------------------------------------------------------------------------------

    def _keys(self, body: Node) -> dict[str, Node]:
        found: dict[str, Node] = {}
        for one in body.named_children:
            if one.type == "comment":
                continue
            if one.type != "object_property" or len(one.named_children) != 2:
                raise self.source.unsupported(one, "a declaration inside of another one (declare it by itself, with parent)")
            found[self._key(one.named_children[0], {})] = one
        return found

    def _resource(self, declared: Declared, scope: dict[str, Any]) -> Resource:
        keys = self._keys(declared.body)
        kind, sign, version = declared.what.partition("@")
        if not sign or "/" not in kind:
            raise self.source.wrong(declared.node, f"found '{declared.what}'; allowed: 'Provider/type@version'")
        if "name" not in keys:
            raise self.source.wrong(declared.node, f"{declared.name} has no name")
        for key, node in keys.items():
            if key not in _KEYS:
                near = difflib.get_close_matches(key, _KEYS, n=1)
                hint = f"; did you mean {near[0]}?" if near else "; what belongs to the type itself stands in properties"
                raise self.source.wrong(node, f"{declared.name} has the key {key}, which no resource has{hint}")
        name = self._value(keys["name"].named_children[1], scope)
        if not isinstance(name, str) or not (name or declared.existing):
            raise self.source.wrong(keys["name"], f"the name of {declared.name} is {name!r}; allowed: text")
        parent = self._value(keys["parent"].named_children[1], scope) if "parent" in keys else None
        if "parent" in keys and not isinstance(parent, Resource):
            raise self.source.wrong(
                keys["parent"], f"the parent of {declared.name} is {self._plain(parent)!r}; allowed: a resource of this file"
            )
        outer = self._value(keys["scope"].named_children[1], scope) if "scope" in keys else None
        here = self.surroundings
        group_id = here.group_id if self.template.scope == "resourceGroup" else f"/subscriptions/{here.subscription}"
        if isinstance(parent, Resource):
            name = f"{parent.name}/{name}"
            base = parent.id.rsplit("/providers/", 1)[0]
        elif isinstance(outer, Resource):
            base = outer.id
        elif isinstance(outer, dict):
            base = str(outer["id"])
        elif outer is None:
            base = group_id
        else:
            raise self.source.unsupported(keys["scope"], "this scope")
        provider, *types = kind.split("/")
        names = name.split("/")
        if len(types) != len(names):
            raise self.source.wrong(
                declared.node, f"{kind} wants {len(types)} names, found '{name}'; is `parent` missing, or a slash in the name?"
            )
        if kind.lower() == "microsoft.resources/resourcegroups":
            identifier = f"{base}/resourceGroups/{name}"
        else:
            identifier = f"{base}/providers/{provider}/" + "/".join(f"{one}/{two}" for one, two in zip(types, names, strict=True))
        place = self.source.mistake(declared.node, "").place
        found = Resource(declared.name, kind, version, name, identifier, place, declared.existing)
        self._bodies[found] = (declared, scope)
        return found

    def _body(self, resource: Resource) -> dict[str, Any]:
        if resource.evaluated or resource.existing:
            return resource.body
        declared, scope = self._bodies[resource]
        resource.evaluated = True
        try:
            for key, node in self._keys(declared.body).items():
                if key not in ("name", "parent", "scope", "dependsOn"):
                    resource.body[key] = self._plain(self._value(node.named_children[1], scope))
                elif key == "dependsOn":
                    self._value(node.named_children[1], scope)
        except FileError:
            resource.evaluated = False
            raise
        return resource.body

    def _module(self, declared: Declared, scope: dict[str, Any]) -> Outcome:
        keys = self._keys(declared.body)
        path = (self.source.path.parent / declared.what).resolve()
        shown = str(Path(self.source.shown).parent / declared.what)
        if not path.is_file():
            raise self.source.wrong(declared.node, f"there is no file {shown}")
        if path in self._above:
            raise self.source.wrong(declared.node, f"{shown} is a module of itself; break the circle")
        name = self._value(keys["name"].named_children[1], scope) if "name" in keys else declared.name
        given = self._value(keys["params"].named_children[1], scope) if "params" in keys else {}
        if not isinstance(given, dict):
            raise self.source.wrong(keys["params"], f"params is {self._plain(given)!r}; allowed: an object")
        surroundings = replace(self.surroundings, deployment=str(name))
        if "scope" in keys:
            outer = self._value(keys["scope"].named_children[1], scope)
            if not (isinstance(outer, dict) and outer.get("type") == "Microsoft.Resources/resourceGroups"):
                raise self.source.unsupported(keys["scope"], "a module's scope that is no resourceGroup(…)")
            surroundings = replace(surroundings, group=str(outer["name"]))
        try:
            outcome = evaluate(path, shown, {key: self._plain(value) for key, value in given.items()}, surroundings, self._above)
        except UsageError as error:
            raise self.source.wrong(declared.node, str(error)) from None
        self._outcomes[f"{declared.name}{len(self._outcomes) if scope else ''}"] = outcome
        return outcome

    # Expressions -----------------------------------------------------------------------------------------------------------

    def _value(self, node: Node, scope: dict[str, Any]) -> Any:
        match node.type:
            case "string":
                return self._string(node, scope)
            case "number":
                return int(self.source.text(node))
            case "boolean":
                return self.source.text(node) == "true"
            case "null":
                return None
            case "identifier":
                name = self.source.text(node)
                return scope[name] if name in scope else self._symbol(name, node)
            case "parenthesized_expression":
                return self._value(node.named_children[0], scope)
            case "object":
                return self._object(node, scope)
            case "array":
                return self._array(node, scope)
            case "for_statement":
                body = node.child_by_field_name("body") or node.named_children[-1]
                return [self._value(body, turn) for turn in self._turns(node, scope)]
            case kind if kind in OPERATORS:
                return self._term(term_of(node), scope)
            case "call_expression":
                return self._call(node, scope)
            case "nullable_return_type" | "non_null_assertion" | "null_forgiving_operator":
                return self._value(node.named_children[0], scope)
        raise self.source.unsupported(node, f"{node.type.replace('_', ' ')}")

    def _term(self, term: Term, scope: dict[str, Any]) -> Any:
        match term:
            case Operand(node):
                return self._value(node, scope)
            case Access(of, node):
                value = self._term(of, scope)
                return self._member(value, node) if node.type == "member_expression" else self._subscript(value, node, scope)
            case Ternary(condition, yes, no, node):
                return self._term(yes if self._is_true(self._term(condition, scope), node) else no, scope)
            case Unary("!", of, node):
                return not self._is_true(self._term(of, scope), node)
            case Unary(_, of, node):
                value = self._term(of, scope)
                if isinstance(value, bool) or not isinstance(value, int):
                    raise self.source.wrong(node, f"- takes a number, found {self._plain(value)!r}")
                return -value
            case Binary():
                return self._binary(term, scope)

    @staticmethod
    def _field(node: Node, name: str) -> Node:
        found = node.child_by_field_name(name)
        if found is None:
            raise LookupError(f"tree-sitter gives {node.type} without {name}")
        return found

    def _truth(self, node: Node, scope: dict[str, Any]) -> bool:
        return self._is_true(self._value(node, scope), node)

    def _is_true(self, found: Any, node: Node) -> bool:
        if not isinstance(found, bool):
            raise self.source.wrong(node, f"a condition is true or false, found {self._plain(found)!r}")
        return found

    def _string(self, node: Node, scope: dict[str, Any]) -> str:
        if self.source.text(node).startswith("'''"):
            raw = self.source.text(node)[3:-3]
            return raw.removeprefix("\r").removeprefix("\n")
        found: list[str] = []
        end = node.start_byte + 1
        for part in node.named_children:
            # An escape that the grammar does not know, such as \\$, is in none of its parts.
            found.append(_unescaped(self.source.content[end : part.start_byte].decode()))
            end = part.end_byte
            if part.type == "interpolation":
                value = self._plain(self._value(part.named_children[0], scope))
                found.append("" if value is None else text(value))
            elif part.type == "escape_sequence":
                sign = self.source.text(part)
                found.append(chr(int(sign[3:-1], 16)) if sign.startswith("\\u") else _ESCAPES[sign[1]])
            else:
                found.append(_unescaped(self.source.text(part)))
        return "".join([*found, _unescaped(self.source.content[end : node.end_byte - 1].decode())])

    def _array(self, node: Node, scope: dict[str, Any]) -> list[Any]:
        found: list[Any] = []
        children = [one for one in node.named_children if one.type != "comment"]
        for number, one in enumerate(children):
            before = children[number - 1] if number else None
            if before is None or before.end_byte != one.start_byte:
                after = children[number + 1] if number + 1 < len(children) else None
                if not (after is not None and after.start_byte == one.end_byte):
                    found.append(self._value(one, scope))
                continue
            # In an array the grammar takes f(1) for two elements, f and (1), and a[0] for a and [0]; only no space between them tells.
            inner = [part for part in one.named_children if part.type != "comment"]
            alone = number < 2 or children[number - 2].end_byte != before.start_byte
            if alone and one.type == "parenthesized_expression" and before.type == "identifier":
                found.append(self._called(self.source.text(before), [self._value(part, scope) for part in inner], before))
            elif alone and one.type == "array" and len(inner) == 1:
                found.append(self._element(self._value(before, scope), self._value(inner[0], scope), before))
            else:
                raise self.source.unsupported(before, "this element of an array (give it a name with var, and put that here)")
        return found

    def _key(self, node: Node, scope: dict[str, Any]) -> str:
        return self._string(node, scope) if node.type == "string" else self.source.text(node)

    def _object(self, node: Node, scope: dict[str, Any]) -> dict[str, Any]:
        found: dict[str, Any] = {}
        for one in node.named_children:
            if one.type == "comment":
                continue
            if one.type != "object_property":
                raise self.source.unsupported(one, f"{one.type.replace('_', ' ')} in an object")
            key = self._key(one.named_children[0], scope)
            if key in found:
                raise self.source.wrong(one, f"{key} stands twice in an object; take one away")
            found[key] = self._value(one.named_children[1], scope)
        return found

    def _binary(self, term: Binary, scope: dict[str, Any]) -> Any:
        operator, node = term.operator, term.node
        left = self._term(term.left, scope)
        if operator in ("&&", "||"):
            # The right side is not looked at where the left one decides.
            decides = self._is_true(left, node) is (operator == "||")
            return left if decides else self._is_true(self._term(term.right, scope), node)
        if operator == "??":
            return self._term(term.right, scope) if left is None else left
        right = self._term(term.right, scope)
        if operator in ("==", "!="):
            # true is no number: 1 == true is false, in lists and objects too.
            same = type(left) is type(right) and text(self._plain(left)) == text(self._plain(right))
            return same is (operator == "==")
        if operator in ("=~", "!~"):
            return (str(left).lower() == str(right).lower()) is (operator == "=~")
        if not all(_is_of(value, int) for value in (left, right)) and not (
            operator in ("<", "<=", ">", ">=") and all(isinstance(value, str) for value in (left, right))
        ):
            raise self.source.wrong(node, f"{operator} takes numbers, found {left!r} and {right!r}")
        if operator in ("/", "%") and right == 0:
            raise self.source.wrong(node, f"{operator} by zero")
        calculate: dict[str, Callable[[], Any]] = {
            "+": lambda: left + right, "-": lambda: left - right, "*": lambda: left * right, "/": lambda: _quotient(left, right),
            "%": lambda: left - right * _quotient(left, right), "<": lambda: left < right, "<=": lambda: left <= right, ">": lambda: left > right,
            ">=": lambda: left >= right,
        }  # fmt: skip
        if operator not in calculate:
            raise self.source.unsupported(node, f"operator {operator}")
        return calculate[operator]()

    def _member(self, value: Any, node: Node) -> Any:
        name = self.source.text(self._field(node, "property"))
        between = self.source.content[self._field(node, "object").end_byte : self._field(node, "property").start_byte].decode()
        safe = "?" in between
        if value is None and safe:
            return None
        return self._of(value, name, node, safe=safe)

    def _of(self, value: Any, name: str, node: Node, *, safe: bool = False) -> Any:
        if isinstance(value, Resource):
            return self._of_resource(value, name, node)
        if isinstance(value, Outcome):
            if name == "outputs":
                return value.outputs
            raise self.source.unsupported(node, f"{name} of a module")
        if isinstance(value, dict):
            if name in value:
                return value[name]
            if safe:
                return None
            there = ", ".join(map(str, value)) or "nothing"
            raise self.source.wrong(node, f"there is no {name}; there is: {there}")
        if value is None:
            raise self.source.wrong(
                node, f"{self.source.text(node).rsplit('.', 1)[0]} is null, so it has no {name}; its condition was false?"
            )
        raise self.source.wrong(node, f"{value!r} has no {name}")

    def _of_resource(self, resource: Resource, name: str, node: Node) -> Any:
        if name == "id":
            return resource.id
        if name == "name":
            return resource.name.rsplit("/", 1)[-1]
        if name == "type":
            return resource.type
        if name == "apiVersion":
            return resource.version
        body = self._body(resource)
        if name == "properties":
            own = body.get("properties") or {}
            more = added(resource.type, resource.name.rsplit("/", 1)[-1], resource.id)
            if "tenantId" in more:
                more["tenantId"] = self.surroundings.tenant
            return {**own, **more}
        if name == "identity":
            given = body.get("identity") or {}
            if "SystemAssigned" in str(given.get("type", "")):
                given = {**given, "principalId": principal_of(resource.id), "tenantId": self.surroundings.tenant}
            return given
        if name in body:
            return body[name]
        raise self.source.wrong(node, f"{name} of {resource.symbol} ({resource.type}) is known only in Azure, or not set in its body")

    def _subscript(self, value: Any, node: Node, scope: dict[str, Any]) -> Any:
        return self._element(value, self._value(self._field(node, "index"), scope), node)

    def _element(self, value: Any, index: Any, node: Node) -> Any:
        if isinstance(value, list) and isinstance(index, int):
            if 0 <= index < len(value):
                return value[index]
            raise self.source.wrong(node, f"[{index}] of {len(value)} elements")
        return self._of(value, str(index), node)

    def _call(self, node: Node, scope: dict[str, Any]) -> Any:
        called = self._field(node, "function")
        name = self.source.text(called)
        if called.type != "identifier":
            raise self.source.unsupported(node, f"{name}()")
        if name not in FUNCTIONS and not hasattr(self, f"_call_{name}"):
            raise self.source.unsupported(node, f"{name}()")
        arguments = [one for one in self._field(node, "arguments").named_children if one.type != "comment"]
        return self._called(name, [self._value(one, scope) for one in arguments], node)

    def _called(self, name: str, arguments: list[Any], node: Node) -> Any:
        if name not in FUNCTIONS and not hasattr(self, f"_call_{name}"):
            raise self.source.unsupported(node, f"{name}()")
        of_place: Callable[..., Any] | None = getattr(self, f"_call_{name}", None)
        try:
            if of_place is not None:
                return of_place(*arguments)
            return FUNCTIONS[name](*map(self._plain, arguments))
        except ValueError as error:
            raise self.source.wrong(node, str(error)) from None
        except (TypeError, AttributeError):
            shown = ", ".join(repr(self._plain(value)) for value in arguments)
            raise self.source.wrong(node, f"{name}() does not take ({shown})") from None

    def _plain(self, value: Any) -> Any:
        """A value without references: a resource where a value is wanted is what reference() gives of it."""
        if isinstance(value, Resource):
            return value.id
        if isinstance(value, dict):
            return {key: self._plain(inner) for key, inner in value.items()}
        if isinstance(value, list):
            return [self._plain(inner) for inner in value]
        return value

    # Functions of where it is deployed --------------------------------------------------------------------------------------

    def _call_resourceGroup(self, name: str = "") -> dict[str, Any]:  # noqa: N802 - Bicep's spelling
        here = self.surroundings
        group = name or here.group
        return {
            "id": f"/subscriptions/{here.subscription}/resourceGroups/{group}",
            "name": group,
            "type": "Microsoft.Resources/resourceGroups",
            "location": here.location,
            "tags": dict(here.tags),
        }

    def _call_subscription(self) -> dict[str, Any]:
        here = self.surroundings
        return {
            "id": f"/subscriptions/{here.subscription}",
            "subscriptionId": here.subscription,
            "tenantId": here.tenant,
            "displayName": "desk",
        }

    def _call_tenant(self) -> dict[str, Any]:
        return {"tenantId": self.surroundings.tenant}

    def _call_deployment(self) -> dict[str, Any]:
        return {"name": self.surroundings.deployment}

    def _call_environment(self) -> dict[str, Any]:
        return {
            "name": "AzureCloud",
            "resourceManager": "https://management.azure.com/",
            "authentication": {"loginEndpoint": "https://login.microsoftonline.com/", "tenant": "common"},
            "suffixes": {"storage": "core.windows.net", "keyvaultDns": ".vault.azure.net", "acrLoginServer": ".azurecr.io"},
        }

    def _call_utcNow(self, pattern: str = "yyyyMMddTHHmmssZ") -> str:  # noqa: N802 - Bicep's spelling
        found = re.sub("|".join(_DOTNET), lambda match: self.surroundings.now.strftime(_DOTNET[match[0]]), pattern)
        return found.replace("'", "")

    def _call_subscriptionResourceId(self, kind: str, *names: str) -> str:  # noqa: N802 - Bicep's spelling
        return _id_of(f"/subscriptions/{self.surroundings.subscription}", kind, names)

    def _call_resourceId(self, kind: str, *names: str) -> str:  # noqa: N802 - Bicep's spelling
        return _id_of(self.surroundings.group_id, kind, names)


def _is_of(value: Any, wanted: type) -> bool:
    """Whether a value is of a type; true is no number."""
    return isinstance(value, wanted) and not (wanted is int and isinstance(value, bool))


def _quotient(left: int, right: int) -> int:
    """Cut off towards zero, as Azure does."""
    found = abs(left) // abs(right)
    return found if (left < 0) is (right < 0) else -found


def _unescaped(written: str) -> str:
    return re.sub(r"\\(.)", lambda match: _ESCAPES.get(match[1], match[0]), written)


def _id_of(base: str, kind: str, names: tuple[str, ...]) -> str:
    provider, *types = kind.split("/")
    if len(types) != len(names):
        raise ValueError(f"{kind} wants {len(types)} names, found {len(names)}")
    return f"{base}/providers/{provider}/" + "/".join(f"{one}/{two}" for one, two in zip(types, names, strict=True))
