"""Formatters and locators of numbers under matplotlib's names. How ticks are found otherwise is in `ticks.py`.

A formatter is a function of value and index; a locator has `values(low, high)`. Start at `MultipleLocator`.
"""

import math

from . import ticks


class FuncFormatter:
    def __init__(self, func):
        self._func = func

    def __call__(self, value, index=None):
        return self._func(value, index)


class StrMethodFormatter:
    def __init__(self, fmt):
        self._fmt = fmt

    def __call__(self, value, index=None):
        return self._fmt.format(x=value, pos=index)


class FormatStrFormatter:
    def __init__(self, fmt):
        self._fmt = fmt

    def __call__(self, value, index=None):
        return self._fmt % value


class PercentFormatter:
    def __init__(self, xmax=100, decimals=None, symbol="%"):
        self._xmax, self._decimals, self._symbol = xmax, decimals, symbol

    def __call__(self, value, index=None):
        share = 100 * value / self._xmax
        text = f"{share:g}" if self._decimals is None else f"{share:.{self._decimals}f}"
        return text + (self._symbol or "")


class EngFormatter:
    def __init__(self, unit="", places=None, sep=" "):
        self._unit, self._places, self._sep = unit, places, sep

    def __call__(self, value, index=None):
        power = min(max(3 * math.floor(math.log10(abs(value)) / 3), -12), 12) if value else 0
        scaled = value / 10.0**power
        text = f"{scaled:g}" if self._places is None else f"{scaled:.{self._places}f}"
        return f"{text}{self._sep}{'pnµm kMGT'[power // 3 + 4].strip()}{self._unit}".rstrip()


class ScalarFormatter:
    """Numbers as they are written anyway."""

    is_special = False

    def __init__(self, *args, **kws):
        pass

    def __call__(self, value, index=None):
        return ticks.short(value)

    def set_scientific(self, flag):
        pass

    def set_powerlimits(self, limits):
        pass


class NullFormatter:
    def __call__(self, value, index=None):
        return ""


class FixedFormatter:
    def __init__(self, seq):
        self._texts = list(seq)

    def __call__(self, value, index=None):
        return self._texts[index] if index is not None and index < len(self._texts) else ""


class AutoLocator:
    is_auto = True

    def values(self, low, high):
        return ticks.linear(low, high, 9)


AutoMinorLocator = AutoLocator


class MultipleLocator:
    def __init__(self, base=1.0, offset=0.0):
        self._base, self._offset = float(base), float(offset)

    def values(self, low, high):
        step = max(self._base, (high - low) / 200)
        first, last = math.ceil((low - self._offset) / step - 1e-9), math.floor((high - self._offset) / step + 1e-9)
        return [index * step + self._offset for index in range(first, last + 1)]


class MaxNLocator:
    def __init__(self, nbins=9, integer=False, **kws):
        self._n, self._least = 9 if nbins == "auto" else int(nbins), 1.0 if integer else 0.0

    def values(self, low, high):
        return ticks.linear(low, high, self._n, self._least)


class LogLocator(AutoLocator):
    def __init__(self, *args, **kws):
        pass


class FixedLocator:
    def __init__(self, locs):
        self._values = [float(value) for value in locs]

    def values(self, low, high):
        return self._values


class NullLocator:
    def values(self, low, high):
        return []
