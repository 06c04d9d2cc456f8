"""Conditions on the observables of events, such as ``m4l > 220 and n_jets >= 2``.

The grammar is that of `toolkit.expressions.arithmetic` with comparisons and logic around it; nothing is evaluated as code:

    either     = both { "or" both }
    both       = negated { "and" negated }
    negated    = "not" negated | compared
    compared   = sum [ relation sum [ relation sum ... ] ]        relation: < <= > >= == !=, chained as in 220 < m4l < 2000
    sum, product, factor, power                                   + - * / **, signs
    atom       = number | name | ("sqrt" | "abs" | "log") "(" sum ")" | "has" "(" name ")" | "(" either ")"

Missing values (NaN) follow three-valued logic: a comparison with a missing value is neither true nor false, and `and`,
`or`, `not` carry that on unless the other side decides. An event is selected only where the whole condition is true,
so an event without two jets passes neither ``m_jj > 500`` nor ``not m_jj > 500``; ``has(m_jj)`` asks for the value itself.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple, NoReturn

import numpy as np
from numpy.typing import ArrayLike

from toolkit.errors import SchemaError, ShapeError
from toolkit.typing import BoolArray, FloatArray

MAX_LENGTH = 2000
MAX_DEPTH = 60

_TOKEN = re.compile(
    r"\s*(?:(?P<number>(?:(?:0|[1-9][0-9]*)(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][+-]?[0-9]+)?)(?![0-9A-Za-z_.])"
    r"|(?P<name>[A-Za-z_][A-Za-z0-9_]*)|(?P<op>\*\*|<=|>=|==|!=|[-+*/()<>]))"
)
_RELATIONS: dict[str, Callable[[FloatArray, FloatArray], BoolArray]] = {
    "<": np.less,
    "<=": np.less_equal,
    ">": np.greater,
    ">=": np.greater_equal,
    "==": np.equal,
    "!=": np.not_equal,
}
_FUNCTIONS: dict[str, Callable[[FloatArray], FloatArray]] = {"sqrt": np.sqrt, "abs": np.abs, "log": np.log}
_OPERATORS: dict[str, Callable[[FloatArray, FloatArray], FloatArray]] = {
    "+": np.add,
    "-": np.subtract,
    "*": np.multiply,
    "/": np.divide,
    "**": np.power,
}
RESERVED = frozenset({"and", "or", "not", "has", *_FUNCTIONS})
"""Words that cannot name an observable."""

Values = Mapping[str, FloatArray]


class Truth(NamedTuple):
    """Where a condition is true and where it is false; where it is neither, a value is missing."""

    true: BoolArray
    false: BoolArray


Number = Callable[[Values], FloatArray]
Logic = Callable[[Values], Truth]


class _Node(NamedTuple):
    """A parsed part: exactly one of the two is set."""

    number: Number | None
    logic: Logic | None


@dataclass(frozen=True)
class Condition:
    """A parsed condition: a yes or no per event.

    Attributes:
        text: The condition as written.
        names: Observables that occur in it, sorted.

    Examples:
        >>> condition = Condition.parse("220 < m4l < 2000 and not m_jj > 500")
        >>> condition.names
        ('m4l', 'm_jj')
        >>> condition.evaluate({"m4l": [300.0, 300.0, 100.0], "m_jj": [100.0, float("nan"), 100.0]}).tolist()
        [True, False, False]
        >>> Condition.parse("n_jets < 2 or m_jj < 500").evaluate({"n_jets": [0.0], "m_jj": [float("nan")]}).tolist()
        [True]
    """

    text: str
    names: tuple[str, ...]
    _logic: Logic = field(repr=False, compare=False)

    @classmethod
    def parse(cls, text: str) -> Condition:
        """Parse a condition.

        Args:
            text: The condition, at most 2000 characters.

        Returns:
            The condition.

        Raises:
            SchemaError: The text is not of the grammar (the message shows the position), or is a number and not a yes or no.
        """
        if not isinstance(text, str):
            raise SchemaError("condition", got=repr(text)[:80], expected="a string", remedy='write it as text, for example "m4l > 220"')
        parser = _Parser(text)
        logic = parser.parse()
        return cls(text=text, names=tuple(sorted(parser.names)), _logic=logic)

    def evaluate(self, values: Mapping[str, ArrayLike]) -> BoolArray:
        """Say which events fulfil the condition.

        Args:
            values: Every observable in `names`, each (n,), NaN where missing; others are ignored.

        Returns:
            (n,) bool: true where the condition is true, not where it is false or cannot be decided for a missing value.

        Raises:
            SchemaError: An observable is missing.
            ShapeError: The observables are not one-dimensional, or differ in length.
        """
        missing = [name for name in self.names if name not in values]
        if missing:
            raise SchemaError(
                f"condition {self.text!r}",
                got=f"no observable {missing}",
                expected=f"some of {sorted(values)}",
                remedy="correct the name, or add the observable to `observables`",
            )
        arrays = {name: np.asarray(values[name], dtype=np.float64) for name in (self.names or tuple(values)[:1])}
        shapes = {a.shape for a in arrays.values()}
        if len(shapes) != 1 or len(next(iter(shapes))) != 1:
            raise ShapeError(f"condition {self.text!r}", got=f"shapes {shapes}", expected="arrays (n,) of one length")
        with np.errstate(all="ignore"):
            truth = self._logic(arrays)
        return np.array(np.broadcast_to(truth.true, next(iter(shapes))))

    @property
    def conjuncts(self) -> tuple[Condition, ...]:
        """The parts that `and` joins, all of which must be true, once each; the condition itself where it is one part.

        Examples:
            >>> [str(part) for part in Condition.parse("m4l > 220 and (n_jets >= 2 or m_z1 > 80) and not m_jj > 500").conjuncts]
            ['m4l > 220', '(n_jets >= 2 or m_z1 > 80)', 'not m_jj > 500']
        """
        return tuple(Condition.parse(part) for part in dict.fromkeys(_Parser(self.text).split_at_and()))

    def __reduce__(self) -> tuple[Callable[[str], Condition], tuple[str]]:
        """Pickle as text: worker processes parse it again."""
        return (Condition.parse, (self.text,))

    def __str__(self) -> str:
        return self.text


def _compare(parts: list[Number], relations: list[str]) -> Logic:
    def logic(values: Values) -> Truth:
        numbers = [part(values) for part in parts]
        known = ~np.any([np.broadcast_to(np.isnan(n), np.broadcast_shapes(*(m.shape for m in numbers))) for n in numbers], axis=0)
        holds = np.all([_RELATIONS[r](a, b) for r, a, b in zip(relations, numbers, numbers[1:], strict=False)], axis=0)
        return Truth(known & holds, known & ~holds)

    return logic


def _either(a: Logic, b: Logic) -> Logic:
    def logic(values: Values) -> Truth:
        x, y = a(values), b(values)
        return Truth(x.true | y.true, x.false & y.false)

    return logic


def _both(a: Logic, b: Logic) -> Logic:
    def logic(values: Values) -> Truth:
        x, y = a(values), b(values)
        return Truth(x.true & y.true, x.false | y.false)

    return logic


def _not(a: Logic) -> Logic:
    return lambda values: Truth(*reversed(a(values)))


def _has(name: str) -> Logic:
    return lambda values: Truth(~np.isnan(values[name]), np.isnan(values[name]))


def _constant(number: float) -> Number:
    return lambda _values: np.asarray(number)


def _chain(first: Number, rest: Sequence[tuple[str, Number]]) -> Number:
    """Apply operators of one rank from left to right, in a loop: a sum may be longer than Python's stack is deep."""

    def number(values: Values) -> FloatArray:
        out = first(values)
        for operator, operand in rest:
            out = _OPERATORS[operator](out, operand(values))
        return out

    return number


