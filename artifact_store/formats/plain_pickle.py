"""Read a pickle as plain data, and nothing else.

A pickle is a program: `pickle.loads` runs whatever it says, and even an Unpickler that finds no class lets it allocate
what it likes or build a key whose hash never ends. Here the few operations that plain records need are carried out on
inert values; every other operation, every name that the caller did not list, and everything out of bounds is refused.
No code is imported, called or looked up. Does no I/O.
"""

from __future__ import annotations

import pickle
import pickletools
import struct
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final, TypeAlias

MOST_BYTES: Final = 16 * 1024**2
MOST_OPERATIONS: Final = 6_000_000
MOST_OBJECTS: Final = 1_500_000
"""Containers and records; 16 MiB of one-byte operations would otherwise be a gigabyte of empty lists."""
MOST_NESTED: Final = 64
_LONGEST: Final = 9  # bytes of a number that fits 64 bits, signed or not
MOST_EXPANDED: Final = 20_000_000
"""Values met when what is shared is counted each time: a chain of pairs of one another is small and endless to walk."""
MOST_WAITING: Final = 200_000
"""Values on the stack: pickle puts a list or dict down in batches of 1,000."""


class PickleRefused(ValueError):
    """The bytes are no pickle of plain data. The message is one line that starts with a verb."""


@dataclass(frozen=True, slots=True)
class Name:
    """What a pickle calls by name, never looked up: "torch.float32"."""

    dotted: str


@dataclass(slots=True, eq=False)
class Record:
    """What a pickle would have built: name: of the class or function; args: its arguments; state: what the pickle sets
    on it afterwards, None where nothing. Two records are equal when they are the same one."""

    name: str
    args: tuple[Any, ...]
    state: Any = None

    def field(self, name: str) -> Any:
        """What was set under this name, None where nothing was."""
        return self.state.get(name) if isinstance(self.state, dict) else None


def read(data: bytes, allowed: frozenset[str]) -> Any:
    """The pickled value, of None, bool, int (64 bits), float, str, bytes, tuple, list, dict (keys: str, int, Record),
    Name and Record. `allowed`: the dotted names it may use. What is returned has no cycles, is nested at most
    MOST_NESTED deep, and can be walked in MOST_EXPANDED steps.

    Raises PickleRefused for everything else.
    """
    if len(data) > MOST_BYTES:
        raise PickleRefused(f"is {len(data):,} bytes long; at most {MOST_BYTES:,} are read")
    machine = _Machine(allowed)
    at = 0
    try:
        for _ in range(MOST_OPERATIONS):
            code = data[at]
            if code == _STOP:
                return machine.result()
            if code not in _STEPS:
                raise PickleRefused(f"uses {_named(code)} at byte {at:,}, which plain data does not need")
            step, argument_of = _STEPS[code]
            if argument_of is None:
                argument, at = None, at + 1
            else:
                argument, at = argument_of(data, at + 1)
            step(machine, argument)
    except (IndexError, struct.error):
        raise PickleRefused("is cut off, or takes more values than it has put down") from None
    except UnicodeDecodeError:
        raise PickleRefused("holds text that is no UTF-8") from None
    raise PickleRefused(f"holds more than {MOST_OPERATIONS:,} operations")


def _named(code: int) -> str:
    return next((known.name for known in pickletools.opcodes if ord(known.code) == code), f"operation {code:#04x}")


_Argument: TypeAlias = Callable[[bytes, int], tuple[Any, int]]


def _number(layout: str) -> _Argument:
    packed = struct.Struct(layout)

    def argument(data: bytes, at: int) -> tuple[Any, int]:
        return packed.unpack_from(data, at)[0], at + packed.size

    return argument


def _byte(data: bytes, at: int) -> tuple[Any, int]:
    return data[at], at + 1


def _counted(layout: str) -> Callable[[bytes, int], tuple[bytes, int]]:
    """Bytes after their number."""
    length = _number(layout)

    def argument(data: bytes, at: int) -> tuple[bytes, int]:
        count, start = length(data, at)
        if not 0 <= count <= len(data) - start:
            raise IndexError
        return data[start : start + count], start + count

    return argument


def _text(layout: str) -> _Argument:
    counted = _counted(layout)

    def argument(data: bytes, at: int) -> tuple[Any, int]:
        value, after = counted(data, at)
        return value.decode(), after

    return argument


def _long(layout: str) -> _Argument:
    counted = _counted(layout)

    def argument(data: bytes, at: int) -> tuple[Any, int]:
        value, after = counted(data, at)
        if len(value) > _LONGEST:
            raise PickleRefused(f"holds a number of {len(value):,} bytes; at most {_LONGEST} are read")
        return int.from_bytes(value, "little", signed=True), after

    return argument


def _two_lines(data: bytes, at: int) -> tuple[Any, int]:
    middle = data.find(b"\n", at)
    end = data.find(b"\n", middle + 1)
    if middle < 0 or end < 0:
        raise IndexError
    return (data[at:middle].decode(), data[middle + 1 : end].decode()), end + 1


