"""What the browser shows a model, as the program's own browser shows it: results of a search, pages, results of a find.

It fetches nothing and knows no phrasings (`browser_turns.py` does). Begin at `shown`.
"""

import textwrap


def wrapped(lines):
    """Lines of 80 columns, as the models were trained with: blanks stay, and an empty line is a line."""
    broken = (
        textwrap.wrap(line, 80, replace_whitespace=False, drop_whitespace=False) if line else [""] for line in lines
    )
    return [part for parts in broken for part in parts]


def shown(cursor, title, url, lines, first=0):
    """The display of a page's wrapped lines from `first` on, under its number in the session."""
    place = f" ({url})" if url else ""
    view = "\n".join(f"L{first + n}: {line}" for n, line in enumerate(lines[first:]))
    last = len(lines) - 1
    return f"[{cursor}] {title}{place}\n**viewing lines [{first} - {last}] of {last}**\n\n{view}"


def first_shown(line):
    """Where the display begins when a link leads to a line."""
    return line - 4 if line > 4 else 0


def listing(query, hits):
    """The wrapped lines of a search's results, `hits` as (title, domain or "", words), and the line on which each begins."""
    if not hits:
        return [f"No results for `{query}`"], []
    links = [
        f"  * 【{n}†{title}{'†' + domain if domain else ''}】 {words}" for n, (title, domain, words) in enumerate(hits)
    ]
    lines = wrapped([f"# Search results for `{query}`", "", *links])
    starts = [n for n, line in enumerate(lines) if line.startswith("  * 【")]
    return lines, starts


def found(pattern, title, lines, matches):
    """Title and wrapped lines of the results of a find: each match with the three lines after it."""
    name = f"Find results for text: `{pattern}` in `{title}`"
    if not matches:
        return name, [f"No `find` results for pattern: `{pattern}`"]
    chunks = [[f"# 【{n}†match at L{line}】", *lines[line : line + 4]] for n, line in enumerate(matches)]
    text = "\n\n".join("\n".join(chunk) for chunk in chunks)
    return name, wrapped(text.split("\n"))
