"""The parser of specs and composition expressions: one grammar for the shell and for Python.

expression := word '(' [argument {',' argument}] ')' | name
argument   := key '=' value | expression
value      := number | True | False | word | '(' value {',' value} ')'
name       := characters other than spaces ( ) , = ' " | a string in single or double quotes
"""

import difflib
import re
from dataclasses import fields
from typing import Any

from adapterxfer.errors import UserError
from adapterxfer.modules.expression import METHODS, NODES, Expression, Trained
from adapterxfer.modules.specs import SPECS, Spec, value_text

_TOKEN = re.compile(
    r"\s*(?:(?P<mark>[(),=])|(?P<quoted>'(?:[^'\\]|\\.)*'|\"(?:[^\"\\]|\\.)*\")|(?P<word>[^\s(),='\"]+))"
)
_DEEPEST = 20
_WORDS = {"None": None, "True": True, "true": True, "False": False, "false": False}


class _Parser:
    def __init__(self, text: str) -> None:
        self.text = text
        self.tokens: list[tuple[str, str, int]] = []
        position = 0
        while text[position:].strip():
            match = _TOKEN.match(text, position)
            if match is None:
                raise self.error(position, "a quote is not closed")
            kind = str(match.lastgroup)
            self.tokens.append((kind, match.group(kind), match.start(kind)))
            position = match.end()
        self.at = 0

    def error(self, position: int, why: str) -> UserError:
        return UserError(f"cannot read {self.text!r} at character {position + 1}: {why}.")

    def peek(self, ahead: int = 0) -> str:
        """Return the mark at the current position, 'word' or 'quoted', or '' at the end."""
        if self.at + ahead >= len(self.tokens):
            return ""
        kind, value, _ = self.tokens[self.at + ahead]
        return value if kind == "mark" else kind

    def take(self, wanted: str) -> str:
        if self.peek() != wanted:
            found = f"found {self.tokens[self.at][1]!r}" if self.peek() else "the text ends"
            position = self.tokens[self.at][2] if self.peek() else len(self.text)
            raise self.error(position, f"expected {wanted!r}, {found}")
        self.at += 1
        return self.tokens[self.at - 1][1]

    def expression(self, depth: int = 0) -> Expression:
        position = self.tokens[self.at][2] if self.peek() else len(self.text)
        if depth > _DEEPEST:
            raise self.error(position, f"nested more than {_DEEPEST} deep")
        if self.peek() == "quoted":
            return Trained(re.sub(r"\\(.)", r"\1", self.take("quoted")[1:-1]))
        if self.peek() != "word":
            raise self.error(position, "expected a module name, a spec or a composition")
        word = self.take("word")
        if self.peek() != "(":
            return Trained(word)
        self.take("(")
        children: list[Expression] = []
        options: dict[str, Any] = {}
        while self.peek() != ")":
            if self.peek() == "word" and self.peek(1) == "=":
                key = self.take("word")
                self.take("=")
                if key in options:
                    raise self.error(position, f"{key} is given twice")
                options[key] = self.value()
            else:
                children.append(self.expression(depth + 1))
            if self.peek() != ")":
                self.take(",")
        self.take(")")
        return self.build(word, children, options, position)

    def value(self) -> Any:
        if self.peek() == "(":
            self.take("(")
            values = []
            while self.peek() != ")":
                values.append(self.value())
                if self.peek() != ")":
                    self.take(",")
            self.take(")")
            return tuple(values)
        word = self.take("word")
        if word in _WORDS:
            return _WORDS[word]
        for number in (int, float):
            try:
                return number(word)
            except ValueError:
                continue
        return word

    def build(self, word: str, children: list[Expression], options: dict[str, Any], position: int) -> Expression:
        if word in NODES:
            if word == "Merge" and not children:
                raise self.error(position, f"a Merge begins with its rule, one of {', '.join(METHODS)}")
            return NODES[word](*children, **options)  # type: ignore[return-value]
        if word in SPECS:
            if children:
                raise self.error(position, f"{word} takes options by name, e.g. {_example(word)}, not {children[0]}")
            known = [f.name for f in fields(SPECS[word])]
            for key in options:
                if key not in known:
                    raise self.error(position, f"{word} has no option {key!r}; it has {', '.join(known)}")
            return SPECS[word](**options)
        known = [*NODES, *SPECS]
        close = difflib.get_close_matches(word, known, 1, 0.6)
        hint = f"did you mean {close[0]}?" if close else f"known are {', '.join(known)}"
        raise self.error(position, f"unknown word {word!r}; {hint}".rstrip("?"))


def _example(word: str) -> str:
    first = fields(SPECS[word])[0]
    return f"{word}({first.name}={value_text(first.default)})"


def parse_expression(text: str) -> Expression:
    """Parse a composition, a spec or a name. `parse_expression(str(e)) == e` for every expression e.

    Raises:
        UserError: naming the character at which the text stops making sense, or what the composition cannot do.
    """
    parser = _Parser(text)
    expression = parser.expression()
    if parser.peek():
        raise parser.error(parser.tokens[parser.at][2], f"nothing may follow {expression}")
    return expression


def parse_spec(text: str | Spec) -> Spec:
    """Parse the spec of a fresh module; a bare word such as `bottleneck` means its defaults.

    Raises:
        UserError: when the text is not a spec.
    """
    if isinstance(text, Spec):
        return text
    if text.strip() in SPECS:
        return SPECS[text.strip()]()
    expression = parse_expression(text)
    if not isinstance(expression, Spec):
        raise UserError(
            f"{text!r} is not the spec of a fresh module; write e.g. bottleneck(reduction=16) or lora(r=8)."
        )
    return expression