class _Machine:
    """The stack, the memo, and what is known of each container: depth, size when expanded, whether it may still grow.

    A container may not grow once it lies in another. So depth and size are final when they are added up, and a cycle
    cannot be made.
    """

    def __init__(self, allowed: frozenset[str]) -> None:
        self.allowed = allowed
        self.stack: list[Any] = []
        self.marks: list[int] = []
        self.memo: dict[int, Any] = {}
        self.shapes: dict[int, tuple[int, int]] = {}  # by id: only of those that are not bare
        self.closed: set[int] = set()  # ids stay true: no operation drops a container
        self.made = 0

    def result(self) -> Any:
        if self.marks or len(self.stack) != 1:
            raise PickleRefused(f"ends with {len(self.stack):,} values; a pickle leaves one")
        return self.stack[0]

    def put(self, value: Any) -> None:
        if len(self.stack) >= MOST_WAITING:
            raise PickleRefused(f"puts down more than {MOST_WAITING:,} values at once")
        self.stack.append(value)

    def make(self, value: Any, children: Sequence[Any] = ()) -> None:
        """Put down a new container or record."""
        if self.made >= MOST_OBJECTS:
            raise PickleRefused(f"holds more than {MOST_OBJECTS:,} objects")
        self.made += 1
        if children:
            self.hold(value, children, (1, 1))
        self.put(value)

    def hold(self, parent: Any, children: Sequence[Any], shape: tuple[int, int] | None = None) -> None:
        """Note that these, too, now lie in the container. shape: its depth and expanded size without them."""
        depth, weight = shape or self.shapes.get(id(parent)) or _bare(parent)
        for child in children:
            if type(child) not in _CONTAINERS:
                weight += 1
                continue
            below, expanded = self.shapes.get(id(child)) or _bare(child)
            depth = max(depth, below + 1)
            weight += expanded
            if not isinstance(child, tuple):
                self.closed.add(id(child))
        if id(parent) in self.closed:
            raise PickleRefused("changes a value that already lies in another")
        if depth > MOST_NESTED:
            raise PickleRefused(f"is nested more than {MOST_NESTED} deep")
        if weight > MOST_EXPANDED:
            raise PickleRefused(f"grows to more than {MOST_EXPANDED:,} values when what it shares is counted each time")
        if depth > (2 if isinstance(parent, Record) else 1):
            self.shapes[id(parent)] = depth, weight

    def take(self) -> Any:
        if self.marks and len(self.stack) <= self.marks[-1]:
            raise IndexError
        return self.stack.pop()

    def since_mark(self) -> list[Any]:
        start = self.marks.pop()
        values = self.stack[start:]
        del self.stack[start:]
        return values

    def name(self, module: Any, name: Any) -> None:
        if not (isinstance(module, str) and isinstance(name, str)):
            raise PickleRefused("calls something by a name that is no text")
        dotted = f"{module}.{name}"
        if dotted not in self.allowed:
            raise PickleRefused(f"asks for {dotted[:80]!r}, which is not plain data; nothing of it was run")
        self.put(Name(dotted))


def _bare(container: Any) -> tuple[int, int]:
    """Depth and expanded size of one that holds no containers, but for a record's arguments and state."""
    if type(container) not in _CONTAINERS:
        return 0, 1
    if isinstance(container, Record):
        return 2, 1 + _bare(container.args)[1] + _bare(container.state)[1]
    return 1, 1 + len(container) * (2 if isinstance(container, dict) else 1)


_CONTAINERS: Final = frozenset({tuple, list, dict, Record})
_KEYS: Final = frozenset({str, int, bool, Record})


def _nothing(_machine: _Machine, _argument: Any) -> None:
    pass


def _value(machine: _Machine, argument: Any) -> None:
    machine.put(argument)


def _constant(value: Any) -> Callable[[_Machine, Any], None]:
    return lambda machine, _: machine.put(value)


def _mark(machine: _Machine, _argument: Any) -> None:
    if len(machine.marks) >= MOST_NESTED:
        raise PickleRefused(f"is nested more than {MOST_NESTED} deep")
    machine.marks.append(len(machine.stack))


def _tuple(count: int) -> Callable[[_Machine, Any], None]:
    def step(machine: _Machine, _argument: Any) -> None:
        values = [machine.take() for _ in range(count)]
        machine.make(tuple(reversed(values)), values)

    return step


def _tuple_since_mark(machine: _Machine, _argument: Any) -> None:
    values = machine.since_mark()
    machine.make(tuple(values), values)


def _list(machine: _Machine, _argument: Any) -> None:
    machine.make([])


def _dict(machine: _Machine, _argument: Any) -> None:
    machine.make({})


def _append_to(machine: _Machine, values: list[Any]) -> None:
    target = machine.stack[-1]
    if not isinstance(target, list):
        raise PickleRefused(f"appends to {type(target).__name__}, which is no list")
    machine.hold(target, values)
    target.extend(values)


def _append(machine: _Machine, _argument: Any) -> None:
    _append_to(machine, [machine.take()])


