"""Dates under matplotlib's names: conversion, formatters, locators. Days since 1970 stand for dates.

How date ticks are found when nobody says is in `ticks.py`. Start at `DateFormatter`.
"""

import datetime
import math

from . import ticks
from .values import from_days, listed, to_days

MO, TU, WE, TH, FR, SA, SU = range(7)


def date2num(d):
    return [to_days(one) for one in listed(d)] if hasattr(d, "__iter__") else to_days(d)


def num2date(x, tz=None):
    return (
        [num2date(one, tz) for one in x]
        if hasattr(x, "__iter__")
        else from_days(x).replace(tzinfo=tz or datetime.timezone.utc)
    )


def datestr2num(d):
    return to_days(datetime.datetime.fromisoformat(d))


class DateFormatter:
    def __init__(self, fmt, tz=None, **kws):
        self._fmt = fmt

    def __call__(self, value, index=None):
        return ticks.moment(value).strftime(self._fmt)


class AutoDateFormatter:
    is_special = False

    def __init__(self, *args, **kws):
        pass

    def __call__(self, value, index=None):
        return ticks.moment(value).strftime("%Y-%m-%d")


ConciseDateFormatter = AutoDateFormatter


class AutoDateLocator:
    is_auto = True

    def __init__(self, *args, **kws):
        pass

    def values(self, low, high):
        return ticks.dates(low, high, 8)[0]


class DayLocator:
    """Every so many days, or on certain days of the month."""

    def __init__(self, bymonthday=None, interval=1, **kws):
        self._days, self._interval = set(listed(bymonthday)) if bymonthday is not None else None, max(1, int(interval))

    def values(self, low, high):
        days = range(math.ceil(low), min(math.floor(high), math.ceil(low) + 4000) + 1)
        if self._days is not None:
            return [float(day) for day in days if from_days(day).day in self._days][:: self._interval]
        return [float(day) for day in days if day % self._interval == 0]


class WeekdayLocator:
    def __init__(self, byweekday=MO, interval=1, **kws):
        self._weekdays, self._interval = set(listed(byweekday)), max(1, int(interval))

    def values(self, low, high):
        days = range(math.ceil(low), min(math.floor(high), math.ceil(low) + 4000) + 1)
        return [float(day) for day in days if from_days(day).weekday() in self._weekdays][:: self._interval]


class MonthLocator:
    def __init__(self, bymonth=None, bymonthday=1, interval=1, **kws):
        self._months, self._interval = set(listed(bymonth)) if bymonth is not None else None, max(1, int(interval))

    def values(self, low, high):
        starts = ticks.month_starts(low, high, 1)
        if self._months is not None:
            starts = [start for start in starts if ticks.moment(start).month in self._months]
        return starts[:: self._interval]


class YearLocator:
    def __init__(self, base=1, month=1, day=1, **kws):
        self._base = max(1, int(base))

    def values(self, low, high):
        years = range(ticks.moment(low).year, min(ticks.moment(high).year, 9998) + 1)
        starts = [to_days(datetime.date(year, 1, 1)) for year in years if year % self._base == 0]
        return [start for start in starts if low <= start <= high]


class HourLocator:
    per_day = 24

    def __init__(self, by=None, interval=1, byhour=None, byminute=None, **kws):
        self._interval = max(1, int(interval))

    def values(self, low, high):
        step = max(self._interval / self.per_day, (high - low) / 500)
        return [index * step for index in range(math.ceil(low / step), math.floor(high / step) + 1)]


class MinuteLocator(HourLocator):
    per_day = 24 * 60