def _unary(function: Callable[[FloatArray], FloatArray], a: Number) -> Number:
    return lambda values: function(a(values))


class _Parser:
    """Recursive descent over the grammar at the head of the module."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.names: set[str] = set()
        self._depth = 0
        if len(text) > MAX_LENGTH:
            raise SchemaError("condition", got=f"{len(text)} characters", expected=f"at most {MAX_LENGTH}", remedy="define several regions")
        self._tokens = self._tokenise()
        self._next = 0

    def parse(self) -> Logic:
        node = self._either()
        if self._next < len(self._tokens):
            self._fail("an operator or the end")
        if node.logic is None:
            self._refuse(0, self.text, "a yes or no, such as a comparison with a number")
        return node.logic

    def split_at_and(self) -> list[str]:
        """Return the texts between the `and`s outside of parentheses; the whole text if an `or` stands beside them."""
        depth, starts, ends = 0, [0], []
        for _, token, position in self._tokens:
            depth += (token == "(") - (token == ")")
            if depth == 0 and token == "or":
                return [self.text.strip()]
            if depth == 0 and token == "and":
                ends.append(position)
                starts.append(position + len("and"))
        return [self.text[a:b].strip() for a, b in zip(starts, [*ends, len(self.text)], strict=True)]

    def _tokenise(self) -> list[tuple[str, str, int]]:
        tokens, position, end = [], 0, len(self.text.rstrip())
        while position < end:
            match = _TOKEN.match(self.text, position)
            if match is None or match.lastgroup is None:
                position += len(self.text[position:]) - len(self.text[position:].lstrip())
                self._refuse(position, self.text[position], "numbers, observables, arithmetic, comparisons, and, or, not, parentheses only")
            tokens.append((match.lastgroup, match.group(match.lastgroup), match.start(match.lastgroup)))
            position = match.end()
        return tokens

    def _take(self, *wanted: str) -> str | None:
        token = self._tokens[self._next][1] if self._next < len(self._tokens) else None
        if token in wanted:
            self._next += 1
            return token
        return None

    def _either(self) -> _Node:
        node = self._both()
        while self._take("or"):
            node = _Node(None, _either(self._logic(node), self._logic(self._both())))
        return node

    def _both(self) -> _Node:
        node = self._negated()
        while self._take("and"):
            node = _Node(None, _both(self._logic(node), self._logic(self._negated())))
        return node

    def _negated(self) -> _Node:
        if self._take("not"):
            self._descend()
            node = _Node(None, _not(self._logic(self._negated())))
            self._depth -= 1
            return node
        return self._compared()

    def _compared(self) -> _Node:
        node = self._sum()
        parts, relations = [node], []
        while (relation := self._take(*_RELATIONS)) is not None:
            relations.append(relation)
            parts.append(self._sum())
        return _Node(None, _compare([self._number(p) for p in parts], relations)) if relations else node

    def _sum(self) -> _Node:
        node, rest = self._product(), list[tuple[str, Number]]()
        while (operator := self._take("+", "-")) is not None:
            rest.append((operator, self._number(self._product())))
        return _Node(_chain(self._number(node), rest), None) if rest else node

    def _product(self) -> _Node:
        node, rest = self._factor(), list[tuple[str, Number]]()
        while (operator := self._take("*", "/")) is not None:
            rest.append((operator, self._number(self._factor())))
        return _Node(_chain(self._number(node), rest), None) if rest else node

    def _factor(self) -> _Node:
        self._descend()
        if (sign := self._take("+", "-")) is not None:
            inner = self._number(self._factor())
            node = _Node(_unary(np.negative, inner) if sign == "-" else inner, None)
        else:
            node = self._atom()
            if self._take("**"):
                node = _Node(_chain(self._number(node), [("**", self._number(self._factor()))]), None)
        self._depth -= 1
        return node

    def _atom(self) -> _Node:
        expected = "a number, an observable, a function or ("
        if self._next >= len(self._tokens):
            self._fail(expected)
        kind, token, _ = self._tokens[self._next]
        if (kind == "op" and token != "(") or token in {"and", "or", "not"}:
            self._fail(expected)
        self._next += 1
        if kind == "number":
            return _Node(_constant(float(token)), None) if np.isfinite(float(token)) else self._back("a finite number")
        if token == "(":
            node = self._either()
            self._close()
            return node
        if self._take("("):
            return self._call(token)
        if token in RESERVED:
            self._fail(f"( after {token}")
        self.names.add(token)
        return _Node(lambda values: values[token], None)

    def _call(self, name: str) -> _Node:
        if name == "has":
            kind, argument, _ = self._tokens[self._next] if self._next < len(self._tokens) else ("", "", 0)
            if kind != "name" or argument in RESERVED:
                self._fail("the name of an observable")
            self._next += 1
            self.names.add(argument)
            self._close()
            return _Node(None, _has(argument))
        if name not in _FUNCTIONS:
            self._next -= 1
            self._back(f"one of the functions {sorted([*_FUNCTIONS, 'has'])}")
        node = _Node(_unary(_FUNCTIONS[name], self._number(self._sum())), None)
        self._close()
        return node

    def _close(self) -> None:
        if not self._take(")"):
            self._fail(")")

    def _descend(self) -> None:
        self._depth += 1
        if self._depth > MAX_DEPTH:
            self._fail(f"at most {MAX_DEPTH} nested parentheses, powers, signs and negations")

    def _logic(self, node: _Node) -> Logic:
        if node.logic is None:
            self._fail("a comparison on either side of and, or, not")
        return node.logic

    def _number(self, node: _Node) -> Number:
        if node.number is None:
            self._fail("a number where arithmetic or a comparison needs one, and not a yes or no")
        return node.number

    def _back(self, expected: str) -> NoReturn:
        self._next -= 1
        self._fail(expected)

    def _fail(self, expected: str) -> NoReturn:
        if self._next < len(self._tokens):
            _, token, position = self._tokens[self._next]
            self._refuse(position, token, expected)
        self._refuse(len(self.text), "the end", expected)

    def _refuse(self, position: int, got: str, expected: str) -> NoReturn:
        shown = self.text if len(self.text) <= 80 else self.text[:77] + "..."
        raise SchemaError(
            f"condition {shown!r}",
            got=f"{got!r} at position {position}" if len(got) <= 80 else f"{got[:77]!r}... at position {position}",
            expected=expected,
            remedy='regions are comparisons of observables, for example "m4l > 220 and n_jets >= 2"',
        )
