"""Draws a figure upon a canvas: frames, grids, ticks, texts, and between them the artists.

It decides no sizes, `layout.py` does; it works with any canvas that has the methods of `raster.Raster` and `text`.
Start at `draw_figure`.
"""

import math

from .colors import to_rgb8
from .layout import BAR_GAP, BAR_WIDTH, FONT, GAP, PAD, TICK, arrange, tick_look, ticks_of
from .legend import draw_legend
from .lettering import extent
from .ticks import linear, written

BLACK = (0, 0, 0)
FRAME = 0.8


def draw_figure(figure, canvas):
    for ax in figure.axes:
        if ax.twin_of is None:
            ax.autoscale_view()
    figure.share_limits()
    arrange(figure)
    if figure.title:
        style = figure.title_style
        size = style.get("size", 14.0)
        canvas.text(figure.width / 2, 9.0, figure.title, size, to_rgb8(style.get("color", "k")), "center", "top",
                    0.0, 1.0,
                    style.get("bold", False))  # fmt: skip
    for ax in figure.axes:
        if ax.twin_of is None:
            draw_axes(ax, canvas)
    for text in figure.texts:
        place = (text.x * figure.width, (1 - text.y) * figure.height)
        put(canvas, text, *place)


def put(canvas, text, x, y):
    canvas.text(x, y, text.text, text.size, text.rgb(), text.ha, text.va, text.rotation, text.alpha, text.bold)


def draw_axes(ax, canvas):
    box = ax.box
    if ax.is_framed:
        canvas.rectangle(*box, to_rgb8(ax.facecolor))
        draw_grid(ax, canvas)
    canvas.push_clip(*box) if ax.is_framed else None
    for owner in (ax, *ax.twins):
        for artist in sorted(owner.artists, key=lambda artist: artist.zorder):
            if artist.is_visible:
                artist.draw(canvas, owner)
    if ax.is_framed:
        canvas.pop_clip()
        draw_frame(ax, canvas)
        draw_x_ticks(ax, canvas)
        draw_y_ticks(ax, canvas, ax.y_on_right)
        for twin in ax.twins:
            draw_y_ticks(twin, canvas, True)
    draw_titles(ax, canvas)
    if ax.colorbar_of is not None:
        draw_colorbar(ax, canvas)
    for owner in (ax, *ax.twins):
        for text in owner.texts:
            if text.is_visible:
                draw_text(owner, canvas, text)
        if owner.legend_options is not None:
            draw_legend(owner, canvas)


def draw_grid(ax, canvas):
    left, top, right, bottom = ax.box
    for axis, is_x in ((ax.xaxis, True), (ax.yaxis, False)):
        if not axis.has_grid:
            continue
        style = axis.grid_style
        color, alpha = to_rgb8(style.get("color", GRID_NAME)), float(style.get("alpha", 1.0))
        dashes = {"--": [3.0, 1.6], ":": [0.8, 1.4], "-.": [5.0, 1.4, 0.8, 1.4]}.get(style.get("linestyle", "-"))
        major = ticks_of(ax, axis, is_x)[0]
        for values, width in ((major, FRAME), (axis.between() if axis.has_minor_grid else [], 0.4)):
            for value in values:
                place = axis.place(value)
                if not 0 <= place <= 1:
                    continue
                x, y = left + place * (right - left), bottom - place * (bottom - top)
                ends = [(x, top), (x, bottom)] if is_x else [(left, y), (right, y)]
                canvas.line(ends, color, float(style.get("linewidth", width)), alpha, dashes, True)


GRID_NAME = "#d0d0d0"


def draw_frame(ax, canvas):
    left, top, right, bottom = ax.box
    ends = {
        "left": [(left, top), (left, bottom)], "right": [(right, top), (right, bottom)],
        "top": [(left, top), (right, top)], "bottom": [(left, bottom), (right, bottom)],
    }  # fmt: skip
    for name, line in ends.items():
        if ax.sides[name]:
            canvas.line(line, BLACK, FRAME)


