"""What a browser shows of pages: for each path on standard input one line of JSON, {"path", "text"}, the text being the
body's innerText in a headless Chromium. Speaks its DevTools protocol over two pipes, so it needs nothing but Python.

    find . -name '*.html' | python3 inner_text.py chromium-headless-shell > texts.jsonl
"""

import json
import os
import pathlib
import select
import subprocess
import sys
import tempfile

SECONDS_PER_PAGE = 30


class Browser:
    def __init__(self, program, home):
        to_browser, self.to_browser = os.pipe()
        self.from_browser, from_browser = os.pipe()
        # The browser reads orders from descriptor 3 and answers on 4, whatever was there before.
        spare = [os.dup2(fd, 100 + n) for n, fd in enumerate((to_browser, from_browser))]
        script = f'exec 3<&{spare[0]} 4>&{spare[1]}; exec "$0" "$@"'
        arguments = ["--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--hide-scrollbars",
                     "--host-resolver-rules=MAP * ~NOTFOUND", "--window-size=1280,1024",
                     f"--user-data-dir={home}", "--remote-debugging-pipe"]
        self.process = subprocess.Popen(["bash", "-c", script, program, *arguments], pass_fds=spare,
                                        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        for fd in (to_browser, from_browser, *spare):
            os.close(fd)
        self.n, self.session, self.unread = 0, None, b""
        target = self.call("Target.createTarget", url="about:blank")["targetId"]
        self.session = self.call("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        self.call("Page.enable")
        # Pages that scripts make have no text for those who run none.
        self.call("Emulation.setScriptExecutionDisabled", value=True)

    def call(self, method, **params):
        self.n += 1
        order = {"id": self.n, "method": method, "params": params}
        if self.session:
            order["sessionId"] = self.session
        os.write(self.to_browser, json.dumps(order).encode() + b"\0")
        answer = self.wait(lambda message: message.get("id") == self.n)
        if "error" in answer:
            raise RuntimeError(f"{method}: {answer['error']}")
        return answer["result"]

    def wait(self, is_it):
        while True:
            while b"\0" not in self.unread:
                if not select.select([self.from_browser], [], [], SECONDS_PER_PAGE)[0]:
                    raise TimeoutError
                more = os.read(self.from_browser, 1 << 20)
                if not more:
                    raise EOFError("the browser is gone")
                self.unread += more
            message, self.unread = self.unread.split(b"\0", 1)
            message = json.loads(message)
            if is_it(message):
                return message

    def inner_text(self, path):
        self.call("Page.navigate", url=pathlib.Path(path).resolve().as_uri())
        self.wait(lambda message: message.get("method") == "Page.loadEventFired")
        try:
            text = self.call("Runtime.evaluate", expression="document.body ? document.body.innerText : ''")
        except RuntimeError:
            return None  # a page that only leads on to another
        return text["result"].get("value", "")


def main():
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as home:
        browser = Browser(sys.argv[1], home)
        for path in sys.stdin.read().splitlines():
            text = browser.inner_text(path)
            if text is not None:
                print(json.dumps({"path": path, "text": text}), flush=True)
        browser.process.terminate()
        browser.process.wait()


main()
