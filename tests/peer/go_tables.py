"""Reads the tables of Go test files: composite literals as Python values.

Only literals are read, nothing is run. A value that is not a literal (a variable of another file,
a call) becomes an `Unknown` that keeps its source text.
"""

from __future__ import annotations

import ast
import re
from dataclasses import dataclass
from pathlib import Path

_TOKEN = re.compile(
    r"""(?P<skip>\s+|//[^\n]*|/\*.*?\*/)|(?P<raw>`[^`]*`)|(?P<text>"(?:[^"\\\n]|\\.)*")|(?P<rune>'(?:[^'\\]|\\.)+')"""
    r"""|(?P<number>0[xX][0-9a-fA-F_]+|\d[\d_]*(?:\.\d+)?)|(?P<word>[^\W\d]\w*)"""
    r"""|(?P<mark>\.\.\.|:=|==|!=|<=|>=|&&|\|\||<-|[-+*/%&|^<>=!(){}\[\],;.:~])""",
    re.DOTALL,
)
_CLOSING = {"(": ")", "[": "]", "{": "}"}
_CONSTANTS = {"true": True, "false": False, "nil": None}


@dataclass(frozen=True)
class Unknown:
    """A value that is not a literal."""

    text: str


@dataclass(frozen=True)
class Struct:
    """A composite literal: `fields` by name, `items` where it has no keys."""

    type: str
    fields: dict
    items: list

    def __getitem__(self, key):
        return self.fields.get(key)


class UnreadableError(ValueError):
    """The source is not what this reader takes."""


def _tokens(source):
    found, at = [], 0
    while at < len(source):
        match = _TOKEN.match(source, at)
        if match is None:
            raise UnreadableError(source[at : at + 40])
        at = match.end()
        if match.lastgroup != "skip":
            found.append((match.lastgroup, match.group()))
    return found


class Source:
    """One Go file."""

    def __init__(self, path):
        self._tokens = _tokens(Path(path).read_text())
        self._names = {}
        self._collect()

    def tables(self, function=None):
        """Yield (function, value) of every slice, array or map literal in file order, outermost ones only."""
        at, inside = 0, None
        while at < len(self._tokens):
            if self._at(at) == "func" and self._tokens[at + 1][0] == "word":
                inside = self._at(at + 1)
            if (self._at(at) == "[" or self._at(at) == "map") and (function is None or inside == function):
                try:
                    kind, end = self._type(at)
                    if self._at(end) == "{":
                        value, at = self._literal(kind, end)
                        yield inside, value
                        continue
                except UnreadableError:
                    pass
            at += 1

    def table(self, function, number=0):
        """Return the rows of a function's table, those with fields first."""
        found = [value for _, value in self.tables(function) if value.items or value.fields]
        return found[number]

    def names(self):
        """Return the names that stand for literals in the file."""
        return dict(self._names)

    def _collect(self):
        for at in range(1, len(self._tokens) - 1):
            if self._at(at) in {"=", ":="} and self._tokens[at - 1][0] == "word":
                try:
                    value, _ = self._value(at + 1)
                except UnreadableError:
                    continue
                if not isinstance(value, Unknown):
                    self._names.setdefault(self._at(at - 1), value)

    def _at(self, at):
        return self._tokens[at][1] if at < len(self._tokens) else ""

    def _skip(self, at):
        """Return the place behind a bracketed group."""
        closing, at = _CLOSING[self._at(at)], at + 1
        while self._at(at) != closing:
            if at >= len(self._tokens):
                raise UnreadableError("unbalanced")
            at = self._skip(at) if self._at(at) in _CLOSING else at + 1
        return at + 1

    def _type(self, at):
        """Return the text of a type and the place behind it."""
        start = at
        while self._at(at) in {"*", "[", "map"}:
            at = self._skip(at) if self._at(at) == "[" else at + 1
        if self._at(at) in {"struct", "interface"}:
            at = self._skip(at + 1)
        elif self._at(at) == "func":
            raise UnreadableError("func")
        elif self._tokens[at][0] == "word":
            at += 1
            while self._at(at) == "." and self._tokens[at + 1][0] == "word":
                at += 2
        else:
            raise UnreadableError(self._at(at))
        return "".join(text for _, text in self._tokens[start:at]), at

    def _literal(self, kind, at):
        """Read `{ … }`; elements may leave their type out."""
        fields, items, at = {}, [], at + 1
        while self._at(at) != "}":
            key, at = self._element(at)
            if self._at(at) == ":":
                value, at = self._element(at + 1)
                key = key.text if isinstance(key, Unknown) else key
                fields[key if isinstance(key, str | int) else str(key)] = value
            else:
                items.append(key)
            if self._at(at) == ",":
                at += 1
            elif self._at(at) != "}":
                raise UnreadableError(self._at(at))
        return Struct(kind, fields, items), at + 1

    def _element(self, at):
        if self._at(at) == "{":
            return self._literal("", at)
        # A key is a field's name even where a variable has that name.
        if self._tokens[at][0] == "word" and self._at(at + 1) == ":":
            word = self._at(at)
            return (_CONSTANTS[word] if word in _CONSTANTS else Unknown(word)), at + 1
        return self._value(at)

    def _value(self, at):
        value, at = self._operand(at)
        while self._at(at) in {"+", "-", "*", "/", "|", "&", "==", "!=", "<", ">", "&&", "||"}:
            mark = self._at(at)
            right, at = self._operand(at + 1)
            same = mark == "+" and type(value) is type(right) and isinstance(value, str | int | float)
            value = value + right if same else Unknown(mark)
        return value, at

    def _operand(self, at):
        kind, text = self._tokens[at]
        if text in {"&", "-", "!", "*"}:
            value, end = self._operand(at + 1)
            return (-value if text == "-" and isinstance(value, int | float) else value), end
        if kind == "raw":
            return text[1:-1].replace("\r", ""), at + 1
        if kind == "text":
            return ast.literal_eval(text), at + 1
        if kind == "rune":
            return ast.literal_eval(text), at + 1
        if kind == "number":
            return (float(text) if "." in text else int(text.replace("_", ""), 0)), at + 1
        if text == "(":
            value, end = self._value(at + 1)
            return value, end + 1
        if text == "func":
            while self._at(at) != "{":
                at = self._skip(at) if self._at(at) in _CLOSING else at + 1
            return self._called(Unknown("func"), self._skip(at))
        name, end = self._type(at)
        if self._at(end) == "{":
            return self._literal(name, end)
        if self._at(end) == "(":
            return self._call(name, end)
        if self._at(end) == "[":
            return Unknown(name), self._skip(end)
        return (_CONSTANTS[name] if name in _CONSTANTS else self._names.get(name, Unknown(name))), end

    def _called(self, value, at):
        while self._at(at) in {"(", "."}:
            at = self._skip(at) if self._at(at) == "(" else at + 2
        return value, at

    def _call(self, name, at):
        end = self._skip(at)
        arguments, at = [], at + 1
        try:
            while self._at(at) not in {")", ""}:
                value, at = self._value(at)
                arguments.append(value)
                at += self._at(at) == ","
        except (UnreadableError, IndexError):
            arguments = [Unknown(name)]
        if not any(isinstance(each, Unknown) for each in arguments):
            if name == "strings.Repeat":
                return self._called(arguments[0] * arguments[1], end)
            if name == "path.Join":
                return "/".join(filter(None, arguments)), end
            if name == "[]byte" or (len(arguments) == 1 and isinstance(arguments[0], str | int)):
                return self._called(arguments[0], end)
        return self._called(Unknown(name), end)
