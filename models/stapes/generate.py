"""Writes harmony dialogues as JSON lines, one prompt with its branches a line:
`generate.py ROOT OUT N_BUNDLES SEED [SET [KIND [USES]]]`.

SET is `train` (as without it), `known` (words that training never shows), `unseen` (names of tools and parameters too) or `shown` (the README's questions);
KIND fixes the prompt: `default` is the program's own, `other` has no bundled tool, so a gate that counts tools never seen is
`unseen other`. USES is what every last turn asks for: `functions`, `python` or `browser`.

A bundle is a system and a developer message and several short conversations under them ("branches"). The project's renderer
(render.rs) turns each into token ids and a loss mask; nothing here knows a token.
"""

import json, random, re, sys
from browser_turns import SOURCES, browser_turn, wish
from fillers import *
from python_turns import python_turn, wish_of_numbers
import families

SMALL = [
    (["Hi", "Hello", "Hey", "Good morning", "hello there", "Hi there!", "Good evening"], "Hello! How can I help you?"),
    (["Thanks", "Thank you", "thanks a lot", "Great, thank you!"], "You are welcome."),
    (
        ["Who are you?", "What are you?", "What is your name?"],
        "I am stapes, a tiny demonstration model inside Ossicle.",
    ),
    (["Bye", "Goodbye", "See you"], "Goodbye!"),
    (["How are you?", "How is it going?"], "I am fine, thank you."),
    (
        ["What can you do?", "Help", "What can I ask you?"],
        "I can call the functions that I was given and tell you what they say.",
    ),
]
ABSENT = "I have no function for that."
DENIALS = [
    "error: denied by the user; do not try this call again in this turn",
    "error: denied by the policy rule `{}`; do not try this call again in this turn",
    "error: the policy rule `{}` wants the user's approval and nobody can be asked; do not try this call again in this turn",
]
OTHER_ABSENT = [
    "Order a pizza",
    "Book a flight to {C}",
    "Write a poem about {W}",
    "Fix my {O}",
    "Call {C}",
    "Turn on the {O}",
    "Print the {O}",
    "Who won the {O} game?",
    "Tell me a joke about {W}",
    "Write a story about {W}",
    "Book a table at {C}",
    "Play chess with me",
    "Buy {W} for me",
    "What is the capital of {C}?",
    "Send a fax to {C}",
    "Open the {O} door",
]
OTHER_INSTRUCTIONS = ["You are a helpful assistant.", "Answer briefly.", "Use the functions when they help.", None]


