"""Turns that use the built-in `browser`: a search, what it shows, the page that is opened, and an answer that cites a line.

The browser reads the user's own files (source `local`), the web, or both; which of them is declared in the system message, and
the first is meant where a call names none. Calls are JSON, on the analysis channel. Begin at `browser_turn`.
"""

import json
from urllib.parse import quote

from fillers import RANKS
from pages import first_shown, found, listing, shown, wrapped

SOURCES = [["local"]] * 4 + [["web"]] * 3 + [["local", "web"]] * 3

# What asks for the user's own words, and what asks for the web. {q} is what to look for, {m} what they are called.
LOCAL = [
    "What did I write about {q}?",
    "What did I write about {q}?",
    "What did I write about {q} in {m}?",
    "Search {m} for {q}",
    "Search {m} for {q}",
    "Look up {q} in {m}",
    "Look for {q} in {m}",
    "Find {q} in {m}",
    "Find in {m} what I wrote about {q}",
    "What do {m} say about {q}?",
    "What is in {m} about {q}?",
    "Did I write anything about {q}?",
    "Look in {m} for {q}",
    "Check {m} for {q}",
    "Search through {m} for {q}",
    "I wrote something about {q}, find it",
    "What have I written about {q}?",
    "Go through {m} and find {q}",
]
MINE = ["my files", "my files", "my documents", "my documents", "my notes folder", "my folder", "my papers", "my texts"]
WEB = [
    "Search the web for {q}",
    "Search the web for {q}",
    "Look on the web for {q}",
    "Find on the internet: {q}",
    "Browse the web for {q}",
    "Look up {q} on the web",
    "Look up {q} online",
    "Search the internet for {q}",
    "What does the web say about {q}?",
    "Find {q} on the web",
    "Search online for {q}",
]
# With these the results themselves are the answer.
WHICH = [
    "Which of {m} mention {q}?",
    "Which of {m} are about {q}?",
    "In which of {m} did I write about {q}?",
    "List {m} about {q}",
    "Which documents of mine mention {q}?",
]
ENDINGS = ["md", "md", "md", "txt", "txt", "html", "org", "pdf"]


def browser_turn(f, sources):
    """The request, the reasoning before the first call, the calls with their replies, the answer."""
    session = Session(f)
    can_web, can_local = "web" in sources, "local" in sources
    if can_web and f.r.random() < 0.3:
        return f.pick(visit, visit, look_on_a_page)(session, sources)
    is_local = can_local and (not can_web or f.r.random() < 0.65)
    if is_local and f.r.random() < 0.15:
        return which_files(session, sources)
    return search_and_read(session, sources, is_local)


def wish(f, is_local):
    """Only the words of a request, for prompts in which nothing can answer it."""
    return filled(f, f.pick(LOCAL if is_local else WEB), Topic(f).words)


class Session:
    """The browser's pages are numbered from the beginning of a conversation, so what is seen begins anywhere."""

    def __init__(self, f):
        self.f, self.steps = f, []
        self.cursor = f.pick(0, 0, 0, f.r.randint(1, 9), f.r.randint(1, 60)) - 1 if f else -1

    def call(self, name, arguments):
        text = json.dumps(arguments, ensure_ascii=False)
        self.steps.append(
            {"role": "assistant", "channel": "analysis", "to": f"browser.{name}", "type": "code", "text": text}
        )

    def reply(self, text):
        name = self.steps[-1]["to"]
        self.steps.append({"role": "tool", "name": name, "channel": "analysis", "text": text})

    def page(self, title, url, lines, first=0):
        self.cursor += 1
        self.reply(shown(self.cursor, title, url, lines, first))

    def think(self, text):
        self.steps.append({"role": "assistant", "channel": "analysis", "text": text})


