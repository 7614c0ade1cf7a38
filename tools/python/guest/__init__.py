"""CPython as a component: what componentize-py runs once to make the snapshot, and the export `run` of `python.wit`.

What stands outside functions happens when the component is built; `Interpreter.run` happens in an instance. How a cell
runs is in `cell.py`, what is imported from where in `library.py`, what is missing in `absent.py`.
"""

import os
import random
import sys

import wit_world

from . import absent, cell, failure, keys, library, loop, zones

HERE = os.path.dirname(__file__)
ABOVE = os.path.dirname(HERE)
# Imported into the snapshot, because most sessions use them: an import of one of these costs nothing.
WARM = """
    json re math cmath datetime csv collections statistics decimal fractions itertools functools sqlite3 zoneinfo random
    hashlib hmac base64 struct zlib gzip zipfile textwrap string unicodedata html urllib.parse uuid secrets heapq bisect
    array enum dataclasses typing pathlib glob fnmatch shutil tempfile io os time calendar pprint copy pickle
    contextlib abc numbers operator ast traceback warnings weakref linecache asyncio inspect difflib locale
    xml.etree.ElementTree configparser tomllib argparse logging importlib.metadata importlib.resources
""".split()


def build():
    """Everything that is the same for all instances."""
    modules = library.compiled("/python")
    modules.update(library.compiled(os.path.join(ABOVE, "plot")))
    importer = library.Importer(modules, {})
    sys.meta_path.insert(2, importer)
    for name in WARM:
        __import__(name)
    importer.adopt()
    loop.install()
    zones.install(zones.collected(os.path.join(ABOVE, "zones")))
    keys.install()
    absent.close_doors()
    sys.meta_path.append(absent.Absent())
    arrange()
    for name in list(sys.modules):
        # A notebook's own files may have these names.
        if name.partition(".")[0] in (__name__, "wit_world", "componentize_py_types", "componentize_py_runtime"):
            HIDDEN[name] = sys.modules[name]


def arrange():
    """`sys` and the environment as they are for somebody who opens a notebook."""
    sys.path[:] = [""]
    sys.path_importer_cache.clear()
    sys.dont_write_bytecode = True
    for name in list(os.environ):
        del os.environ[name]


HIDDEN = {}
build()
NOTEBOOK = cell.Notebook(lambda name: not name.startswith(("/python/", "<frozen ", HERE)))
NOTEBOOK.ready()
cell.settle()


class WitWorld(wit_world.WitWorld):
    """The exports of the component."""

    is_new = True

    def run(self, code, limit):
        try:
            if WitWorld.is_new:
                WitWorld.is_new = False
                begin()
            return wit_world.Outcome(*NOTEBOOK.run(code, limit))
        except BaseException as error:
            # What a cell did has reached the notebook itself; an exception from here would end the instance.
            return wit_world.Outcome("", None, failure.told(error, lambda name: True), 0)


def begin():
    """What differs from instance to instance: the seed, and the folders that the host has granted."""
    random.seed()
    # The runtime sets these anew when an instance begins.
    sys.argv[:] = sys.orig_argv[:] = [""]
    for name in HIDDEN:
        sys.modules.pop(name, None)
    for name, folder in (("HOME", "/mnt/data"), ("TMPDIR", "/tmp")):
        if os.path.isdir(folder):
            os.environ[name] = folder
    if os.path.isdir("/mnt/data"):
        os.chdir("/mnt/data")
