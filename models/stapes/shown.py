"""What the README shows, and a few questions more of each kind: prompts as the program writes them, and expected turns.

Begin at `shown`.
"""

from browser_turns import first_file_steps
from python_turns import python_steps

ABSENT, GREETING = "I have no function for that.", "Hello! How can I help you?"
SHOWN = [
    ("What is 23 * 47?", "calc", {"expression": "23 * 47"}),
    ("What is 12.5 * 80?", "calc", {"expression": "12.5 * 80"}),
    ("What is 7 / 3?", "calc", {"expression": "7 / 3"}),
    ("What time is it in Tokyo?", "clock_now", {"zone": "Asia/Tokyo"}),
    ("What date is 90 days from today?", "clock_add", {"start": "today", "duration": "90 days"}),
    (
        "How many days are there between 2026-11-24 and 2026-12-24?",
        "clock_between",
        {"start": "2026-11-24", "end": "2026-12-24"},
    ),
    ("Note that the key is under the mat", "notes_add", {"text": "the key is under the mat"}),
    ("What are my notes?", "notes_list", {}),
    ("Find my notes about the key", "notes_search", {"query": "key"}),
    ("Hello", None, None),
    ("Draw me a fox", None, None),
]
SHOWN_PYTHON = [
    ("Use python to add 17, 4 and 25", "print(sum([17, 4, 25]))", "The sum is 46."),
    ("Use python to sum 17, 4 and 25", "print(sum([17, 4, 25]))", "The sum is 46."),
    ("python: 2 ** 64", "print(2 ** 64)", "2 ** 64 = 18446744073709551616."),
    (
        "What is the mean of 3, 5 and 11? Use python.",
        "import statistics\nprint(round(statistics.mean([3, 5, 11]), 2))",
        "The mean is 6.33.",
    ),
    ("Sort 9, 2 and 5 with python", "print(sorted([9, 2, 5]))", "Sorted: [2, 5, 9]"),
    ("Use python to count the letters of window", 'print(len("window"))', "The word window has 6 letters."),
]
# A folder of notes as the README has it: what is asked, the query, the files with a line that answers.
NOTES = ["# House", "", "The harbour keys hang behind the kitchen door.", "", "The bins go out on Monday."]
LOG = ["# Log", "", "Left the harbour at nine.", "", "The anchor is in the bow locker."]
SHOWN_BROWSER = [
    ("What did I write about the harbour keys?", "harbour keys", [("notes.md", NOTES, 2), ("boat/log.md", LOG, 2)]),
    ("What did I write about the bins?", "bins", [("notes.md", NOTES, 4)]),
    ("Search my files for the anchor", "anchor", [("boat/log.md", LOG, 4)]),
    ("Look up the harbour keys in my documents", "harbour keys", [("notes.md", NOTES, 2), ("boat/log.md", LOG, 2)]),
]


def shown(generator, builtins):
    """One prompt as the program writes it, with the README's questions."""
    bundle = generator.bundle(1, kind="default")
    bundle["system"]["builtins"] = [{name: value} for name, value in builtins.items()]
    say = lambda text: {"role": "assistant", "channel": "final", "text": text}
    bundle["branches"] = []
    for ask, code, answer in SHOWN_PYTHON if "python" in builtins else []:
        steps = python_steps(code)
        messages = [{"role": "user", "text": ask}, *steps, say(answer)]
        bundle["branches"].append({"category": "shown", "messages": messages})
    for ask, query, files in SHOWN_BROWSER if "browser" in builtins else []:
        steps, answer = first_file_steps(query, files)
        messages = [{"role": "user", "text": ask}, *steps, say(answer)]
        bundle["branches"].append({"category": "shown", "messages": messages})
    for ask, name, arguments in SHOWN:
        messages = [{"role": "user", "text": ask}]
        messages += [generator.call(name, arguments)] if name else [say(ABSENT if "fox" in ask else GREETING)]
        bundle["branches"].append({"category": "shown", "messages": messages})
    return bundle