class Topic:
    """What is looked for: one to three words, and lines that speak of it."""

    def __init__(self, f):
        self.f = f
        first = f.name() if f.r.random() < 0.12 else f.spelt_word()
        rest = [f.word() for _ in range(f.pick(0, 0, 1, 1, 1, 2))]
        glue = f" {f.pick('and', 'of the', 'in', 'for')} " if len(rest) == 1 and f.r.random() < 0.12 else " "
        self.words = glue.join([first] + rest)
        self.parts = [first] + rest

    def line(self):
        """The one line that answers."""
        f, q = self.f, self.words
        if len(self.parts) > 1 and f.r.random() < 0.25:
            # The words stand apart, or one of three is missing.
            kept = self.parts[:2] if f.r.random() < 0.4 else self.parts
            apart = " ".join(word for part in kept for word in (part, f.phrase(1, 3))).rsplit(" ", 1)[0]
            return f.pick(f"The {apart} {f.phrase(1, 3)}.", f"{apart[0].upper()}{apart[1:]} {f.phrase(1, 3)}", apart)
        text = f.pick(
            lambda: f"The {q} {f.pick('hang', 'stand', 'lie', 'is', 'are')} {f.pick('behind', 'under', 'on', 'in', 'near')} the {f.phrase(1, 2)}.",
            lambda: f"The {q} is {f.phrase(1, 3)}.",
            lambda: f"{f.name()} has the {q}.",
            lambda: f"We {f.word()} the {q} on {f.day()}.",
            lambda: f"The {q} costs {f.number(0.3)}.",
            lambda: f"I gave the {q} to {f.name()} in {f.name()}.",
            lambda: f"Ask {f.name()} about the {q} {f.pick('before', 'after', 'on')} {f.day()}.",
            lambda: f"{q}: {f.phrase(1, 4)}",
            lambda: f"{q} {f.phrase(1, 4)}.",
            lambda: f"{f.phrase(1, 4)} {q} {f.phrase(1, 3)}",
            lambda: f"{f.name()} {f.word()} {q}, {f.phrase(1, 4)}.",
            lambda: f"The {f.word()} of the {q} is {f.time()}.",
            *[lambda: f"{f.prose(2, 8)} {q} {f.prose(2, 8).lower()}."] * 5,
            *[
                lambda: f"{f.prose(1, 4)} {f.pick('the', 'a', 'my', 'of the')} {q} {f.prose(2, 12).lower()}{f.pick('.', '', '!', ';')}"
            ]
            * 5,
        )()
        return text[0].upper() + text[1:] if f.r.random() < 0.85 else text

    def distractor(self):
        """A line with one word of several, or with none."""
        f = self.f
        if len(self.parts) < 2:
            return plain_line(f)
        return f"{f.pick('The', 'Left the', 'A', 'My')} {f.pick(self.parts)} {f.phrase(1, 4)}."


def plain_line(f):
    text = f.pick(f.sentence, f.sentence, lambda: f.phrase(3, 8), f.prose, f.prose, f.prose)()
    if f.r.random() < 0.1:
        text = f"{text}, {f.prose(8, 20).lower()}"
    text = text[0].upper() + text[1:] if f.r.random() < 0.85 else text
    return text + f.pick(".", ".", "", "!")


def document(topic, most=12):
    """Lines of a text about the topic, and which of them answers."""
    f = topic.f
    lines, n = [], f.r.randint(2, most)
    at = f.r.randrange(n)
    bullet = f.pick("", "", "", "- ", "* ")
    if f.r.random() < 0.6:
        lines += ["# " + plain_title(f)] + ([""] if f.r.random() < 0.8 else [])
    for k in range(n):
        if k and f.r.random() < 0.25:
            lines.append("")
        if k and f.r.random() < 0.07:
            lines += [f"## {plain_title(f)}", ""]
        if k == at:
            fact = len(lines)
            lines.append(bullet + topic.line())
        else:
            lines.append(bullet + (topic.distractor() if f.r.random() < 0.08 else plain_line(f)))
        if not bullet and k < n - 1 and f.r.random() < 0.35:
            lines.append("")
    return lines, fact


def plain_title(f):
    return f.phrase(1, 3).capitalize()


def located(topic, lines, fact):
    """The wrapped lines, and the one of them that holds the topic's words: most of them, the first where two have as many."""
    before, own = wrapped(lines[:fact]), wrapped([lines[fact]])
    n_words = [sum(part.lower() in line.lower() for part in topic.parts) for line in own]
    return wrapped(lines), len(before) + n_words.index(max(n_words))


