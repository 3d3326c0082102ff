"""A headless Chromium, driven through chromedriver with Python's standard library alone.

Chromium is Debian's (packages chromium and chromium-driver); it gets an empty profile and is told to keep to itself."""
import base64
import json
import re
import shutil
import subprocess
import tempfile
import time
import urllib.error
import urllib.request

FLAGS = ["--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--hide-scrollbars",
         "--disable-background-networking", "--disable-component-update", "--disable-sync", "--disable-dev-shm-usage"]
START_SECONDS = 180


def available():
    return bool(shutil.which("chromedriver") and (shutil.which("chromium") or shutil.which("chromium-browser")))


class Browser:
    """with Browser() as browser: browser.open(url); browser.run("return document.title")"""

    def __init__(self, width=1200, height=900):
        self.opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        self.profile = tempfile.TemporaryDirectory(ignore_cleanup_errors=True)
        self.log = tempfile.TemporaryFile()
        self.driver = subprocess.Popen(["chromedriver", "--port=0"], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                                       stderr=self.log, text=True)
        try:
            self.port = self.wait_for_port()
            options = {"args": [*FLAGS, f"--user-data-dir={self.profile.name}", f"--window-size={width},{height}"]}
            wanted = {"alwaysMatch": {"goog:chromeOptions": options, "goog:loggingPrefs": {"browser": "ALL"},
                                      "timeouts": {"script": 120000}}}
            self.session = ""
            self.session = "/" + self.call("POST", "", {"capabilities": wanted})["sessionId"]
        except BaseException:
            self.close()
            raise

    def wait_for_port(self):
        for line in self.driver.stdout:
            match = re.search(r"started successfully on port (\d+)", line)
            if match:
                return int(match[1])
        raise RuntimeError("chromedriver did not start")

    def call(self, method, path, body=None):
        url = f"http://127.0.0.1:{self.port}/session{self.session}{path}"
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(url, data, {"Content-Type": "application/json"}, method=method)
        try:
            with self.opener.open(request, timeout=180) as answer:
                return json.load(answer)["value"]
        except urllib.error.HTTPError as error:
            raise RuntimeError(json.load(error)["value"]["message"]) from None

    def open(self, url):
        self.call("POST", "/url", {"url": url})

    def run(self, script, *arguments):
        """The value of a function's body; arguments are arguments[0]…"""
        return self.call("POST", "/execute/sync", {"script": script, "args": list(arguments)})

    def run_async(self, script, *arguments):
        """The value that `script` resolves to: an async function's body."""
        wrapped = ("const done = arguments[arguments.length - 1];"
                   f"(async (...args) => {{ {script} }})(...arguments).then(done, (e) => done('failed: ' + e.stack));")
        value = self.call("POST", "/execute/async", {"script": wrapped, "args": list(arguments)})
        if isinstance(value, str) and value.startswith("failed: "):
            raise RuntimeError(value)
        return value

    def wait(self, condition, seconds=START_SECONDS):
        """Waits until the expression holds."""
        end = time.monotonic() + seconds
        while not self.run(f"return !!({condition})"):
            if time.monotonic() > end:
                raise TimeoutError(f"never true: {condition}; console: {self.console()}")
            time.sleep(0.02)

    def devtools(self, command, **parameters):
        return self.call("POST", "/goog/cdp/execute", {"cmd": command, "params": parameters})

    def emulate(self, scheme="light", media="screen"):
        self.devtools("Emulation.setEmulatedMedia", media=media,
                      features=[{"name": "prefers-color-scheme", "value": scheme}])

    def resize(self, width, height):
        self.devtools("Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=False)

    def console(self):
        """Messages of the console since the last call."""
        return [entry["message"] for entry in self.call("POST", "/se/log", {"type": "browser"})]

    def screenshot(self, path):
        with open(path, "wb") as file:
            file.write(base64.b64decode(self.call("GET", "/screenshot")))

    def pdf(self):
        return base64.b64decode(self.devtools("Page.printToPDF", printBackground=True)["data"])

    def close(self):
        try:
            if getattr(self, "session", ""):
                self.call("DELETE", "")
        except (OSError, RuntimeError):
            pass  # it is ended below
        finally:
            self.driver.terminate()
            self.driver.wait()
            self.driver.stdout.close()
            self.log.close()
            self.profile.cleanup()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()