class Generator:
    def __init__(self, root, seed, held=None, uses=None):
        self.f, self.uses = Fillers(seed, held_out=held is not None), uses
        self.r, self.held, self.unseen = self.f.r, held, held == "unseen"
        self.bundled = families._bundled(root)
        self.instructions = open(f"{root}/prompts/developer.md").read().split("\n{%-")[0]
        self.order = list(dict.fromkeys(family.key for family in self.bundled))

    # ---- declarations
    def invented(self):
        """A tool that nobody has heard of: only its description links it to the request."""
        f = self.f
        verb, what, kind = f.pick("Get", "Find", "Show", "Check", "Look up", "Count"), f.first_word(), f.word()
        thing = f"{what} {kind}"
        of_item = families.F(
            "invented",
            "-",
            [f"{verb} the {thing}.", f"{verb} the {thing} of an item.", f"The {thing}."],
            [("item name key subject id", "string", "{O}")],
            [
                f"{verb} the {thing} of {{O}}",
                f"What is the {thing} of {{O}}?",
                f"I need the {thing} of {{O}}",
                f"{thing} of {{O}} please",
            ],
            ("{Q}", f"The {thing} of {{O}} is {{Q}}."),
        )
        of_place = families.F(
            "invented",
            "-",
            [f"{verb} the {what} of a place.", f"{verb} the {what} in a city.", f"The {what} of a place."],
            [("place city location town", "string", "{C}")],
            [
                f"{verb} the {what} of {{C}}",
                f"What is the {what} in {{C}}?",
                f"How is the {what} in {{C}}?",
                f"{what} in {{C}} please",
            ],
            ("{Q}", f"The {what} of {{C}} is {{Q}}."),
        )
        setting = families.F(
            "invented",
            "-",
            [f"Set the {thing}.", f"Change the {thing}.", f"Set the {thing} of an item."],
            [("item name target id", "string", "{O}"), ("value level amount", "number", "{N}")],
            [f"Set the {thing} of {{O}} to {{N}}", f"Change the {thing} of {{O}} to {{N}}"],
            ("ok", f"The {thing} of {{O}} is {{N}}."),
        )
        plain = families.F(
            "invented",
            "-",
            [f"{verb} the {thing}.", f"{verb} the {thing} now.", f"The {thing}."],
            [],
            [f"{verb} the {thing}", f"What is the {thing}?", f"{thing} please", f"I need the {thing}"],
            ("{Q}", f"The {thing} is {{Q}}."),
        )
        return f.pick(of_item, of_item, of_item, of_place, of_place, setting, plain)

    def declare(self, family, used):
        f, r = self.f, self.r
        if family.bundled:
            return dict(family.bundled), None
        fresh = family.names == ["-"] or self.unseen or (self.held is None and r.random() < 0.6)
        name = f.identifier() if fresh else r.choice(family.names)
        while name in used:
            name = f.identifier()
        names, properties = [], {}
        for options, kind, _ in family.parameters:
            rename = r.random() < (0.5 if self.unseen else 0.7 if self.held is None else 0)
            key = f.first_word() if rename else r.choice(options)
            if key in properties:
                key += "_2"
            names.append(key)
            properties[key] = {"type": kind}
            if r.random() < 0.35:
                named = f"The {key.replace('_', ' ')}"
                properties[key]["description"] = f.pick(
                    named,
                    named,
                    f"{named} of the {f.word()}",
                    f"The {f.word()}",
                    f"{f.first_word()} {f.word()}".title(),
                )
        declaration = {"name": name, "description": r.choice(family.descriptions)}
        if properties or r.random() < 0.5:
            declaration["parameters"] = {"type": "object", "properties": properties, "required": names}
        return declaration, names

    def bundle(self, n_branches, max_tools=8, kind=None, n_choices=0):
        """kind: None draws one; `default` is the program's own prompt. Of `n_choices` more conversations only the beginning
        is written."""
        r, f = self.r, self.f
        kind = kind or f.pick(["default"] * 6 + ["subset"] * 2 + ["mixed"] * 3 + ["other"] * 15 + ["none"])
        builtins = self.builtins(0.6 if kind == "default" else 0.25)
        chosen = []
        if kind in ("default", "subset", "mixed"):
            keys = self.order if kind == "default" else r.sample(self.order, r.randint(1, min(5, max_tools)))
            chosen = [family for family in self.bundled if family.key in keys]
            if kind != "default":
                r.shuffle(keys)
        if kind in ("mixed", "other"):
            taken = {"note_add": "notes_add", "note_list": "notes_list", "time": "clock_now", "calc": "calc"}
            free = [
                family
                for family in families.KNOWN
                if taken.get(family.key) not in {c.key for c in chosen}
                and not ("browser" in builtins and family.key == "search")
            ]
            n = r.randint(1, max(1, max_tools - len({c.key for c in chosen})))
            r.shuffle(free)
            invented = {None: 0.4, "known": 0, "unseen": 0.5}[self.held]
            chosen = chosen + [self.invented() if r.random() < invented else free.pop() for _ in range(min(n, 8))]
        tools, declarations = [], {}
        for family in chosen:
            known = declarations.get(family.key) if family.bundled else None
            if known is None:
                known = self.declare(family, {d["name"] for d, _ in declarations.values()})
                declarations[family.key if family.bundled else f"#{len(declarations)}"] = known
            tools.append((family, *known))
        listed = [declaration for declaration, _ in declarations.values()]
        if kind == "default":
            listed = [declarations[key][0] for key in self.order]
        elif r.random() < 0.8:
            r.shuffle(listed)
        system = {
            "date": f"20{r.randint(24, 30)}-{r.randint(1, 12):02}-{r.randint(1, 28):02}",
            "effort": f.pick(["low", "high"] + ["medium"] * 6),
        }
        if builtins:
            system["builtins"] = [{name: value} for name, value in builtins.items()]
        own = kind == "default" or r.random() < 0.7
        developer = {"instructions": self.instructions if own else f.pick(OTHER_INSTRUCTIONS), "functions": listed}
        branches = [self.branch(tools, builtins) for _ in range(n_branches)]
        branches += [self.choice(tools, builtins) for _ in range(n_choices)]
        return {"kind": kind, "system": system, "developer": developer, "branches": branches}

    def builtins(self, share):
        """The built-in tools of a prompt in the order of the system message: the browser's sources, python's time limit."""
        f, r = self.f, self.r
        drawn = {}
        if self.uses == "browser" or r.random() < share:
            drawn["browser"] = f.pick(SOURCES)
        if self.uses == "python" or r.random() < share:
            drawn["python"] = f.pick([120] * 8 + [30, 60, 300])
        return drawn

    # ---- conversations
    def branch(self, tools, builtins):
        r = self.r
        turns, category = [], ""
        # Turns before the last one are read and not learnt: training has just enough of them.
        n_history = 0 if r.random() < (0.6 if self.held else 0.85) else r.randint(1, 3)
        for n in range(n_history + 1):
            last = n == n_history
            category, messages = self.turn(tools, builtins)
            if not last:
                # A finished turn has lost its reasoning, and nothing of it is learnt again.
                messages = [message for message in messages if message.get("channel") != "analysis"]
            for message in messages:
                turns.append(message if last else {**message, "history": True})
        return {"category": category, "messages": turns}

    def choice(self, tools, builtins):
        """A request, the reasoning that chooses, and the call: what takes longest to learn, and is short. Half of the turns of a
        built-in are whole: its later calls and its answer depend on what came back."""
        category, messages = self.turn(tools, builtins)
        if category in ("browser", "python") and self.r.random() < 0.5:
            return {"category": category, "messages": messages}
        call = next((n for n, message in enumerate(messages) if message.get("to")), 1)
        return {"category": category, "messages": messages[: call + 1]}

    def turn(self, tools, builtins):
        r, f = self.r, self.f
        x = r.random()
        say = lambda text: {"role": "assistant", "channel": "final", "text": text}
        think = lambda text: {"role": "assistant", "channel": "analysis", "text": text}
        user = lambda text: {"role": "user", "text": self.typed(text)}
        greets, lacks = (0.07, 0.17) if self.held else (0.04, 0.1)
        if x < greets and self.uses in (None, "functions"):
            asks, answer = r.choice(SMALL)
            return "small", [user(r.choice(asks)), think("No function is needed."), say(answer)]
        if self.uses in builtins or (
            builtins and self.uses is None and lacks <= x < lacks + 0.15 + 0.15 * len(builtins)
        ):
            name = self.uses or r.choice(list(builtins))
            ask, thought, steps, answer = python_turn(f) if name == "python" else browser_turn(f, builtins["browser"])
            if r.random() < 0.03:
                denial = {**steps[1], "text": f.pick(DENIALS).format(f.word())}
                steps, answer = [steps[0], denial], "I was not allowed to do that."
            return name, [user(ask), think(thought), *steps, say(answer)]
        if x < lacks or not tools:
            present = {family.key for family, *_ in tools}
            overlap = {"notes_add": "note_add", "notes_list": "note_list", "clock_now": "time", "calc": "calc"}
            present |= {overlap[key] for key in present if key in overlap}
            if present & {"clock_now", "clock_add"}:
                present.add("time")
            if present & {"notes_add", "notes_list", "notes_search"}:
                present |= {"note_add", "note_list"}
            sources = builtins.get("browser", [])
            if "web" in sources:
                present |= {"search", "news", "ask"}
            missing = [wish_of_numbers] if "python" not in builtins else []
            missing += [lambda f: wish(f, is_local=True)] if "local" not in sources else []
            missing += [lambda f: wish(f, is_local=False)] if "web" not in sources and "search" not in present else []
            if missing and r.random() < 0.3:
                return "absent", [user(f.pick(missing)(f)), think("No function fits."), say(ABSENT)]
            absent = [family for family in families.KNOWN if family.key not in present]
            pictures = [family for family in absent if family.key == "image"]
            ask = (
                r.choice(r.choice(pictures if pictures and r.random() < 0.15 else absent).asks)
                if r.random() < 0.7
                else r.choice(OTHER_ABSENT)
            )
            return "absent", [user(fill(ask, self.slots())), think("No function fits."), say(ABSENT)]
        # The families of one bundled tool count once, so that each tool is asked for equally often.
        key = r.choice(
            sorted(
                {id(declaration) for _, declaration, _ in tools}, key=lambda i: [id(d) for _, d, _ in tools].index(i)
            )
        )
        family, declaration, names = r.choice([tool for tool in tools if id(tool[1]) == key])
        slots = self.slots()
        ask = fill(r.choice(family.asks), slots)
        if family.bundled:
            arguments = {name: fill(template, slots) for name, template in family.parameters}
        else:
            arguments = {
                name: number_or(kind, fill(template, slots))
                for name, (_, kind, template) in zip(names, family.parameters)
            }
        name = declaration["name"]
        category = family.key
        if family.key == "calc" and r.random() < 0.15:
            a, b = f.number(), f.number()
            ask, text = f.pick(
                (f"What is {a}% of {b}?", f"{b} * {a} / 100"),
                (f"Add {a} and {b}", f"{a} + {b}"),
                (f"Multiply {a} by {b}", f"{a} * {b}"),
                (f"Divide {a} by {b}", f"{a} / {b}"),
                (f"What is {a} times {b}?", f"{a} * {b}"),
                (f"What is {a} plus {b}?", f"{a} + {b}"),
                (f"What is {a} minus {b}?", f"{a} - {b}"),
                (f"What is {a} x {b}?", f"{a} * {b}"),
                (f"What is {a} divided by {b}?", f"{a} / {b}"),
                (f"Subtract {b} from {a}", f"{a} - {b}"),
                (f"What is the square root of {a}?", f"sqrt({a})"),
            )
            arguments = {next(iter(arguments)): text}
            slots["E"] = text
        messages = [user(ask), think(reading(declaration, ask)), self.call(name, arguments)]
        if r.random() < 0.07:
            if r.random() < 0.3:
                messages += [self.result(name, f.pick(DENIALS).format(f.word())), say("I was not allowed to do that.")]
            else:
                problem = f.pick(
                    "invalid arguments: division by zero",
                    f.phrase(2, 4),
                    "invalid arguments: " + f.phrase(1, 4),
                    "the tool was stopped after 5s, its time limit; ask for less",
                )
                messages += [self.result(name, "error: " + problem), say(f"That did not work: {problem}.")]
            return "error", messages
        result, answer = r.choice(family.results)
        if family.key == "notes_list" and r.random() < 0.7:
            result, answer = family.results[0]
        messages += [self.result(name, fill(result, slots)), say(fill(answer, slots))]
        return ("bundled." if family.bundled else "invented" if family.names == ["-"] else "known.") + (
            "" if family.names == ["-"] else category
        ), messages

    def call(self, name, arguments):
        text = (
            "{"
            + ", ".join(
                f"{json.dumps(key)}: {value if isinstance(value, Number) else json.dumps(value, ensure_ascii=False)}"
                for key, value in arguments.items()
            )
            + "}"
        )
        return {"role": "assistant", "channel": "commentary", "to": f"functions.{name}", "type": "json", "text": text}

    def result(self, name, text):
        return {"role": "tool", "name": f"functions.{name}", "channel": "commentary", "text": text}

    def typed(self, text):
        """As people type: sometimes all small, with or without the last mark."""
        r = self.r
        if r.random() < 0.12 and not any(c.isupper() for c in text[1:]):
            text = text[:1].lower() + text[1:]
        if r.random() < 0.1:
            text = text.rstrip("?.")
        return text

    def slots(self):
        f, r = self.f, self.r
        unit = r.choice(UNITS)
        unit = unit if r.random() < 0.5 else unit[::-1]
        (place, zone), (other, other_zone) = r.sample(sorted(ZONES.items()), 2)
        # The query begins a JSON string, where the word has no space before it: only such words can be copied, or spelt.
        query = f.spelt_word() if self.held or r.random() < 0.7 else f.pick(THINGS + PLACES)
        query += f" {f.word()}" if not self.held and r.random() < 0.2 else ""
        date = f.date()
        notes = [f"{n + 1}. {f.sentence()}" for n in range(r.randint(1, 4))]
        return {
            "E": f.expression(),
            "R": f.number(0.25),
            "Y": f"{r.randint(0, 999)}." + digits(r),
            "W": f.phrase(1, 3),
            "L": f.sentence(),
            "O": f.first_word(),
            "C": f.name(),
            "K": f.name(),
            "N": f.number(),
            "u": unit[0],
            "v": unit[1],
            "G": r.choice(LANGUAGES),
            "A": r.choice(CURRENCIES),
            "B": r.choice(CURRENCIES),
            "S": f.pick("on", "off"),
            "D": r.choice(DAYS),
            "X": f.pick("sunny", "rainy", "cloudy", "windy", "snowy"),
            "H": f.time(),
            "h": f.time(),
            "s": f"{r.randint(0, 59):02}",
            "Q": f.phrase(1, 4),
            "P": f.first_word(),
            "I": f.pick(
                lambda: f.phrase(1, 3),
                lambda: "a " + f.word(),
                lambda: "a " + f.word() + " with a " + f.word(),
                lambda: "a " + (f.word() if self.held else r.choice(ANIMALS)),
            )(),
            "T": place,
            "Z": zone,
            "U": other,
            "V": other_zone,
            "d": date,
            "e": f.date_near(date),
            "l": f.duration(),
            "n": str(r.randint(2, 9999)),
            "m": str(r.randint(1, 60)),
            "q": query,
            "M": "\n".join(notes),
        }


