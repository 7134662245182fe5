"""Which files a shell script is about to write: a careful best effort, and no more than that.

Nothing is evaluated. What is named literally is found: redirections, `tee`, `sed -i`, `mv`, `cp`,
`rm`, `git checkout` and their like, behind `cd … &&`, `sudo`, `env`, `xargs` and inside `bash -c '…'`.
What is not found may still be written (a script, a variable, a wildcard), so no answer built on this
may ever say that a command is safe.
"""

from __future__ import annotations

from rally.hosts.hooks import Write, absolute
from rally.hosts.patch import patch_paths
from rally.hosts.shell_commands import writers
from rally.hosts.shell_lexer import Lexer, Token
from rally.hosts.shell_options import PREFIXES, operands, options_of

# Longer scripts are data with a command around them.
SCRIPT_CHARS_MAX = 1024 * 1024
_NESTING_MAX = 2
_SHELLS = frozenset(("sh", "bash", "zsh", "dash", "ksh"))
_RESERVED = frozenset(("if", "then", "elif", "else", "while", "until", "do", "!", "{", "time"))
_NO_COMMAND = frozenset(("for", "case", "select", "function", "[[", "}", "fi", "done", "esac"))
_OUTPUTS = frozenset((">", ">>", ">|", "&>", "&>>", "<>"))


def shell_writes(script: str, folder: str) -> list[Write]:
    """The files that a script names as written, in order, each once; may be empty.

    Args:
        script: as the tool would hand it to the shell.
        folder: absolute working folder in which it starts; empty where that is not known.
    """
    return list(dict.fromkeys(_Script(folder, _NESTING_MAX).read(script)))


class _Script:
    """Follows one script from command to command.

    Args:
        folder: where it starts; None from where it is not known.
        nesting: how deep scripts inside words are looked into.
    """

    def __init__(self, folder: str | None, nesting: int) -> None:
        self._folder = folder or None
        self._nesting = nesting
        self._outer: list[str | None] = []
        self._writes: list[Write] = []

    def read(self, script: str) -> list[Write]:
        """What it writes."""
        if len(script) > SCRIPT_CHARS_MAX:
            return []
        command: list[Token] = []
        for token in Lexer(script).tokens():
            if token.kind != "operator":
                command.append(token)
                continue
            self._run(command)
            command = []
            if token.text == "(":
                self._outer.append(self._folder)
            elif token.text == ")" and self._outer:
                self._folder = self._outer.pop()
        self._run(command)
        return self._writes

    def _run(self, command: list[Token]) -> None:
        """One simple command with its redirections."""
        words: list[Token] = []
        body = ""
        tokens = iter(command)
        for token in tokens:
            if token.kind == "word":
                words.append(token)
                continue
            target = next(tokens, None)
            body = token.body or body
            if target is not None and target.kind == "word":
                self._redirect(token.text, target)
        self._call(words, body)

    def _redirect(self, sign: str, target: Token) -> None:
        to_file = sign == ">&" and not target.text.rstrip("-").isdecimal() and target.text != "-"
        if sign in _OUTPUTS or to_file:
            self._add(target)

    def _call(self, words: list[Token], body: str) -> None:
        words = _without_prefixes(words)
        if not words or not words[0].known or words[0].text in _NO_COMMAND:
            return
        name = words[0].text.rpartition("/")[2]
        args = words[1:]
        if name in ("cd", "pushd", "popd"):
            self._change_folder(name, args)
        elif name in _SHELLS:
            self._nest(args, body)
        elif name in ("apply_patch", "applypatch"):
            text = args[0].text if args else body
            for path in patch_paths(text):
                self._add(Token("word", path))
        else:
            for found in writers(name, args):
                self._add(Token("word", found.path), found)

    def _change_folder(self, name: str, args: list[Token]) -> None:
        where = operands(args, frozenset())
        if name == "popd" or len(where) != 1 or not where[0].known or where[0].text in ("", "-"):
            self._folder = None
        elif where[0].text.startswith("/"):
            self._folder = where[0].text
        elif self._folder is not None:
            self._folder = absolute(where[0].text, self._folder)

    def _nest(self, args: list[Token], body: str) -> None:
        """`sh -c SCRIPT`, or a script that comes as a here document."""
        for index, arg in enumerate(args):
            if not arg.known or not arg.text.startswith(("-", "+")):
                return
            if not arg.text.startswith("--") and "c" in arg.text:
                inner = args[index + 1 : index + 2]
                self._read_inner(inner[0].text if inner and inner[0].known else "")
                return
        self._read_inner(body)

    def _read_inner(self, script: str) -> None:
        if script and self._nesting:
            self._writes += _Script(self._folder, self._nesting - 1).read(script)

    def _add(self, word: Token, found: Write | None = None) -> None:
        """Note a file, unless where it is cannot be known, or it is a device."""
        path = word.text
        if not word.known or not path or path.startswith("/dev/"):
            return
        if not path.startswith("/"):
            if self._folder is None:
                return
            path = absolute(path, self._folder)
        self._writes.append(found._replace(path=path) if found else Write(path))


def _without_prefixes(words: list[Token]) -> list[Token]:
    """The command behind reserved words, assignments and programs that run another one."""
    while words:
        first = words[0]
        name = first.text.rpartition("/")[2]
        if first.known and name in PREFIXES:
            words = _behind(words[1:], name)
        elif (first.known and first.text in _RESERVED) or _is_assignment(first.text):
            words = words[1:]
        else:
            break
    return words


def _behind(args: list[Token], name: str) -> list[Token]:
    """What `sudo`, `env`, `timeout` and their like run; empty where it is not clear."""
    prefix = PREFIXES[name]
    given = options_of(args, prefix.takes_value)
    if not prefix.unclear.isdisjoint(given.names):
        return []
    rest = args[given.end :]
    return rest[prefix.operands :]


def _is_assignment(text: str) -> bool:
    name, equals, _ = text.partition("=")
    return bool(equals) and name.rstrip("+").isidentifier()
