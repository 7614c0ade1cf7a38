"""The code of a token: what makes every one of 201,088 ids readable to a model that learns rows for two thousand.

code(id) has 128 entries. 0..103: signs hashed from the token's stem (its bytes without a leading mark, lower-cased), so that
spellings of a word are near each other. 104..111: signs hashed from its exact bytes, so that no two ids share a code.
112..127: spelling flags, twice as strong. `src/engine/models/stapes.rs` computes the same in Rust; `codes_golden.json` holds both to it.
"""

import base64, os
import numpy as np

VOCAB = 201_088
N_TEXT = 199_998
STEM_BITS, EXACT_BITS, FLAGS, FLAG_WEIGHT = 104, 8, 16, 2
CODE = STEM_BITS + EXACT_BITS + FLAGS
MASK = 2**64 - 1
MARKS = b" ._\"'-/(#@"

BYTES = {}
for line in open(os.environ["O200K"], "rb"):
    token, rank = line.split()
    BYTES[int(rank)] = base64.b64decode(token)
RANK = {token: rank for rank, token in BYTES.items()}


def fnv1a(data):
    value = 0xCBF29CE484222325
    for byte in data:
        value = ((value ^ byte) * 0x100000001B3) & MASK
    return value


def splitmix64(state):
    while True:
        state = (state + 0x9E3779B97F4A7C15) & MASK
        z = ((state ^ (state >> 30)) * 0xBF58476D1CE4E5B9) & MASK
        z = ((z ^ (z >> 27)) * 0x94D049BB133111EB) & MASK
        yield z ^ (z >> 31)


def split(token):
    """A leading mark, when a letter, a digit or a byte above 127 follows it, and the rest."""
    if len(token) > 1 and token[0] in MARKS and (token[1:2].isalnum() or token[1] >= 128):
        return token[:1], token[1:]
    return b"", token


def code(idx):
    token = BYTES.get(idx)
    mark, stem = split(token) if token is not None else (b"", b"<|%d|>" % idx)
    bits = []
    words = splitmix64(fnv1a(stem.lower()))
    for word in (next(words), next(words)):
        bits += [1 if word >> k & 1 else -1 for k in range(64)]
    exact = next(splitmix64(fnv1a(b"exact" + (token or stem))))
    flags = [
        mark == b" ",
        mark == b".",
        mark == b"_",
        mark not in (b"", b" ", b".", b"_"),
        mark == b"",
        stem[:1].isupper(),
        len(stem) > 1 and stem.isupper(),
        stem.isdigit(),
        stem.isalpha(),
        b"\n" in stem,
        token is None,
        len(stem) <= 2,
        len(stem) <= 4,
        mark == b" " and stem in RANK,
        token is not None and max(token) >= 128,
        not stem[:1].isalnum(),
    ]
    return (
        bits[:STEM_BITS]
        + [1 if exact >> k & 1 else -1 for k in range(EXACT_BITS)]
        + [FLAG_WEIGHT if flag else -FLAG_WEIGHT for flag in flags]
    )


def code_table(path):
    """int8 [VOCAB, CODE], kept in a file because it takes Python a minute."""
    if not os.path.exists(path):
        np.save(path, np.array([code(idx) for idx in range(VOCAB)], dtype=np.int8))
    return np.load(path)


def twins(idx):
    """Ids with the same stem and another spelling: the hardest to tell apart."""
    token = BYTES.get(idx)
    if token is None:
        return []
    stem = split(token)[1]
    marks = [b""] + [bytes([mark]) for mark in MARKS]
    spellings = {mark + form for form in {stem, stem.lower(), stem.capitalize(), stem.upper()} for mark in marks}
    return [RANK[spelling] for spelling in spellings if RANK.get(spelling, idx) != idx]


if __name__ == "__main__":
    import json, sys

    ids = (
        list(range(0, 256, 8))
        + [1081, 2000, 12606, 17196, 35644, 99999, 173781, 199997]
        + list(range(199998, 200014))
        + [201087]
    )
    json.dump({str(idx): code(idx) for idx in ids}, open(sys.argv[1], "w"))
