"""Arithmetic expressions in the parameters of a likelihood, with values and exact derivatives.

The grammar is small enough that any language can read it; nothing is ever evaluated as code:

    sum     = product { ("+" | "-") product }
    product = factor { ("*" | "/") factor }
    factor  = ("+" | "-") factor | power
    power   = atom [ "**" factor ]                  right-associative, binds tighter than a sign on its left
    atom    = number | name | "sqrt" "(" sum ")" | "(" sum ")"

Names are letters, digits and underscores, not starting with a digit. Derivatives are forward-mode: every node returns its
value and its derivative by each parameter, so they are exact, and infinite where they truly diverge (sqrt at 0).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NoReturn

import numpy as np
from numpy.typing import ArrayLike

from toolkit.errors import PhysicsDomainError, SchemaError
from toolkit.typing import FloatArray

MAX_LENGTH = 2000
MAX_DEPTH = 60

Values = Mapping[str, FloatArray]
Dual = tuple[FloatArray, dict[str, FloatArray]]
"""A value and its derivative by each parameter that it depends on, all of one shape."""
Node = Callable[[Values], Dual]
Operation = Callable[[Dual, Dual], Dual]

_TOKEN = re.compile(
    r"\s*(?:(?P<number>(?:(?:0|[1-9][0-9]*)(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][+-]?[0-9]+)?)|(?P<name>[A-Za-z_][A-Za-z0-9_]*)|(?P<op>\*\*|[-+*/()]))"
)


@dataclass(frozen=True)
class Expression:
    """A parsed expression: a function of named parameters.

    Attributes:
        text: The expression as written.
        names: Parameters that occur in it, sorted.

    Examples:
        >>> f = Expression.parse("mu - sqrt(mu)")
        >>> f.value({"mu": 4.0})
        2.0
        >>> f.derivative({"mu": 4.0})
        {'mu': 0.75}
        >>> f.derivative({"mu": 0.0})
        {'mu': -inf}
    """

    text: str
    names: tuple[str, ...]
    _node: Node = field(repr=False, compare=False)

    @classmethod
    def parse(cls, text: str) -> Expression:
        """Parse an expression.

        Args:
            text: The expression, at most 2000 characters.

        Returns:
            The expression.

        Raises:
            SchemaError: The text is not of the grammar; the message shows the position.
        """
        if not isinstance(text, str):
            msg = "expression"
            raise SchemaError(msg, got=repr(text)[:80], expected="a string", remedy='write it as text, for example "mu - sqrt(mu)"')
        parser = _Parser(text)
        node = parser.parse()
        return cls(text=text, names=tuple(sorted(parser.names)), _node=node)

    def __reduce__(self) -> tuple[Callable[[str], Expression], tuple[str]]:
        """Pickle the text; the parsed form is made of closures, which cannot be."""
        return Expression.parse, (self.text,)

    def value(self, parameters: Mapping[str, float]) -> float:
        """Evaluate at one point.

        Args:
            parameters: Value of every parameter in `names`; others are ignored.

        Returns:
            The value.

        Raises:
            SchemaError: A parameter is missing.
            PhysicsDomainError: The value is not defined there (square root of a negative number, division by zero, overflow).
        """
        return float(self.dual(parameters)[0])

    def derivative(self, parameters: Mapping[str, float]) -> dict[str, float]:
        """Evaluate the derivative by each parameter in `names` at one point; infinite where it diverges."""
        return {name: float(d) for name, d in self.dual(parameters)[1].items()}

    def dual(self, parameters: Mapping[str, ArrayLike]) -> Dual:
        """Evaluate value and derivatives at many points at once.

        Args:
            parameters: Arrays that broadcast to one shape.

        Returns:
            Value and derivatives by each parameter in `names`, each of that shape.

        Raises:
            SchemaError: A parameter is missing.
            PhysicsDomainError: The value is not defined at one of the points.
        """
        missing = [name for name in self.names if name not in parameters]
        if missing:
            given = sorted(parameters)
            msg = f"expression {self.text!r}"
            raise SchemaError(
                msg,
                got=f"no value for {missing}",
                expected=f"the parameters {list(self.names)}",
                remedy=f"given are {given}",
            )
        arrays = {name: np.asarray(parameters[name], dtype=np.float64) for name in self.names}
        shape = np.broadcast_shapes(*(a.shape for a in arrays.values()))
        arrays = {name: np.broadcast_to(a, shape) for name, a in arrays.items()}
        with np.errstate(all="ignore"):
            value, derivatives = self._node(arrays)
            if any(np.any(np.isnan(d)) for d in derivatives.values()):
                _, above = self._node({name: _just_above(a) for name, a in arrays.items()})
                derivatives = {name: np.where(np.isnan(d), above[name], d) for name, d in derivatives.items()}
        value = np.broadcast_to(value, shape)
        if not np.all(np.isfinite(value)):
            at = {name: float(a.reshape(-1)[np.argmin(np.isfinite(value).reshape(-1))]) for name, a in arrays.items()}
            msg = f"expression {self.text!r}"
            raise PhysicsDomainError(
                msg,
                got=f"no finite value at {at}",
                expected="a finite value over the whole allowed range",
                remedy="restrict the range of the parameter, or correct the expression",
            )
        return value, {name: np.broadcast_to(derivatives.get(name, np.float64(0.0)), shape) for name in self.names}

    def __str__(self) -> str:
        return self.text


def _just_above(x: FloatArray) -> FloatArray:
    """Return the point from which an indeterminate derivative (0 times infinity) is read off: the limit from above."""
    return x + np.maximum(1e-14 * np.abs(x), 1e-100)


def _constant(number: float) -> Node:
    return lambda _values: (np.asarray(number), {})


def _name(name: str) -> Node:
    return lambda values: (values[name], {name: np.ones_like(values[name])})


def _chain(first: Node, rest: Sequence[tuple[Operation, Node]]) -> Node:
    """Apply operations of one rank from left to right, in a loop: a sum may be longer than Python's stack is deep."""
    if not rest:
        return first

    def node(values: Values) -> Dual:
        out = first(values)
        for operation, operand in rest:
            out = operation(out, operand(values))
        return out

    return node


