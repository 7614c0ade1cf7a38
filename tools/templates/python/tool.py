"""The tools of the package NAME. A fresh instance runs each call: nothing is left over from the one before.

What stands outside functions runs once, when the component is built: import modules and read files there.
"""

import json
from pathlib import Path

from componentize_py_types import Err
from wit_world import exports
from wit_world.imports.types import Output, ToolError_InvalidArguments, ToolError_UnknownTool, ToolSpec

SPECS = json.loads(Path(__file__).with_name("tools.json").read_text(encoding="utf-8"))


def count(text):
    return f"{len(text.split())} words, {len(text)} characters"


TOOLS = {"count": count}


class Tools(exports.Tools):
    def describe(self):
        """What the model reads stands in tools.json."""
        return [ToolSpec(spec["name"], spec["description"], json.dumps(spec["parameters"])) for spec in SPECS]

    def call(self, name, arguments):
        if name not in TOOLS:
            raise Err(ToolError_UnknownTool(name))
        try:
            # The arguments fit the schema in tools.json, whose names are those of the function's parameters.
            return Output(TOOLS[name](**json.loads(arguments)), [])
        except (TypeError, ValueError) as error:
            # Told to the model, which then makes a better call.
            raise Err(ToolError_InvalidArguments(str(error)))
