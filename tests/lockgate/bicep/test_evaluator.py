"""Bicep on the desk: what a file declares, from its text to ids, bodies and outputs; and every way in which it is wrong."""

from __future__ import annotations

from datetime import datetime, timezone

import pytest

from lockgate.bicep.evaluator import Surroundings, evaluate
from lockgate.errors import FileError, UnsupportedError, UsageError

NOW = datetime(2026, 3, 4, 5, 6, 7, tzinfo=timezone.utc)
HERE = Surroundings("sub", "ten", "rg", "westeurope", "main", {"a": "b"}, NOW)


@pytest.fixture
def run(tmp_path):
    def run(text, modules=(), **arguments):
        for name, inner in dict(modules).items():
            (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / name).write_text(inner)
        (tmp_path / "main.bicep").write_text(text)
        return evaluate(tmp_path / "main.bicep", "main.bicep", arguments, HERE)

    return run


EXPRESSIONS = [
    ("'a'", "a"),
    ("'it\\'s ${1 + 2}'", "it's 3"),
    ("'${'a'}${true}${[1, 'b']}'", 'atrue[1,"b"]'),
    ("'\\u{41}\\t\\$'", "A\t$"),
    ("'''\nraw ${x}\n'''", "raw ${x}\n"),
    ("1 + 2 * 3", 7),
    ("(1 + 2) * 3", 9),
    ("7 / 2", 3),
    ("-7 / 2", -3),
    ("7 % 4", 3),
    ("-7 % 3", -1),
    ("9007199254740993 / 1", 9007199254740993),
    ("1 == true", False),
    ("[1] == [1] && {a: 1} == {a: 1}", True),
    ("'a${null}b'", "ab"),
    ("format('{0}', '{1}', 'y')", "{1}"),
    ("format('{{{0}}}', 'x')", "{x}"),
    ("1 < 2 && 2 >= 2", True),
    ("!true || 'a' == 'A'", False),
    ("'a' =~ 'A'", True),
    ("'a' !~ 'b'", True),
    ("true ? 'yes' : 'no'", "yes"),
    ("false ? fail('no') : 'no'", "no"),
    ("null ?? 'x'", "x"),
    ("{a: 1, 'b-c': [2]}", {"a": 1, "b-c": [2]}),
    ("{a: {b: 2}}.a.b", 2),
    ("{a: 1}['a']", 1),
    ("{a: 1}.?b", None),
    ("{a: 1}.?b ?? 3", 3),
    ("[1, 2, 3][1]", 2),
    # The grammar reads these accesses wrongly, as of all that stands before them.
    ("false ? 'a' : {b: 'c'}.b", "c"),
    ("true ? 'a' : {b: 'c'}.b", "a"),
    ("true ? {b: 1}.b : {c: 2}.c", 1),
    ("false ? 1 : true ? {b: 1}.b : {c: 2}.c", 1),
    ("'c' == {b: 'c'}.b", True),
    ("1 + {b: 2}.b * {c: [3]}.c[0]", 7),
    ("true && {b: false}.b", False),
    ("null ?? {b: {c: 1}}.b.c", 1),
    ("!{b: true}.b", False),
    ("-{b: 2}.b + 3", 1),
    ("(true ? {b: 1} : {b: 2}).b", 1),
    ("['x', true ? 'a' : {b: 'c'}.b]", ["x", "a"]),
    # And these elements apart.
    ("[toLower('A'), toUpper('b')]", ["a", "B"]),
    ("[\n  toLower('A')\n  concat('c', 'd')\n  'e'\n]", ["a", "cd", "e"]),
    ("[concat('c', 'd'), 5]", ["cd", 5]),
    ("[for x in [1, 2]: x * 2]", [2, 4]),
    ("[for (x, i) in ['a', 'b']: '${i}${x}']", ["0a", "1b"]),
    ("[for i in range(1, 3): {n: i}]", [{"n": 1}, {"n": 2}, {"n": 3}]),
    ("toLower('AbC')", "abc"),
    ("take('abcdef', 3)", "abc"),
    ("take('ab', 9)", "ab"),
    ("skip([1, 2, 3], 1)", [2, 3]),
    ("substring('abcdef', 1, 2)", "bc"),
    ("replace('a-b-c', '-', '')", "abc"),
    ("split('a,b;c', [',', ';'])", ["a", "b", "c"]),
    ("join(['a', 'b'], '+')", "a+b"),
    ("contains('abc', 'b')", True),
    ("contains({A: 1}, 'a')", True),
    ("contains([1, 2], 3)", False),
    ("empty('') && empty([]) && empty({})", True),
    ("length('abc') + length([1])", 4),
    ("union({a: {x: 1}}, {a: {y: 2}}, {b: 3})", {"a": {"x": 1, "y": 2}, "b": 3}),
    ("union([1, 2], [2, 3])", [1, 2, 3]),
    ("intersection(['a', 'b'], ['b'])", ["b"]),
    ("concat('a', 'b')", "ab"),
    ("concat([1], [2])", [1, 2]),
    ("format('{0}-{1}', 'a', 2)", "a-2"),
    ("padLeft('7', 3, '0')", "007"),
    ("int('42')", 42),
    ("string(true)", "true"),
    ("bool('false')", False),
    ("json('{\"a\": [1]}')", {"a": [1]}),
    ("first(['a', 'b'])", "a"),
    ("last('abc')", "c"),
    ("min([3, 1, 2]) + max(1, 5)", 6),
    ("items({b: 2, a: 1})", [{"key": "a", "value": 1}, {"key": "b", "value": 2}]),
    ("indexOf('abc', 'C')", 2),
    ("base64('hi')", "aGk="),
    ("trim('  a ')", "a"),
    ("startsWith('Abc', 'ab') && endsWith('Abc', 'BC')", True),
    ("resourceGroup().location", "westeurope"),
    ("resourceGroup().tags.a", "b"),
    ("resourceGroup('other').id", "/subscriptions/sub/resourceGroups/other"),
    ("subscription().tenantId", "ten"),
    ("utcNow('yyyy-MM-01')", "2026-03-01"),
    ("subscriptionResourceId('Microsoft.Authorization/roleDefinitions', 'x')", "/subscriptions/sub/providers/Microsoft.Authorization/roleDefinitions/x"),
    ("resourceId('A.B/c/d', 'x', 'y')", "/subscriptions/sub/resourceGroups/rg/providers/A.B/c/x/d/y"),
]  # fmt: skip


