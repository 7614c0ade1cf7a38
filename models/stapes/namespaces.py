"""The built-in namespaces `python` and `browser`: how the system message declares them, and turns that use them.

The models that we follow call them on the analysis channel. Python takes raw code, the browser JSON.
"""

import json

PYTHON = {
    "name": "python",
    "description": "Use this tool to execute Python code in your chain of thought. The code will not be shown to the user. This tool should be used for internal reasoning, but not for code that is intended to be visible to the user (e.g. when creating plots, tables, or files).",
    "functions": [],
}


def _function(name, description, required, **types):
    properties = {key: {"type": kind} for key, kind in types.items()}
    return {
        "name": name,
        "description": description,
        "parameters": {"type": "object", "properties": properties, "required": required},
    }


BROWSER = {
    "name": "browser",
    "description": "Tool for browsing the web.\nCite what you use as 【cursor†Lline】.",
    "functions": [
        _function("search", "Searches the web and shows the results.", ["query"], query="string"),
        _function("open", "Opens a result by its number, or an address.", [], id="string", cursor="number"),
        _function("find", "Finds a text on the page that is open.", ["pattern"], pattern="string", cursor="number"),
    ],
}


def _call(name, text):
    return {"role": "assistant", "channel": "analysis", "to": name, "type": "code", "text": text}


def _result(name, text):
    return {"role": "tool", "name": name, "channel": "analysis", "text": text}


def python_turn(f):
    """What is asked, and what follows up to the answer. `f` draws the fillers."""
    numbers = ", ".join(f.number(0.1) for _ in range(f.r.randint(2, 5)))
    ask, code = f.pick(
        (f"Use python to sum {numbers}", f"print(sum([{numbers}]))"),
        (f"Which is the largest of {numbers}? Use python.", f"print(max([{numbers}]))"),
        (f"Sort {numbers} with python", f"print(sorted([{numbers}]))"),
    )
    result = f.number()
    return ask, "I use python.", [_call("python", code), _result("python", result + "\n")], f"The result is {result}."


def browser_turn(f):
    """A search, a search and its first result, or an address with a search on its page."""
    topic, site, title = f.phrase(1, 3), f"{f.first_word()}.com", f.phrase(1, 3)
    fact = f.phrase(2, 4)
    if f.r.random() < 0.25:
        pattern = f.first_word()
        steps = [
            _call("browser.open", json.dumps({"id": f"https://{site}"})),
            _result("browser.open", f"[0] {title}\nL0: {topic}\nL1: {fact}"),
            _call("browser.find", json.dumps({"pattern": pattern})),
            _result("browser.find", f"[1] {pattern} in {title}\nL1: {fact}"),
        ]
        ask = f.pick(f"Open https://{site} and find {pattern}", f"Look for {pattern} on https://{site}")
        return ask, "I use the browser.", steps, f"It says: {fact}【1†L1】"
    steps = [
        _call("browser.search", json.dumps({"query": topic})),
        _result("browser.search", f"[0] {topic}\nL0: 【0†{title}†{site}】 {fact}"),
    ]
    ask = f.pick(
        f"Search the web for {topic}",
        f"Look on the web for {topic}",
        f"Find on the internet: {topic}",
        f"Browse the web for {topic}",
    )
    if f.r.random() < 0.5:
        return ask, "I use the browser.", steps, f"I found: {fact}【0†L0】"
    page = f.phrase(2, 4)
    steps += [_call("browser.open", json.dumps({"id": "0"})), _result("browser.open", f"[1] {title}\nL0: {page}")]
    return (
        f.pick(f"{ask} and open the first result", f"{ask}, then read the first page"),
        "I use the browser.",
        steps,
        f"It says: {page}【1†L0】",
    )


DECLARATIONS = {browser_turn: BROWSER, python_turn: PYTHON}
