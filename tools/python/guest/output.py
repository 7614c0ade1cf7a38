"""What a cell prints, bounded: the head and the tail are kept, and what lies between is counted and dropped.

It is not a place where all output is collected and then cut: a cell that prints 100 MB never holds more than its limit.
`Output` owns the standard streams; `clipped` does the same to a text that is already there.
"""

import io
import sys

# Bound here, so that a cell that takes them out of their module does not take them from us.
BufferedWriter, BytesIO, TextIOWrapper = io.BufferedWriter, io.BytesIO, io.TextIOWrapper
# The least that is worth keeping of each half, bytes.
LEAST = 64


class Sink(io.RawIOBase):
    """Bytes in; the first and the last ones stay."""

    def __init__(self):
        self.restart(2 * LEAST)

    def restart(self, limit):
        """Forgets all and keeps `limit` bytes from now on."""
        self._half = max(limit // 2, LEAST)
        self._head = bytearray()
        self._tail = bytearray()
        self._n_dropped = 0

    def writable(self):
        return True

    def fileno(self):
        raise io.UnsupportedOperation("the output of a cell is no file of the system")

    def write(self, data):
        view = memoryview(data).cast("B")
        size = len(view)
        room = self._half - len(self._head)
        if room > 0:
            self._head += view[:room]
            view = view[room:]
        if len(view) > self._half:
            self._n_dropped += len(self._tail) + len(view) - self._half
            self._tail = bytearray(view[-self._half :])
            return size
        self._tail += view
        # Cut seldom: dropping the front moves the rest.
        if len(self._tail) > 2 * self._half:
            self._shorten()
        return size

    def _shorten(self):
        extra = len(self._tail) - self._half
        if extra > 0:
            del self._tail[:extra]
            self._n_dropped += extra

    def text(self):
        """What was kept, and how many bytes were not."""
        self._shorten()
        if not self._n_dropped:
            return (self._head + self._tail).decode("utf-8", "replace"), 0
        head, n_head = whole_front(self._head)
        tail, n_tail = whole_back(self._tail)
        n_dropped = self._n_dropped + n_head + n_tail
        return head + mark(n_dropped) + tail, n_dropped


class Output:
    """`sys.stdout` and `sys.stderr` of the cells: two names of one stream, so that order is kept."""

    def __init__(self):
        self._sink = Sink()
        self._open()

    def _open(self):
        buffered = BufferedWriter(self._sink, 1 << 16)
        self.stream = TextIOWrapper(buffered, "utf-8", "backslashreplace", "\n")
        self.stream.mode = "w"
        self._stdin = TextIOWrapper(BytesIO(), "utf-8")

    def begin(self, limit):
        """Puts the streams in their places, made anew where a cell has closed or detached them."""
        try:
            self.stream.flush()
            if self.stream.closed or self._stdin.closed:
                self._open()
        except ValueError:
            self._sink = Sink() if self._sink.closed else self._sink
            self._open()
        self._sink.restart(limit)
        self.install()

    def install(self):
        """Makes the streams those of `sys` again."""
        sys.stdout = sys.__stdout__ = sys.stderr = sys.__stderr__ = self.stream
        sys.stdin = sys.__stdin__ = self._stdin

    def end(self):
        """What the cell has written, and how many bytes of it are missing."""
        try:
            self.stream.flush()
        except ValueError:
            # Closed or detached by the cell: what got through before has been kept.
            pass
        return self._sink.text()


def clipped(text, limit):
    """`text` in at most `limit` bytes and a mark, and how many bytes of it are missing."""
    if len(text) <= limit // 4:
        return text.encode("utf-8", "backslashreplace").decode("utf-8"), 0
    sink = Sink()
    sink.restart(limit)
    # In pieces: a text of 100 MB has no second copy as bytes.
    for start in range(0, len(text), 1 << 16):
        sink.write(text[start : start + (1 << 16)].encode("utf-8", "backslashreplace"))
    return sink.text()


def mark(n_dropped):
    return f"\n[... {n_dropped} bytes left out ...]\n"


def whole_front(data):
    """The characters that are whole at the end of `data`, and the bytes that were not."""
    end = len(data)
    while end and len(data) - end < 4 and data[end - 1] & 0xC0 == 0x80:
        end -= 1
    if end and data[end - 1] >= 0xC0:
        length = 2 + (data[end - 1] >= 0xE0) + (data[end - 1] >= 0xF0)
        end = len(data) if len(data) - end + 1 == length else end - 1
    else:
        end = len(data)
    return data[:end].decode("utf-8", "replace"), len(data) - end


def whole_back(data):
    """The characters that are whole at the start of `data`, and the bytes that were not."""
    start = 0
    while start < min(4, len(data)) and data[start] & 0xC0 == 0x80:
        start += 1
    return data[start:].decode("utf-8", "replace"), start
