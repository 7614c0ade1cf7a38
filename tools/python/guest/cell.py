"""One cell: compiled, run in the namespace of the notebook, its last expression's value shown.

It is not an IPython: no magics, no shell, no rich display; what a notebook's user expects beyond Python is the value of
the last line, `;` to hide it, and `await` outside of functions. Start at `Notebook.run`.
"""

import __future__

import ast
import builtins
import gc
import importlib
import linecache
import sys
import types

from . import failure, guard, loop, output

# Bound here, so that a cell that takes them out of their modules does not take them from us.
Expr, Expression = ast.Expr, ast.Expression
invalidate_caches = importlib.invalidate_caches

ONLY_AST = ast.PyCF_ONLY_AST
FLAGS = ast.PyCF_ALLOW_TOP_LEVEL_AWAIT
FUTURE = sum(getattr(__future__, name).compiler_flag for name in __future__.all_feature_names)
COROUTINE = 0x80
# Sources that tracebacks can still show, cells.
MAX_SOURCES = 500
SHELL = "this is no shell and has no magics: only Python; nothing can be installed, the standard library is here"


class Notebook:
    """The namespace that lives from cell to cell, and what must live with it."""

    def __init__(self, is_own):
        self._is_own = is_own
        self._module = types.ModuleType("__main__", None)
        self._module.__builtins__ = builtins
        self._namespace = self._module.__dict__
        self._sources = {}
        self._n_cells = 0
        self._future = 0
        self._output = output.Output()
        self._loop = loop.Keeper()
        self._guard = None

    def ready(self):
        """What Python is like now is what each cell begins with."""
        sys.modules["__main__"] = self._module
        self._output.install()
        self._guard = guard.Guard()

    def run(self, code, limit):
        """Runs `code`; gives its output, value and error, and how many bytes of them are missing."""
        self._output.begin(limit)
        invalidate_caches()
        value = error = None
        try:
            value = self._evaluated(code)
        except SystemExit as ending:
            self._guard.restore()
            error = failure.ended(ending)
        except BaseException as raised:
            self._guard.restore()
            self._show_sources()
            error = failure.told(raised, self._is_own)
            del raised
        finally:
            self._guard.restore()
        self._finish_figures()
        text, n_missing = self._output.end()
        self._output.install()
        parts = [text]
        for part in (value, error):
            if part is not None:
                part, n_dropped = output.clipped(part, limit)
                n_missing += n_dropped
            parts.append(part)
        return (*parts, n_missing)

    def _evaluated(self, code):
        """Runs the cell and gives the text of its value, if it is to be shown."""
        code = code.removeprefix("\ufeff")
        name = self._remember(code)
        body, last, is_shown = self._parsed(code, name)
        self._namespace.pop("__warningregistry__", None)
        self._execute(body, name, "exec")
        if last is None:
            return None
        value = self._execute(last, name, "eval")
        if value is None or not is_shown:
            return None
        builtins._ = value
        text = repr(value)
        return text if type(text) is str else str.__str__(text)

    def _execute(self, tree, name, mode):
        code = compile(tree, name, mode, FLAGS | self._future, True)
        self._future |= code.co_flags & FUTURE
        result = eval(code, self._namespace)
        return self._loop.run(result) if code.co_flags & COROUTINE else result

    def _parsed(self, code, name):
        """The statements, the expression at the end, and whether its value is wanted."""
        try:
            tree = compile(code, name, "exec", ONLY_AST | FLAGS | self._future, True)
        except SyntaxError as error:
            without = without_magics(code)
            if without is None:
                raise
            if without == code:
                error.add_note(SHELL)
                raise
            tree = compile(without, name, "exec", ONLY_AST | FLAGS | self._future, True)
        if not tree.body or not isinstance(tree.body[-1], Expr):
            return tree, None, False
        last = tree.body.pop()
        after = code.encode("utf-8", "replace").split(b"\n")[last.end_lineno - 1 :]
        rest = after[0][last.end_col_offset :].lstrip() if after else b""
        return tree, Expression(last.value), not rest.startswith(b";")

    def _remember(self, code):
        self._n_cells += 1
        name = f"<cell {self._n_cells}>"
        self._sources[name] = (len(code), None, code.splitlines(keepends=True), name)
        if len(self._sources) > MAX_SOURCES:
            del self._sources[next(iter(self._sources))]
        self._show_sources()
        return name

    def _show_sources(self):
        """Where tracebacks, warnings and `inspect` look for the lines of a file."""
        try:
            linecache.cache.update(self._sources)
        except Exception:
            # A cell has taken it away; then there are no lines in tracebacks.
            pass

    def _finish_figures(self):
        """As in a notebook, a figure that is finished with the cell is shown: it becomes a file."""
        pyplot = sys.modules.get("matplotlib.pyplot")
        if pyplot is None:
            return
        try:
            pyplot.show()
        except Exception as error:
            print(f"[a figure was not saved: {error}]")


def without_magics(code):
    """`code` without lines such as `%matplotlib inline`; the same where a command would be lost; or `None`."""
    lines = code.split("\n")
    found = [line for line in lines if line.lstrip().startswith(("%", "!"))]
    if not found:
        return None
    if all(line.lstrip().startswith(("%matplotlib", "%config", "%autoreload", "%load_ext")) for line in found):
        return "\n".join("" if line in found else line for line in lines)
    return code


def settle():
    """The state of the build becomes the state that every instance begins with."""
    gc.collect()
    gc.freeze()