def _appends(machine: _Machine, _argument: Any) -> None:
    _append_to(machine, machine.since_mark())


def _set_in(machine: _Machine, values: list[Any]) -> None:
    target = machine.stack[-1]
    if not isinstance(target, dict) or len(values) % 2:
        raise PickleRefused(f"sets {len(values):,} keys and values in {type(target).__name__}")
    keys = values[::2]
    # The hash of a tuple walks all it holds: exponential where its parts are shared.
    if other := {*map(type, keys)} - _KEYS:
        raise PickleRefused(f"has {min(kind.__name__ for kind in other)} as a key; text, numbers and records are read")
    machine.hold(target, values)
    target.update(zip(keys, values[1::2], strict=True))


def _setitem(machine: _Machine, _argument: Any) -> None:
    value = machine.take()
    _set_in(machine, [machine.take(), value])


def _setitems(machine: _Machine, _argument: Any) -> None:
    _set_in(machine, machine.since_mark())


def _put(machine: _Machine, argument: Any) -> None:
    machine.memo[argument] = machine.stack[-1]


def _memoize(machine: _Machine, _argument: Any) -> None:
    machine.memo[len(machine.memo)] = machine.stack[-1]


def _get(machine: _Machine, argument: Any) -> None:
    if argument not in machine.memo:
        raise PickleRefused(f"recalls value {argument:,}, which it never kept")
    machine.put(machine.memo[argument])


def _global(machine: _Machine, argument: Any) -> None:
    machine.name(*argument)


def _stack_global(machine: _Machine, _argument: Any) -> None:
    name = machine.take()
    machine.name(machine.take(), name)


def _call(machine: _Machine, _argument: Any) -> None:
    args, callee = machine.take(), machine.take()
    if not isinstance(callee, Name) or not isinstance(args, tuple):
        raise PickleRefused(f"calls {type(callee).__name__} with {type(args).__name__}")
    if callee.dotted == "collections.OrderedDict" and not args:
        machine.make({})
    else:
        machine.make(Record(callee.dotted, args), (args,) if id(args) in machine.shapes else ())


def _build(machine: _Machine, _argument: Any) -> None:
    state, target = machine.take(), machine.stack[-1]
    if not isinstance(target, Record) or target.state is not None:
        raise PickleRefused(f"sets the state of {type(target).__name__}, which takes none")
    machine.hold(target, (state,))
    target.state = state


_STOP: Final = ord(".")
_STEPS: Final[dict[int, tuple[Callable[[_Machine, Any], None], _Argument | None]]] = {
    ord(pickle.PROTO): (_nothing, _byte),
    ord(pickle.FRAME): (_nothing, _number("<Q")),
    ord(pickle.MARK): (_mark, None),
    ord(pickle.NONE): (_constant(None), None),
    ord(pickle.NEWTRUE): (_constant(True), None),
    ord(pickle.NEWFALSE): (_constant(False), None),
    ord(pickle.BININT): (_value, _number("<i")),
    ord(pickle.BININT1): (_value, _byte),
    ord(pickle.BININT2): (_value, _number("<H")),
    ord(pickle.LONG1): (_value, _long("<B")),
    ord(pickle.LONG4): (_value, _long("<i")),
    ord(pickle.BINFLOAT): (_value, _number(">d")),
    ord(pickle.SHORT_BINUNICODE): (_value, _text("<B")),
    ord(pickle.BINUNICODE): (_value, _text("<I")),
    ord(pickle.BINUNICODE8): (_value, _text("<Q")),
    ord(pickle.SHORT_BINBYTES): (_value, _counted("<B")),
    ord(pickle.BINBYTES): (_value, _counted("<I")),
    ord(pickle.EMPTY_TUPLE): (_constant(()), None),
    ord(pickle.TUPLE1): (_tuple(1), None),
    ord(pickle.TUPLE2): (_tuple(2), None),
    ord(pickle.TUPLE3): (_tuple(3), None),
    ord(pickle.TUPLE): (_tuple_since_mark, None),
    ord(pickle.EMPTY_LIST): (_list, None),
    ord(pickle.APPEND): (_append, None),
    ord(pickle.APPENDS): (_appends, None),
    ord(pickle.EMPTY_DICT): (_dict, None),
    ord(pickle.SETITEM): (_setitem, None),
    ord(pickle.SETITEMS): (_setitems, None),
    ord(pickle.BINPUT): (_put, _byte),
    ord(pickle.LONG_BINPUT): (_put, _number("<I")),
    ord(pickle.MEMOIZE): (_memoize, None),
    ord(pickle.BINGET): (_get, _byte),
    ord(pickle.LONG_BINGET): (_get, _number("<I")),
    ord(pickle.GLOBAL): (_global, _two_lines),
    ord(pickle.STACK_GLOBAL): (_stack_global, None),
    ord(pickle.REDUCE): (_call, None),
    ord(pickle.NEWOBJ): (_call, None),
    ord(pickle.BUILD): (_build, None),
}