def quoted(line):
    """What an answer says of a line, without the mark of a heading or a list. A first word that is another token without the
    space before it cannot be copied, so words stand before it."""
    text = line.strip()
    for mark in ("## ", "# ", "- ", "* "):
        text = text.removeprefix(mark)
    first = text.split(" ")[0]
    return text if is_copied(first) else f"It says: {text}"


def is_copied(word):
    """Whether the word's first token with a space before it, and without, are the same letters."""
    whole = word.rstrip(".,:;!?")
    return whole.encode() in RANKS or not whole[:1].isalpha()


def filled(f, template, words):
    article = f.pick("", "", "the ", "the ", "my ") if "{q}" in template and "Find on" not in template else ""
    return template.replace("{q}", article + words).replace("{m}", f.pick(MINE))


def path_of(f):
    name = f.spelt_word() if f.r.random() < 0.85 else f"{f.first_word()}-{f.first_word()}"
    folders = [f.first_word() for _ in range(f.pick(0, 0, 1, 1, 2))]
    return "/".join(folders + [f"{name}.{f.pick(ENDINGS)}"])


def place_of(f, path):
    root = f.pick(
        "/home/me/notes", f"/home/{f.first_word()}/{f.pick('notes', 'Documents', 'files')}", f"/tmp/{f.first_word()}"
    )
    return "file://" + quote(f"{root}/{path}")


def site_of(f):
    return f.pick(f"{f.first_word()}.{f.pick('com', 'org', 'net')}", f"www.{f.first_word()}.{f.pick('com', 'org')}")


def reasons(sources, *parameters):
    declared = f"sources={', '.join(sources)} (default: {sources[0]})"
    return f"Tool for browsing with {declared}. I use browser.search with {', '.join(('query',) + parameters)}."


def read_answer(session, topic_words, lines, line):
    """The reasoning that finds the line, and the answer that quotes it."""
    mark = f"【{session.cursor}†L{line}】"
    session.think(f"I read of {topic_words} in {mark}: {lines[line].strip()}")
    return quoted(lines[line]) + mark


