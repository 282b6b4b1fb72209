"""A server as users start it: a process of its own."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
from typing import Any


class Process:
    """``trivec serve`` on a free port."""

    def __init__(self, *words: object, **variables: str) -> None:
        command = [sys.executable, "-m", "trivec.cli", "serve", *map(str, words), "--port", "0"]
        environment = {**os.environ, "OMP_NUM_THREADS": "1", **variables}
        self.process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True, env=environment)
        assert self.process.stderr is not None
        self.lines: list[dict[str, Any]] = []
        for line in self.process.stderr:
            self.lines.append(json.loads(line))
            if self.lines[-1]["event"] == "listening":
                break
        else:
            raise AssertionError("the server did not start")
        self.url = self.lines[-1]["url"]
        self.port = int(self.url.rpartition(":")[2])
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        assert self.process.stderr is not None
        for line in self.process.stderr:
            self.lines.append(json.loads(line))

    def end(self, number: int = signal.SIGTERM) -> int:
        self.process.send_signal(number)
        return self.wait()

    def wait(self) -> int:
        code = self.process.wait(60)
        self._reader.join()
        assert self.process.stderr is not None
        self.process.stderr.close()
        return code
