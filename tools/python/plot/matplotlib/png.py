"""Writes a PNG: eight bits of red, green and blue a pixel. It reads none. Start at `encode`."""

import struct
import zlib


def encode(pixels, width, height, dpi):
    """`pixels`: rows from the top, three bytes each pixel."""
    stride = width * 3
    rows = bytearray()
    above = None
    for y in range(height):
        row = bytes(pixels[y * stride : (y + 1) * stride])
        # A row like the one above is all zeros under the filter "up": most of a plot is such rows.
        if row == above:
            rows += b"\2" + bytes(stride)
        else:
            rows += b"\0" + row
        above = row
    per_metre = round(dpi / 0.0254)
    chunks = [
        (b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)),
        (b"pHYs", struct.pack(">IIB", per_metre, per_metre, 1)),
        (b"IDAT", zlib.compress(bytes(rows), 6)),
        (b"IEND", b""),
    ]
    parts = [b"\x89PNG\r\n\x1a\n"]
    for name, data in chunks:
        parts += [struct.pack(">I", len(data)), name, data, struct.pack(">I", zlib.crc32(name + data))]
    return b"".join(parts)
