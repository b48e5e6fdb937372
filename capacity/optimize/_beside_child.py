"""What runs in a helper process of ``_beside``: jobs that come by standard input, one after the other."""

import os
import queue
import sys
import threading
from typing import Any

from capacity.optimize._apart_child import READY, read, write
from capacity.optimize._clock import Deadline

Inbox = queue.SimpleQueue[tuple[dict[str, Any], Deadline]]


def main() -> None:
    """Serve until standard input ends; a parent that is gone ends a job in progress too."""
    out = os.fdopen(os.dup(1), "wb")
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)  # what a library prints is no message
    write(out, READY)
    inbox: Inbox = queue.SimpleQueue()
    threading.Thread(target=_listen, args=(inbox,), daemon=True).start()
    shared = None
    while True:
        message, ends = inbox.get()
        if "shared" in message:
            shared = message["shared"]
        else:
            write(out, _answer(shared, message, ends))


def _listen(inbox: Inbox) -> None:
    while True:
        message = read(sys.stdin.buffer)
        if message is None:
            os._exit(0)
        # Its time runs from now on, also while it waits for the job before it.
        inbox.put((message, Deadline.after(message.get("seconds", 0.0))))


def _answer(shared: Any, message: dict[str, Any], ends: Deadline) -> dict[str, Any]:
    """The result of a job; without one the parent does the job itself and meets what stood in the way."""
    try:
        return {"result": message["work"](shared, message["job"], ends)}
    except Exception:
        return {"failed": True}
