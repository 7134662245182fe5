"""A shell script cut into words and operators, without evaluating anything.

Enough of POSIX and bash to see which files a command line names: quotes, escapes, comments, here
documents, redirections. What only the shell could know (variables, substitutions, wildcards, braces)
makes a word unknown: its text is not to be relied on.
"""

from __future__ import annotations

from typing import NamedTuple

# What follows in a longer script is not read: its reader holds up everybody whom the daemon serves. The
# lines of a here document and whatever stands in quotes are one token, so files in commands do fit.
TOKENS_MAX = 5_000
# Commands inside commands that are read as such; what is deeper is skipped by its brackets alone.
_DEPTH_MAX = 8
_OPERATORS = ("&&", "||", ";;&", ";;", ";&", "|&", ";", "|", "&", "(", ")", "\n")
_REDIRECTIONS = ("&>>", "&>", "<<<", "<<-", "<<", "<>", "<&", "<", ">>", ">|", ">&", ">")
_ENDS_WORD = frozenset(" \t\n;|&()<>")
_GLOBS = frozenset("*?[]{}")


class Token(NamedTuple):
    """One piece of a script.

    Attributes:
        kind: `word`, `operator`, or `redirection`, whose target is the word behind it.
        text: a word without its quotes, or the sign.
        known: whether the word means its text, whatever the shell's variables are.
        body: of a here document's redirection: its lines.
    """

    kind: str
    text: str
    known: bool = True
    body: str = ""


