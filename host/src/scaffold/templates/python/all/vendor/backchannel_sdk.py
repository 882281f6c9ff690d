"""What a handler in Python is written with, beside the types of the contract (`types/`).

Fields of messages are MessagePack maps: `fields` reads one strictly, `reply` and `outgoing` write one in its shortest form, as
signatures cover the bytes. Nothing here needs a package.
"""

import functools
import struct
from collections.abc import Callable
from typing import Any, NoReturn, ParamSpec, TypeVar

from componentize_py_types import Err
from wit_world.imports.types import (
    Assurance,
    Effect_Deliver,
    Effect_Establish,
    Effect_Publish,
    Effect_Reply,
    Effect_SetPeerKey,
    Effect_Store,
    Envelope,
    Failure_Malformed,
    Failure_Refused,
    Failure_Unavailable,
    Message,
    Outgoing,
)

P = ParamSpec("P")
T = TypeVar("T")

# Effect_Reply and so on are one type each.
EFFECTS = (
    Effect_Reply,
    Effect_Deliver,
    Effect_SetPeerKey,
    Effect_Publish,
    Effect_Establish,
    Effect_Store,
)

# How deep arrays and maps may nest.
DEEPEST = 32


def malformed(why: str) -> NoReturn:
    """What the peer sent is not what its kind calls for."""
    raise Err(Failure_Malformed(why))


def unavailable(why: str) -> NoReturn:
    """What the work needs is not there (yet)."""
    raise Err(Failure_Unavailable(why))


def refused(why: str) -> NoReturn:
    """The work was possible and is declined."""
    raise Err(Failure_Refused(why))


def authenticated(envelope: Envelope) -> None:
    """Passes when the sender's name rests on a key that it alone holds."""
    if envelope.assurance == Assurance.PUBLISHED_KEY:
        refused("the sender is assured by the published key only")


def unknown_kind(message: Message) -> NoReturn:
    """For a kind that the handler does not know: then the manifest and the handler differ."""
    refused(f"no handler for the kind {message.kind}")


def fields(packed: bytes, **types: type) -> dict[str, Any]:
    """Reads a map that has these fields, each of its type, and no others: `fields(message.fields, name=str)`."""
    reader = _Reader(packed)
    read = reader.value(0)
    if not isinstance(read, dict):
        malformed("fields: not a map")
    if reader.at != len(packed):
        malformed("fields: followed by more bytes")
    for name in read:
        if name not in types:
            malformed(f"fields: an unknown field, expected {', '.join(types) or 'none'}")
    for name, wanted in types.items():
        if name not in read:
            malformed(f"fields: missing field {name}")
        # A bool is an int to Python, and not to a peer.
        if type(read[name]) is not wanted:
            malformed(f"fields: {name} is not of type {wanted.__name__}")
    return read


def outgoing(kind: str, **values: Any) -> Outgoing:
    """A message of this kind with these fields, in their order."""
    return Outgoing(kind, packed(values))


def packed(values: dict[str, Any]) -> bytes:
    """A map as MessagePack, each value in its shortest form."""
    out = bytearray()
    _write(out, values)
    return bytes(out)


def explained(function: Callable[P, T]) -> Callable[P, T]:
    """For `handle`, `finalize`, `begin`, `step`, `accept` and `next`: what they raise by mistake becomes a failure that says what and where.

    Without it the component crashes, and a host that sees that again and again takes the plugin out of service. The failure names the
    type of the exception and not its text, which may hold what nobody else may read.
    """

    @functools.wraps(function)
    def explaining(*args: P.args, **kwargs: P.kwargs) -> T:
        try:
            result = function(*args, **kwargs)
        except Err:
            raise
        except Exception as error:
            trace = error.__traceback__
            while trace is not None and trace.tb_next is not None:
                trace = trace.tb_next
            line = "" if trace is None else f" at {trace.tb_frame.f_code.co_filename.rsplit('/', 1)[-1]}:{trace.tb_lineno}"
            raise Err(Failure_Unavailable(f"{type(error).__name__} in {function.__name__}{line}")) from error
        if function.__name__ == "finalize":
            _refuse_what_is_no_effect(result)
        return result

    return explaining


def _refuse_what_is_no_effect(effects: object) -> None:
    if not isinstance(effects, list):
        unavailable(f"finalize returned {type(effects).__name__}, and not a list of effects")
    for effect in effects:
        if not isinstance(effect, EFFECTS):
            unavailable(f"finalize returned {type(effect).__name__}, which is no effect")


