"""Takes the custom sections out of a component: names of functions and who made it, nothing that is run.

It is no optimiser: code and data stay as they are, byte for byte. Start at `stripped`.
"""

import sys

MAGIC = b"\0asm"
# A module's binary says 0x00 in the upper half of its version, a component's 0x01 (its "layer").
MODULE, COMPONENT = 0, 1
CUSTOM, CORE_MODULE, NESTED = 0, 1, 4


def number(data, at):
    """An unsigned LEB128 at `at`: its value and where it ends."""
    value = shift = 0
    while True:
        byte = data[at]
        at += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, at
        shift += 7


def leb128(value):
    data = bytearray()
    while True:
        byte, value = value & 0x7F, value >> 7
        data.append(byte | (0x80 if value else 0))
        if not value:
            return bytes(data)


def stripped(data):
    """A module or component without custom sections, and so all that are nested in it."""
    if data[:4] != MAGIC:
        raise ValueError("this is no wasm")
    layer = data[6]
    out = [data[:8]]
    at = 8
    while at < len(data):
        section = data[at]
        size, start = number(data, at + 1)
        body = data[start : start + size]
        at = start + size
        if section == CUSTOM:
            continue
        if layer == COMPONENT and section in (CORE_MODULE, NESTED):
            body = stripped(body)
        out += [bytes([section]), leb128(len(body)), body]
    return b"".join(out)


if __name__ == "__main__":
    with open(sys.argv[1], "rb") as source:
        data = stripped(source.read())
    with open(sys.argv[2], "wb") as target:
        target.write(data)
