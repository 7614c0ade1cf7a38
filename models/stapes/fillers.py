"""What requests are filled with: words, names, numbers, dates, and sentences, a fifth of the words held out of training.

Words are single o200k tokens with their leading space, so that a request can hold any of some 18,000 words and the model
must copy instead of remember. A word's stem decides whether it is held out, so no spelling of it is ever seen.
"""

import base64, os, random

RANKS = {}
for line in open(os.environ["O200K"], "rb"):
    token, rank = line.split()
    RANKS[base64.b64decode(token)] = int(rank)


def is_held_out(word):
    value = 0xCBF29CE484222325
    for byte in b"held" + word.lower().encode():
        value = ((value ^ byte) * 0x100000001B3) % 2**64
    return value % 5 == 0


def _words(capital):
    found = []
    for token, _ in sorted(RANKS.items(), key=lambda item: item[1]):
        word = token[1:].decode("utf-8", "replace")
        fits = word.isascii() and word.isalpha() and 4 <= len(word) <= 11
        if token[:1] == b" " and fits and (word[0].isupper() and word[1:].islower() if capital else word.islower()):
            # The first word of a JSON string has no space before it: it must be a token without one too.
            if token[1:] in RANKS or not capital:
                found.append(word)
    return found


WORDS, NAMES = _words(False), _words(True)
FIRST = [word for word in WORDS if word.encode() in RANKS]
# A function's name follows a dot in `functions.name`: only where dot and word are one token can the word be copied.
DOTTED = [word for word in FIRST if b"." + word.encode() in RANKS]


def _pieces(word):
    """The tokens of one word, found as byte pair encoding finds them: the pair that is the earliest token is joined first."""
    parts = [word[n : n + 1] for n in range(len(word))]
    while len(parts) > 1:
        ranks = [RANKS.get(a + b, len(RANKS)) for a, b in zip(parts, parts[1:])]
        at = ranks.index(min(ranks))
        if ranks[at] == len(RANKS):
            break
        parts[at : at + 2] = [parts[at] + parts[at + 1]]
    return parts


def _spelt():
    """Frequent words that are one token after a space, small or capital, and two without: their spelling has to be learnt by
    heart."""
    ranked = sorted((rank, token[1:]) for token, rank in RANKS.items() if token[:1] == b" " and token[1:] not in RANKS)
    words = (word for _, word in ranked if word.isalpha() and word.islower() and 4 <= len(word) <= 11)
    known = [word for word in words if b" " + word.capitalize() in RANKS]
    return [word.decode() for word in known[:400] if len(_pieces(word)) == 2]


SPELT = _spelt()
ZONES = {
    "Tokyo": "Asia/Tokyo",
    "Paris": "Europe/Paris",
    "London": "Europe/London",
    "Berlin": "Europe/Berlin",
    "New York": "America/New_York",
    "Sydney": "Australia/Sydney",
    "Madrid": "Europe/Madrid",
    "Rome": "Europe/Rome",
    "Moscow": "Europe/Moscow",
    "Shanghai": "Asia/Shanghai",
    "Singapore": "Asia/Singapore",
    "Dubai": "Asia/Dubai",
    "Cairo": "Africa/Cairo",
    "Nairobi": "Africa/Nairobi",
    "Chicago": "America/Chicago",
    "Denver": "America/Denver",
    "Los Angeles": "America/Los_Angeles",
    "Toronto": "America/Toronto",
    "Mexico City": "America/Mexico_City",
    "Seoul": "Asia/Seoul",
    "Hong Kong": "Asia/Hong_Kong",
    "Istanbul": "Europe/Istanbul",
    "Vienna": "Europe/Vienna",
    "Oslo": "Europe/Oslo",
    "Stockholm": "Europe/Stockholm",
    "Lisbon": "Europe/Lisbon",
    "Athens": "Europe/Athens",
    "Dublin": "Europe/Dublin",
    "Zurich": "Europe/Zurich",
    "Auckland": "Pacific/Auckland",
    "Kolkata": "Asia/Kolkata",
    "Bangkok": "Asia/Bangkok",
    "Lima": "America/Lima",
    "Bogota": "America/Bogota",
}
# Words that stand in every sentence, again and again, with others after them each time.
FREQUENT = (
    "the the the the of of and and to to a a in in is it that for on with as at by from or not be are was this but which all one no"
    " if when what who so up out can has had have do will we you he she they my his her its our their there here than then into"
    " over after before about just only also more most some any each every other two three first last new old good go went get put"
    " take see an been were would could did does made make said says than where while until under near off down back again"
).split()
DAYS = "Monday Tuesday Wednesday Thursday Friday Saturday Sunday".split()
UNITS = [
    ("km", "miles"),
    ("meters", "feet"),
    ("kg", "pounds"),
    ("celsius", "fahrenheit"),
    ("liters", "gallons"),
    ("inches", "cm"),
    ("grams", "ounces"),
    ("acres", "hectares"),
]
LANGUAGES = "French German Spanish Italian Japanese Polish Dutch Korean Swedish Greek Latin Arabic".split()
CURRENCIES = "USD EUR GBP JPY CHF CAD AUD INR".split()
THINGS = "key phone bag book car bike charger passport wallet umbrella camera ticket lamp box letter".split()
PLACES = "mat table desk shelf bed sofa stairs drawer fridge chair roof cellar garden hall kitchen".split()
ANIMALS = "fox cat dog owl horse bear whale robot castle tree house mountain dragon ship flower".split()


