"""The legend: which artists stand in it, how large it is, and where it covers least.

It draws one legend of one axes. Start at `draw_legend`.
"""

from .artists import BarContainer, Wedge
from .colors import to_rgb8
from .lettering import extent
from .options import font_size

PLACES = {
    "upper right": (1, 0), "upper left": (0, 0), "lower left": (0, 1), "lower right": (1, 1), "right": (1, 0.5),
    "center left": (0, 0.5), "center right": (1, 0.5), "lower center": (0.5, 1), "upper center": (0.5, 0),
    "center": (0.5, 0.5),
}  # fmt: skip
NUMBERED = ["best", "upper right", "upper left", "lower left", "lower right", "right", "center left", "center right",
            "lower center", "upper center", "center"]  # fmt: skip
KEY, GAP, INSET, APART = 20.0, 6.0, 5.0, 7.0


def entries(ax):
    """Artists and their labels."""
    options = ax.legend_options
    handles, labels = options.get("handles"), options.get("labels")
    if handles is None:
        handles = [artist for artist in ax.artists if artist.label and not artist.label.startswith("_")]
        if labels is not None and len(handles) < len(labels):
            named = set()
            handles = [artist for artist in ax.artists if not (id(artist) in named or named.add(id(artist)))]
    else:
        handles = list(handles)
    handles = [
        handle[0] if isinstance(handle, (BarContainer, list, tuple)) and handle else handle for handle in handles
    ]
    labels = labels or [handle.label or "" for handle in handles]
    return list(zip(handles, [str(label) for label in labels]))[:60]


def measure(ax):
    """The columns of a legend, their widths, and its width and height, points."""
    options = ax.legend_options
    shown = entries(ax)
    size = font_size(options.get("fontsize", 10.0))
    n_columns = max(1, int(options.get("ncol", options.get("ncols", 1)) or 1))
    rows = -(-len(shown) // n_columns)
    columns = [column for column in (shown[k * rows : (k + 1) * rows] for k in range(n_columns)) if column]
    widths = [KEY + GAP + max(extent(label, size)[0] for _, label in column) for column in columns]
    wide = sum(widths) + 14 * (len(widths) - 1) + 2 * INSET
    tall = rows * size * 1.45 + 2 * INSET - size * 0.45
    if options.get("title"):
        wide = max(wide, extent(options["title"], size)[0] + 2 * INSET)
        tall += size * 1.5
    return columns, widths, wide, tall


def room_outside(ax):
    """Room that a legend beside or below the axes takes at the right and at the bottom."""
    options = ax.legend_options
    anchor = None if options is None else options.get("bbox_to_anchor")
    if anchor is None:
        return 0.0, 0.0
    columns, _, wide, tall = measure(ax)
    loc = options.get("loc") or "best"
    loc = NUMBERED[loc] if isinstance(loc, int) and 0 <= loc < len(NUMBERED) else loc
    px, py = PLACES.get(loc, (0.5, 0.5))
    if not columns:
        return 0.0, 0.0
    right = wide + 10 + (anchor[0] - 1) * 100 if anchor[0] >= 1 and px == 0 else 0.0
    bottom = tall + 8 - anchor[1] * 190 if anchor[1] <= 0 and py == 0 else 0.0
    return right, bottom


def draw_legend(ax, canvas):
    options = ax.legend_options
    columns, widths, wide, tall = measure(ax)
    if not columns:
        return
    size, title = font_size(options.get("fontsize", 10.0)), options.get("title")
    step, head = size * 1.45, size * 1.5 if title else 0.0
    x, y = corner(ax, options, wide, tall)
    if options.get("frameon", True):
        edge = to_rgb8(options.get("edgecolor", "#cccccc"))
        canvas.rectangle(x, y, x + wide, y + tall, to_rgb8(options.get("facecolor", "white")), 0.85)
        canvas.line([(x, y), (x + wide, y), (x + wide, y + tall), (x, y + tall), (x, y)], edge, 0.8)
    if title:
        canvas.text(x + wide / 2, y + INSET + size * 0.5, title, size, (0, 0, 0), "center", "center", 0.0, 1.0, False)
    left = x + INSET
    for column, width in zip(columns, widths):
        middle = y + INSET + head + size * 0.5
        for artist, label in column:
            half = size * 0.35
            artist.draw_key(canvas, left, middle - half, left + KEY, middle + half)
            canvas.text(left + KEY + GAP, middle, label, size, (0, 0, 0), "left", "center", 0.0, 1.0, False)
            middle += step
        left += width + 14


def corner(ax, options, wide, tall):
    """The upper left corner of the legend."""
    left, top, right, bottom = ax.box
    loc = options.get("loc") or "best"
    loc = NUMBERED[loc] if isinstance(loc, int) and 0 <= loc < len(NUMBERED) else loc
    anchor = options.get("bbox_to_anchor")
    if anchor is not None:
        ax_x, ax_y = left + anchor[0] * (right - left), bottom - anchor[1] * (bottom - top)
        px, py = PLACES["upper right" if loc == "best" else loc]
        x, y = ax_x - px * wide + (4 if px == 0 else -4 if px == 1 else 0), ax_y - py * tall
        # On the page it must be seen.
        x, y = min(x, ax.figure.width - wide - 2), min(y, ax.figure.height - tall - 2)
        return max(x, 2.0), max(y, 2.0)
    if isinstance(loc, (tuple, list)):
        return left + loc[0] * (right - left), bottom - loc[1] * (bottom - top) - tall
    if loc != "best" and loc not in PLACES:
        raise ValueError(f"there is no place {loc!r} for a legend; there are best, {', '.join(PLACES)}")
    choices = list(PLACES) if loc == "best" else [loc]
    points = [] if len(choices) == 1 else covered(ax)
    best = None
    for name in choices:
        px, py = PLACES[name]
        x = left + APART + px * (right - left - wide - 2 * APART)
        y = top + APART + py * (bottom - top - tall - 2 * APART)
        n = sum(x - 3 <= a <= x + wide + 3 and y - 3 <= b <= y + tall + 3 for a, b in points)
        if best is None or n < best[0]:
            best = (n, x, y)
    return best[1:]


def covered(ax):
    """Points on the page where something is drawn, not too many."""
    points = []
    for artist in ax.artists:
        if isinstance(artist, Wedge):
            continue
        if hasattr(artist, "points"):
            places = [ax.point(x, y) for x, y in artist.points]
            (x0, y0), (x1, y1) = places[0], places[len(places) // 2]
            n = 6 if len(places) == 4 else 1
            places += [(x0 + (x1 - x0) * i / n, y0 + (y1 - y0) * j / n) for i in range(n) for j in range(n)]
        elif hasattr(artist, "xs"):
            places = [place for run in ax.runs(artist.xs, artist.ys) for place in between(run)]
        else:
            continue
        points += places[:: max(1, len(places) // 400)]
    return points


def between(run):
    """A line's points, and some on the way where they are far apart."""
    for (x0, y0), (x1, y1) in zip(run, run[1:]):
        n = min(20, max(1, int(max(abs(x1 - x0), abs(y1 - y0)) / 8)))
        for k in range(n):
            yield x0 + (x1 - x0) * k / n, y0 + (y1 - y0) * k / n
    if run:
        yield run[-1]
