"""Drives the mock server with the official Python client: what that client understands is what the API says.

    cargo build --example mock_openai
    pip install openai
    python tests/outside/mock.py target/debug/examples/mock_openai

Prints `ok N checks`, or the first check that fails. It reaches nothing but 127.0.0.1.
"""

import base64
import io
import json
import struct
import subprocess
import sys
import urllib.request
import wave

import openai

n_checks = 0


def check(is_so, what):
    global n_checks
    n_checks += 1
    if not is_so:
        raise SystemExit(f"failed: {what}")


def raises(kind, what, call, **about):
    try:
        call()
    except kind as error:
        check(True, what)
        for name, value in about.items():
            check(getattr(error, name) == value, f"{what}: {name} is {getattr(error, name)!r}, not {value!r}")
        return error
    except Exception as error:
        raise SystemExit(f"failed: {what}: {type(error).__name__}: {error}")
    raise SystemExit(f"failed: {what}: no error at all")


def png_size(encoded):
    data = base64.b64decode(encoded)
    check(data[:8] == b"\x89PNG\r\n\x1a\n", "an image is a PNG")
    return struct.unpack(">II", data[16:24])


class Mock:
    def __init__(self, program):
        self.process = subprocess.Popen([program], stdout=subprocess.PIPE, text=True)
        line = self.process.stdout.readline()
        self.variables = dict(pair.split("=", 1) for pair in line.split())
        self.base = self.variables["OPENAI_BASE_URL"]
        self.root = self.base.removesuffix("/v1")

    def client(self, **more):
        settings = {"base_url": self.base, "api_key": self.variables["OPENAI_API_KEY"], "max_retries": 0, "timeout": 10,
                    "_strict_response_validation": True}
        return openai.OpenAI(**{**settings, **more})

    def plan(self, *planned):
        body = json.dumps(list(planned)).encode()
        request = urllib.request.Request(self.root + "/mock/plan", data=body, method="POST")
        with urllib.request.urlopen(request) as answer:
            check(json.load(answer)["planned"] == len(planned), "a plan is taken")

    def about(self, what):
        with urllib.request.urlopen(f"{self.root}/mock/{what}") as answer:
            return json.load(answer)


def responses(mock, client):
    whole = client.responses.create(model="gpt-6.2-sol", input="Hello, fox", instructions="Be brief.")
    check(whole.output_text == "The mock heard: Hello, fox", "a response says what it heard")
    check(whole.status == "completed" and whole.usage.input_tokens > 0, "it is completed and has a usage")
    check(whole.usage.output_tokens_details.reasoning_tokens == 0, "no reasoning was asked for")
    check(whole._request_id.startswith("req_"), "each answer has a request's id")
    thought = client.responses.create(model="gpt-6.2-sol", input="x", reasoning={"effort": "low"})
    check(thought.usage.output_tokens_details.reasoning_tokens > 0, "reasoning counts")
    again = client.responses.create(model="gpt-6.2-sol", input="And?", previous_response_id=whole.id)
    check(again.previous_response_id == whole.id, "a response follows another")
    check(client.responses.retrieve(whole.id).output_text == whole.output_text, "a response is kept")
    items = list(client.responses.input_items.list(whole.id))
    check(items[0].content[0].text == "Hello, fox", "its input is kept")
    counted = client.responses.input_tokens.count(model="gpt-6.2-sol", input="Hello, fox", instructions="Be brief.")
    check(counted.input_tokens == whole.usage.input_tokens, "tokens are counted before as they are paid after")
    client.responses.delete(whole.id)
    raises(openai.NotFoundError, "what is deleted is gone",
           lambda: client.responses.retrieve(whole.id), status_code=404)
    cut = client.responses.create(model="gpt-6.2-sol", input="long " * 50, max_output_tokens=16)
    check(cut.status == "incomplete" and cut.incomplete_details.reason == "max_output_tokens", "a limit cuts")


