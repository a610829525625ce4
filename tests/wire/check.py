"""Holds objects, one a line, against a definition of docs/wire.schema.json, and prints what was seen.

check.py SCHEMA fits|none DEFINITION FILE: all must fit, or none.
"""

import json
import sys

from jsonschema import Draft202012Validator

# The fields whose values are words of the wire.
WORDS = {("refused", "code"), ("entered", "reason")}


def named(schema, definition):
    """The fields that a definition names, with those of the definitions that it refers to."""
    fields = set(definition.get("properties", {}))
    for part in definition.get("allOf", []):
        fields |= named(schema, schema["$defs"][part["$ref"].rsplit("/", 1)[1]])
    return fields


def types_of(definition):
    kind = definition.get("properties", {}).get("type", {})
    return kind.get("enum", [kind["const"]] if "const" in kind else [])


def main(path, mode, definition, objects):
    schema = json.load(open(path))
    Draft202012Validator.check_schema(schema)
    whole = {"$ref": f"#/$defs/{definition}", "$defs": schema["$defs"]}
    validator = Draft202012Validator(whole)
    fields = {}
    for part in schema["$defs"][definition]["oneOf"]:
        part = schema["$defs"][part["$ref"].rsplit("/", 1)[1]]
        for kind in types_of(part):
            fields[kind] = named(schema, part)
    seen = set()
    for line in open(objects):
        thing = json.loads(line)
        if mode == "none":
            assert not validator.is_valid(thing), f"it fits: {line}"
            continue
        validator.validate(thing)
        kind = thing.get("type", "message")
        unknown = set(thing) - fields[kind]
        assert not unknown, f"the schema does not name {unknown}: {line}"
        seen |= {kind} | {f"{kind}.{field}" for field in thing}
        words = [field for of, field in WORDS if of == kind and field in thing]
        seen |= {f"{kind}.{field}={thing[field]}" for field in words}
    print("\n".join(sorted(seen)))


main(*sys.argv[1:])
