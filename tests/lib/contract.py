"""The contract (src/routes/openapi.json, routes.def) as data, and whether an answer keeps it.

    contract = Contract()
    contract.hold(answer, "POST", "/api/guard/authorize")   # AssertionError when it does not
    contract.answered, contract.shown                       # statuses and fields seen so far
"""

import json
import pathlib
import re

TOP = pathlib.Path(__file__).resolve().parents[2]
DOCUMENT = TOP / "src" / "routes" / "openapi.json"
ROUTES = TOP / "src" / "routes" / "routes.def"
OUTCOMES = TOP / "src" / "ledger" / "outcomes.def"

TYPES = {
    "object": lambda v: isinstance(v, dict),
    "array": lambda v: isinstance(v, list),
    "string": lambda v: isinstance(v, str),
    "integer": lambda v: isinstance(v, int) and not isinstance(v, bool),
    "number": lambda v: isinstance(v, (int, float)) and not isinstance(v, bool),
    "boolean": lambda v: isinstance(v, bool),
    "null": lambda v: v is None,
}
ANNOTATIONS = {"description", "examples", "default", "title"}
INT64 = 2**63


def routes():
    """(method, path as OpenAPI writes it, caller, listener, handler) of routes.def."""
    found = re.findall(r'^ROUTE\((\w+), "([^"]+)", (\w+), (\w+), (\w+), \w+, \d+\)$', ROUTES.read_text(), re.M)
    assert found
    documented = {re.sub(r"\{\w+\}", "{}", path): path for path in json.loads(DOCUMENT.read_text())["paths"]}
    listed = []
    for method, pattern, caller, listener, handler in found:
        assert pattern in documented, f"{DOCUMENT} lacks {pattern}"
        listed.append((method, documented[pattern], caller, listener, handler))
    return listed


def outcomes():
    """{name: status} of outcomes.def."""
    return {name: int(status) for name, status in re.findall(r"^OUTCOME\((\w+), (\d+),", OUTCOMES.read_text(), re.M)}


