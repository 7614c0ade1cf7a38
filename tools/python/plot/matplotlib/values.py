"""What users plot, made to numbers: dates become days since 1970, words become places 0, 1, 2... of an axis.

It draws nothing. Start at `Units.numbers`; `MAX_POINTS` bounds what one call may bring.
"""

import datetime
import math

from .colors import is_color

MAX_POINTS = 300_000
EPOCH = datetime.datetime(1970, 1, 1)
DAY = datetime.timedelta(days=1)
NAN = math.nan


def listed(values):
    """Any iterable as a list. Raises `ValueError` for too many values, `TypeError` for what is none."""
    if isinstance(values, (str, bytes)) or not hasattr(values, "__iter__"):
        return [values]
    found = []
    for value in values:
        found.append(value)
        if len(found) > MAX_POINTS:
            raise ValueError(f"more than {MAX_POINTS} values in one call: thin them or group them first")
    return found


def is_date(value):
    return isinstance(value, datetime.date)


def to_days(value):
    """Days since 1970 of a date or a time; a time with a zone is taken as UTC."""
    if isinstance(value, datetime.datetime):
        if value.tzinfo is not None:
            value = value.astimezone(datetime.timezone.utc).replace(tzinfo=None)
        return (value - EPOCH) / DAY
    return float((value - EPOCH.date()).days)


def from_days(days):
    """The time that `to_days` came from. Raises `ValueError` when there is no such date."""
    try:
        return EPOCH + datetime.timedelta(days=days)
    except OverflowError:
        raise ValueError(f"{days} days after 1970 is no date") from None


def number(value):
    """One number; what is missing is NaN, and so is what cannot be drawn."""
    if value is None:
        return NAN
    if isinstance(value, datetime.timedelta):
        return value / DAY
    try:
        found = float(value)
    except (TypeError, ValueError):
        raise TypeError(f"{value!r} cannot be plotted: use numbers, dates or words") from None
    except OverflowError:
        return NAN
    return found if -1e300 < found < 1e300 else NAN


class Units:
    """What the values of one axis are: numbers until the first date or word is seen."""

    def __init__(self):
        self.are_dates = False
        # Years and counts: there is nothing to write between them.
        self.are_whole = True
        self.words = []
        self._places = {}

    def numbers(self, values):
        """A list of floats."""
        values = listed(values)
        first = next((value for value in values if value is not None), None)
        if is_date(first):
            self.are_dates = True
        if isinstance(first, str):
            return [self._place(value) for value in values]
        if self.are_whole:
            self.are_whole = all(isinstance(value, int) for value in values)
        return [to_days(value) if is_date(value) else number(value) for value in values]

    def one(self, value):
        return self.numbers([value])[0]

    def _place(self, word):
        word = str(word)
        if word not in self._places:
            self._places[word] = float(len(self.words))
            self.words.append(word)
        return self._places[word]


def finite(values):
    return [value for value in values if value == value]


def pairs(xs, ys, what):
    """Checks that both have one length; one value stands for all."""
    if len(xs) != len(ys):
        raise ValueError(f"{what}: x has {len(xs)} values and y has {len(ys)}; they must be as many")
    return xs, ys


def one_each(value, n):
    """A list of `n`: of one for all, or of as many as there are, again and again."""
    if value is None or isinstance(value, str) or is_color(value):
        return [value] * n
    values = listed(value)
    return [values[k % len(values)] for k in range(n)] if values else [None] * n


def number_each(value, n):
    """A list of `n` numbers: one for all, or as many as there are."""
    values = [number(one) for one in listed(0 if value is None else value)]
    if len(values) not in (1, n):
        raise ValueError(f"there are {len(values)} numbers for {n} things; they must be as many, or one for all")
    return values * n if len(values) == 1 else values