def snippet_of(f, text):
    """A few words around what was found."""
    text = text.removeprefix("- ").removeprefix("* ")
    if len(text) > 90 or f.r.random() < 0.1:
        words = text.split(" ")
        keep = max(2, len(words) * 2 // 3)
        return f.pick(" ".join(words[:keep]) + " …", "… " + " ".join(words[-keep:]))
    return text


def search_and_read(session, sources, is_local):
    f, topic = session.f, Topic(session.f)
    ask = filled(f, f.pick(LOCAL if is_local else WEB), topic.words)
    named = () if is_local == (sources[0] == "local") else ("source",)
    ids = 0
    if f.r.random() < 0.08:
        which = f.pick("first", "second", "third")
        ids = ("first", "second", "third").index(which)
        ask = ask.rstrip("?") + f.pick(f" and open the {which} result", f", then read the {which} page")
    query = {"query": topic.words} | ({"source": "local" if is_local else "web"} if named else {})
    session.call("search", query)
    thought = reasons(sources, *named)
    if f.r.random() < 0.06:
        return ask, thought, session.steps, failed_search(session, topic.words)
    if f.r.random() < 0.1:
        session.page(topic.words, "", listing(topic.words, [])[0])
        return ask, thought, session.steps, f"I found nothing about {topic.words}."
    lines, fact = document(topic)
    hits = [hit(f, topic, is_local) for _ in range(max(f.r.randint(1, 5), ids + 1))]
    title, domain = hits[ids][:2]
    hits[ids] = (title, domain, snippet_of(f, lines[fact]))
    session.page(topic.words, "", listing(topic.words, hits)[0])
    session.call("open", {"id": ids})
    lines, line = located(topic, lines, fact)
    # The local index knows the line; a search of the web may not.
    first = first_shown(line) if is_local or f.r.random() < 0.3 else 0
    url = place_of(f, title) if is_local else f"https://{domain}/{f.first_word()}"
    if f.r.random() < 0.03:
        problem = f"Error fetching URL `{url}`: {f.phrase(1, 4)}"
        session.reply(problem)
        return ask, thought, session.steps, f"That did not work: {problem}"
    session.page(title, url, lines, first)
    return ask, thought, session.steps, read_answer(session, topic.words, lines, line)


def first_file_steps(query, files):
    """A search of the user's own files, given as (path, lines, the line that is found), and a look into the first of them."""
    hits = [(path, "", lines[line]) for path, lines, line in files]
    path, lines, line = files[0]
    session = Session(None)
    session.call("search", {"query": query})
    session.page(query, "", listing(query, hits)[0])
    session.call("open", {"id": 0})
    session.page(path, f"file:///home/me/notes/{path}", lines, first_shown(line))
    return session.steps, read_answer(session, query, lines, line)


def hit(f, topic, is_local):
    words = topic.distractor() if f.r.random() < 0.7 else topic.line()
    if is_local:
        return path_of(f), "", words
    return plain_title(f), site_of(f), words


def failed_search(session, words):
    f = session.f
    problem = f.pick(
        f"Error during search for `{words}`: {f.phrase(1, 4)}", f"Error during search for `{words}`: timed out"
    )
    session.reply(problem)
    return f"That did not work: {problem}"


def which_files(session, sources):
    """Answered by the results alone."""
    f, topic = session.f, Topic(session.f)
    ask = filled(f, f.pick(WHICH), topic.words)
    session.call("search", {"query": topic.words})
    hits = [hit(f, topic, True) for _ in range(f.r.randint(0, 4))]
    lines, starts = listing(topic.words, hits)
    session.page(topic.words, "", lines)
    found_in = [f"{title}【{session.cursor}†L{start}】" for (title, *_), start in zip(hits, starts)]
    answer = "\n".join(found_in) if hits else f"I found nothing about {topic.words}."
    return ask, reasons(sources), session.steps, answer


def address_of(f):
    return f"https://{site_of(f)}" + f.pick("", "/", f"/{f.first_word()}", f"/{f.first_word()}/{f.first_word()}.html")


def visit(session, sources):
    """An address is opened, and its first line of text is the answer."""
    f, topic, url = session.f, Topic(session.f), address_of(session.f)
    ask = f.pick(
        f"Open {url}",
        f"What does {url} say?",
        f"Read {url}",
        f"What is on {url}?",
        f"Open the page {url}",
        f"Visit {url}",
    )
    session.call("open", {"id": url})
    thought = "Opens the link. I use browser.open with id."
    if f.r.random() < 0.12:
        problem = f"Error fetching URL `{url}`: {f.pick('404 Not Found', 'timed out', f.phrase(1, 3))}"
        session.reply(problem)
        return ask, thought, session.steps, f"That did not work: {problem}"
    lines = wrapped(document(topic, 8)[0])
    session.page(plain_title(f), url, lines)
    line = next(n for n, text in enumerate(lines) if text.strip() and not text.startswith("#"))
    mark = f"【{session.cursor}†L{line}】"
    session.think(f"I read in {mark}: {lines[line].strip()}")
    return ask, thought, session.steps, quoted(lines[line]) + mark


def look_on_a_page(session, sources):
    """An address is opened, and words are looked for on it."""
    f, topic, url = session.f, Topic(session.f), address_of(session.f)
    q = topic.words
    ask = f.pick(
        f"Open {url} and find {q}", f"Look for {q} on {url}", f"Find {q} on {url}", f"What does {url} say about {q}?"
    )
    session.call("open", {"id": url})
    lines, fact = document(topic, 8)
    title = plain_title(f)
    wrapped_lines = wrapped(lines)
    session.page(title, url, wrapped_lines)
    session.call("find", {"pattern": q})
    matches, n = [], 0
    while n < len(wrapped_lines):
        is_match = q.lower() in wrapped_lines[n].lower()
        matches += [n] if is_match else []
        n += 4 if is_match else 1
    name, results = found(q, title, wrapped_lines, matches)
    session.page(name, f"{url}/find?pattern={quote(q)}", results)
    thought = "Opens the link, finds matches. I use browser.open with id, then browser.find with pattern."
    if not matches:
        return ask, thought, session.steps, f"I found nothing about {q}."
    return ask, thought, session.steps, read_answer(session, q, results, 1)
