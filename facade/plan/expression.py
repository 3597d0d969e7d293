"""Which quanta an operator means: a small language over module, block and loop values (docs/reuse.md).

    expression = term {"or" term}    term = factor {"and" factor}    factor = "not" factor | "(" expression ")" | test
    test = NAME ("=" | "!=" | "<" | "<=" | ">" | ">=") VALUE | ">=" MODULE | "<=" MODULE | MODULE

NAME is ``module``, ``block`` or a loop key. A VALUE is compared as text, may hold ``*`` and ``?``, and is quoted where
it holds blanks or any of ``()<>=!``. ``>= MODULE`` is the module with all that is made from what it makes,
``<= MODULE`` the module with all that it is made from. A quantum that lacks a key fails every test of it but ``!=``.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import cached_property

from facade.errors import InputError
from facade.files import natural_key
from facade.plan.model import Plan, Quantum
from facade.wcl.template import plain
from facade.wcl.tree import did_you_mean

Test = Callable[[Quantum], bool]
WORDS = frozenset({"and", "or", "not"})

_TOKEN = re.compile(r"""\s*(?:([()])|(<=|>=|!=|==|=|<|>)|"([^"]*)"|'([^']*)'|([^\s()<>=!"']+))""")
_EXAMPLE = "for example 'module=assemble_coadd and patch=0,1', or '>= processccd'"


class Family:
    """Which module reads what which other makes, and what there is to ask for in one plan."""

    def __init__(self, plan: Plan) -> None:
        self._plan = plan
        self.blocks = {module: block.name for block in plan.blocks for module in block.modules}
        self.modules = tuple(self.blocks)

    @cached_property
    def keys(self) -> frozenset[str]:
        """Every loop key of the plan."""
        of_module = {quantum.module: quantum.keys for quantum in self._plan.quanta}
        return frozenset({"module", "block"}).union(*of_module.values())

    @cached_property
    def parents(self) -> Mapping[str, frozenset[str]]:
        """Module -> the modules whose outputs it reads."""
        plan, found = self._plan, {module: set[str]() for module in self.modules}
        for quantum in plan.quanta:
            mine = found[quantum.module]
            for use in quantum.inputs:
                if (producer := plan.files[use.file].producer) > 0:
                    mine.add(plan.quantum(producer).module)
        return {module: frozenset(others) for module, others in found.items()}

    def upstream(self, module: str) -> frozenset[str]:
        """Return the module with all that it is made from."""
        return _reached(self.known(module), self.parents)

    def downstream(self, module: str) -> frozenset[str]:
        """Return the module with all that is made from what it makes."""
        children: dict[str, set[str]] = {}
        for child, parents in self.parents.items():
            for parent in parents:
                children.setdefault(parent, set()).add(child)
        return _reached(self.known(module), children)

    def known(self, module: str) -> str:
        """Return the name of a module that is there; raises InputError."""
        if module not in self.blocks:
            remedy = did_you_mean(module, self.modules) or f"modules: {', '.join(self.modules)}"
            raise InputError(f"no module of the plan is called '{module}'", remedy=remedy)
        return module

    def known_key(self, key: str) -> str:
        """Return the name of a key that some quantum has; raises InputError."""
        if key not in self.keys:
            remedy = did_you_mean(key, self.keys) or f"there are: {', '.join(sorted(self.keys))}"
            raise InputError(f"no quantum of the plan has a key '{key}'", remedy=remedy)
        return key


def _reached(start: str, edges: Mapping[str, Iterable[str]]) -> frozenset[str]:
    seen, stack = {start}, [start]
    while stack:
        for other in edges.get(stack.pop(), ()):
            if other not in seen:
                seen.add(other)
                stack.append(other)
    return frozenset(seen)


def compiled(text: str, family: Family) -> Test:
    """Return the test that an expression is.

    Raises:
        InputError: it is none, or names a module or key that is not there.
    """
    return _Reader(text, family).read()


def matches(plan: Plan, text: str, option: str, family: Family) -> frozenset[int]:
    """Return the numbers of the quanta that an expression means.

    Raises:
        InputError: it is no expression, or means none of them.
    """
    test = compiled(text, family)
    found = frozenset([quantum.wrapnum for quantum in plan.quanta if test(quantum)])
    if not found:
        raise InputError(
            f"{option} '{text}' means no quantum of the plan", remedy="see them with: facade plan --explain"
        )
    return found


