"""Where the ticks of an axis stand and what is written at them: nice numbers, powers of ten, dates.

It measures no text: the caller says how many ticks there is room for. Start at `linear`, `log` and `dates`.
"""

import datetime
import math

from .values import from_days, to_days

MINUS = "\N{MINUS SIGN}"
SECOND = 1 / 86400
STEPS_S = [1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 10800, 21600, 43200]
# The years 1 and 9999, all that dates have.
FIRST_DAY, LAST_DAY = -719162.0, 2932895.0
STEPS_DAYS = [1, 2, 3, 7, 14]
STEPS_MONTHS = [1, 2, 3, 6]


def linear(low, high, n_most, least=0.0):
    """About `n_most` numbers between `low` and `high`, at 1, 2, 2.5 or 5 times a power of ten, `least` apart."""
    step = max(nice_step((high - low) / max(n_most, 1)), least)
    if least == 1.0 and step == 2.5:
        step = 5.0
    first = math.ceil(low / step - 1e-9)
    last = math.floor(high / step + 1e-9)
    return [index * step for index in range(first, min(last, first + 1000) + 1)]


def nice_step(rough):
    if not rough > 0:
        return 1.0
    power = 10.0 ** math.floor(math.log10(rough))
    for factor in (1, 2, 2.5, 5, 10):
        if rough <= factor * power * (1 + 1e-9):
            return factor * power
    return 10 * power


def written(values):
    """The texts of the ticks, and the factor that is written once at the axis' end (`""` when there is none)."""
    if not values:
        return [], ""
    most = max(abs(value) for value in values)
    power = 0
    if most >= 1e6 or 0 < most < 1e-3:
        power = math.floor(math.log10(most) + 1e-9)
        if 0 < power < 15:
            power -= power % 3
    scaled = [value / 10.0**power for value in values]
    step = min((abs(b - a) for a, b in zip(scaled, scaled[1:])), default=abs(scaled[0]) or 1.0)
    n_decimals = next(
        (n for n in range(10) if all(abs(value - round(value, n)) <= step * 1e-3 for value in scaled)), 10
    )
    texts = [f"{value:.{n_decimals}f}" for value in scaled]
    texts = ["0" if float(text) == 0 and n_decimals == 0 else text.replace("-", MINUS) for text in texts]
    return texts, f"$\\times 10^{{{power}}}$" if power else ""


def short(value):
    """A number for a reader, as short as it can be."""
    return f"{value:.10g}".replace("-", MINUS)


def log(low, high, n_most, base=10.0):
    """Powers between `low` and `high`, with 2 and 5 times them when there are few; and their texts."""
    first, last = math.floor(math.log(low, base) + 1e-9), math.ceil(math.log(high, base) - 1e-9)
    every = max(1, math.ceil((last - first) / max(n_most, 1)))
    powers = range(first, last + 1, every)
    factors = (1, 2, 5) if base == 10 and last - first <= 2 else (1,)
    values = [factor * base**power for power in powers for factor in factors]
    values = [value for value in values if low * (1 - 1e-9) <= value <= high * (1 + 1e-9)]
    is_plain = all(0.01 <= value < 10000 for value in values)
    return values, [short(value) if is_plain else power_text(value, base) for value in values]


def power_text(value, base):
    power = math.log(value, base)
    near = math.floor(power + 1e-9)
    factor = value / base**near
    front = "" if abs(factor - 1) < 1e-6 else f"{factor:g}\\times "
    return f"${front}{base:g}^{{{near}}}$"


def log_between(low, high):
    """The small ticks of a logarithmic axis: 2 to 9 times each power of ten."""
    first, last = math.floor(math.log10(low)), math.ceil(math.log10(high))
    if last - first > 12:
        return []
    values = [factor * 10.0**power for power in range(first, last + 1) for factor in range(2, 10)]
    return [value for value in values if low <= value <= high]


def dates(low, high, n_most):
    """Ticks at whole units of the calendar, and their texts; the year or the day stands below where it changes."""
    span = high - low
    n_most = max(n_most, 1)
    for seconds in STEPS_S:
        if span / (seconds * SECOND) <= n_most:
            step = seconds * SECOND
            values = [index * step for index in range(math.ceil(low / step - 1e-6), math.floor(high / step + 1e-6) + 1)]
            form = "%H:%M:%S" if seconds < 60 else "%H:%M"
            return values, below([moment(value) for value in values], form, "%b %d")
    for days in STEPS_DAYS:
        if span / days <= n_most:
            # Weeks begin on Mondays; 1970 began on a Thursday.
            phase = 4 if days in (7, 14) else 0
            first = math.ceil((low - phase) / days - 1e-9) * days + phase
            values = [float(first + index * days) for index in range(int((high - first) / days + 1e-9) + 1)]
            return values, below([moment(value) for value in values], "%b %d", "%Y")
    for months in STEPS_MONTHS:
        if span / (months * 30.4) <= n_most:
            values = month_starts(low, high, months)
            return values, below([moment(value) for value in values], "%b", "%Y")
    years = max(1, round(nice_step(span / 365.25 / n_most)))
    first = math.ceil(moment(low).year / years) * years
    values = [
        to_days(datetime.datetime(year, 1, 1)) for year in range(max(first, 1), min(moment(high).year, 9998) + 1, years)
    ]
    values = [value for value in values if low - 1e-6 <= value <= high + 1e-6]
    return values, [f"{moment(value).year}" for value in values]


def moment(days):
    """To the next whole second, since fractions of days are not exact; what is no date is the nearest that is."""
    found = from_days(min(max(days, FIRST_DAY), LAST_DAY)) + datetime.timedelta(microseconds=500_000)
    return found.replace(microsecond=0)


def month_starts(low, high, months):
    start = moment(low)
    year, month = start.year, (start.month - 1) // months * months + 1
    values = []
    while year < 9999 and len(values) < 1000:
        value = to_days(datetime.datetime(year, month, 1))
        if value > high + 1e-6:
            break
        if value >= low - 1e-6:
            values.append(value)
        month += months
        year, month = year + (month - 1) // 12, (month - 1) % 12 + 1
    return values


def below(moments, form, under):
    """Each moment in `form`; `under` stands in a second line at the first, and wherever it changes."""
    texts, last = [], None
    for here in moments:
        second = here.strftime(under)
        texts.append(here.strftime(form) + (f"\n{second}" if second != last else ""))
        last = second
    return texts
