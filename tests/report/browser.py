"""Debian's Chromium without a window, driven through its chromedriver by the W3C WebDriver protocol."""

import base64
import json
import re
import subprocess
import tempfile
import urllib.error
import urllib.request

FLAGS = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
ELEMENT = "element-6066-11e4-a52e-4f735466cecf"
KEYS = {"Enter": "\ue007", "Escape": "\ue00c", "ArrowUp": "\ue013", "ArrowDown": "\ue015"}
START_SECONDS = 60


class Browser:
    """A browser with an empty profile, from `with` to its end."""

    def __init__(self, width=1280, height=800, dark=False):
        self.size = (width, height)
        self.dark = dark

    def __enter__(self):
        self.profile = tempfile.TemporaryDirectory(prefix="report-", ignore_cleanup_errors=True)
        self.driver = subprocess.Popen(["chromedriver", "--port=0"], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        for line in self.driver.stdout:
            if found := re.search(r"started successfully on port (\d+)", line):
                self.url = f"http://127.0.0.1:{found[1]}"
                break
        else:
            raise RuntimeError("chromedriver did not start")
        arguments = [*FLAGS, f"--user-data-dir={self.profile.name}", "--window-size={},{}".format(*self.size)]
        options = {"args": arguments}
        wanted = {"browserName": "chrome", "goog:chromeOptions": options, "goog:loggingPrefs": {"browser": "ALL", "performance": "ALL"}}
        made = self.ask("POST", "/session", {"capabilities": {"alwaysMatch": wanted}})
        self.url += f"/session/{made['sessionId']}"
        # The window's size counts its frame; what is tested is the size of the page.
        device = {"width": self.size[0], "height": self.size[1], "deviceScaleFactor": 1, "mobile": False}
        self.command("Emulation.setDeviceMetricsOverride", **device)
        if self.dark:
            feature = {"name": "prefers-color-scheme", "value": "dark"}
            self.command("Emulation.setEmulatedMedia", features=[feature])
        return self

    def __exit__(self, *_):
        try:
            self.ask("DELETE", "")
        finally:
            self.driver.terminate()
            self.driver.wait()
            self.profile.cleanup()

    def ask(self, method, path, body=None):
        """One command of the protocol; what it gives back."""
        data = None if method in ("GET", "DELETE") else json.dumps(body or {}).encode()
        request = urllib.request.Request(self.url + path, data, {"Content-Type": "application/json"}, method=method)
        try:
            with urllib.request.urlopen(request, timeout=START_SECONDS) as reply:
                return json.load(reply)["value"]
        except urllib.error.HTTPError as error:
            raise RuntimeError(f"{path}: {json.load(error)['value']['message']}") from None

    def command(self, name, **parameters):
        """A command of Chromium's own protocol."""
        return self.ask("POST", "/goog/cdp/execute", {"cmd": name, "params": parameters})

    def open(self, path):
        # What the browser's own first page asked for is no concern of the page's.
        self.ask("POST", "/url", {"url": "about:blank"})
        self.requests()
        self.ask("POST", "/url", {"url": path.resolve().as_uri()})
        # The driver has been seen to answer while a large page was still being read.
        loaded = """
            const done = arguments[0];
            if (document.readyState === "complete") done();
            else addEventListener("load", () => done());
        """
        self.ask("POST", "/execute/async", {"script": loaded, "args": []})

    def run(self, script, *arguments):
        """What a script in the page returns."""
        return self.ask("POST", "/execute/sync", {"script": script, "args": list(arguments)})

    def scroll(self, selector, top):
        """Scrolls an element to a place, in pixels, and waits for the frame in which the page draws what came in sight."""
        script = """
            document.querySelector(arguments[0]).scrollTop = arguments[1];
            const done = arguments[2];
            requestAnimationFrame(() => requestAnimationFrame(() => done()));
        """
        self.ask("POST", "/execute/async", {"script": script, "args": [selector, top]})

    def find(self, selector):
        """An element, to be handed to `click` and `type`."""
        return self.ask("POST", "/element", {"using": "css selector", "value": selector})[ELEMENT]

    def click(self, selector):
        self.ask("POST", f"/element/{self.find(selector)}/click")

    def type(self, selector, text):
        self.ask("POST", f"/element/{self.find(selector)}/value", {"text": text})

    def press(self, *keys):
        """Keys, where the focus is."""
        keys = [KEYS.get(key, key) for key in keys]
        actions = [{"type": kind, "value": key} for key in keys for kind in ("keyDown", "keyUp")]
        self.ask("POST", "/actions", {"actions": [{"type": "key", "id": "keyboard", "actions": actions}]})

    def drag(self, selector, start, end):
        """The mouse, pressed from one place to another of an element; places in pixels from its top left corner."""
        box = self.run("const it = document.querySelector(arguments[0]).getBoundingClientRect(); return [it.left, it.top]", selector)
        (x0, y0), (x1, y1) = [(round(box[0] + x), round(box[1] + y)) for x, y in (start, end)]
        move = {"type": "pointerMove", "duration": 0, "origin": "viewport"}
        actions = [{**move, "x": x0, "y": y0}, {"type": "pointerDown", "button": 0}, {**move, "x": x1, "y": y1}, {"type": "pointerUp", "button": 0}]
        mouse = {"type": "pointer", "id": "mouse", "parameters": {"pointerType": "mouse"}, "actions": actions}
        self.ask("POST", "/actions", {"actions": [mouse]})

    def screenshot(self, path):
        path.write_bytes(base64.b64decode(self.ask("GET", "/screenshot")))

    def printed(self):
        """The page as a PDF."""
        return base64.b64decode(self.ask("POST", "/print", {"background": True}))

    def console(self):
        """Lines of the console since the last time."""
        return [entry["message"] for entry in self.ask("POST", "/se/log", {"type": "browser"})]

    def requests(self):
        """Addresses that were asked for since the last time."""
        entries = self.ask("POST", "/se/log", {"type": "performance"})
        messages = [json.loads(entry["message"])["message"] for entry in entries]
        return [each["params"]["request"]["url"] for each in messages if each["method"] == "Network.requestWillBeSent"]
