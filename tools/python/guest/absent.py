"""What a sandbox has not, said plainly: modules that cannot be there, threads, sockets, processes, a keyboard.

It adds nothing that works. Each message says what to do instead, since the one who reads it is a model that will write
the next cell. `Absent` answers imports; `close_doors` replaces what would fail without a reason.
"""

import builtins
import importlib.machinery
import sys

NUMBERS = "use plain lists with math, statistics, itertools and fractions, or sqlite3 for tables"
TABLES = "use csv, sqlite3 (in memory), statistics and collections"
WEB = "there is no network here"
PICTURES = "matplotlib.pyplot is there in a small form of its own (lines, bars, histograms, scatter, pie)"

INSTEAD = {
    "numpy": NUMBERS,
    "scipy": NUMBERS,
    "sympy": "use fractions and integers for exact numbers; there is no symbolic algebra",
    "numba": NUMBERS,
    "jax": NUMBERS,
    "torch": NUMBERS,
    "tensorflow": NUMBERS,
    "sklearn": NUMBERS,
    "statsmodels": NUMBERS,
    "mpmath": "use decimal with a large getcontext().prec",
    "networkx": "use dicts of sets and heapq; graphlib sorts topologically",
    "pandas": TABLES,
    "polars": TABLES,
    "pyarrow": TABLES,
    "duckdb": "use sqlite3",
    "openpyxl": "an .xlsx file is a zip of XML: zipfile and xml.etree.ElementTree read it; write csv",
    "xlrd": "write and read csv",
    "seaborn": PICTURES,
    "plotly": PICTURES,
    "bokeh": PICTURES,
    "altair": PICTURES,
    "PIL": PICTURES,
    "cv2": PICTURES,
    "mpl_toolkits": PICTURES,
    "requests": WEB,
    "httpx": WEB,
    "aiohttp": WEB,
    "urllib3": WEB,
    "bs4": "use html.parser",
    "lxml": "use xml.etree.ElementTree",
    "yaml": "use json or tomllib",
    "dateutil": "use datetime and zoneinfo",
    "pytz": "use zoneinfo",
    "pytest": "use unittest, doctest or plain assert",
    "tqdm": "print what is worth knowing",
    "IPython": "this is no IPython: print() shows a value",
    "ipywidgets": "this is no IPython: print() shows a value",
    "pip": "nothing can be installed; the standard library is here",
    "setuptools": "nothing can be installed; the standard library is here",
    "ensurepip": "nothing can be installed; the standard library is here",
    "venv": "nothing can be installed; the standard library is here",
    "tkinter": "there is no display; " + PICTURES,
    "turtle": "there is no display; " + PICTURES,
    "idlelib": "there is no display",
    "curses": "there is no terminal",
    "_curses": "there is no terminal",
    "readline": "there is no terminal",
    "termios": "there is no terminal",
    "_ctypes": "no foreign code can be loaded here",
    "_multiprocessing": "there are no processes here; call the function itself",
    "_posixshmem": "there are no processes here",
    "_posixsubprocess": "there are no processes here",
    "_interpreters": "there is one interpreter here",
    "_ssl": WEB,
    "_lzma": "this Python is built without it; zlib, gzip and zipfile (deflated) work",
    "_bz2": "this Python is built without it; zlib, gzip and zipfile (deflated) work",
    "_zstd": "this Python is built without it; zlib, gzip and zipfile (deflated) work",
    "_uuid": None,
    "_gdbm": "use dbm.dumb, shelve or sqlite3",
    "_dbm": "use dbm.dumb, shelve or sqlite3",
    "mmap": "read the file; there is no mapping of files here",
    "fcntl": "files cannot be locked here",
    "resource": "limits are set outside",
    "pwd": "there are no users here",
    "grp": "there are no users here",
}  # fmt: skip

NO_THREADS = "there are no threads here: call the function itself, or use asyncio"
NO_NETWORK = "there is no network here"
NO_PROCESSES = "there are no processes here: do it in Python"
NO_INPUT = "there is nobody to answer: write the value into the code"


class Absent:
    """The last finder of `sys.meta_path`: says what to use instead of a module that is not there."""

    def find_spec(self, name, path=None, target=None):
        instead = INSTEAD.get(name)
        if instead is None:
            return None
        return importlib.machinery.ModuleSpec(name, self)

    def create_module(self, spec):
        name = spec.name
        raise ModuleNotFoundError(f"No module named {name!r}: {INSTEAD[name]}", name=name)

    def exec_module(self, module):
        raise AssertionError("no such module is made")


def no_input(prompt="", /):
    """Reads a line: there is nobody to write one."""
    raise EOFError(NO_INPUT)


def no_breakpoint(*args, **kws):
    raise RuntimeError("there is no debugger here: print() what you want to see")


def leave(status=1, /):
    """In place of what would end the interpreter at once."""
    raise SystemExit(status)


def refuse(error, message):
    """A function that raises, whatever it is called with."""

    def refused(*args, **kws):
        raise error(message)

    return refused


def close_doors():
    """Called once, when the component is built, after the library is there."""
    import _socket
    import _thread
    import multiprocessing.process
    import os
    import socket
    import subprocess
    import threading

    builtins.input = no_input
    sys.breakpointhook = sys.__breakpointhook__ = no_breakpoint
    no_thread = refuse(RuntimeError, NO_THREADS)
    for name in ("start_new_thread", "start_new", "start_joinable_thread"):
        setattr(_thread, name, no_thread)
    threading._start_joinable_thread = no_thread
    no_network = refuse(OSError, NO_NETWORK)
    for name in ("getaddrinfo", "gethostbyname", "create_connection", "create_server", "socketpair", "getfqdn"):
        setattr(socket, name, no_network)
        if hasattr(_socket, name):
            setattr(_socket, name, no_network)
    socket.socket.__init__ = no_network
    no_process = refuse(OSError, NO_PROCESSES)
    subprocess.Popen.__init__ = no_process
    subprocess.Popen.__del__ = lambda self: None
    for name in ("system", "popen", "fork", "execv", "spawnv", "posix_spawn"):
        setattr(os, name, no_process)
    os._exit = os.abort = leave
    multiprocessing.process.BaseProcess.start = no_process