def _add(a: Dual, b: Dual) -> Dual:
    (x, dx), (y, dy) = a, b
    return x + y, _combine(dx, dy, lambda d: d, lambda d: d)


def _subtract(a: Dual, b: Dual) -> Dual:
    (x, dx), (y, dy) = a, b
    return x - y, _combine(dx, dy, lambda d: d, lambda d: -d)


def _multiply(a: Dual, b: Dual) -> Dual:
    (x, dx), (y, dy) = a, b
    return x * y, _combine(dx, dy, lambda d: _product(d, y), lambda d: _product(d, x))


def _divide(a: Dual, b: Dual) -> Dual:
    (x, dx), (y, dy) = a, b
    return x / y, _combine(dx, dy, lambda d: d / y, lambda d: _product(d, -x / y**2))


def _negative(a: Node) -> Node:
    def node(values: Values) -> Dual:
        x, dx = a(values)
        return -x, {name: -d for name, d in dx.items()}

    return node


def _sqrt(a: Node) -> Node:
    def node(values: Values) -> Dual:
        x, dx = a(values)
        root = np.sqrt(x)
        return root, {name: _product(d, 0.5 / root) for name, d in dx.items()}

    return node


def _power(a: Node, b: Node) -> Node:
    def node(values: Values) -> Dual:
        (x, dx), (n, dn) = a(values), b(values)
        value = np.power(x, n)
        by_base = np.where(n == 0, 0.0, n * np.power(x, n - 1.0))
        return value, _combine(dx, dn, lambda d: _product(d, by_base), lambda d: _product(d, value * np.log(x)))

    return node


def _product(slope: FloatArray, factor: FloatArray) -> FloatArray:
    """Multiply a derivative by a factor that may be infinite: a vanishing derivative stays zero."""
    return np.where(slope == 0.0, 0.0, slope * factor)