class _Reader:
    """Reads one expression by descent."""

    def __init__(self, text: str, family: Family) -> None:
        self._text, self._family = text, family
        self._tokens = self._cut(text)
        self._next = 0

    def _cut(self, text: str) -> list[tuple[str, str]]:
        """Return (kind, text) of each token: ``(`` or ``)``, an operator, a word, or a quoted text."""
        tokens, at = [], 0
        text = text.rstrip()
        while at < len(text):
            match = _TOKEN.match(text, at)
            if match is None:
                raise self._fault(f"'{text[at:].strip()}' is not closed" if text[at:].strip()[0] in "\"'" else
                                  f"'{text[at:].strip()}' cannot stand there")  # fmt: skip
            bracket, operator, double, single, word = match.groups()
            if bracket or operator:
                tokens.append((bracket or operator, bracket or operator))
            elif word is not None:
                tokens.append((word if word in WORDS else "word", word))
            else:
                tokens.append(("text", double if double is not None else single))
            at = match.end()
        return tokens

    def _fault(self, why: str) -> InputError:
        return InputError(f"'{self._text}' is no expression: {why}", remedy=_EXAMPLE)

    def _peek(self) -> str:
        return self._tokens[self._next][0] if self._next < len(self._tokens) else ""

    def _take(self) -> str:
        self._next += 1
        return self._tokens[self._next - 1][1]

    def read(self) -> Test:
        """Read all of it."""
        if not self._tokens:
            raise self._fault("it is empty")
        found = self._either()
        if self._peek():
            raise self._fault(f"'{self._take()}' is left over")
        return found

    def _either(self) -> Test:
        tests = [self._both()]
        while self._peek() == "or":
            self._take()
            tests.append(self._both())
        return tests[0] if len(tests) == 1 else lambda quantum: any(test(quantum) for test in tests)

    def _both(self) -> Test:
        tests = [self._factor()]
        while self._peek() == "and":
            self._take()
            tests.append(self._factor())
        return tests[0] if len(tests) == 1 else lambda quantum: all(test(quantum) for test in tests)

    def _factor(self) -> Test:
        kind = self._peek()
        if kind == "not":
            self._take()
            negated = self._factor()
            return lambda quantum: not negated(quantum)
        if kind == "(":
            self._take()
            found = self._either()
            if self._peek() != ")":
                raise self._fault("a ')' is missing")
            self._take()
            return found
        if kind in ("<=", ">="):
            operator = self._take()
            return self._relatives(operator, self._value(operator))
        return self._test()

    def _relatives(self, operator: str, module: str) -> Test:
        members = self._family.upstream(module) if operator == "<=" else self._family.downstream(module)
        return lambda quantum: quantum.module in members

    def _test(self) -> Test:
        if self._peek() != "word":
            what = f"'{self._take()}' stands" if self._peek() else "nothing stands"
            raise self._fault(f"{what} where a name is needed")
        name = self._take()
        operator = self._peek()
        if operator in ("=", "==", "!=", "<", "<=", ">", ">="):
            self._take()
            return comparison(self._family, name, operator, self._value(operator))
        module = self._family.known(name)
        return lambda quantum: quantum.module == module

    def _value(self, operator: str) -> str:
        if self._peek() not in ("word", "text"):
            raise self._fault(f"a value is missing behind '{operator}'")
        return self._take()


def comparison(family: Family, name: str, operator: str, value: str) -> Test:
    """Return the test of one key: ``module``, ``block`` or a loop key.

    Raises:
        InputError: no quantum has such a key; there is no such module.
    """
    get = _getter(family, family.known_key(name))
    if operator in ("=", "==", "!="):
        same = _alike(value)
        if name == "module" and not any(same(module) for module in family.modules):
            family.known(value)
        if operator == "!=":
            return lambda quantum: not ((found := get(quantum)) is not None and same(found))
        return lambda quantum: (found := get(quantum)) is not None and same(found)
    wanted, order = natural_key((value,)), _ORDERS[operator]
    return lambda quantum: (found := get(quantum)) is not None and order(natural_key((found,)), wanted)


_ORDERS: Mapping[str, Callable[[tuple[object, ...], tuple[object, ...]], bool]] = {
    "<": lambda a, b: a < b,
    "<=": lambda a, b: a <= b,
    ">": lambda a, b: a > b,
    ">=": lambda a, b: a >= b,
}


def _getter(family: Family, name: str) -> Callable[[Quantum], str | None]:
    if name == "module":
        return lambda quantum: quantum.module
    if name == "block":
        return lambda quantum: family.blocks.get(quantum.module)

    def get(quantum: Quantum) -> str | None:
        value = quantum.keys.get(name)
        return None if value is None else plain(value)

    return get


def _alike(pattern: str) -> Callable[[str], bool]:
    """Return whether a text is like *pattern*, in which ``*`` stands for anything and ``?`` for one character."""
    if not set("*?").intersection(pattern):
        return pattern.__eq__
    pieces: Sequence[str] = re.split(r"([*?])", pattern)
    form = "".join({"*": ".*", "?": "."}.get(piece) or re.escape(piece) for piece in pieces)
    matched = re.compile(form, re.DOTALL).fullmatch
    return lambda text: matched(text) is not None
