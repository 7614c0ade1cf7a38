"""What comes after componentize-py: strips the component, compresses it and writes down what it is.

It builds nothing; `build` calls it. With `--check` it looks only whether what is committed belongs together: a build
draws the seed of its hashes by chance, so that no two are the same byte for byte.
"""

import hashlib
import importlib.metadata
import os
import re
import sys
import tomllib

import zstandard

from strip import stripped

HERE = os.path.dirname(os.path.abspath(__file__))
COMPRESSED = os.path.join(HERE, "python.wasm.zst")
MANIFEST = os.path.join(HERE, "python.toml")
LEVEL = 19

MANIFEST_TEXT = """\
# What python.wasm.zst is. Written by `build`; sha256 and bytes are those of the component when it is unpacked;
# sources is one hash of all files that it was built from.
cpython = "{cpython}"
componentize-py = "{componentize}"
tzdata = "{tzdata}"
sha256 = "{sha256}"
bytes = {size}
compressed-bytes = {compressed}
sources = "{sources}"
built-by = "tools/python/build"
"""


def cpython(component):
    """The version of CPython in the component, as it stands in its data."""
    found = re.search(rb"(\d+\.\d+\.\d+) \([^()]+\) \[Clang", component)
    return found[1].decode() if found else "unknown"


def sources():
    """One hash of all that the component is made from."""
    found = []
    for folder in ("guest", "plot"):
        for path, folders, files in os.walk(os.path.join(HERE, folder)):
            folders[:] = [name for name in folders if name != "__pycache__"]
            found += [os.path.join(path, file) for file in files if file.endswith(".py")]
    whole = hashlib.sha256()
    for path in sorted([*found, os.path.join(HERE, "python.wit"), os.path.join(HERE, "requirements.txt")]):
        with open(path, "rb") as source:
            data = source.read()
        whole.update(f"{os.path.relpath(path, HERE)} {len(data)}\n".encode() + data)
    return whole.hexdigest()


def check():
    """Is the committed component what the manifest says, made from the sources that lie beside it?"""
    with open(MANIFEST, "rb") as source:
        manifest = tomllib.load(source)
    with open(COMPRESSED, "rb") as source:
        component = zstandard.decompress(source.read())
    if hashlib.sha256(component).hexdigest() != manifest["sha256"]:
        sys.exit("python.wasm.zst is not the component of which python.toml tells")
    if sources() != manifest["sources"]:
        sys.exit("the sources have changed since the component was built: run tools/python/build")
    print("the component is that of the manifest, and the sources are those that it was built from")


def build(built):
    with open(built, "rb") as source:
        component = stripped(source.read())
    compressed = zstandard.ZstdCompressor(level=LEVEL).compress(component)
    with open(COMPRESSED, "wb") as target:
        target.write(compressed)
    sha256 = hashlib.sha256(component).hexdigest()
    with open(MANIFEST, "w") as manifest:
        manifest.write(
            MANIFEST_TEXT.format(
                cpython=cpython(component),
                componentize=importlib.metadata.version("componentize-py"),
                tzdata=importlib.metadata.version("tzdata"),
                sha256=sha256,
                size=len(component),
                compressed=len(compressed),
                sources=sources(),
            )
        )
    print(f"{sha256}  {len(component)} bytes, {len(compressed)} compressed")


if __name__ == "__main__":
    check() if sys.argv[1] == "--check" else build(sys.argv[1])