def _combine(
    dx: dict[str, FloatArray],
    dy: dict[str, FloatArray],
    left: Callable[[FloatArray], FloatArray],
    right: Callable[[FloatArray], FloatArray],
) -> dict[str, FloatArray]:
    out = {name: left(d) for name, d in dx.items()}
    for name, d in dy.items():
        out[name] = out[name] + right(d) if name in out else right(d)
    return out


class _Parser:
    """Recursive descent over the grammar at the head of the module."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.names: set[str] = set()
        self._depth = 0
        if len(text) > MAX_LENGTH:
            msg = "expression"
            raise SchemaError(
                msg,
                got=f"{len(text)} characters",
                expected=f"at most {MAX_LENGTH}",
                remedy="split the expression over several modifiers",
            )
        self._tokens = self._tokenise()
        self._next = 0

    def parse(self) -> Node:
        node = self._sum()
        if self._peek() is not None:
            self._fail("an operator or the end")
        return node

    def _tokenise(self) -> list[tuple[str, str, int]]:
        tokens, position, end = [], 0, len(self.text.rstrip())
        while position < end:
            match = _TOKEN.match(self.text, position)
            if match is None or match.lastgroup is None:
                position += len(self.text[position:]) - len(self.text[position:].lstrip())
                self._refuse(position, self.text[position], "numbers, names, + - * / **, sqrt and parentheses only")
            tokens.append((match.lastgroup, match.group(match.lastgroup), match.start(match.lastgroup)))
            position = match.end()
        return tokens

    def _peek(self) -> str | None:
        return self._tokens[self._next][1] if self._next < len(self._tokens) else None

    def _take(self, *wanted: str) -> str | None:
        token = self._peek()
        if token in wanted:
            self._next += 1
            return token
        return None

    def _sum(self) -> Node:
        first, rest = self._product(), list[tuple[Operation, Node]]()
        while (operator := self._take("+", "-")) is not None:
            rest.append((_add if operator == "+" else _subtract, self._product()))
        return _chain(first, rest)

    def _product(self) -> Node:
        first, rest = self._factor(), list[tuple[Operation, Node]]()
        while (operator := self._take("*", "/")) is not None:
            rest.append((_multiply if operator == "*" else _divide, self._factor()))
        return _chain(first, rest)

    def _factor(self) -> Node:
        self._depth += 1
        if self._depth > MAX_DEPTH:
            self._fail(f"at most {MAX_DEPTH} nested parentheses, powers and signs")
        sign = self._take("+", "-")
        if sign is not None:
            inner = self._factor()
            node = inner if sign == "+" else _negative(inner)
        else:
            node = self._atom()
            if self._take("**"):
                node = _power(node, self._factor())
        self._depth -= 1
        return node

    def _atom(self) -> Node:
        if self._next >= len(self._tokens):
            self._fail("a number, a name, sqrt( or (")
        kind, token, _ = self._tokens[self._next]
        if kind == "op" and token != "(":
            self._fail("a number, a name, sqrt( or (")
        self._next += 1
        if kind == "number":
            return self._number(token)
        if kind == "name" and token != "sqrt":
            if self._peek() == "(":
                self._next -= 1
                self._fail("sqrt as the only function")
            self.names.add(token)
            return _name(token)
        if token == "sqrt" and not self._take("("):
            self._fail("( after sqrt")
        node = self._sum()
        if not self._take(")"):
            self._fail(")")
        return _sqrt(node) if token == "sqrt" else node

    def _number(self, token: str) -> Node:
        number = float(token)
        if not np.isfinite(number):
            self._next -= 1
            self._fail("a finite number")
        return _constant(number)

    def _fail(self, expected: str) -> NoReturn:
        if self._next < len(self._tokens):
            _, token, position = self._tokens[self._next]
            self._refuse(position, token, expected)
        self._refuse(len(self.text), "the end", expected)

    def _refuse(self, position: int, got: str, expected: str) -> NoReturn:
        shown = self.text if len(self.text) <= 80 else self.text[:77] + "..."
        msg = f"expression {shown!r}"
        raise SchemaError(
            msg,
            got=f"{got!r} at position {position}",
            expected=expected,
            remedy='coefficients are arithmetic in the parameters, for example "mu - sqrt(mu)"',
        )
