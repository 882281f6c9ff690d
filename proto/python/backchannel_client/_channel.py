"""The way to a process: gRPC on a Unix socket."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Any, TypeVar

import grpc

# As the other side: a vector of 12 million numbers fits.
LONGEST_MESSAGE = 100 << 20
# The longest path of a Unix socket, in bytes.
LONGEST_PATH = 107

Reply = TypeVar("Reply")


class NotRunning(ConnectionError):
    """No process answers in this data directory."""


class Refused(ValueError):
    """The process did not do what it was asked. `advice` is what can be done about it, if it said so."""

    def __init__(self, why: str, advice: str) -> None:
        super().__init__(why if not advice else f"{why}; {advice}")
        self.why = why
        self.advice = advice


class Process:
    """A running relay or node. Closed by `close`, or at the end of `with`."""

    def __init__(self, data: str | os.PathLike[str]) -> None:
        self.data = Path(data).resolve()
        socket = self.data / "control.sock"
        if len(os.fsencode(socket)) > LONGEST_PATH:
            raise ValueError(f"{socket} has more than the {LONGEST_PATH} bytes that a socket's path may have")
        sizes = [("grpc.max_receive_message_length", LONGEST_MESSAGE), ("grpc.max_send_message_length", LONGEST_MESSAGE)]
        # The other side checks this name as the one of a host, which a path is not.
        self._channel = grpc.insecure_channel(f"unix:{socket}", [*sizes, ("grpc.default_authority", "localhost")])

    def close(self) -> None:
        self._channel.close()

    def __enter__(self) -> Any:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()

    def _call(self, method: Callable[..., Reply], request: object, seconds: float) -> Reply:
        """What the process answers within so many seconds."""
        try:
            return method(request, timeout=seconds)
        except grpc.RpcError as error:
            code, said = error.code(), error.details() or ""
            if code in (grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.DEADLINE_EXCEEDED):
                raise NotRunning(f"nothing answers in {self.data}: {said}") from error
            why, _, advice = said.partition("\n")
            raise Refused(why, advice) from error
