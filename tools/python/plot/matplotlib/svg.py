"""A canvas that writes SVG: the same methods as `raster.Raster`, with text as text.

It measures text as the other canvas does, since it cannot know the reader's fonts. Start at `Svg`.
"""

from xml.sax.saxutils import escape

from .lettering import arranged, plain

FONTS = "DejaVu Sans, Verdana, Arial, sans-serif"


class Svg:
    """`width` and `height` in points."""

    def __init__(self, width, height, scale, background):
        self.scale = 1.0
        self.width, self.height = width, height
        self._parts = []
        self._n_clips = 0
        self.rectangle(0, 0, width, height, background)

    def encoded(self):
        head = '<?xml version="1.0" encoding="utf-8"?>\n<svg xmlns="http://www.w3.org/2000/svg" '
        size = f'width="{short(self.width)}pt" height="{short(self.height)}pt" '
        box = f'viewBox="0 0 {short(self.width)} {short(self.height)}" font-family="{FONTS}">\n'
        return (head + size + box + "\n".join(self._parts) + "\n</svg>\n").encode()

    def push_clip(self, x0, y0, x1, y1):
        self._n_clips += 1
        name = f"clip{self._n_clips}"
        rectangle = f'<rect x="{short(x0)}" y="{short(y0)}" width="{short(x1 - x0)}" height="{short(y1 - y0)}"/>'
        self._parts.append(f'<clipPath id="{name}">{rectangle}</clipPath><g clip-path="url(#{name})">')

    def pop_clip(self):
        self._parts.append("</g>")

    def rectangle(self, x0, y0, x1, y1, color, alpha=1.0):
        (x0, x1), (y0, y1) = sorted((x0, x1)), sorted((y0, y1))
        place = f'x="{short(x0)}" y="{short(y0)}" width="{short(x1 - x0)}" height="{short(y1 - y0)}"'
        self._parts.append(f"<rect {place} {painted('fill', color, alpha)}/>")

    def area(self, outlines, color, alpha=1.0):
        path = "".join("M" + " ".join(point(place) for place in outline) + "Z" for outline in outlines)
        self._parts.append(f'<path d="{path}" {painted("fill", color, alpha)}/>')

    def line(self, points, color, width, alpha=1.0, dashes=None, butt=False):
        path = "M" + " ".join(point(place) for place in points)
        style = f'fill="none" stroke-width="{short(width)}" stroke-linejoin="round" '
        style += f'stroke-linecap="{"butt" if butt else "round"}" '
        if dashes:
            style += f'stroke-dasharray="{" ".join(map(short, dashes))}" '
        self._parts.append(f'<path d="{path}" {style}{painted("stroke", color, alpha)}/>')

    def stamp(self, key, outlines, places, color, alpha=1.0):
        for x, y in places:
            if key[0] == "o":
                circle = f'cx="{short(x)}" cy="{short(y)}" r="{short(key[1] / 2)}"'
                self._parts.append(f"<circle {circle} {painted('fill', color, alpha)}/>")
                continue
            self.area([[(x + px, y + py) for px, py in outline] for outline in outlines], color, alpha)

    def image(self, x0, y0, x1, y1, rows):
        tall, wide = (y1 - y0) / len(rows), (x1 - x0) / len(rows[0])
        for i, row in enumerate(rows):
            for j, color in enumerate(row):
                x, y = x0 + j * wide, y0 + i * tall
                self.rectangle(x, y, x + wide + 0.1, y + tall + 0.1, color)

    def text(self, x, y, text, size, color, ha, va, angle, alpha, bold):
        for line, left, down in arranged(text, size, ha, va, angle):
            turn = f"translate({short(x)} {short(y)}) rotate({short(-angle)})"
            style = f'font-size="{short(size)}" {painted("fill", color, alpha)}' + (
                ' font-weight="bold"' if bold else ""
            )
            start = f'x="{short(left)}" y="{short(down)}" xml:space="preserve"'
            self._parts.append(f'<text transform="{turn}" {start} {style}>{escape(plain(line))}</text>')


def short(number):
    return f"{number:.2f}".rstrip("0").rstrip(".")


def point(place):
    return f"{short(place[0])},{short(place[1])}"


def painted(what, color, alpha):
    named = '{}="#{:02x}{:02x}{:02x}"'.format(what, *color)
    return named if alpha >= 0.996 else f'{named} {what}-opacity="{short(alpha)}"'