def draw_x_ticks(ax, canvas):
    left, top, right, bottom = ax.box
    values, texts, factor, turn = ticks_of(ax, ax.xaxis, True)
    size = tick_look(ax.xaxis)[0]
    style = ax.xaxis.tick_style
    color = to_rgb8(style.get("color", "k"))
    length = float(style.get("length", TICK))
    ha = style.get("ha") or ("center" if turn in (0.0, 90.0, -90.0, 270.0) else "right" if turn > 0 else "left")
    for value, text in zip(values, texts):
        x = left + ax.xaxis.place(value) * (right - left)
        canvas.line([(x, bottom), (x, bottom + length)], BLACK, FRAME, 1.0, None, True)
        shift = 0.35 * size if ha == "right" and turn else 0.0
        canvas.text(x + shift, bottom + length + PAD, text, size, color, ha, "top", turn, 1.0, False)
    for value in ax.xaxis.between():
        x = left + ax.xaxis.place(value) * (right - left)
        canvas.line([(x, bottom), (x, bottom + 2)], BLACK, 0.6, 1.0, None, True)
    if factor:
        canvas.text(right, bottom + TICK + PAD + size + 3, factor, size, color, "right", "top", 0.0, 1.0, False)


def draw_y_ticks(ax, canvas, at_right):
    left, top, right, bottom = ax.box
    values, texts, factor, turn = ticks_of(ax, ax.yaxis, False)
    size = tick_look(ax.yaxis)[0]
    style = ax.yaxis.tick_style
    color = to_rgb8(style.get("color", "k"))
    length = float(style.get("length", TICK))
    edge, way, ha = (right, 1, "left") if at_right else (left, -1, "right")
    for value, text in zip(values, texts):
        y = bottom - ax.yaxis.place(value) * (bottom - top)
        canvas.line([(edge, y), (edge + way * length, y)], BLACK, FRAME, 1.0, None, True)
        canvas.text(edge + way * (length + PAD), y, text, size, color, ha, "center", turn, 1.0, False)
    for value in ax.yaxis.between():
        y = bottom - ax.yaxis.place(value) * (bottom - top)
        canvas.line([(edge, y), (edge + way * 2, y)], BLACK, 0.6, 1.0, None, True)
    if factor:
        canvas.text(edge, top - 4, factor, size, color, "right" if at_right else "left", "baseline", 0.0, 1.0, False)
    if ax.yaxis.label:
        wide = max((extent(text, size, turn)[0] for text in texts), default=0.0)
        look = ax.yaxis.label_style
        x = edge + way * (length + PAD + wide + GAP + look["size"] * 0.55)
        canvas.text(x, (top + bottom) / 2, ax.yaxis.label, look["size"], to_rgb8(look["color"]), "center", "center",
                    look["rotation"], 1.0, look["bold"])  # fmt: skip


def draw_titles(ax, canvas):
    left, top, right, bottom = ax.box
    if ax.title:
        look = ax.title_style
        x, ha = {"left": (left, "left"), "right": (right, "right")}.get(look["loc"], ((left + right) / 2, "center"))
        factor = ax.is_framed and ticks_of(ax, ax.yaxis, False)[2]
        up = 15 if factor and look["loc"] == "left" else 7
        canvas.text(x, top - up, ax.title, look["size"], to_rgb8(look["color"]), ha, "baseline", 0.0, 1.0, look["bold"])
    if ax.xaxis.label:
        tall = 0.0
        if ax.is_framed:
            _, texts, _, turn = ticks_of(ax, ax.xaxis, True)
            tall = TICK + PAD + max((extent(text, tick_look(ax.xaxis)[0], turn)[1] for text in texts), default=0.0)
        look = ax.xaxis.label_style
        canvas.text((left + right) / 2, bottom + tall + GAP + 3, ax.xaxis.label, look["size"], to_rgb8(look["color"]),
                    "center", "top", 0.0, 1.0, look["bold"])  # fmt: skip
    if ax.yaxis.label and not ax.is_framed:
        look = ax.yaxis.label_style
        canvas.text(left - 8, (top + bottom) / 2, ax.yaxis.label, look["size"], to_rgb8(look["color"]), "right",
                    "center",
                    look["rotation"], 1.0, look["bold"])  # fmt: skip


def place_of(ax, x, y, system):
    left, top, right, bottom = ax.box
    if system == "axes":
        return left + x * (right - left), bottom - y * (bottom - top)
    return ax.point(x, y)


def draw_text(ax, canvas, text):
    x, y = place_of(ax, text.x, text.y, text.system)
    shift = getattr(text, "shift", (0.0, 0.0))
    x, y = x + shift[0], y - shift[1]
    if x != x or y != y or not (-1e4 < x < 1e4 and -1e4 < y < 1e4):
        return
    if text.arrow is not None:
        draw_arrow(ax, canvas, text, x, y)
    if text.box:
        draw_box(canvas, text, x, y)
    put(canvas, text, x, y)


