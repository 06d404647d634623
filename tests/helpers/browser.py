"""A real Chromium without a window, spoken to over a pipe in its DevTools protocol."""

from __future__ import annotations

import base64
import contextlib
import fcntl
import json
import os
import select
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
FLAGS = (
    "--headless=new", "--remote-debugging-pipe", "--no-sandbox", "--disable-gpu",
    "--no-first-run", "--disable-extensions", "--disable-background-networking",
    "--disable-component-update", "--disable-dev-shm-usage", "--hide-scrollbars",
)  # fmt: skip
# The protocol speaks over descriptors 3 and 4.
BEGIN = """
import os, sys
os.dup2(int(sys.argv[1]), 3), os.dup2(int(sys.argv[2]), 4)
os.execv(sys.argv[3], sys.argv[3:])
"""
PATIENCE = 60  # seconds for an answer


def executable() -> str | None:
    """Where a Chromium is, if there is one."""
    return next((found for name in NAMES if (found := shutil.which(name))), None)


class Page:
    """One tab; what it complained about and asked for is kept."""

    def __init__(self, browser: Browser, target: str, session: str) -> None:
        self.browser, self.target, self.session = browser, target, session
        self.errors: list[str] = []
        self.requests: list[str] = []
        self.dialogs: list[str] = []

    def send(self, method: str, **params: Any) -> dict[str, Any]:
        """A command and its answer."""
        return self.browser.send(method, params, self.session)

    def evaluate(self, expression: str) -> Any:
        """The value of a JavaScript expression, promises awaited."""
        found = self.send("Runtime.evaluate", expression=expression, returnByValue=True,
                          awaitPromise=True, userGesture=True)  # fmt: skip
        if "exceptionDetails" in found:
            raise AssertionError(found["exceptionDetails"])
        return found["result"].get("value")

    def open(self, url: str) -> None:
        """Go there and wait until it is loaded and drawn."""
        self.send("Page.navigate", url="about:blank")  # a new fragment alone loads nothing
        self.requests.clear()
        self.send("Page.navigate", url=url)
        until = time.monotonic() + PATIENCE
        while time.monotonic() < until:
            with contextlib.suppress(AssertionError):
                if self.evaluate("document.readyState + location.protocol") == "completefile:":
                    break
            time.sleep(0.02)
        time.sleep(0.05)  # what a page does after loading; a promise needs scripts to be allowed

    def size(self, width: int, height: int = 900) -> None:
        """The window's size in CSS pixels."""
        self.send("Emulation.setDeviceMetricsOverride", width=width, height=height,
                  deviceScaleFactor=1, mobile=width < 600)  # fmt: skip

    def prefer(self, scheme: str, media: str = "") -> None:
        """`light` or `dark`; `media` may be print."""
        self.send("Emulation.setEmulatedMedia", media=media,
                  features=[{"name": "prefers-color-scheme", "value": scheme}])  # fmt: skip

    def screenshot(self, file: Path, whole: bool = False) -> None:
        """A PNG of what is seen, or of the whole page."""
        data = self.send("Page.captureScreenshot", captureBeyondViewport=whole)["data"]
        file.write_bytes(base64.b64decode(data))

    def pdf(self, file: Path) -> None:
        """What comes out of a printer."""
        data = self.send("Page.printToPDF", printBackground=True, paperWidth=8.27,
                         paperHeight=11.69)["data"]  # fmt: skip
        file.write_bytes(base64.b64decode(data))


class Browser:
    """The process, and the pipe to it."""

    def __init__(self, to: int, back: int) -> None:
        self.to, self.back = to, back
        self.buffer = b""
        self.count = 0
        self.pages: dict[str, Page] = {}

    def send(self, method: str, params: dict[str, Any], session: str = "") -> dict[str, Any]:
        """A command and its answer; what happens meanwhile is noted on the pages."""
        self.count += 1
        said: dict[str, Any] = {"id": self.count, "method": method, "params": params}
        if session:
            said["sessionId"] = session
        os.write(self.to, json.dumps(said).encode() + b"\0")
        while True:
            heard = self._next()
            if heard.get("id") == said["id"]:
                assert "error" not in heard, (method, heard)
                return dict(heard["result"])
            self._note(heard)

    def page(self) -> Page:
        """A new tab."""
        target = self.send("Target.createTarget", {"url": "about:blank"})["targetId"]
        session = self.send("Target.attachToTarget", {"targetId": target, "flatten": True})
        page = Page(self, target, session["sessionId"])
        self.pages[page.session] = page
        for domain in ("Page", "Runtime", "Log", "Network"):
            page.send(f"{domain}.enable")
        return page

    def _next(self) -> dict[str, Any]:
        while b"\0" not in self.buffer:
            ready, _, _ = select.select([self.back], [], [], PATIENCE)
            assert ready, "the browser says nothing"
            more = os.read(self.back, 1 << 20)
            assert more, "the browser has gone"
            self.buffer += more
        message, _, self.buffer = self.buffer.partition(b"\0")
        return dict(json.loads(message))

    def _note(self, heard: dict[str, Any]) -> None:
        page, params = self.pages.get(heard.get("sessionId", "")), heard.get("params", {})
        if page is None or "method" not in heard:
            return
        match heard["method"]:
            case "Runtime.exceptionThrown":
                page.errors.append(str(params["exceptionDetails"]))
            case "Runtime.consoleAPICalled" if params["type"] in ("error", "warning", "assert"):
                page.errors.append(str(params["args"]))
            case "Log.entryAdded":
                page.errors.append(str(params["entry"]))
            case "Network.requestWillBeSent" if not params["request"]["url"].startswith("data:"):
                page.requests.append(params["request"]["url"])
            case "Page.javascriptDialogOpening":
                page.dialogs.append(params["message"])
                self.count += 1
                answer = {"id": self.count, "method": "Page.handleJavaScriptDialog",
                          "params": {"accept": True}, "sessionId": page.session}  # fmt: skip
                os.write(self.to, json.dumps(answer).encode() + b"\0")


def _pipe(theirs: int) -> tuple[int, int]:
    """The browser's end, out of the way of the descriptors it expects, and ours."""
    ends = os.pipe()
    high = fcntl.fcntl(ends[theirs], fcntl.F_DUPFD_CLOEXEC, 20)
    os.close(ends[theirs])
    return high, ends[1 - theirs]


@contextlib.contextmanager
def chromium() -> Iterator[Browser]:
    """A running browser with a profile of its own; ended with all its processes."""
    found = executable()
    assert found is not None
    theirs_in, ours_out = _pipe(theirs=0)
    theirs_out, ours_in = _pipe(theirs=1)
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as profile:
        process = subprocess.Popen(
            [sys.executable, "-c", BEGIN, str(theirs_in), str(theirs_out), found, *FLAGS,
             f"--user-data-dir={profile}"],
            pass_fds=(theirs_in, theirs_out), start_new_session=True,
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )  # fmt: skip
        os.close(theirs_in)
        os.close(theirs_out)
        browser = Browser(ours_out, ours_in)
        try:
            yield browser
        finally:
            with contextlib.suppress(OSError, AssertionError):
                browser.send("Browser.close", {})
            os.close(ours_out)
            os.close(ours_in)
            try:
                process.wait(10)
            except subprocess.TimeoutExpired:
                os.killpg(process.pid, 9)
                process.wait()
