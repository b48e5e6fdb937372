"""What a page costs: CPU of server and browser, bytes that travel, and readers whose machines are their own.

A session speaks the front end's own protocol over a WebSocket and draws nothing: what the server does alone.
"""

from __future__ import annotations

import asyncio
import os
import random
import time
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from bench.measure import _tree

_TICKS = os.sysconf("SC_CLK_TCK")
_ENOUGH_BYTES = 64 * 2**20


def cpu_seconds(root: int) -> defaultdict[str, float]:
    """CPU seconds (user and system) so far by kind of process: ``root`` and all that it started."""
    out: defaultdict[str, float] = defaultdict(float)
    for pid in _tree(root):
        try:
            fields = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rsplit(")", 1)[1].split()
            out[_kind(pid)] += (int(fields[11]) + int(fields[12])) / _TICKS
        except OSError:  # it has ended
            continue
    return out


def _kind(pid: int) -> str:
    """A browser's processes by what they do; everything else is "other"."""
    words = Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
    if "--type=renderer" in words:
        return "pages"
    return "browser" if "chrom" in words.split(" ")[0] else "other"


class Received:
    """Bytes and messages that a page was sent over its WebSocket."""

    def __init__(self, page: Any) -> None:
        self.size = self.messages = 0
        page.on("websocket", lambda socket: socket.on("framereceived", self._add))

    def _add(self, payload: str | bytes) -> None:
        self.size += len(payload)
        self.messages += 1


class Session:
    """A reader without a browser."""

    def __init__(self, address: str) -> None:
        self._address = address.replace("http://", "ws://") + "/_stcore/stream"
        self._socket: Any = None
        self._hashes: dict[str, str] = {}

    async def open(self) -> None:
        from tornado.websocket import websocket_connect

        self._socket = await websocket_connect(
            self._address, subprotocols=["streamlit"], max_message_size=_ENOUGH_BYTES
        )
        await self.turn("")

    async def turn(self, title: str) -> float:
        """Seconds from asking for the page called ``title`` (the first one for "") until all of it is here."""
        from streamlit.proto.BackMsg_pb2 import BackMsg

        asked = BackMsg()
        asked.rerun_script.page_script_hash = self._hashes.get(title, "")
        began = time.perf_counter()
        await self._socket.write_message(asked.SerializeToString(), binary=True)
        await self._finished()
        return time.perf_counter() - began

    async def _finished(self) -> None:
        from streamlit.proto.ForwardMsg_pb2 import ForwardMsg

        while True:
            data = await self._socket.read_message()
            if data is None:
                raise ConnectionError("the server closed the session")
            message = ForwardMsg.FromString(data)
            kind = message.WhichOneof("type")
            if kind == "navigation":
                self._hashes = {p.page_name: p.page_script_hash for p in message.navigation.app_pages}
            if kind == "delta" and message.delta.new_element.WhichOneof("type") == "exception":
                raise RuntimeError(message.delta.new_element.exception.message)
            if kind == "script_finished":
                return

    def close(self) -> None:
        self._socket.close()


async def sessions(
    address: str, count: int, clicks: int, titles: Sequence[str], look: tuple[float, float]
) -> list[float]:
    """Seconds of each change of page of ``count`` sessions at once, each looking between two of them."""
    every = [Session(address) for _ in range(count)]
    await asyncio.gather(*(one.open() for one in every))
    found = await asyncio.gather(*(_read(one, seed, clicks, titles, look) for seed, one in enumerate(every)))
    for one in every:
        one.close()
    return [seconds for seen in found for seconds in seen]


async def _read(one: Session, seed: int, clicks: int, titles: Sequence[str], look: tuple[float, float]) -> list[float]:
    chosen = random.Random(seed)
    out, now = [], ""
    for _ in range(clicks):
        await asyncio.sleep(chosen.uniform(*look))
        now = chosen.choice([t for t in titles if t != now])
        out.append(await one.turn(now))
    return out