class _Reader:
    """Reads MessagePack from the bytes of a peer."""

    def __init__(self, packed: bytes) -> None:
        self.packed = packed
        self.at = 0

    def take(self, count: int) -> bytes:
        taken = self.packed[self.at : self.at + count]
        if len(taken) != count:
            malformed("fields: end too early")
        self.at += count
        return taken

    def number(self, count: int) -> int:
        return int.from_bytes(self.take(count), "big")

    def text(self, count: int) -> str:
        try:
            return self.take(count).decode()
        except UnicodeDecodeError:
            malformed("fields: not text")

    def many(self, count: int, depth: int) -> list[Any]:
        if depth >= DEEPEST:
            malformed("fields: nested too deeply")
        return [self.value(depth + 1) for _ in range(count)]

    def map(self, count: int, depth: int) -> dict[str, Any]:
        if depth >= DEEPEST:
            malformed("fields: nested too deeply")
        read: dict[str, Any] = {}
        for _ in range(count):
            key = self.value(depth + 1)
            if not isinstance(key, str):
                malformed("fields: a key that is no text")
            if key in read:
                malformed("fields: duplicate field")
            read[key] = self.value(depth + 1)
        return read

    def value(self, depth: int) -> Any:
        first = self.number(1)
        if first <= 0x7F:
            return first
        if first <= 0x8F:
            return self.map(first & 0x0F, depth)
        if first <= 0x9F:
            return self.many(first & 0x0F, depth)
        if first <= 0xBF:
            return self.text(first & 0x1F)
        if first >= 0xE0:
            return first - 0x100
        match first:
            case 0xC0:
                return None
            case 0xC2:
                return False
            case 0xC3:
                return True
            case 0xC4 | 0xC5 | 0xC6:
                return self.take(self.number(1 << (first - 0xC4)))
            case 0xCA:
                return struct.unpack(">f", self.take(4))[0]
            case 0xCB:
                return struct.unpack(">d", self.take(8))[0]
            case 0xCC | 0xCD | 0xCE | 0xCF:
                return self.number(1 << (first - 0xCC))
            case 0xD0 | 0xD1 | 0xD2 | 0xD3:
                return int.from_bytes(self.take(1 << (first - 0xD0)), "big", signed=True)
            case 0xD9 | 0xDA | 0xDB:
                return self.text(self.number(1 << (first - 0xD9)))
            case 0xDC | 0xDD:
                return self.many(self.number(2 << (first - 0xDC)), depth)
            case 0xDE | 0xDF:
                return self.map(self.number(2 << (first - 0xDE)), depth)
            case _:
                malformed("fields: what no message has")


def _write(out: bytearray, value: Any) -> None:
    if value is None:
        out.append(0xC0)
    elif isinstance(value, bool):
        out.append(0xC3 if value else 0xC2)
    elif isinstance(value, int):
        _write_int(out, value)
    elif isinstance(value, float):
        out.append(0xCB)
        out += struct.pack(">d", value)
    elif isinstance(value, str):
        text = value.encode()
        _write_length(out, len(text), 0xA0, 31, (0xD9, 0xDA, 0xDB))
        out += text
    elif isinstance(value, (bytes, bytearray)):
        _write_length(out, len(value), 0, -1, (0xC4, 0xC5, 0xC6))
        out += value
    elif isinstance(value, (list, tuple)):
        _write_length(out, len(value), 0x90, 15, (None, 0xDC, 0xDD))
        for one in value:
            _write(out, one)
    elif isinstance(value, dict):
        _write_length(out, len(value), 0x80, 15, (None, 0xDE, 0xDF))
        for key, one in value.items():
            _write(out, key)
            _write(out, one)
    else:
        unavailable(f"fields cannot hold a {type(value).__name__}")


def _write_length(out: bytearray, count: int, fixed: int, most: int, codes: tuple[int | None, int, int]) -> None:
    if count <= most:
        out.append(fixed | count)
        return
    for code, width in zip(codes, (1, 2, 4)):
        if code is not None and count < 1 << (8 * width):
            out.append(code)
            out += count.to_bytes(width, "big")
            return
    unavailable("fields cannot hold so much")


def _write_int(out: bytearray, value: int) -> None:
    if -32 <= value <= 127:
        out.append(value & 0xFF)
        return
    for width, unsigned, signed in ((1, 0xCC, 0xD0), (2, 0xCD, 0xD1), (4, 0xCE, 0xD2), (8, 0xCF, 0xD3)):
        bits = 8 * width
        if 0 <= value < 1 << bits:
            out.append(unsigned)
            out += value.to_bytes(width, "big")
            return
        if -(1 << (bits - 1)) <= value < 0:
            out.append(signed)
            out += value.to_bytes(width, "big", signed=True)
            return
    # As Fed-BioMed writes what MessagePack has no integer for: see `integer.rs` of the Rust SDK.
    width = (value.bit_length() + 7) // 8 + 1
    _write(out, {"__type__": "int", "value": value.to_bytes(width, "big", signed=True)})