def streams(mock, client):
    events = list(client.responses.create(model="gpt-6.2-sol", input="Tell me more", stream=True))
    kinds = [event.type for event in events]
    check(kinds[:2] == ["response.created", "response.in_progress"], "a stream begins so")
    check(kinds[-1] == "response.completed", "and ends so")
    check([event.sequence_number for event in events] == list(range(len(events))), "events are numbered")
    text = "".join(event.delta for event in events if event.type == "response.output_text.delta")
    check(text == events[-1].response.output_text, "pieces make up the whole")
    with client.responses.stream(model="gpt-6.2-sol", input="With the client's own accumulator") as stream:
        for _ in stream:
            pass
        check(stream.get_final_response().output_text.endswith("accumulator"), "the client's accumulator agrees")
    mock.plan({"path": "/responses", "fault": "refusal"})
    refused = client.responses.create(model="gpt-6.2-sol", input="x")
    check(refused.output[0].content[0].type == "refusal", "a refusal is a part of its own")
    mock.plan({"path": "/responses", "fault": "refusal"})
    kinds = [event.type for event in client.responses.create(model="gpt-6.2-sol", input="x", stream=True)]
    check("response.refusal.delta" in kinds and "response.refusal.done" in kinds, "a refusal is streamed")
    mock.plan({"path": "/responses", "fault": {"fail": "server_error"}})
    events = list(client.responses.create(model="gpt-6.2-sol", input="x", stream=True))
    check(events[-1].type == "response.failed", "a failure ends a stream")
    check(events[-1].response.error.code == "server_error", "and says why")
    mock.plan({"path": "/responses", "fault": "unknown_events"})
    lenient = mock.client(_strict_response_validation=False)
    events = list(lenient.responses.create(model="gpt-6.2-sol", input="x", stream=True))
    check(any(event.type == "response.rainbow.delta" for event in events), "unknown events come in between")


def parts(mock, client):
    picture = client.images.generate(model="gpt-image-2.6-flare", prompt="a fox", size="64x64").data[0].b64_json
    file = client.files.create(file=("note.txt", b"hello"), purpose="user_data")
    check(file.bytes == 5 and file.filename == "note.txt", "a file is kept")
    seen = client.responses.create(model="gpt-6.2-sol", input=[{"role": "user", "content": [
        {"type": "input_text", "text": "What is it?"},
        {"type": "input_image", "image_url": f"data:image/png;base64,{picture}", "detail": "auto"},
        {"type": "input_file", "file_id": file.id},
        {"type": "input_file", "filename": "a.pdf", "file_data": "data:application/pdf;base64,JVBERg=="},
    ]}])
    check("[an image]" in seen.output_text and "[the file a.pdf]" in seen.output_text, "images and files are inputs")
    check(client.files.delete(file.id).deleted, "a file is deleted")
    raises(openai.NotFoundError, "and gone", lambda: client.files.retrieve(file.id))
    schema = {"type": "object", "properties": {"name": {"type": "string"}, "legs": {"type": "integer"}},
              "required": ["name", "legs"], "additionalProperties": False}
    text = {"format": {"type": "json_schema", "name": "animal", "schema": schema, "strict": True}}
    shaped = client.responses.create(model="gpt-6.2-sol", input="x", text=text)
    check(json.loads(shaped.output_text) == {"name": "text", "legs": 1}, "a schema is kept to")
    tool = {"type": "function", "name": "animal", "parameters": schema, "strict": True}
    called = client.responses.create(model="gpt-6.2-sol", input="x", tools=[tool], tool_choice="required")
    call = called.output[0]
    check(call.type == "function_call" and json.loads(call.arguments)["legs"] == 1, "a function is called")
    back = {"type": "function_call_output", "call_id": call.call_id, "output": "four"}
    told = client.responses.create(model="gpt-6.2-sol", input=[back], previous_response_id=called.id)
    check(told.output_text == "The mock heard: four", "its output is heard")
    events = list(client.responses.create(
        model="gpt-6.2-sol", input="x", tools=[tool], tool_choice={"type": "function", "name": "animal"}, stream=True))
    arguments = "".join(e.delta for e in events if e.type == "response.function_call_arguments.delta")
    check(json.loads(arguments)["name"] == "text", "arguments are streamed")


def background(mock, client):
    conversation = client.conversations.create(metadata={"task": "7"})
    check(client.conversations.retrieve(conversation.id).metadata == {"task": "7"}, "a conversation keeps metadata")
    made = client.responses.create(
        model="gpt-6.2-sol", input="Slowly", background=True, conversation=conversation.id, store=True)
    check(made.status == "queued" and made.usage is None, "a background response is queued first")
    roles = [item.role for item in client.conversations.items.list(conversation.id)]
    check(roles == [], f"nothing is there before the answer is: {roles}")
    seen = [made.status]
    while seen[-1] not in ("completed", "failed") and len(seen) < 9:
        seen.append(client.responses.retrieve(made.id).status)
    check(seen[-2:] == ["in_progress", "completed"], f"it passes through its states: {seen}")
    roles = [item.role for item in client.conversations.items.list(conversation.id, order="asc")]
    check(roles == ["user", "assistant"], f"a conversation has what was said: {roles}")
    events = list(client.responses.retrieve(made.id, stream=True))
    check(events[1].type == "response.queued" and events[-1].type == "response.completed", "it can be attached to")
    later = list(client.responses.retrieve(made.id, stream=True, starting_after=3))
    check([event.sequence_number for event in later] == list(range(4, len(events))), "from where it was left")
    other = client.responses.create(model="gpt-6.2-sol", input="Never mind", background=True)
    check(client.responses.cancel(other.id).status == "cancelled", "it can be cancelled")
    check(client.responses.retrieve(other.id).status == "cancelled", "and stays so")
    plain = client.responses.create(model="gpt-6.2-sol", input="x")
    raises(openai.BadRequestError, "others cannot be cancelled", lambda: client.responses.cancel(plain.id))
    client.conversations.delete(conversation.id)
    raises(openai.NotFoundError, "a deleted conversation is gone",
           lambda: client.conversations.retrieve(conversation.id))


