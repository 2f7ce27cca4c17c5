"""Read pickles without running them: `pickletools` lists the opcodes, which are interpreted here.

Only numbers, strings, bytes, dicts, lists and tuples are built. A class or function is its dotted name, and what a
pickle would make by calling it is an inert `Record`. No torch.
"""

from __future__ import annotations

import pickletools
from dataclasses import dataclass
from typing import Any

MAX_READ = 1 << 25  # bytes of one value
MAX_LINE = 4096  # bytes of a value that ends with its line
MAX_NAME = 200  # characters of the name of a module or class
MAX_OPCODES = 500_000  # a snapshot of StyleGAN2-ADA has about 40,000, a checkpoint of this program about 20,000
MAX_TEXT = 1 << 24  # bytes of all values together that are not bytes
MAX_KEY = 2**60  # below it, different integers have different hashes
DICTS = ("collections.OrderedDict", "collections.defaultdict", "dnnlib.util.EasyDict")
# Opcodes by the type of the value that they push, as pickletools calls it.
TYPES = {code.name: code.stack_after[0].name for code in pickletools.opcodes if code.arg and code.stack_after}
LITERALS = ("int", "int_or_bool", "float", "bytes_or_str", "str")
BYTES = ("bytes", "bytearray")
CONSTANTS = {"NONE": None, "NEWTRUE": True, "NEWFALSE": False, "EMPTY_TUPLE": ()}


@dataclass(slots=True, eq=False, repr=False)
class Record:
    """What a pickle would make by calling a class or function.

    Attributes:
        kind: dotted name of the class or function; empty if the pickle calls something else.
        state: what the pickle would set on the object.
    """

    kind: str
    arguments: Any
    state: Any = None


class Window:
    """A file object on the memory of a file. It reads at most MAX_READ bytes at once."""

    def __init__(self, view: memoryview) -> None:
        self.view = view
        self.position = 0

    def read(self, n: int = -1) -> bytes:
        left = len(self.view) - self.position
        n = left if n < 0 else min(n, left)
        if n > MAX_READ:
            raise ValueError(f"it has a value of {n:,} bytes")
        return bytes(self.skip(n))

    def readline(self) -> bytes:
        line = bytes(self.view[self.position : self.position + MAX_LINE])
        return self.read(line.find(b"\n") + 1 or MAX_LINE)

    def skip(self, n: int) -> memoryview:
        """Return the next n bytes without a copy; raise ValueError if the file is shorter."""
        if not 0 <= n <= len(self.view) - self.position:
            raise ValueError("it ends too early")
        self.position += n
        return self.view[self.position - n : self.position]

    def tell(self) -> int:
        return self.position


def load(
    window: Window, storages: dict[str, Record] | None = None, max_opcodes: int = MAX_OPCODES, called: str = ""
) -> Any:
    """Return the value of a pickle. Bytes are memoryviews, and sets are lists.

    Args:
        storages: the storages of torch.save that the pickle names are added: the kind of each, by its name.
        called: beginning of the names of functions that the pickle may call with arguments.

    Raises:
        ValueError, IndexError, KeyError, TypeError: it is damaged, has an opcode of old pickles, or exceeds a limit.
    """
    stack: list[Any] = []
    below: list[list[Any]] = []  # the stacks below the marks
    memo: dict[int, Any] = {}
    items: list[Any] = []
    text = 0
    storages = {} if storages is None else storages
    codes: Any = pickletools.genops(window)  # type: ignore[arg-type]
    for count, (opcode, argument, start) in enumerate(codes):
        name = opcode.name
        text += 0 if TYPES.get(name) in BYTES else window.position - start
        if count >= max_opcodes or text > MAX_TEXT:
            raise ValueError("it has too many values")
        if pickletools.markobject in opcode.stack_before:
            items, stack = stack, below.pop()
        match name:
            case "PROTO" | "FRAME" | "STOP" | "POP_MARK":
                pass
            case _ if TYPES.get(name) in LITERALS:
                stack.append(argument)
            case _ if TYPES.get(name) in BYTES:
                stack.append(window.view[window.position - len(argument) : window.position])  # not a copy
            case _ if name in CONSTANTS:
                stack.append(CONSTANTS[name])
            case "MARK":
                below.append(stack)
                stack = []
            case "POP":
                stack.pop()
            case "DUP":
                stack.append(stack[-1])
            case "EMPTY_LIST" | "EMPTY_SET":
                stack.append([])
            case "EMPTY_DICT":
                stack.append({})
            case "TUPLE1" | "TUPLE2" | "TUPLE3":
                n = int(name[-1])
                stack[-n:] = [tuple(stack[-n:])]
            case "TUPLE":
                stack.append(tuple(items))
            case "APPEND":
                add(stack, [stack.pop()])
            case "SETITEM":
                add(stack, [stack.pop(-2), stack.pop()])
            case "APPENDS" | "ADDITEMS" | "SETITEMS":
                add(stack, items)
            case "PUT" | "BINPUT" | "LONG_BINPUT" | "MEMOIZE":
                memo[key(len(memo) if name == "MEMOIZE" else argument)] = stack[-1]
            case "GET" | "BINGET" | "LONG_BINGET":
                stack.append(memo[argument])
            case "GLOBAL":
                stack.append(argument.replace(" ", "."))
            case "STACK_GLOBAL":
                attribute, module = stack.pop(), stack.pop()
                if len(name := ".".join((module, attribute))) > MAX_NAME:
                    raise ValueError("it has a long name of a class")
                stack.append(name)
            case "REDUCE" | "NEWOBJ":
                arguments, kind = stack.pop(), stack.pop()
                kind = kind if isinstance(kind, str) else ""
                if arguments and not kind.startswith(called):
                    raise ValueError(f"it has a call of {kind}")
                stack.append({} if kind in DICTS else Record(kind, arguments))
            case "BINPERSID":
                match stack.pop():
                    case ("storage", str(kind), str(place), _, int(), *views) if views in ([], [None]):
                        stack.append(storages.setdefault(place, Record(kind, place)))
                    case _:
                        raise ValueError("it has a storage of another kind")
            case "BUILD":
                state = stack.pop()
                if isinstance(stack[-1], Record):
                    stack[-1].state = state
            case _:
                raise ValueError(f"it has the opcode {name}")
    return stack.pop()


def key(value: object) -> Any:
    """Return a string or a number that cannot make a dict slow; raise ValueError for another value."""
    if isinstance(value, str) or (isinstance(value, int) and -MAX_KEY < value < MAX_KEY):
        return value
    raise ValueError("it has a name or a number of another kind")


def add(stack: list[Any], items: list[Any]) -> None:
    """Add items, or keys and values that alternate, to the list or dict on top of the stack. Other objects stay."""
    if isinstance(stack[-1], dict):
        stack[-1].update((key(name), value) for name, value in zip(items[::2], items[1::2], strict=True))
    elif isinstance(stack[-1], list):
        stack[-1].extend(items)