@pytest.mark.parametrize(("text", "expected"), EXPRESSIONS, ids=lambda v: str(v)[:50])
def test_an_expression_is_evaluated(run, text, expected):
    found = run(f"var x = {text}\noutput all object = {{x: x}}\n").outputs["all"]["x"]
    assert (found, type(found)) == (expected, type(expected))


def test_ids_made_of_words_are_stable_and_differ(run):
    found = run("output x array = [uniqueString('a'), uniqueString('a'), uniqueString('b'), guid('a'), guid('a', 'b')]").outputs["x"]
    assert found[0] == found[1] != found[2]
    assert len(found[0]) == 13
    assert found[0].isalnum()
    assert found[3] != found[4]
    assert len(found[3]) == 36


WRONG = [
    ("output x string = y", "main.bicep:1:19: there is no parameter, variable, resource or module y"),
    ("var a = b\nvar b = a\noutput x string = a", "a → b → a needs itself"),
    ("param a string\nparam a int", "a is declared twice"),
    ("output x int = 'a' + 1", "+ takes numbers, found 'a' and 1"),
    ("output x int = 1 / 0", "/ by zero"),
    ("output x string = true ? 'a'", "no Bicep here"),
    ("output x bool = 'a' ? 1 : 2", "a condition is true or false, found 'a'"),
    ("output x string = {a: 1}.b", "there is no b; there is: a"),
    ("output x string = [1][3]", "[3] of 1 elements"),
    ("output x string = {a: 1, a: 2}.a", "a stands twice in an object"),
    ("output x string = toLower(1)", "toLower() does not take (1)"),
    ("output x string = int('x')", "int: found 'x'; allowed: a whole number"),
    ("output x string = substring('abc', 2, 5)", "lie outside of 'abc'"),
    ("output x string = json('{')", "json: "),
    ("output x string = fail('no way')", "no way"),
    ("resource a 'X/y@1' = {\n}", "a has no name"),
    ("resource a 'X/y@1' = {\n  name: 'x'\n  lcoation: 'here'\n}", "a has the key lcoation, which no resource has; did you mean location?"),
    ("resource a 'X@1' = {\n  name: 'x'\n}", "allowed: 'Provider/type@version'"),
    ("resource a 'X/y/z@1' = {\n  name: 'x'\n}", "X/y/z wants 2 names, found 'x'"),
    ("resource a 'X/y@1' = {\n  name: 'x'\n}\noutput x string = a.properties.secretThing", "there is no secretThing"),
    ("resource a 'X/y@1' = {\n  name: 'x'\n}\noutput x string = a.sku", "sku of a (X/y) is known only in Azure"),
    ("resource a 'X/y@1' = if (1 == 2) {\n  name: 'x'\n}\noutput x string = a.id", "is null, so it has no id; its condition was false?"),
    ("module m 'nowhere.bicep' = {\n  name: 'm'\n}", "there is no file nowhere.bicep"),
    ("output x int = 'text'", "the output x is 'text'; allowed: int"),
    ("output x int = true + 1", "+ takes numbers, found True and 1"),
    ("var x = notdeclared.foo", "there is no parameter, variable, resource or module notdeclared"),
    ("resource a 'X/y/z@1' = {\n  parent: 'nonsense'\n  name: 'x'\n}", "the parent of a is 'nonsense'; allowed: a resource of this file"),
    ("module m 'main.bicep' = {\n  name: 'm'\n}", "main.bicep is a module of itself; break the circle"),
    ("@minLength()\nparam x string = 'a'", "minLength takes one argument, found 0"),
    ("output x string = format('{0:D3}', 5)", "format: found {0:D3}; allowed on the desk: {0} to {0}"),
    ("targetScope = 'tenant'", "targetScope is 'tenant'"),
    ("this is no bicep", "no Bicep here"),
]


