"""Where the axes stand on the page: room for what is written round each, and the rest shared out.

It draws nothing; all lengths are points. Start at `arrange`.
"""

from .legend import room_outside
from .lettering import extent

TICK, PAD, GAP = 3.5, 3.5, 4.0
EDGE, BETWEEN = 9.0, 12.0
FONT = 10.0
BAR_WIDTH, BAR_GAP = 13.0, 12.0


def n_ticks(length, is_x):
    """How many ticks there is room for."""
    return max(2, min(9, int(length / (48 if is_x else 26))))


def tick_look(axis):
    style = axis.tick_style
    return style.get("size", FONT), float(style.get("rotation", 0.0) or 0.0), style.get("shown", True)


def ticks_of(ax, axis, is_x):
    """Values, texts, factor and turn of the ticks; words that would run into each other are turned."""
    left, top, right, bottom = ax.box
    length = (right - left) if is_x else (bottom - top)
    size, turn, shown = tick_look(axis)
    n = n_ticks(length * FONT / max(size, 1.0), is_x)
    values, texts, factor = axis.shown(n)
    if not shown:
        return values, [""] * len(values), "", turn
    if not is_x or turn:
        return values, texts, factor, turn
    while crowded(ax, values, texts, size, length) and n > 2 and axis.fixed is None and not axis.units.words:
        n -= 1
        values, texts, factor = axis.shown(n)
    if crowded(ax, values, texts, size, length) and (axis.units.words or axis.fixed is not None):
        turn = 45.0 if len(values) * size * 1.3 < length else 90.0
        if len(values) * size > length and axis.units.words and axis.fixed is None:
            every = -int(-len(values) * size * 1.2 // length)
            texts = [text if k % every == 0 else "" for k, text in enumerate(texts)]
    return values, texts, factor, turn


def crowded(ax, values, texts, size, length):
    last = None
    places = sorted(
        (ax.xaxis.place(value) * length, extent(text, size)[0] / 2) for value, text in zip(values, texts) if text
    )
    for middle, half in places:
        if last is not None and middle - half < last + 3:
            return True
        last = middle + half
    return False


def margins(ax):
    """Room for what is written at the left, top, right and bottom of the axes, as they are placed now."""
    left = top = right = bottom = 1.0
    if ax.title:
        top += extent(ax.title, ax.title_style.get("size", 12.0))[1] + 8
    if ax.is_framed:
        size = tick_look(ax.xaxis)[0]
        values, texts, factor, turn = ticks_of(ax, ax.xaxis, True)
        tall = max((extent(text, size, turn)[1] for text in texts), default=0.0)
        bottom += TICK + PAD + tall + (2 if tall else 0)
        if texts and values:
            ends = [(ax.xaxis.place(value), extent(text, size, turn)[0]) for value, text in zip(values, texts)]
            wide = ax.box[2] - ax.box[0]
            over = 1.0 if turn and turn != 90 else 0.5
            right = max(right, *(place * wide + half / 2 - wide for place, half in ends)) if not turn else right
            left = max(left, *(half * over - place * wide for place, half in ends))
        if ax.xaxis.label:
            bottom += GAP + extent(ax.xaxis.label, ax.xaxis.label_style.get("size", FONT))[1] * 1.25
        if factor:
            bottom = max(bottom, TICK + PAD + tall + 14)
        sides = [(ax, ax.y_on_right)] + [(twin, True) for twin in ax.twins]
        for one, at_right in sides:
            here, factor = side_room(one)
            left, right = (left, max(right, here)) if at_right else (max(left, here), right)
            top += 13 if factor and not ax.title else 4 if factor else 0
    elif ax.xaxis.label:
        bottom += GAP + FONT * 1.25
    if ax.colorbar_of is not None:
        right += BAR_GAP + BAR_WIDTH + TICK + PAD + 24 + (16 if ax.colorbar_of.get("label") else 0)
    beside, below = room_outside(ax)
    return left, top, right + beside, max(bottom, below)


def side_room(ax):
    """Room for the ticks and the label of a y axis."""
    size = tick_look(ax.yaxis)[0]
    _, texts, factor, turn = ticks_of(ax, ax.yaxis, False)
    wide = max((extent(text, size, turn)[0] for text in texts), default=0.0)
    room = 1.0 + TICK + PAD + wide
    if ax.yaxis.label:
        room += GAP + extent(ax.yaxis.label, ax.yaxis.label_style.get("size", FONT), 90.0)[0] * 1.25 + 2
    return room, factor


def arrange(figure):
    """Sets `box` of all axes of a figure: left, top, right, bottom, points from the upper left corner."""
    width, height = figure.width, figure.height
    head = extent(figure.title, figure.title_style.get("size", 14.0))[1] + 10 if figure.title else 0.0
    gridded = [ax for ax in figure.axes if len(ax.place) == 6 and ax.twin_of is None]
    for ax in figure.axes:
        ax.box = (width * 0.12, height * 0.1 + head, width * 0.95, height * 0.9)
        if len(ax.place) == 4:
            x, y, w, h = ax.place
            ax.box = (x * width, (1 - y - h) * height, (x + w) * width, (1 - y) * height)
    for shape in {ax.place[:2] for ax in gridded}:
        some = [ax for ax in gridded if ax.place[:2] == shape]
        for _ in range(3):
            share(figure, some, *shape, head)
    for ax in figure.axes:
        keep_aspect(ax)
        for twin in ax.twins:
            twin.box = ax.box


def share(figure, some, n_rows, n_columns, head):
    """Columns and rows get what is left when every axes has the room round it that it needs."""
    lefts, rights = [0.0] * n_columns, [0.0] * n_columns
    tops, bottoms = [0.0] * n_rows, [0.0] * n_rows
    for ax in some:
        left, top, right, bottom = margins(ax)
        _, _, row, column, n_down, n_across = ax.place
        lefts[column], tops[row] = max(lefts[column], left), max(tops[row], top)
        last_column, last_row = column + n_across - 1, row + n_down - 1
        rights[last_column], bottoms[last_row] = max(rights[last_column], right), max(bottoms[last_row], bottom)
    xs = cut(figure.width, 0.0, lefts, rights, figure.ratios_of("width", n_columns))
    ys = cut(figure.height, head, tops, bottoms, figure.ratios_of("height", n_rows))
    for ax in some:
        _, _, row, column, n_down, n_across = ax.place
        ax.box = (xs[column][0], ys[row][0], xs[column + n_across - 1][1], ys[row + n_down - 1][1])


def cut(total, start, before, after, ratios):
    """From and to of each part along one direction."""
    free = total - start - 2 * EDGE - sum(before) - sum(after) - BETWEEN * (len(before) - 1)
    unit = max(free, 10.0 * len(before)) / sum(ratios)
    at, parts = start + EDGE, []
    for a, b, ratio in zip(before, after, ratios):
        parts.append((at + a, at + a + unit * ratio))
        at += a + unit * ratio + b + BETWEEN
    return parts


def keep_aspect(ax):
    """One unit of x as long as one of y, in the middle of the room."""
    if ax.aspect != "equal":
        return
    left, top, right, bottom = ax.box
    spans = abs(ax.xaxis.high - ax.xaxis.low), abs(ax.yaxis.high - ax.yaxis.low)
    unit = min((right - left) / spans[0], (bottom - top) / spans[1])
    x, y = (left + right) / 2, (top + bottom) / 2
    half = spans[0] * unit / 2, spans[1] * unit / 2
    ax.box = (x - half[0], y - half[1], x + half[0], y + half[1])