def box_of(text, x, y):
    """The upright box of a text that is set at (x, y)."""
    wide, tall = extent(text.text, text.size, text.rotation)
    left = {"left": x, "right": x - wide}.get(text.ha, x - wide / 2)
    top = {"top": y, "center": y - tall / 2}.get(text.va, y - tall)
    return left, top, left + wide, top + tall


def draw_box(canvas, text, x, y):
    look = text.box
    pad = 4.0
    left, top, right, bottom = box_of(text, x, y)
    corners = (left - pad, top - pad, right + pad, bottom + pad)
    canvas.rectangle(*corners, to_rgb8(look.get("facecolor", look.get("fc", "white"))), float(look.get("alpha", 1.0)))
    edge = look.get("edgecolor", look.get("ec", "k"))
    if edge != "none":
        left, top, right, bottom = corners
        outline = [(left, top), (right, top), (right, bottom), (left, bottom), (left, top)]
        canvas.line(outline, to_rgb8(edge), float(look.get("linewidth", look.get("lw", 0.8))))


def draw_arrow(ax, canvas, text, x, y):
    arrow = text.arrow
    end_x, end_y = place_of(ax, *arrow["xy"], arrow["system"])
    if end_x != end_x or end_y != end_y:
        return
    left, top, right, bottom = box_of(text, x, y)
    start_x, start_y = (left + right) / 2, (top + bottom) / 2
    length = math.hypot(end_x - start_x, end_y - start_y)
    if length < 1:
        return
    ux, uy = (end_x - start_x) / length, (end_y - start_y) / length
    # From the edge of the text, a little way off, to a little before the point.
    out = (
        min((abs((right - left) / 2 / ux) if ux else math.inf), (abs((bottom - top) / 2 / uy) if uy else math.inf)) + 3
    )
    if out + 4 > length:
        return
    start_x, start_y = start_x + ux * out, start_y + uy * out
    end_x, end_y = end_x - ux * 2, end_y - uy * 2
    color = to_rgb8(arrow.get("color", arrow.get("facecolor", arrow.get("fc", "k"))))
    width = float(arrow.get("lw", arrow.get("linewidth", 1.0)))
    style = arrow.get("arrowstyle", "->")
    canvas.line([(start_x, start_y), (end_x, end_y)], color, width)
    if style == "-":
        return
    size = 5.0 + width
    sides = [
        (end_x - ux * size + turn * uy * size * 0.5, end_y - uy * size - turn * ux * size * 0.5) for turn in (1, -1)
    ]
    if style == "->":
        canvas.line([sides[0], (end_x, end_y), sides[1]], color, width)
    else:
        canvas.area([[sides[0], (end_x, end_y), sides[1]]], color)


def draw_colorbar(ax, canvas):
    left, top, right, bottom = ax.box
    drawn = ax.colorbar_of["mappable"]
    low, high = drawn.limits
    x0 = right + BAR_GAP
    rows = [[drawn.colormap.rgb8(1 - k / 127)] for k in range(128)]
    canvas.image(x0, top, x0 + BAR_WIDTH, bottom, rows)
    outline = [(x0, top), (x0 + BAR_WIDTH, top), (x0 + BAR_WIDTH, bottom), (x0, bottom), (x0, top)]
    canvas.line(outline, BLACK, FRAME)
    values = linear(low, high, 7) if high > low else [low]
    texts, factor = written(values)
    edge = x0 + BAR_WIDTH
    for value, text in zip(values, texts):
        y = bottom - ((value - low) / (high - low) if high > low else 0.5) * (bottom - top)
        canvas.line([(edge, y), (edge + TICK, y)], BLACK, FRAME, 1.0, None, True)
        canvas.text(edge + TICK + PAD, y, text, FONT, BLACK, "left", "center", 0.0, 1.0, False)
    if factor:
        canvas.text(x0, top - 4, factor, FONT, BLACK, "left", "baseline", 0.0, 1.0, False)
    if ax.colorbar_of.get("label"):
        wide = max((extent(text, FONT)[0] for text in texts), default=0.0)
        x = edge + TICK + PAD + wide + GAP + 6
        canvas.text(x, (top + bottom) / 2, ax.colorbar_of["label"], FONT, BLACK, "center", "center", 90.0, 1.0, False)