@pytest.mark.parametrize(("text", "said"), WRONG, ids=lambda v: v[:40])
def test_a_mistake_is_said_with_its_place(run, text, said):
    with pytest.raises(FileError) as caught:
        run(text)
    assert said in str(caught.value)
    assert str(caught.value).startswith("main.bicep")


UNSUPPORTED = [
    ("resource a 'X/y@1' = {\n  name: 'x'\n  resource b 'z' = {\n    name: 'c'\n  }\n}", "a declaration inside of another one"),
    ("param p ('a' | 'b') = 'c'", "type ('a' | 'b')"),
    ("func f() string => 'a'", "func"),
    ("type t = string", "type"),
    ("output x array = map([1], y => y)", "map()"),
    ("output x string = cidrSubnet('10.0.0.0/8', 24, 0)", "cidrSubnet()"),
    ("@batchSize(1)\nparam x string = 'a'", "decorator batchSize"),
    ("resource a 'X/y@1' = {\n  name: 'x'\n}\noutput x object = a.listKeys()", "a.listKeys()"),
    ("output x array = [range(1, 2)[0], 5]", "this element of an array"),
    ("output x array = [deployment().name, 'x']", "this element of an array"),
]


@pytest.mark.parametrize(("text", "said"), UNSUPPORTED, ids=lambda v: v[:30])
def test_what_is_not_understood_is_refused_by_name_with_its_place(run, text, said):
    with pytest.raises(UnsupportedError) as caught:
        run(text)
    assert f"{said}" in str(caught.value)
    assert "is not evaluated on the desk" in str(caught.value)
    assert "main.bicep:" in str(caught.value)


PARAMETERS = """
@allowed(['a', 'b'])
param kind string = 'a'
@minLength(2)
@maxLength(4)
param short string = 'abc'
@minValue(1)
@maxValue(9)
param number int = 5
param flag bool = false
param list array = []
param maybe string?
output all object = {kind: kind, short: short, number: number, flag: flag, list: list, maybe: maybe}
"""