class Contract:
    def __init__(self, document=None):
        self.document = document or json.loads(DOCUMENT.read_text())
        self.answered = set()  # (method, path, status)
        self.shown = set()     # (pointer of a record's schema, member)

    def operations(self):
        """(method, path, operation)."""
        for path, item in self.document["paths"].items():
            for method, operation in item.items():
                if method != "parameters":
                    yield method.upper(), path, operation

    def operation(self, method, path):
        return self.document["paths"][path][method.lower()]

    def at(self, pointer):
        value = self.document
        for name in pointer.removeprefix("#/").split("/"):
            value = value[name.replace("~1", "/").replace("~0", "~")]
        return value

    def resolve(self, value, pointer):
        """Follows $ref; (value, pointer)."""
        while "$ref" in value:
            pointer = value["$ref"]
            value = self.at(pointer)
        return value, pointer

    # -- schemas --------------------------------------------------------------------------------

    def errors(self, value, schema, pointer, where="answer"):
        """Faults of a value, as a list of sentences.  An unknown keyword is a bug."""
        schema, pointer = self.resolve(schema, pointer)
        found = []
        for keyword, wanted in schema.items():
            if keyword in ANNOTATIONS:
                continue
            check = getattr(self, "_" + keyword, None)
            assert check, f"{pointer}: the keyword {keyword} is not understood"
            found += check(value, wanted, schema, pointer, where)
        return found

    def _type(self, value, wanted, schema, pointer, where):
        names = wanted if isinstance(wanted, list) else [wanted]
        return [] if any(TYPES[name](value) for name in names) else [f"{where}: {value!r} is no {wanted}"]

    def _const(self, value, wanted, schema, pointer, where):
        same = type(value) is type(wanted) and value == wanted
        return [] if same else [f"{where}: {value!r} is not {wanted!r}"]

    def _enum(self, value, wanted, schema, pointer, where):
        return [] if value in wanted else [f"{where}: {value!r} is none of {wanted}"]

    def _format(self, value, wanted, schema, pointer, where):
        assert wanted in ("int64", "date-time", "email"), wanted
        if wanted == "int64" and TYPES["integer"](value) and not -INT64 <= value < INT64:
            return [f"{where}: {value} does not fit"]
        return []

    def _pattern(self, value, wanted, schema, pointer, where):
        if isinstance(value, str) and not re.search(wanted, value):
            return [f"{where}: {value!r} does not match {wanted}"]
        return []

    def _minimum(self, value, wanted, schema, pointer, where):
        return [f"{where}: {value} < {wanted}"] if TYPES["number"](value) and value < wanted else []

    def _maximum(self, value, wanted, schema, pointer, where):
        return [f"{where}: {value} > {wanted}"] if TYPES["number"](value) and value > wanted else []

    def _minLength(self, value, wanted, schema, pointer, where):
        return [f"{where}: {value!r} is too short"] if isinstance(value, str) and len(value) < wanted else []

    def _maxLength(self, value, wanted, schema, pointer, where):
        return [f"{where}: {value!r} is too long"] if isinstance(value, str) and len(value) > wanted else []

    def _minItems(self, value, wanted, schema, pointer, where):
        return [f"{where}: too few elements"] if isinstance(value, list) and len(value) < wanted else []

    def _maxItems(self, value, wanted, schema, pointer, where):
        return [f"{where}: too many elements"] if isinstance(value, list) and len(value) > wanted else []

    def _items(self, value, wanted, schema, pointer, where):
        if not isinstance(value, list):
            return []
        return [e for i, item in enumerate(value) for e in self.errors(item, wanted, pointer + "/items", f"{where}[{i}]")]

    def _required(self, value, wanted, schema, pointer, where):
        if not isinstance(value, dict):
            return []
        return [f"{where}: no {name}" for name in wanted if name not in value]

    def _additionalProperties(self, value, wanted, schema, pointer, where):
        assert wanted is False
        if not isinstance(value, dict):
            return []
        return [f"{where}: {name} is not in the contract" for name in value if name not in schema["properties"]]

    def _properties(self, value, wanted, schema, pointer, where):
        found = []
        for name, member in value.items() if isinstance(value, dict) else ():
            if name in wanted:
                self.shown.add((pointer, name))
                found += self.errors(member, wanted[name], f"{pointer}/properties/{name}", f"{where}.{name}")
        return found

    def _alternatives(self, value, wanted, pointer, where):
        """Faults by the alternative that fits best, and how many fit; only one that fits shows fields."""
        results = []
        for i, schema in enumerate(wanted):
            before = set(self.shown)
            errors = self.errors(value, schema, f"{pointer}/{i}", where)
            results.append((errors, set(self.shown)))
            self.shown = before
        fitting = [shown for errors, shown in results if not errors]
        for shown in fitting[:1]:
            self.shown |= shown
        return ([] if fitting else min((errors for errors, _ in results), key=len)), len(fitting)

    def _anyOf(self, value, wanted, schema, pointer, where):
        return self._alternatives(value, wanted, pointer + "/anyOf", where)[0]

    def _oneOf(self, value, wanted, schema, pointer, where):
        errors, fitting = self._alternatives(value, wanted, pointer + "/oneOf", where)
        return errors + ([f"{where}: fits {fitting} alternatives"] if fitting > 1 else [])

    def records(self, pointer="#/components", value=None):
        """(pointer, schema) of every record with members below a place of the document."""
        value = self.at(pointer) if value is None else value
        if isinstance(value, dict):
            if value.get("type") == "object" and "properties" in value:
                yield pointer, value
            for name, member in value.items():
                yield from self.records(pointer + "/" + name.replace("~", "~0").replace("/", "~1"), member)
        elif isinstance(value, list):
            for i, member in enumerate(value):
                yield from self.records(f"{pointer}/{i}", member)

    # -- answers --------------------------------------------------------------------------------

    def hold(self, answer, method, path):
        """Holds an answer against what is said of its route, and notes that it was seen."""
        responses = self.operation(method, path)["responses"]
        assert str(answer.status) in responses, f"{method} {path}: {answer.status} is not in the contract: {answer}"
        pointer = f"#/paths/{path.replace('/', '~1')}/{method.lower()}/responses/{answer.status}"
        self.keep(answer, responses[str(answer.status)], pointer)
        self.answered.add((method, path, answer.status))
        return answer

    def keep(self, answer, response, pointer):
        """Holds the answer against a response of the document."""
        response, pointer = self.resolve(response, pointer)
        found = []
        for name, header in response.get("headers", {}).items():
            if name.lower() not in answer.headers:
                found.append(f"no header {name}")
            else:
                found += self.errors(answer.headers[name.lower()], header["schema"], f"{pointer}/headers/{name}", name)
        content = response.get("content")
        if content is None:
            found += [f"a body: {answer.body[:100]!r}"] if answer.body else []
        else:
            kind = answer.headers.get("content-type")
            if kind not in content:
                found.append(f"content type {kind}")
                kind = next(iter(content))
            media = content[kind]
            value = answer.json if kind == "application/json" else answer.text
            found += self.errors(value, media["schema"], f"{pointer}/content/{kind.replace('/', '~1')}/schema")
        assert not found, f"{pointer}: {found} in {answer}"
