"""One axis of a plot: its units, its limits, its scale, its ticks and their texts.

It draws nothing and knows no lengths but what it is told. `Axis.place` maps a value to 0..1 along the axis.
"""

import math

from . import ticks
from .values import Units, finite, listed

MARGIN = 0.05


class Axis:
    def __init__(self):
        self.units = Units()
        self.scale = "linear"
        self.label = ""
        self.label_style = {}
        self.limits = [None, None]
        self.is_inverted = False
        self.margin = MARGIN
        self.fixed = None
        self.fixed_texts = None
        self.formatter = None
        self.locator = None
        self.tick_style = {}
        self.has_grid = False
        self.has_minor_grid = False
        self.grid_style = {}
        self.low, self.high = 0.0, 1.0

    def autoscale(self, values, sticky):
        """Sets low and high from what is drawn. At a value in `sticky` (the foot of a bar) there is no margin."""
        values = [value for value in finite(values) if self.scale != "log" or value > 0]
        low, high = (min(values), max(values)) if values else (1.0, 10.0) if self.scale == "log" else (0.0, 1.0)
        if self.scale == "log":
            a, b = math.log10(low), math.log10(high)
            room = (b - a) * self.margin or 0.5
            low = low if low in sticky else 10 ** max(a - room, -300)
            high = high if high in sticky else 10 ** min(b + room, 300)
        else:
            room = (high - low) * self.margin
            if high == low:
                room = abs(low) * self.margin or 0.5
                sticky = ()
            low = low if low in sticky else low - room
            high = high if high in sticky else high + room
        wanted_low, wanted_high = self.limits
        self.low = low if wanted_low is None else wanted_low
        self.high = high if wanted_high is None else wanted_high
        if self.scale == "log" and min(self.low, self.high) <= 0:
            self.low = max(self.low, 1e-300) if self.low > 0 else low
            self.high = self.high if self.high > 0 else high
        if self.low == self.high:
            self.low, self.high = self.low - 0.5, self.high + 0.5

    def place(self, value):
        """0 at the axis' beginning, 1 at its end; NaN where there is no place."""
        low, high = self.low, self.high
        if math.isinf(value):
            # A line across the whole axes; a little more, so that its end is not seen.
            return 1.01 if (value > 0) != self.is_inverted else -0.01
        if self.scale == "log":
            if not value > 0:
                return math.nan
            low, high, value = math.log10(low), math.log10(high), math.log10(value)
        part = (value - low) / (high - low)
        part = min(max(part, -1000.0), 1000.0) if part == part else part
        return 1 - part if self.is_inverted else part

    def straight(self, start, end):
        """Factor and summand that map a value to between `start` and `end`; `None` when it is not so simple."""
        span = self.high - self.low
        if self.scale == "log" or not math.isfinite(span) or abs(span) < 1e-250:
            return None
        if self.is_inverted:
            start, end = end, start
        factor = (end - start) / span
        return (factor, start - factor * self.low) if math.isfinite(factor * self.low) else None

    def shown(self, n_most):
        """The ticks within the limits: values, texts, the factor at the end."""
        low, high = min(self.low, self.high), max(self.low, self.high)
        factor = ""
        if self.fixed is not None:
            values = list(self.fixed)
            texts = self.fixed_texts
            if texts is None:
                texts, factor = self._texts_of(values)
        elif self.locator is not None:
            values = self.locator.values(low, high)
            texts, factor = self._texts_of(values)
        elif self.units.words and self.scale == "linear":
            values = [float(index) for index in range(len(self.units.words))]
            texts = self.fixed_texts or list(self.units.words)
        elif self.units.are_dates:
            values, texts = ticks.dates(low, high, n_most)
        elif self.scale == "log":
            values, texts = ticks.log(low, high, n_most)
        else:
            values = ticks.linear(low, high, n_most, 1.0 if self.units.are_whole else 0.0)
            texts, factor = ticks.written(values)
            texts = self.fixed_texts or texts
        if self.formatter is not None:
            texts, factor = [self._formatted(value, index) for index, value in enumerate(values)], ""
        edge = (high - low) * 1e-9
        kept = [(v, t) for v, t in zip(values, [*texts, *[""] * len(values)]) if low - edge <= v <= high + edge]
        return [value for value, _ in kept], [str(text) for _, text in kept], factor

    def _texts_of(self, values):
        if self.units.are_dates:
            return ticks.below([ticks.moment(value) for value in values], "%b %d", "%Y"), ""
        if self.units.words and all(0 <= v < len(self.units.words) and v == int(v) for v in values):
            return [self.units.words[int(value)] for value in values], ""
        if self.scale == "log":
            is_plain = all(0.001 <= abs(value) < 1e6 for value in values)
            return [ticks.short(value) if is_plain else ticks.power_text(value, 10.0) for value in values], ""
        return ticks.written(values)

    def _formatted(self, value, index):
        if isinstance(self.formatter, str):
            return self.formatter.format(value, x=value, pos=index) if "{" in self.formatter else self.formatter % value
        return str(self.formatter(value, index))

    # As users call it: `ax.xaxis.set_major_formatter(...)`.

    def set_major_formatter(self, formatter):
        """A format with `{x}`, one with `%`, or a function of the value and the index of the tick."""
        if not isinstance(formatter, str) and not callable(formatter):
            raise TypeError("a formatter is a format such as '{x:.1f}' or a function of value and index")
        self.formatter = formatter if getattr(formatter, "is_special", True) else None

    def set_major_locator(self, locator):
        if not hasattr(locator, "values"):
            raise TypeError("a locator is one of matplotlib.ticker or matplotlib.dates")
        self.locator = None if getattr(locator, "is_auto", False) else locator

    def set_minor_locator(self, locator):
        """Small ticks stand on logarithmic axes only."""

    def set_visible(self, is_visible):
        self.tick_style["shown"] = bool(is_visible)

    def between(self):
        """Small ticks."""
        if self.scale != "log" or self.fixed is not None:
            return []
        return ticks.log_between(min(self.low, self.high), max(self.low, self.high))

    def set_scale(self, name):
        if name not in ("linear", "log"):
            raise ValueError(f"there is no scale {name!r}; there are 'linear' and 'log'")
        self.scale = name

    def set_limits(self, low, high):
        """`None` leaves a side as it is; a pair in the first argument is both."""
        if high is None and hasattr(low, "__iter__") and not isinstance(low, str):
            low, high = low
        low = None if low is None else self.units.one(low)
        high = None if high is None else self.units.one(high)
        if low != low or high != high:
            raise ValueError("a limit of an axis is a number, a date or a word that is plotted")
        if low is not None and high is not None and low > high:
            self.is_inverted, low, high = True, high, low
        if low is not None:
            self.limits[0] = low
        if high is not None:
            self.limits[1] = high

    def set_ticks(self, values, texts=None):
        self.fixed = self.units.numbers(values) if len(listed(values)) else []
        if texts is not None:
            self.set_texts(texts)

    def set_texts(self, texts):
        texts = [str(text) for text in listed(texts)]
        if self.fixed is not None and len(texts) != len(self.fixed):
            raise ValueError(f"{len(texts)} labels for {len(self.fixed)} ticks; they must be as many")
        self.fixed_texts = texts
