"""Families of tools: what they are called and described as, how people ask for them, what they answer.

A family is drawn anew for each prompt: its name, its parameters' names and its description vary, so the model has to read the
declaration. Slots in braces are filled per request; {R} and {Q} stand in the result only, and are copied into the answer.
"""

import json
from dataclasses import dataclass, field
from fillers import *


@dataclass
class Family:
    key: str
    names: list
    descriptions: list
    # (possible names, type, template of the value, description or "")
    parameters: list
    asks: list
    results: list  # pairs: result text, answer
    bundled: dict = None  # the exact declaration, for the tools that come with the program


def F(key, names, descriptions, parameters, asks, *results):
    params = [(n.split(), ty, tpl) for n, ty, tpl in parameters]
    return Family(key, names.split(), descriptions, params, asks, list(results))


KNOWN = [
    F(
        "calc",
        "calculate calculator evaluate math_eval compute arithmetic",
        ["Evaluate an arithmetic expression.", "Calculator for arithmetic.", "Compute the value of an expression."],
        [("expression expr formula input", "string", "{E}")],
        [
            "What is {E}?",
            "Calculate {E}",
            "Compute {E} please",
            "how much is {E}",
            "{E}",
            "What's {E}",
            "{E} = ?",
            "Please evaluate {E}.",
            "Can you compute {E}?",
        ],
        ("{R}", "{E} = {R}."),
        ('{"result": {R}}', "{E} = {R}."),
    ),
    F(
        "time",
        "get_time current_time now clock get_current_time",
        ["Get the current date and time.", "Current time of the clock.", "Return the time now."],
        [],
        [
            "What time is it?",
            "What is the current time?",
            "Tell me the time",
            "what's the time now?",
            "Which date is it today?",
        ],
        ("{H}", "It is {H}."),
        ('{"time": "{H}"}', "It is {H}."),
    ),
    F(
        "unit",
        "convert_units unit_convert convert units_converter",
        ["Convert a value between units.", "Unit conversion.", "Convert a quantity to another unit."],
        [
            ("value amount quantity number", "number", "{N}"),
            ("from_unit source from unit", "string", "{u}"),
            ("to_unit target to into", "string", "{v}"),
        ],
        ["Convert {N} {u} to {v}", "How many {v} are {N} {u}?", "{N} {u} in {v}", "What is {N} {u} in {v}?"],
        ("{R}", "{N} {u} is {R} {v}."),
        ('{"result": {R}}', "{N} {u} is {R} {v}."),
    ),
    F(
        "note_add",
        "add_note save_note note_add create_note write_note",
        ["Save a note.", "Add a note to the list.", "Store a new note."],
        [("text note content body", "string", "{L}")],
        ["Add a note: {L}", "Note that {L}", "Save a note: {L}", "Remember that {L}", "write down {L}"],
        ("ok", "I saved the note."),
        ('{"ok": true}', "I saved the note."),
    ),
    F(
        "note_list",
        "list_notes get_notes show_notes read_notes",
        ["List all saved notes.", "Show the notes.", "Return every note."],
        [],
        ["List my notes", "Show my notes", "What are my notes?", "which notes do I have?"],
        ("{Q}", "Your notes: {Q}"),
        ('["{Q}"]', "Your notes: {Q}"),
    ),
    F(
        "weather",
        "get_weather weather forecast weather_lookup",
        ["Get the weather of a city.", "Weather forecast for a place.", "Current weather at a location."],
        [("city location place", "string", "{C}")],
        ["What is the weather in {C}?", "Weather in {C}", "How is the weather in {C} today?", "Is it raining in {C}?"],
        ("{X} in {C}, {R} degrees", "It is {X} in {C}, {R} degrees."),
        ('{"weather": "{X}", "temp": {R}}', "In {C} it is {X}, {R} degrees."),
    ),
    F(
        "read",
        "read_file open_file cat file_read",
        ["Read a file.", "Return the content of a file.", "Show a text file."],
        [("path file filename", "string", "{O}.txt")],
        ["Read the file {O}.txt", "Show me the file {O}.txt", "What is in {O}.txt?", "open file {O}.txt"],
        ("{Q}", "{O}.txt says: {Q}"),
    ),
    F(
        "delete",
        "delete_file remove_file file_delete",
        ["Delete a file.", "Remove a file from disk."],
        [("path file filename", "string", "{O}.txt")],
        ["Delete the file {O}.txt", "Remove {O}.txt", "erase {O}.txt please"],
        ("ok", "I deleted {O}.txt."),
        ('{"ok": true}', "I deleted {O}.txt."),
    ),
    F(
        "translate",
        "translate translate_text translator",
        ["Translate text into a language.", "Translation of a text."],
        [("text input phrase", "string", "{W}"), ("language target lang", "string", "{G}")],
        ["Translate {W} into {G}", "How do you say {W} in {G}?", "Translate {W} to {G} please"],
        ("{Q}", "In {G}: {Q}"),
    ),
    F(
        "remind",
        "set_reminder reminder_add remind add_reminder",
        ["Set a reminder in some minutes.", "Create a reminder."],
        [("minutes delay", "number", "{N}"), ("text message about", "string", "{W}")],
        ["Remind me in {N} minutes about {W}", "Set a reminder about {W} in {N} minutes"],
        ("ok", "I will remind you in {N} minutes."),
    ),
    F(
        "timer",
        "set_timer start_timer timer countdown",
        ["Start a timer.", "Countdown timer in seconds."],
        [("seconds duration time", "number", "{N}")],
        ["Set a timer for {N} seconds", "Start a timer of {N} seconds", "timer {N} seconds"],
        ("ok", "The timer is set to {N} seconds."),
    ),
    F(
        "email",
        "send_email email mail_send send_mail",
        ["Send an email.", "Mail a message to somebody."],
        [("to recipient address", "string", "{C}"), ("body message text", "string", "{L}")],
        ["Send an email to {C}: {L}", "Email {C} that {L}", "mail to {C}: {L}"],
        ("sent", "I sent the email to {C}."),
        ('{"sent": true}', "I sent the email to {C}."),
    ),
    F(
        "currency",
        "convert_currency exchange currency_rate",
        ["Convert money between currencies.", "Currency exchange."],
        [
            ("amount value sum", "number", "{N}"),
            ("from_currency source base", "string", "{A}"),
            ("to_currency target quote", "string", "{B}"),
        ],
        ["Convert {N} {A} to {B}", "How much is {N} {A} in {B}?", "Exchange {N} {A} into {B}"],
        ("{R}", "{N} {A} is {R} {B}."),
        ('{"result": {R}}', "{N} {A} is {R} {B}."),
    ),
    F(
        "define",
        "define_word dictionary lookup_word definition",
        ["Look up the definition of a word.", "Dictionary of words."],
        [("word term", "string", "{O}")],
        ["Define {O}", "What does {O} mean?", "Definition of {O}", "Look up the word {O}"],
        ("{Q}", "{O}: {Q}."),
    ),
    F(
        "stock",
        "stock_price get_stock quote_stock",
        ["Get the price of a stock.", "Stock quote of a company."],
        [("symbol company ticker", "string", "{C}")],
        ["What is the stock price of {C}?", "Stock price of {C}", "How is the {C} stock?"],
        ("{R}", "The stock of {C} is at {R}."),
    ),
    F(
        "music",
        "play_music play_song music_play",
        ["Play a song.", "Start music of an artist or title."],
        [("title song query", "string", "{W}")],
        ["Play {W}", "Play the song {W}", "I want to hear {W}", "play music: {W}"],
        ("playing", "Now playing {W}."),
    ),
    F(
        "random",
        "random_number dice roll random_int",
        ["Random number up to a maximum.", "Roll a random number."],
        [("max limit upper", "number", "{N}")],
        ["Give me a random number up to {N}", "Random number from 1 to {N}", "Roll a number up to {N}"],
        ("{R}", "Your random number is {R}."),
    ),
    F(
        "light",
        "set_light light_switch lamp",
        ["Switch the light of a room.", "Turn a lamp on or off."],
        [("room place", "string", "{O}"), ("state mode", "string", "{S}")],
        ["Turn {S} the light in the {O}", "Switch the {O} light {S}", "Light {S} in the {O} please"],
        ("ok", "The light in the {O} is {S}."),
    ),
    F(
        "contact",
        "find_contact contacts_lookup phone_book",
        ["Find the phone number of a contact.", "Contact lookup by name."],
        [("name person", "string", "{C}")],
        ["What is the phone number of {C}?", "Phone number of {C}", "How can I call {C}?"],
        ("{R}", "The phone number of {C} is {R}."),
    ),
    F(
        "event",
        "add_event create_event calendar_add",
        ["Add an event to the calendar.", "Create a calendar entry."],
        [("title name", "string", "{W}"), ("day date", "string", "{D}")],
        ["Add {W} to my calendar on {D}", "Put {W} in the calendar for {D}", "Schedule {W} on {D}"],
        ("ok", "It is in your calendar on {D}."),
    ),
    F(
        "route",
        "get_route directions route_plan",
        ["Directions between two places.", "Plan a route."],
        [("start origin from", "string", "{C}"), ("end destination to", "string", "{K}")],
        ["How do I get from {C} to {K}?", "Route from {C} to {K}", "Directions from {C} to {K}"],
        ("{R} km", "From {C} to {K} it is {R} km."),
    ),
    F(
        "news",
        "get_news news headlines latest_news",
        ["Latest news about a topic.", "News headlines."],
        [("topic subject", "string", "{W}")],
        ["News about {W}", "What is new about {W}?", "Latest headlines on {W}"],
        ("{Q}", "News about {W}: {Q}"),
    ),
    F(
        "search",
        "web_search search search_web find_pages",
        ["Search the web.", "Web search for a query.", "Find pages on the internet."],
        [("query q text", "string", "{W}")],
        ["Search the web for {W}", "Find on the internet: {W}", "Look on the web for {W}"],
        ("{Q}", "I found: {Q}"),
    ),
    F(
        "image",
        "cloud_image make_image image_create generate_image",
        ["Make an image from a description.", "Generate a picture with a hosted model.", "Draw an image."],
        [("prompt description text", "string", "{I}")],
        ["Draw {I}", "Draw me {I}", "Generate an image of {I}", "Make a picture of {I}", "Paint {I} for me"],
        ("saved as {P}.png", "Here is the picture: {P}.png"),
    ),
    F(
        "ask",
        "cloud_ask ask_expert ask_strong_model",
        ["Ask a stronger hosted model a hard question.", "Put a hard question to a larger model."],
        [("question prompt task", "string", "{L}")],
        ["Ask the strong model: {L}", "Ask the cloud: {L}", "Let the big model answer: {L}"],
        ("{Q}", "The answer is: {Q}"),
    ),
    F(
        "speak",
        "cloud_speak speak read_aloud text_to_speech",
        ["Read a text aloud.", "Turn text into speech."],
        [("text input", "string", "{L}")],
        ["Say aloud: {L}", "Read this aloud: {L}", "Speak: {L}"],
        ("saved as {P}.mp3", "Here is the recording: {P}.mp3"),
    ),
    F(
        "transcribe",
        "cloud_transcribe transcribe speech_to_text",
        ["Turn a recording into text.", "Transcribe an audio file."],
        [("file path audio", "string", "{O}.mp3")],
        ["Transcribe {O}.mp3", "What is said in {O}.mp3?", "Turn {O}.mp3 into text"],
        ("{Q}", "The recording says: {Q}"),
    ),
    F(
        "see",
        "cloud_see describe_image look_at_image",
        ["Describe an image.", "Say what is in a picture."],
        [("file path image", "string", "{O}.png")],
        ["Describe {O}.png", "What is in the picture {O}.png?", "Look at {O}.png"],
        ("{Q}", "The picture shows {Q}."),
    ),
]