def digits(r):
    """29 of them: of a root, or of a fraction, where some come again and again."""
    period = r.choice([29, 29, 29, 1, 2, 3, 6])
    repeated = "".join(str(r.randint(0, 9)) for _ in range(period)) * 29
    return repeated[:29]


class Number(str):
    """A JSON number, kept as it was written."""


# Words that lead to no function.
PLAIN = set(
    "a an all and any at by change check count do find for from get how i in is it list look me my now of on one or please"
    " set show that the to up what which with you your".split()
)


def reading(declaration, ask):
    """The reasoning before a call: the declaration's description from the first telling word that the request has too,
    then the function's name and its parameters. All of it is copied from the prompt, so that choosing a function is
    finding a word of the request in a description, and what follows is reading."""
    description = re.split("[.:;]", declaration["description"])[0]
    asked = set(re.findall("[a-z]+", ask.lower())) - PLAIN
    shared = (word.start() for word in re.finditer("[A-Za-z]+", description) if word[0].lower() in asked)
    parameters = ", ".join(declaration.get("parameters", {}).get("properties", {}))
    quoted = description[next(shared, 0) :]
    return f"{quoted}. I use {declaration['name']}" + (f" with {parameters}." if parameters else ".")


def number_or(kind, text):
    return Number(text) if kind == "number" else text


