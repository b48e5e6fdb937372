"""A child process that answers by messages, from when it says that it is ready until it is ended."""

from __future__ import annotations

import queue
import subprocess
import threading
from collections.abc import Mapping, Sequence
from typing import Any, BinaryIO, cast

from capacity.optimize._apart_child import READY, read, write


class Process:
    """The process, what it has said (None: it is gone), and whether it has said anything yet."""

    def __init__(self, command: Sequence[str], env: Mapping[str, str] | None = None) -> None:
        self.process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, env=env
        )
        self.messages: queue.Queue[Any] = queue.Queue()
        self.ready = threading.Event()
        threading.Thread(target=self._listen, daemon=True).start()

    def _listen(self) -> None:
        stream = cast(BinaryIO, self.process.stdout)
        while True:
            try:
                message = read(stream)
            except (OSError, ValueError, EOFError):
                message = None
            self.ready.set()
            if message != READY:
                self.messages.put(message)
            if message is None:
                return

    def send(self, message: Mapping[str, Any]) -> None:
        """Hand over a message.

        Raises
        ------
        OSError, ValueError
            The process is gone, or was ended.
        """
        write(cast(BinaryIO, self.process.stdin), message)

    @property
    def alive(self) -> bool:
        """Whether it still runs."""
        return self.process.poll() is None

    def end(self) -> None:
        """End it at once, whatever it does."""
        self.process.kill()
        self.process.wait()
        for stream in (self.process.stdin, self.process.stdout):
            if stream is not None:
                try:
                    stream.close()
                except OSError:
                    continue