def _bundled(root):
    """The program's own tools, exactly as declared beside their source."""
    specs = {}
    for package in ("calc", "clock", "notes"):
        for spec in json.load(open(f"{root}/tools/{package}/tools.json")):
            name = package if spec["name"] == package else f"{package}_{spec['name']}"
            specs[name] = {"name": name, "description": spec["description"], "parameters": spec["parameters"]}
    B = lambda name, parameters, asks, *results: Family(name, [name], [], parameters, asks, list(results), specs[name])
    return [
        B(
            "calc",
            [("expression", "{E}")],
            KNOWN[0].asks,
            ("{R}", "{E} = {R}."),
            ("{Y} (rounded to 30 significant digits)", "{E} = {Y}, rounded to 30 significant digits."),
        ),
        B(
            "clock_now",
            [("zone", "{Z}")],
            [
                "What time is it in {T}?",
                "What is the time in {T}?",
                "time in {T}",
                "Which day is it in {T}?",
                "What's the time in {T} now?",
                "Tell me the time in {T}.",
                "What is the date in {T}?",
            ],
            ("{d} {H}:{s} {Z} ({D})", "In {T} it is {H} on {D}, {d}."),
        ),
        B(
            "clock_now",
            [],
            [
                "What time is it?",
                "What is the time?",
                "Tell me the time",
                "what's the time now?",
                "Which date is it today?",
                "What day is it?",
                "What is today's date?",
                "What is the date today?",
            ],
            ("{d} {H}:{s} {Z} ({D})", "It is {H} on {D}, {d}."),
        ),
        B(
            "clock_add",
            [("start", "today"), ("duration", "{l}")],
            [
                "What date is {l} from today?",
                "Which day is it in {l}?",
                "What date is it in {l}?",
                "What day is {l} from now?",
                "When is {l} from today?",
                "Which date will it be in {l}?",
            ],
            ("{e} ({D})", "That is {D}, {e}."),
        ),
        B(
            "clock_add",
            [("start", "today"), ("duration", "-{l}")],
            ["What date was {l} ago?", "Which day was it {l} ago?", "When was {l} ago?"],
            ("{e} ({D})", "That is {D}, {e}."),
        ),
        B(
            "clock_add",
            [("start", "{d}"), ("duration", "{l}")],
            ["What date is {l} after {d}?", "Add {l} to {d}", "What is {d} plus {l}?", "Which day is {l} after {d}?"],
            ("{e} ({D})", "That is {D}, {e}."),
        ),
        B(
            "clock_add",
            [("start", "{d}"), ("duration", "-{l}")],
            ["What date is {l} before {d}?", "Subtract {l} from {d}", "What is {d} minus {l}?"],
            ("{e} ({D})", "That is {D}, {e}."),
        ),
        B(
            "clock_between",
            [("start", "{d}"), ("end", "{e}")],
            [
                "How many days are there between {d} and {e}?",
                "How long is it from {d} to {e}?",
                "How many days are between {d} and {e}?",
                "What is the time between {d} and {e}?",
                "How many days from {d} to {e}?",
            ],
            ("{n} days", "It is {n} days from {d} to {e}."),
        ),
        B(
            "clock_between",
            [("start", "today"), ("end", "{e}")],
            [
                "How many days are there until {e}?",
                "How long is it until {e}?",
                "How many days until {e}?",
                "How many days from today to {e}?",
            ],
            ("{n} days", "It is {n} days until {e}."),
        ),
        B(
            "clock_convert",
            [("time", "{h}"), ("from", "{Z}"), ("to", "{V}")],
            [
                "What is {h} {T} time in {U}?",
                "Convert {h} from {T} to {U}",
                "When it is {h} in {T}, what time is it in {U}?",
                "{h} in {T} is what time in {U}?",
                "Convert {h} {T} time to {U} time.",
            ],
            ("{d} {H} {V} ({D})", "{h} in {T} is {H} in {U}."),
        ),
        B(
            "notes_add",
            [("text", "{L}")],
            [
                "Note that {L}",
                "Add a note: {L}",
                "Save a note: {L}",
                "Remember that {L}",
                "Write down that {L}",
                "Make a note: {L}",
                "Please note: {L}",
                "note: {L}",
            ],
            ("saved as note {m}", "I saved it as note {m}."),
        ),
        B(
            "notes_list",
            [],
            [
                "List my notes",
                "Show my notes",
                "What are my notes?",
                "which notes do I have?",
                "Show me all notes",
                "What did I note?",
                "Read my notes.",
            ],
            ("{M}", "Your notes:\n{M}"),
            ("no notes yet", "You have no notes yet."),
        ),
        B(
            "notes_search",
            [("query", "{q}")],
            [
                "Find my notes about the {q}",
                "Search my notes for {q}",
                "Do I have a note about {q}?",
                "Find notes about {q}",
                "What did I note about the {q}?",
                "Look for {q} in my notes",
                "Which notes mention {q}?",
            ],
            ("{M}", "I found:\n{M}"),
            ('no note contains "{q}"', "No note is about {q}."),
        ),
    ]