def fill(template, slots):
    out, rest = "", template
    while "{" in rest:
        before, _, after = rest.partition("{")
        if len(after) > 1 and after[1] == "}" and after[0] in slots:
            out, rest = out + before + slots[after[0]], after[2:]
        else:
            out, rest = out + before + "{", after
    return out + rest


if __name__ == "__main__":
    root, out, n, seed, *held = sys.argv[1:]
    if held and held[0] == "shown":
        from shown import shown

        generator = Generator(root, int(seed))
        both = {"browser": ["local"], "python": 120}
        with open(out, "w") as file:
            for builtins in (both, {"browser": ["local"]}, {"python": 120}, {})[: int(n)]:
                file.write(json.dumps(shown(generator, builtins), ensure_ascii=False) + "\n")
        sys.exit()
    kind, uses = (held[1:] + [None, None])[:2]
    held = [] if held[:1] == ["train"] else held
    generator = Generator(root, int(seed), held[0] if held else None, uses)
    with open(out, "w") as file:
        for index in range(int(n)):
            # The first bundles declare few tools, so that the model learns to copy before it learns to choose; most of
            # what is in the middle is choices.
            share = index / int(n)
            max_tools = 8 if held or share > 0.15 else 2 if share < 0.05 else 4
            n_whole, n_choices = (10, 0) if held or not 0.15 < share < 0.95 else (4, 12)
            drawn = kind if kind or share > 0.05 else generator.f.pick("subset", "other")
            file.write(json.dumps(generator.bundle(n_whole, max_tools, drawn, n_choices), ensure_ascii=False) + "\n")
