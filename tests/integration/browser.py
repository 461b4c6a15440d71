"""A headless Chromium that is told what to do through a pipe: it clicks, types and takes pictures."""

from __future__ import annotations

import json
import os
import select
import subprocess
import time
from base64 import b64decode
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

FLAGS = (
    "--headless", "--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync", "--hide-scrollbars", "--remote-debugging-pipe",
)  # fmt: skip


class Browser:
    """One page of a browser.

    Parameters
    ----------
    writes, reads : int
        The ends of the pipes.
    """

    def __init__(self, writes: int, reads: int) -> None:
        self._writes, self._reads = writes, reads
        self._number, self._left = 0, b""
        self._session: str | None = None
        self.said: list[str] = []
        """What the page wrote to its console, and what it was refused."""
        target = self.tell("Target.createTarget", url="about:blank")["targetId"]
        self._session = self.tell("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        for domain in ("Page", "Runtime", "Log"):
            self.tell(f"{domain}.enable")

    def tell(self, method: str, **parameters: Any) -> Any:
        """Do something, and give what came of it."""
        self._number += 1
        message = {"id": self._number, "method": method, "params": parameters}
        if self._session:
            message["sessionId"] = self._session
        os.write(self._writes, json.dumps(message).encode() + b"\0")
        while True:
            found = self._read()
            if found.get("id") == self._number:
                assert "error" not in found, found
                return found["result"]

    def _read(self) -> Any:
        while b"\0" not in self._left:
            ready, _, _ = select.select([self._reads], [], [], 60)
            assert ready, "the browser says nothing"
            part = os.read(self._reads, 1 << 20)
            assert part, "the browser is gone"
            self._left += part
        one, _, self._left = self._left.partition(b"\0")
        found = json.loads(one)
        if found.get("method") == "Log.entryAdded":
            self.said.append(found["params"]["entry"]["text"])
        if found.get("method") == "Runtime.exceptionThrown":
            self.said.append(json.dumps(found["params"]["exceptionDetails"]))
        return found

    def open(self, url: str) -> None:
        """Show a page."""
        self.tell("Page.navigate", url="about:blank")
        self.tell("Page.navigate", url=url)

    def run(self, script: str) -> Any:
        """What a script gives on the page."""
        found = self.tell(
            "Runtime.evaluate", expression=script, returnByValue=True, awaitPromise=True, userGesture=True
        )
        assert "exceptionDetails" not in found, found
        return found["result"].get("value")

    def text(self, selector: str = "body") -> str:
        """What can be read there, on one line."""
        return " ".join((self.run(f"document.querySelector({json.dumps(selector)})?.innerText ?? ''") or "").split())

    def wait_for(self, script: str) -> None:
        """Wait until a script gives what is true."""
        until = time.monotonic() + 30
        while not self.run(f"Boolean({script})"):
            assert time.monotonic() < until, (script, self.text(), self.said)
            time.sleep(0.03)

    def wait_text(self, text: str, selector: str = "body") -> None:
        """Wait until a text is to be read."""
        until = time.monotonic() + 30
        while text not in self.text(selector):
            assert time.monotonic() < until, (text, self.text(selector), self.said)
            time.sleep(0.03)

    def click(self, selector: str) -> None:
        """Click on something, as a person does: where it is."""
        place = self.run(
            f"(() => {{ const found = document.querySelector({json.dumps(selector)});"
            " found.scrollIntoView({block: 'center'});"
            " const box = found.getBoundingClientRect(); return [box.x + box.width / 2, box.y + box.height / 2]; })()"
        )
        for kind in ("mousePressed", "mouseReleased"):
            self.tell("Input.dispatchMouseEvent", type=kind, x=place[0], y=place[1], button="left", clickCount=1)

    def type(self, selector: str, text: str) -> None:
        """Type into a field, in place of what is there."""
        self.run(f"document.querySelector({json.dumps(selector)}).select(), null")
        self.run(f"document.querySelector({json.dumps(selector)}).focus(), null")
        if text:
            self.tell("Input.insertText", text=text)
        else:
            self.press("Delete")

    def press(self, key: str, code: int = 46) -> None:
        """Press a key."""
        for kind in ("keyDown", "keyUp"):
            text = {"text": "\r"} if key == "Enter" and kind == "keyDown" else {}
            self.tell("Input.dispatchKeyEvent", type=kind, key=key, code=key, windowsVirtualKeyCode=code, **text)

    def look(self, *, dark: bool = False, width: int = 1180, height: int = 900) -> None:
        """See it in the light or in the dark, on a screen of some size."""
        scheme = [{"name": "prefers-color-scheme", "value": "dark" if dark else "light"}]
        self.tell("Emulation.setEmulatedMedia", features=scheme)
        self.tell("Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=False)

    def picture(self) -> bytes:
        """The whole page as PNG."""
        found = self.tell("Page.captureScreenshot", format="png", captureBeyondViewport=True)
        return b64decode(found["data"])


@contextmanager
def browsing(program: str, folder: Path) -> Iterator[Browser]:
    """Run a browser."""
    theirs_in, ours_out = os.pipe()
    ours_in, theirs_out = os.pipe()

    def pipes() -> None:  # it reads from 3 and writes to 4
        copies = os.dup(theirs_in), os.dup(theirs_out)
        os.dup2(copies[0], 3)
        os.dup2(copies[1], 4)

    command = [program, *FLAGS, f"--user-data-dir={folder}"]
    with subprocess.Popen(
        command, preexec_fn=pipes,  # noqa: PLW1509 - it copies two descriptors, and nothing else
        close_fds=False, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    ) as process:  # fmt: skip
        os.close(theirs_in)
        os.close(theirs_out)
        try:
            yield Browser(ours_out, ours_in)
        finally:
            process.terminate()
            process.wait(timeout=30)
            os.close(ours_out)
            os.close(ours_in)
