"""What comes after componentize-py: strips the component, compresses it and writes down what it is.

It builds nothing; `build` calls it. With `--check` it compares with what is committed.
"""

import hashlib
import importlib.metadata
import os
import re
import sys

import zstandard
from strip import stripped

HERE = os.path.dirname(os.path.abspath(__file__))
COMPRESSED = os.path.join(HERE, "python.wasm.zst")
MANIFEST = os.path.join(HERE, "python.toml")
LEVEL = 19

MANIFEST_TEXT = '''\
# What python.wasm.zst is. Written by `build`; sha256 and bytes are those of the component when it is unpacked.
cpython = "{cpython}"
componentize-py = "{componentize}"
tzdata = "{tzdata}"
sha256 = "{sha256}"
bytes = {size}
compressed-bytes = {compressed}
built-by = "tools/python/build"
'''


def cpython(component):
    """The version of CPython in the component, as it stands in its data."""
    found = re.search(rb"(\d+\.\d+\.\d+) \([^()]+\) \[Clang", component)
    return found[1].decode() if found else "unknown"


def main(built, *options):
    with open(built, "rb") as source:
        component = stripped(source.read())
    sha256 = hashlib.sha256(component).hexdigest()
    if "--check" in options:
        with open(MANIFEST) as manifest:
            if f'sha256 = "{sha256}"' not in manifest.read():
                sys.exit(f"the committed component is not what the source builds to ({sha256})")
        print("the committed component is what the source builds to")
        return
    with open(built, "wb") as target:
        target.write(component)
    compressed = zstandard.ZstdCompressor(level=LEVEL).compress(component)
    with open(COMPRESSED, "wb") as target:
        target.write(compressed)
    with open(MANIFEST, "w") as manifest:
        manifest.write(
            MANIFEST_TEXT.format(
                cpython=cpython(component),
                componentize=importlib.metadata.version("componentize-py"),
                tzdata=importlib.metadata.version("tzdata"),
                sha256=sha256,
                size=len(component),
                compressed=len(compressed),
            )
        )
    print(f"{sha256}  {len(component)} bytes, {len(compressed)} compressed")


if __name__ == "__main__":
    main(*sys.argv[1:])