def images(mock, client):
    model = "gpt-image-2.6-flare"
    made = client.images.generate(model=model, prompt="a fox", size="96x48", quality="low", n=2)
    check([png_size(image.b64_json) for image in made.data] == [(96, 48)] * 2, "images have the size asked for")
    check(made.usage.output_tokens > 0 and made.usage.input_tokens_details.text_tokens > 0, "images have a usage")
    check(made.size == "96x48" and made.quality == "low", "an answer says what was made")
    events = list(client.images.generate(model=model, prompt="a fox", size="32x32", stream=True, partial_images=2))
    kinds = [event.type for event in events]
    check(kinds == ["image_generation.partial_image"] * 2 + ["image_generation.completed"], f"partial images: {kinds}")
    check([event.partial_image_index for event in events[:2]] == [0, 1], "partial images are numbered")
    check(events[-1].usage.total_tokens > 0, "the last event has the usage")
    picture = ("fox.png", base64.b64decode(made.data[0].b64_json), "image/png")
    edited = client.images.edit(model=model, image=picture, prompt="lighter", size="32x64")
    check(png_size(edited.data[0].b64_json) == (32, 64), "an edit makes an image")
    check(edited.usage.input_tokens_details.image_tokens > 0, "an edit counts its image")
    client.images.edit(model=model, image=[picture, picture], mask=picture, prompt="both")
    events = list(client.images.edit(
        model=model, image=picture, prompt="x", size="32x32", stream=True, partial_images=1))
    kinds = [event.type for event in events]
    check(kinds == ["image_edit.partial_image", "image_edit.completed"], f"edits are streamed: {kinds}")
    raises(openai.BadRequestError, "an odd size is refused",
           lambda: client.images.generate(model=model, prompt="x", size="100x100"), param="size")
    raises(openai.BadRequestError, "what is no image is not edited",
           lambda: client.images.edit(model=model, image=("a.png", b"no image", "image/png"), prompt="x"))
    mock.plan({"fault": "content_policy"})
    raises(openai.BadRequestError, "the content policy speaks",
           lambda: client.images.generate(model=model, prompt="x"), code="content_policy_violation")


def audio(mock, client):
    spoken = client.audio.speech.create(model="mock-tts", voice="marin", input="Hello", response_format="wav").content
    with wave.open(io.BytesIO(spoken)) as sound:
        check(sound.getframerate() == 24000 and sound.getnframes() > 1000, "speech is a WAV")
    with client.audio.speech.with_streaming_response.create(
            model="mock-tts", voice="marin", input="Hello", response_format="wav") as answer:
        check(b"".join(answer.iter_bytes()) == spoken, "speech is streamed")
    heard = client.audio.transcriptions.create(model="gpt-transcribe", file=("a.wav", spoken, "audio/wav"))
    check(heard.text == f"The mock listened to a.wav, {len(spoken)} bytes.", "a file is transcribed")
    check(heard.usage.type == "tokens" and heard.usage.input_tokens > 0, "a transcription has a usage")


