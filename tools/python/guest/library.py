"""The standard library in memory: at build time every module is compiled, at run time it is imported from there.

It is not an importer of files: there is no disk at run time but what the host grants, and CPython's own importer reads
that. What is left out of the library, and why, stands in `absent.py`. Start at `compiled`, then `Importer`.
"""

import importlib.machinery
import marshal
import os
import sys

# Parts that need what a sandbox has not (a display, a terminal, a package index), or that only tell about the build.
LEFT_OUT = {
    "_android_support", "_aix_support", "_apple_support", "_ios_support", "_osx_support", "antigravity",
    "curses", "ensurepip", "idlelib", "site-packages", "tkinter", "turtle", "turtledemo", "venv", "test",
    "config-3.14-wasm32-wasi", "__pycache__",
}  # fmt: skip
# Twins of modules in C that are there: only their own tests would import them.
TWINS = {"_pydatetime", "_pydecimal", "pydoc_data.topics"}


def compiled(root, left_out=frozenset()):
    """Every module below the folder `root`: its name -> (is it a package, its code as `marshal` writes it)."""
    modules = {}
    for folder, folders, files in os.walk(root):
        above = [part for part in os.path.relpath(folder, root).split(os.sep) if part != "."]
        folders[:] = sorted(name for name in folders if name not in LEFT_OUT)
        for file in sorted(files):
            stem, suffix = os.path.splitext(file)
            is_package = stem == "__init__"
            name = ".".join(above if is_package else [*above, stem])
            if suffix != ".py" or stem in LEFT_OUT or name in TWINS or name in left_out:
                continue
            with open(os.path.join(folder, file), "rb") as source:
                code = compile(source.read(), origin(name, is_package), "exec", dont_inherit=True)
            modules[name] = (is_package, marshal.dumps(code))
    return modules


def origin(name, is_package):
    """Where a module says that it comes from: nothing is there, but names of files tell a reader which module it is."""
    return "/python/" + name.replace(".", "/") + ("/__init__.py" if is_package else ".py")


class Importer:
    """A finder and loader for `sys.meta_path`. `data` holds files that belong to packages, by their whole path."""

    def __init__(self, modules, data):
        self._modules = modules
        self._data = data

    def find_spec(self, name, path=None, target=None):
        found = self._modules.get(name)
        if found is None:
            return None
        is_package = found[0]
        place = origin(name, is_package)
        spec = importlib.machinery.ModuleSpec(name, self, origin=place, is_package=is_package)
        spec.has_location = True
        if is_package:
            spec.submodule_search_locations.append(place.rpartition("/")[0])
        return spec

    def create_module(self, spec):
        return None

    def exec_module(self, module):
        exec(self.get_code(module.__spec__.name), module.__dict__)

    def get_code(self, name):
        return marshal.loads(self._modules[name][1])

    def is_package(self, name):
        return self._modules[name][0]

    def get_source(self, name):
        return None

    def get_data(self, path):
        try:
            return self._data[path]
        except KeyError:
            raise FileNotFoundError(path) from None

    def adopt(self):
        """Modules that came from the disk of the build say from now on that they came from here."""
        for name, module in list(sys.modules.items()):
            found = self._modules.get(name)
            spec = getattr(module, "__spec__", None)
            if found is None or spec is None or spec.origin in ("built-in", "frozen"):
                continue
            fresh = self.find_spec(name)
            module.__spec__, module.__loader__, module.__file__ = fresh, self, fresh.origin
            module.__cached__ = None
            if fresh.submodule_search_locations is not None:
                module.__path__ = fresh.submodule_search_locations