def test_parameters_have_defaults_and_take_values(run):
    assert run(PARAMETERS).outputs["all"] == {"kind": "a", "short": "abc", "number": 5, "flag": False, "list": [], "maybe": None}
    found = run(PARAMETERS, kind="b", short="xy", number="7", flag="true", list=[1], maybe="m").outputs["all"]
    assert found == {"kind": "b", "short": "xy", "number": 7, "flag": True, "list": [1], "maybe": "m"}


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ({"kind": "c"}, "kind is 'c'; allowed: one of a, b"),
        ({"short": "x"}, "short is 'x'; allowed: at least 2 characters"),
        ({"short": "abcde"}, "allowed: at most 4 characters"),
        ({"number": 0}, "allowed: at least 1"),
        ({"number": 10}, "allowed: at most 9"),
        ({"number": "x"}, "number is 'x'; allowed: int"),
        ({"number": True}, "number is True; allowed: int"),
        ({"flag": "yes"}, "flag is 'yes'; allowed: bool"),
        ({"list": "x"}, "allowed: array"),
    ],
)
def test_a_value_that_a_parameter_does_not_allow_is_refused(run, arguments, said):
    with pytest.raises(FileError) as caught:
        run(PARAMETERS, **arguments)
    assert said in str(caught.value)


def test_parameters_that_are_not_there_or_lack_a_value_are_named(run):
    with pytest.raises(UsageError, match="there is no parameter nosuch; there is: kind, short"):
        run(PARAMETERS, nosuch=1)
    with pytest.raises(UsageError, match="the parameter needed has no value and no default"):
        run("param needed string")


RESOURCES = """
param name string = 'acct'
resource child 'Microsoft.Storage/storageAccounts/blobServices@2025-08-01' = {
  parent: account
  name: 'default'
}
resource account 'Microsoft.Storage/storageAccounts@2025-08-01' = {
  name: name
  location: resourceGroup().location
  properties: {allowSharedKeyAccess: false}
}
resource lock 'Microsoft.Authorization/locks@2020-05-01' = {
  scope: account
  name: 'l'
  dependsOn: [child]
}
resource old 'Microsoft.KeyVault/vaults@2026-02-01' existing = {
  name: 'kv'
  scope: resourceGroup('elsewhere')
}
resource many 'A.B/c@1' = [for (n, i) in ['x', 'y']: if (n != 'x') {
  name: '${n}${i}'
  properties: {vault: old.properties.vaultUri, blob: account.properties.primaryEndpoints.blob}
}]
output child string = child.id
output old string = old.id
output many string = many[1].id
"""


def test_resources_have_ids_bodies_and_parents(run):
    found = run(RESOURCES)
    base = "/subscriptions/sub/resourceGroups/rg/providers/"
    assert {one.symbol: one.id for one in found.everything()} == {
        "child": f"{base}Microsoft.Storage/storageAccounts/acct/blobServices/default",
        "account": f"{base}Microsoft.Storage/storageAccounts/acct",
        "lock": f"{base}Microsoft.Storage/storageAccounts/acct/providers/Microsoft.Authorization/locks/l",
        "many": f"{base}A.B/c/y1",
    }
    assert found.outputs["old"] == "/subscriptions/sub/resourceGroups/elsewhere/providers/Microsoft.KeyVault/vaults/kv"
    (many,) = [one for one in found.everything() if one.symbol == "many"]
    assert many.body["properties"] == {"vault": "https://kv.vault.azure.net/", "blob": "https://acct.blob.core.windows.net/"}


def test_another_parameter_gives_another_name(run):
    assert run(RESOURCES, name="other").outputs["child"].endswith("/storageAccounts/other/blobServices/default")


def test_modules_get_parameters_and_give_outputs(run):
    inner = "param a string\nresource r 'A.B/c@1' = {\n  name: a\n}\noutput id string = r.id\n"
    main = (
        "module one 'm/inner.bicep' = {\n  name: 'one'\n  params: {a: 'x'}\n}\n"
        "module two 'm/inner.bicep' = {\n  name: 'two'\n  scope: resourceGroup('there')\n  params: {a: one.outputs.id == '' ? 'y' : 'z'}\n}\n"
        "output id string = two.outputs.id\n"
    )
    found = run(main, {"m/inner.bicep": inner})
    assert found.outputs["id"] == "/subscriptions/sub/resourceGroups/there/providers/A.B/c/z"
    assert len(found.everything()) == 2
    with pytest.raises(FileError, match=r"m/inner\.bicep: the parameter a has no value and no default"):
        run("module one 'm/inner.bicep' = {\n  name: 'one'\n}\n", {"m/inner.bicep": inner})