def errors(mock, client):
    def ask(client=client, **more):
        return lambda: client.responses.create(**{"model": "gpt-6.2-sol", "input": "x", **more})

    raises(openai.AuthenticationError, "a wrong key", ask(mock.client(api_key="sk-wrong")), code="invalid_api_key")
    raises(openai.NotFoundError, "an unknown model", ask(model="gpt-0"), code="model_not_found")
    raises(openai.BadRequestError, "a model for something else", ask(model="gpt-transcribe"), param="model")
    raises(openai.BadRequestError, "an unknown field", ask(extra_body={"colour": 1}), param="colour")
    raises(openai.BadRequestError, "too small a limit", ask(max_output_tokens=1), param="max_output_tokens")
    raises(openai.BadRequestError, "two contexts", ask(conversation="conv_0", previous_response_id="resp_0"))
    raises(openai.NotFoundError, "no such conversation", ask(conversation="conv_0"))
    raises(openai.BadRequestError, "a content that is none",
           ask(input=[{"role": "user", "content": [{"type": "smell"}]}]), param="input[0].content[0]")
    raises(openai.NotFoundError, "no such path", lambda: client.get("/nothing", cast_to=object))
    mock.plan({"fault": {"rate_limit": {"ms": 5}}})
    limited = raises(openai.RateLimitError, "a rate limit", ask(), code="rate_limit_exceeded", status_code=429)
    check(limited.response.headers["retry-after-ms"] == "5", "it says how long to wait")
    check(limited.response.headers["x-ratelimit-limit-requests"] == "500", "limits are told")
    mock.plan({"fault": "quota"})
    raises(openai.RateLimitError, "no money left", ask(), code="insufficient_quota")
    mock.plan({"fault": "server_error"})
    raises(openai.InternalServerError, "an error in HTML", ask(), status_code=500)
    mock.plan({"fault": "unavailable"})
    raises(openai.InternalServerError, "overloaded", ask(), status_code=503)
    mock.plan({"fault": {"status": {"status": 409, "body": "{}"}}})
    raises(openai.ConflictError, "any status", ask())
    mock.plan({"fault": {"rate_limit": {"ms": 5}}, "n": 2})
    check(ask(mock.client(max_retries=2))().status == "completed", "the client's own retries get through")
    mock.plan({"fault": "silence"})
    raises(openai.APITimeoutError, "silence", ask(mock.client(timeout=0.5)))
    for fault in ["reset", "reset_after_billing"]:
        mock.plan({"fault": fault})
        n_before = mock.about("charged")["n"]
        raises(openai.APIConnectionError, fault, ask())
        check(mock.about("charged")["n"] - n_before == (fault != "reset"), f"{fault}: charged or not")
    mock.plan({"fault": {"cut_after_bytes": 20}})
    raises(openai.APIConnectionError, "a cut answer", ask())
    mock.plan({"fault": {"cut_after_events": 3}})
    seen = []

    def read():
        for event in client.responses.create(model="gpt-6.2-sol", input="x", stream=True):
            seen.append(event)

    try:
        read()
        raise SystemExit("failed: a cut stream: no error at all")
    except Exception as error:
        check(len(seen) == 3, f"a cut stream: {len(seen)} events before {type(error).__name__}")
    mock.plan({"fault": {"slow_bytes": 1}})
    check(ask()().status == "completed", "slow bytes arrive")
    mock.plan({"fault": {"huge_body": 1 << 20}})
    check(ask()().status == "completed", "a long answer arrives")


def models(mock, client):
    listed = {model.id: model for model in client.models.list()}
    check("gpt-6.2-sol" in listed and "gpt-transcribe" in listed, "models are listed")
    check(listed["gpt-image-1.5"].to_dict()["shutdown_date"] == "2026-12-01", "with the date of their end")
    check(client.models.retrieve("gpt-6-luna").id == "gpt-6-luna", "a model is described")
    raises(openai.NotFoundError, "an unknown one is not", lambda: client.models.retrieve("gpt-0"))


def ledger(mock, client):
    seen = mock.about("received")
    check(any(request["path"] == "/v1/responses" and "Hello, fox" in request["body"] for request in seen["requests"]),
          "requests are kept")
    with urllib.request.urlopen(mock.root + "/mock/received/bytes") as answer:
        raw = answer.read()
    check(b"POST /v1/images/edits HTTP/1.1" in raw and b"Bearer sk-mock-" in raw, "every byte is kept")
    charged = mock.about("charged")
    check(len({charge["id"] for charge in charged["charged"]}) == charged["n"], "each object is charged once")
    n_before = charged["n"]
    client.models.list()
    client.conversations.create()
    client.responses.input_tokens.count(model="gpt-6.2-sol", input="x")
    check(mock.about("charged")["n"] == n_before, "what is free is not charged")
    client.responses.create(model="gpt-6.2-sol", input="x")
    check(mock.about("charged")["n"] == n_before + 1, "what is not free is")


def main():
    mock = Mock(sys.argv[1])
    try:
        client = mock.client()
        for part in (responses, streams, parts, background, images, audio, errors, models, ledger):
            part(mock, client)
        print(f"ok {n_checks} checks (openai {openai.__version__})")
    finally:
        mock.process.terminate()
        mock.process.wait()


if __name__ == "__main__":
    main()
