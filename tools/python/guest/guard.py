"""What a cell may have broken, put back before the next one: built-ins, `sys`, limits, tracing, the importer.

It does not take back what a cell did to its own namespace or to modules of the library: that is the notebook's state.
Names are bound here once, so that a cell that empties `builtins` does not take them away: see `restore`.
"""

import builtins
import gc
import sys

_builtins = builtins.__dict__
_modules = sys.modules
_sys = sys.__dict__
_settrace, _setprofile = sys.settrace, sys.setprofile
_setrecursionlimit = sys.setrecursionlimit
_enable = gc.enable
_monitoring = sys.monitoring

# What Python has of depth by itself, and what a digit costs: numbers of a million digits take seconds.
RECURSION_LIMIT = 1000
MAX_DIGITS = 1_000_000
# Functions of `sys` and the lists that importing goes through.
LISTS = ("meta_path", "path_hooks")


class Guard:
    """How Python was when the component was built."""

    def __init__(self):
        self._builtins = dict(_builtins)
        self._sys = {name: value for name, value in _sys.items() if name not in ("last_exc", "argv", "path")}
        self._lists = [(name, list(_sys[name])) for name in LISTS]
        self._modules = {name: _modules[name] for name in ("sys", "builtins", "__main__")}
        sys.set_int_max_str_digits(MAX_DIGITS)

    def restore(self):
        """Puts everything back. Nothing is looked up in `builtins` before they are there again."""
        _settrace(None)
        _setprofile(None)
        _setrecursionlimit(RECURSION_LIMIT)
        _builtins.update(self._builtins)
        _sys.update(self._sys)
        _enable()
        for name, value in self._lists:
            _sys[name][:] = value
        _modules.update(self._modules)
        _sys["modules"] = _modules