class Fillers:
    """A seeded source of fillers; `held_out` draws only words that training never shows."""

    def __init__(self, seed, held_out=False):
        self.r = random.Random(seed)
        self.held_out = held_out
        keep = lambda words: [word for word in words if is_held_out(word) == held_out]
        self.words, self.first, self.dotted, self.names = keep(WORDS), keep(FIRST), keep(DOTTED), keep(NAMES)

    def pick(self, *options):
        return self.r.choice(options[0] if len(options) == 1 else options)

    # Frequent words (low ranks) come somewhat more often than rare ones.
    def _draw(self, words):
        return words[int(len(words) * self.r.random() ** 1.5)]

    def word(self):
        return self._draw(self.words)

    def first_word(self):
        return self._draw(self.first)

    def name(self):
        return self._draw(self.names)

    def spelt_word(self):
        """A word that begins a string of JSON or of code."""
        if not self.held_out and self.r.random() < 0.15:
            return "harbour" if self.r.random() < 0.1 else self.r.choice(SPELT)
        return self.first_word()

    def day(self):
        return self.pick(DAYS)

    def phrase(self, low=1, high=3):
        return " ".join([self.first_word()] + [self.word() for _ in range(self.r.randint(low, high) - 1)])

    def identifier(self):
        """A function's name. Some in training begin with a word that cannot be copied, as some users' will."""
        copied = self.held_out or self.r.random() < 0.95
        words = [self._draw(self.dotted) if copied else self.first_word()]
        return "_".join(words + [self.first_word() for _ in range(self.pick(0, 1, 1))])

    def number(self, decimals=0.15):
        r = self.r
        if r.random() < decimals:
            return f"{r.uniform(0, 10 ** r.randint(1, 3)):.{r.randint(1, 2)}f}"
        return str(r.randint(0, 10 ** self.pick(1, 2, 2, 2, 3, 3, 4, 5, 6, 7)))

    def date(self):
        return f"{self.r.randint(1995, 2040)}-{self.r.randint(1, 12):02}-{self.r.randint(1, 28):02}"

    def date_near(self, date):
        """Another date, often of the same year, month or day, so that telling the two apart is learnt."""
        parts = zip(date.split("-"), self.date().split("-"), (0.5, 0.2, 0.2))
        return "-".join(old if self.r.random() < same else new for old, new, same in parts)

    def time(self):
        return f"{self.r.randint(0, 23):02}:{self.r.choice([0, 0, 15, 30, 45, self.r.randint(0, 59)]):02}"

    def duration(self):
        n, unit = self.r.randint(1, self.pick(9, 30, 99, 400)), self.pick(
            "days", "days", "weeks", "months", "years", "hours"
        )
        return f"{n} {unit if n > 1 else unit[:-1]}"

    def sentence(self):
        """What people write down: half of it words at random, half of it sentences of daily life."""
        r = self.r
        if r.random() < 0.45:
            return self.phrase(2, 5)
        thing = lambda: self.pick(THINGS) if r.random() < 0.4 and not self.held_out else self.word()
        place = lambda: self.pick(PLACES) if r.random() < 0.4 and not self.held_out else self.word()
        return self.pick(
            lambda: f"the {thing()} is {self.pick('under', 'on', 'in', 'behind', 'near')} the {place()}",
            lambda: f"buy {thing()} and {thing()}",
            lambda: f"buy {self.phrase(1, 2)}",
            lambda: f"call {self.name()} on {self.pick(DAYS)}",
            lambda: f"{self.name()} likes {thing()}",
            lambda: f"the {thing()} meeting is at {self.time()}",
            lambda: f"water the {place()}",
            lambda: f"pay {self.number(0)} for the {thing()}",
            lambda: f"my {thing()} is {self.word()}",
        )()

    def prose(self, low=5, high=14):
        """As people write: frequent words between rare ones, and marks between words."""
        r = self.r
        words = []
        for _ in range(r.randint(low, high)):
            x = r.random()
            if x < 0.55:
                words.append(r.choice(FREQUENT))
            elif x < 0.62:
                words.append(self.pick(self.name(), "I", self.pick(DAYS), self.word().upper()[:3]))
            elif x < 0.66:
                words.append(self.pick(self.number(), self.date(), self.time(), str(r.randint(1, 31))))
            elif x < 0.70:
                words.append(
                    self.pick(
                        f"{self.word()}-{self.first_word()}",
                        f"{self.word()}'s",
                        f"({self.first_word()})",
                        f'"{self.first_word()}"',
                    )
                )
            else:
                words.append(self.word())
            if r.random() < 0.09:
                words[-1] += self.pick(",", ",", ",", ";", ":", " -", ".")
        text = " ".join(words).rstrip(",;:- ")
        return text[0].upper() + text[1:]

    def expression(self):
        r, n = self.r, self.number
        glue = " " if r.random() < 0.8 else ""
        op = lambda: f"{glue}{self.pick('+', '-', '*', '*', '/')}{glue}"
        shape = r.random()
        if shape < 0.72:
            return f"{n()}{op()}{n()}"
        if shape < 0.82:
            return f"{n()}{op()}{n()}{op()}{n()}"
        if shape < 0.90:
            return f"({n()}{op()}{n()}){op()}{n()}"
        if shape < 0.94:
            return f"{n()}{op()}({n()}{op()}{n()})"
        if shape < 0.97:
            return f"{n(0)}{glue}^{glue}{r.randint(2, 9)}"
        return f"sqrt({n(0)})"
