"""Runs the component under wasmtime: JSON lines of calls in, JSON lines of results out (names as in wit/inspect.wit)."""

import base64
import json
import sys

import wasmtime
from wasmtime.component import Component, Linker


def plain(value):
    """A component's value as JSON has it."""
    if isinstance(value, (list, tuple)):
        return [plain(item) for item in value]
    if hasattr(value, "__dict__"):
        return {name: plain(item) for name, item in vars(value).items()}
    return value


def record(fields):
    made = wasmtime.component.Record()
    for name, value in fields.items():
        setattr(made, name, value)
    return made


def main():
    engine = wasmtime.Engine()
    store = wasmtime.Store(engine)
    component = Component.from_file(engine, sys.argv[1])
    instance = Linker(engine).instantiate(store, component)
    inspector = instance.get_export_index(store, "weir:inspect/inspector")
    functions = {
        name: instance.get_func(store, instance.get_export_index(store, name, inspector))
        for name in ("scan", "scan-text")
    }
    for line in sys.stdin:
        call = json.loads(line)
        options = record(call["options"])
        if "text" in call:
            function, args = functions["scan-text"], (call["text"], call["speaker"], options)
        else:
            function, args = functions["scan"], (base64.b64decode(call["body"]), call["path"], options)
        result = function(store, *args)
        function.post_return(store)
        sys.stdout.write(json.dumps(plain(result), ensure_ascii=True) + "\n")


main()