class Lexer:
    """Cuts one script.

    Args:
        script: any text; what is broken (a quote that never ends) makes its last word unknown.
    """

    def __init__(self, script: str) -> None:
        self._script = script
        self._at = 0
        self._depth = 0  # in how many `$(` this one stands
        self._opened = 0  # brackets of subshells
        self._tokens_max = TOKENS_MAX
        self._tokens: list[Token] = []
        self._bodies: list[tuple[int, bool]] = []  # here documents whose lines are still to come
        self._in_test = False  # between [[ and ]], where < and > compare
        self._open_to_end = False  # no )) follows

    def tokens(self) -> list[Token]:
        """Everything, in order, up to `TOKENS_MAX`; inside `$(` up to its end."""
        script = self._script
        while self._at < len(script) and len(self._tokens) < self._tokens_max:
            char = script[self._at]
            if char == ")" and self._depth and not self._opened:
                break
            if char in " \t\r":
                self._at += 1
            elif script.startswith("\\\n", self._at):
                self._at += 2
            elif char == "#":
                self._at = _or_end(script.find("\n", self._at), script)
            elif not (self._take_redirection() or self._take_operator()):
                self._take_word()
        return self._tokens

    def _take_redirection(self) -> bool:
        start = self._at
        script = self._script
        while start < len(script) and script[start].isdecimal():
            start += 1
        sign = _starts_with(script, start, _REDIRECTIONS)
        if not sign or self._in_test:
            return False
        if start > self._at and sign[0] == "&":
            return False  # `2&>f` is the word 2
        after = start + len(sign)
        if sign in ("<", ">") and script.startswith("(", after):
            return False  # process substitution: a word
        self._at = after
        if sign in ("<<", "<<-"):
            self._bodies.append((len(self._tokens), sign == "<<-"))
        self._tokens.append(Token("redirection", sign))
        return True

    def _take_operator(self) -> bool:
        script = self._script
        sign = _starts_with(script, self._at, _OPERATORS)
        if not sign:
            return False
        if sign == "(" and script.startswith("((", self._at) and self._is_command_start():
            end = -1 if self._open_to_end else script.find("))", self._at)
            self._open_to_end = end < 0  # looked for once: there is none behind either
            if end >= 0:
                self._at = end + 2  # arithmetic
                return True
        self._at += len(sign)
        self._opened += (sign == "(") - (sign == ")")
        self._tokens.append(Token("operator", sign))
        if sign == "\n":
            self._take_bodies()
        return True

    def _is_command_start(self) -> bool:
        return not self._tokens or self._tokens[-1].kind == "operator"

    def _take_bodies(self) -> None:
        """The lines of the here documents that were named on the line that just ended."""
        waiting, self._bodies = self._bodies, []
        for index, strips_tabs in waiting:
            if index + 1 >= len(self._tokens):
                continue
            end_mark = self._tokens[index + 1].text
            lines = []
            while self._at < len(self._script):
                stop = _or_end(self._script.find("\n", self._at), self._script)
                line = self._script[self._at : stop]
                self._at = min(stop + 1, len(self._script))
                line = line.lstrip("\t") if strips_tabs else line
                if line == end_mark:
                    break
                lines.append(line)
            self._tokens[index] = self._tokens[index]._replace(body="\n".join(lines))

    def _take_word(self) -> None:
        script = self._script
        pieces: list[str] = []
        known = True
        start = self._at
        while self._at < len(script):
            char = script[self._at]
            if char in _ENDS_WORD and not (
                (self._in_test and char in "<>")
                or (char in "<>" and script.startswith("(", self._at + 1))
            ):
                break
            if char == "\\":
                if not script.startswith("\\\n", self._at):
                    pieces.append(script[self._at + 1 : self._at + 2])
                self._at += 2
            elif char == "'":
                known = self._take_single(pieces) and known
            elif char == '"':
                known = self._take_double(pieces) and known
            elif char in "$`<>":
                self._skip_expansion()
                known = False
            else:
                known = known and char not in _GLOBS and not (char == "~" and self._at == start)
                pieces.append(char)
                self._at += 1
        word = "".join(pieces)
        plain = script[start : self._at]
        if plain in ("[[", "]]", "{", "}", "["):
            known = True
            self._in_test = plain == "[[" or (self._in_test and plain != "]]")
        self._tokens.append(Token("word", word, known))

    def _take_single(self, pieces: list[str]) -> bool:
        end = self._script.find("'", self._at + 1)
        pieces.append(self._script[self._at + 1 : _or_end(end, self._script)])
        self._at = _or_end(end, self._script) + 1
        return end >= 0

    def _take_double(self, pieces: list[str]) -> bool:
        script = self._script
        self._at += 1
        known = True
        while self._at < len(script):
            char = script[self._at]
            if char == '"':
                self._at += 1
                return known
            if char == "\\":
                escaped = script[self._at + 1 : self._at + 2]
                if escaped != "\n":
                    pieces.append(escaped if escaped in '$`"\\' else char + escaped)
                self._at += 2
            elif char in "$`":
                # A lone dollar, as in a pattern's end, is a dollar.
                if char == "$" and not _expands(script, self._at):
                    pieces.append(char)
                    self._at += 1
                else:
                    self._skip_expansion()
                    known = False
            else:
                pieces.append(char)
                self._at += 1
        return False

    def _skip_expansion(self) -> None:
        """Behind `$…`, a backquoted command or a process substitution."""
        script = self._script
        opener = script[self._at]
        self._at += 1
        if opener == "`":
            self._at = _or_end(script.find("`", self._at), script) + 1
            return
        bracket = script[self._at : self._at + 1]
        closers = {"(": ")", "{": "}"}
        is_command = bracket == "(" and not script.startswith("((", self._at)
        if is_command and self._depth < _DEPTH_MAX:
            self._skip_command()
        elif bracket in closers:
            self._skip_nested(bracket, closers[bracket])
        elif bracket == "'":
            self._take_single([])
        else:
            while self._at < len(script) and (
                script[self._at].isalnum() or script[self._at] == "_"
            ):
                self._at += 1

    def _skip_command(self) -> None:
        """Behind `(…)`; quotes, comments and here documents in it may hold brackets."""
        inner = Lexer(self._script)
        inner._at = self._at + 1
        inner._depth = self._depth + 1
        inner._tokens_max = self._tokens_max - len(self._tokens)
        inner._open_to_end = self._open_to_end
        found = inner.tokens()
        self._open_to_end = inner._open_to_end
        self._tokens_max -= len(found)
        is_closed = self._script.startswith(")", inner._at)
        # One that does not end takes the rest of the script with it.
        self._at = inner._at + 1 if is_closed else len(self._script)

    def _skip_nested(self, opener: str, closer: str) -> None:
        depth = 0
        while self._at < len(self._script):
            char = self._script[self._at]
            if char == "\\":
                self._at += 1
            elif char == "'" and opener == "(":
                self._at = _or_end(self._script.find("'", self._at + 1), self._script)
            elif char == opener:
                depth += 1
            elif char == closer:
                depth -= 1
                if depth == 0:
                    self._at += 1
                    return
            self._at += 1


def _expands(script: str, at: int) -> bool:
    following = script[at + 1 : at + 2]
    return bool(following) and (following.isalnum() or following in "_({@*#?-$!")


def _starts_with(script: str, at: int, signs: tuple[str, ...]) -> str:
    """The first of the signs (longest first) that stands there; empty for none."""
    return next((sign for sign in signs if script.startswith(sign, at)), "")


def _or_end(found: int, script: str) -> int:
    return len(script) if found < 0 else found
