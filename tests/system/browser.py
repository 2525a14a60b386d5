"""Chromium without a window, driven over two pipes by its DevTools protocol: no library, no port."""

import base64
import fcntl
import itertools
import json
import os
import select
import subprocess
from pathlib import Path
from types import TracebackType
from typing import Any

from processes import CAP, wait_for

PROGRAM = "chromium"
_FLAGS = (
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync", "--hide-scrollbars", "--host-resolver-rules=MAP * ~NOTFOUND",
    "--remote-debugging-pipe",
)  # fmt: skip


class Browser:
    """One page. Everything that the browser tells is kept in `events`.

    Parameters
    ----------
    profile : an empty folder of its own
    """

    def __init__(self, profile: Path) -> None:
        self.events: list[dict[str, Any]] = []
        self._numbers, self._rest = itertools.count(1), b""
        commands, self._out = os.pipe()
        self._in, answers = os.pipe()
        ends = [fcntl.fcntl(end, fcntl.F_DUPFD, 20) for end in (commands, answers)]  # chromium wants them as 3 and 4
        shell = f'exec "$@" 3<&{ends[0]} 4>&{ends[1]}'
        command = ["bash", "-c", shell, "bash", PROGRAM, *_FLAGS, f"--user-data-dir={profile}", "about:blank"]
        quiet = subprocess.DEVNULL
        self.process = subprocess.Popen(command, stdin=quiet, stdout=quiet, stderr=quiet, pass_fds=ends)
        for end in (commands, answers, *ends):
            os.close(end)
        targets = self._call("Target.getTargets", {})["targetInfos"]
        page = next(target["targetId"] for target in targets if target["type"] == "page")
        self._session = self._call("Target.attachToTarget", {"targetId": page, "flatten": True})["sessionId"]
        for domain in ("Page", "Runtime", "Network", "Log"):
            self.send(f"{domain}.enable")

    def __enter__(self) -> "Browser":
        return self

    def __exit__(self, kind: type[BaseException] | None, fault: BaseException | None, trace: TracebackType | None) -> None:
        self.process.terminate()
        self.process.wait(CAP)
        os.close(self._in)
        os.close(self._out)

    def send(self, method: str, **params: Any) -> dict[str, Any]:
        """A command to the page, and its answer."""
        return self._call(method, params, sessionId=self._session)

    def open(self, path: Path, width: int = 1280, height: int = 900, scheme: str = "light", media: str = "screen") -> None:
        """Show a file in a window of this width, by day or at night, on the screen or on paper."""
        self.events.clear()
        size = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": False}
        self.send("Emulation.setDeviceMetricsOverride", **size)
        feature = {"name": "prefers-color-scheme", "value": scheme}
        self.send("Emulation.setEmulatedMedia", media=media, features=[feature])
        self.send("Page.navigate", url=path.resolve().as_uri())
        wait_for(lambda: self.evaluate("document.readyState + location.protocol") == "completefile:")

    def evaluate(self, expression: str) -> Any:
        """Value of an expression of JavaScript in the page."""
        answer = self.send("Runtime.evaluate", expression=expression, returnByValue=True, awaitPromise=True)
        assert "exceptionDetails" not in answer, answer
        return answer["result"].get("value")

    def screenshot(self, path: Path) -> None:
        """All of the page as PNG."""
        data = self.send("Page.captureScreenshot", format="png", captureBeyondViewport=True)["data"]
        path.write_bytes(base64.b64decode(data))

    def told(self, *methods: str) -> list[dict[str, Any]]:
        """What the browser told by these methods since the page was opened."""
        return [event["params"] for event in self.events if event.get("method") in methods]

    def _call(self, method: str, params: dict[str, Any], **more: str) -> dict[str, Any]:
        number = next(self._numbers)
        os.write(self._out, json.dumps({"id": number, "method": method, "params": params, **more}).encode() + b"\0")
        while (message := self._message()).get("id") != number:
            self.events.append(message)
        assert "error" not in message, f"{method}: {message['error']}"
        result: dict[str, Any] = message["result"]
        return result

    def _message(self) -> dict[str, Any]:
        while b"\0" not in self._rest:
            assert select.select([self._in], [], [], CAP)[0], "the browser does not answer"
            piece = os.read(self._in, 1 << 20)
            assert piece, f"the browser has ended: {self.process.wait(CAP)}"
            self._rest += piece
        first, self._rest = self._rest.split(b"\0", 1)
        message: dict[str, Any] = json.loads(first)
        return message
