"""What a shell command is known to write: found where it is named, and never guessed."""

from __future__ import annotations

import subprocess
from shlex import join

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rally.hosts.hooks import Write
from rally.hosts.shell import SCRIPT_CHARS_MAX, shell_writes
from rally.hosts.shell_lexer import TOKENS_MAX

HEREDOC = "cat <<'END' > out.py\nrm not-this\n> nor-this\nEND\nrm behind"
TABBED = "tee one <<-END two\n\tx\n\tEND\nrm behind"
TWO_DOCUMENTS = "cat <<A <<B > out\nrm x\nA\nrm y\nB\nrm z"
MESSAGE = 'git commit -m "$(cat <<\'EOF\'\nDon\'t :) "smile > no" (\nEOF\n)" && rm a'
PATCH = (
    "apply_patch <<'EOF'\n*** Begin Patch\n*** Update File: a.py\n@@\n-x\n+y\n*** End Patch\nEOF"
)


def found(script: str, folder: str = "/r") -> list[str]:
    """The paths, those that depend on the disk marked."""
    shown = []
    for write in shell_writes(script, folder):
        mark = "" if write.into is None else f" <- {' '.join(write.into)}"
        shown.append(f"{write.path}{mark}{' ?' if write.if_there else ''}".removeprefix("/r/"))
    return shown


@pytest.mark.parametrize(
    ("script", "paths"),
    [
        # redirections
        ("echo hi > a.txt", ["a.txt"]),
        ("echo hi >> 'a b.txt' 2>&1", ["a b.txt"]),
        ("make 2>err.log >|out.log", ["err.log", "out.log"]),
        ("make &> all.log; ls &>> more.log; x >& both.log", ["all.log", "more.log", "both.log"]),
        ("exec 3<>both", ["both"]),
        ("> empty", ["empty"]),
        ("cat < in > /r/out", ["out"]),
        ("ls >/dev/null 2>/dev/stderr", []),
        ("x 2>&1 >&- 2>&-", []),
        ('echo > "a$x" > "b`c`" > $HOME/d > ~/e > f*', []),
        ("echo a\\ b > c\\ d", ["c d"]),
        ('echo > "a\\"b" > \'c"d\' > e"f"g', ['a"b', 'c"d', "efg"]),
        ("echo 1>a 2> b c2>d", ["a", "b", "d"]),
        ("grep '>' x; echo \"> y\" # > z", []),
        ("echo x#y > a # > b", ["a"]),
        ("[[ a > b && c < d ]] && rm e", ["e"]),
        ("(( a > b )); rm c", ["c"]),
        ("diff <(sort a) >(cat b) > c", ["c"]),
        (HEREDOC, ["out.py", "behind"]),
        (TABBED, ["one", "two", "behind"]),
        (TWO_DOCUMENTS, ["out", "z"]),
        ("cat <<< 'rm x' > y", ["y"]),
        # programs
        ("tee -a a b", ["a", "b"]),
        ("touch -d now a; truncate -s 0 b; shred -n 1 c; unlink d", ["a", "b", "c", "d"]),
        ("rm -rf -- a -b", ["a", "-b"]),
        ("dd if=a of=b bs=1", ["b"]),
        ("sed 's/a/b/' f; sed -n p f", []),
        ("sed -i 's/a/b/' f g", ["f", "g"]),
        ("sed -i.bak -e 's/a/b/' -- f", ["f"]),
        ("sed -ni -f script f", ["f"]),
        ("sed -E --in-place=.b 's/a/b/' f", ["f"]),
        ("sed -i '' 's/a/b/' f", ["f"]),
        ('sed -i "s/$a/b/" f "$g"', ["f"]),
        ("perl -pi -e 's/a/b/' f; perl -ne print g; ruby -i.bak -pe 'x' h", ["f", "h"]),
        ("mv a b", ["a", "b <- a"]),
        ("mv a/x b/y d/", ["a/x", "b/y", "d/ <- x y"]),
        ("mv -t d a b", ["a", "b", "d <- a b"]),
        ("mv *.py d", ["d <- "]),
        ("cp -r a b; cp -T a b; cp a", ["b <- a", "b"]),
        ("install -m 644 a b; install -d c/d", ["b <- a"]),
        ("ln -sf a b", ["b <- a"]),
        # git
        ("git checkout -- a b", ["a", "b"]),
        ("git checkout HEAD~1 -- a", ["a"]),
        ("git checkout main", ["main ?"]),
        ("git checkout -b topic origin/main", []),
        ("git -C sub checkout -- a /r/b", ["sub/a", "b"]),
        ("git restore -s HEAD a; git restore --staged b; git restore -SW c", ["a", "c"]),
        ("git rm a; git rm --cached b; git mv c d", ["a", "c", "d <- c"]),
        ("git --git-dir x checkout -- a; git checkout -- ':(glob)*'; git", []),
        ("git stash; git reset --hard; git status > s", ["s"]),
        # where
        ("cd src && rm a", ["src/a"]),
        ("cd /r/src; rm a; cd ..; rm b", ["src/a", "src/../b"]),
        ("cd $X && rm a > /r/b", ["b"]),
        ("cd - && rm a; cd; rm b; cd a b; rm c; popd; rm d", []),
        ("(cd src; rm a); rm b", ["src/a", "b"]),
        ("pushd src && rm a", ["src/a"]),
        # who
        ("sudo -u bob tee a", ["a"]),
        ("sudo -D /x rm a; command -v rm; env -C /x rm a", []),
        ("env -i A=1 B=2 nice -n 5 timeout -k 1 5 rm a", ["a"]),
        ("X=1 Y+=2 rm a", ["a"]),
        ("find . -name x | xargs -0 -n 1 rm -f named", ["named"]),
        ("find . | xargs sed -i 's/a/b/'", []),
        ("/bin/rm a; \\rm b; 'rm' c; r\"m\" d", ["a", "b", "c", "d"]),
        ("$RM a; \"$(which rm)\" b; alias x=rm", []),
        ("bash -lc 'cd src; rm a' && sh -ec \"rm b\"", ["src/a", "b"]),
        ("bash script.sh; bash -c \"$x\"; sh < script", []),
        ("sh -c \"sh -c 'sh -c \\\"rm deep\\\"'\"", []),
        (PATCH, ["a.py"]),
        ("if true; then rm a; elif x; then rm b; else rm c; fi", ["a", "b", "c"]),
        ("while ! rm a; do rm b; done; { rm c; }", ["a", "b", "c"]),
        ("for f in a b; do rm \"$f\"; done", []),
        ("case $x in a) rm b ;; *) rm c ;; esac", ["b", "c"]),
        ("rm a\nrm b\\\n c |& tee d", ["a", "b", "c", "d"]),
        ("bash -s <<'END'\nrm a\nEND\nbash script <<END\nrm b\nEND", ["a"]),
        ("git -C a -C b checkout -- c", []),
        (MESSAGE, ["a"]),
        ('echo "$(echo ")") > no" > a; echo $(echo $(( 1 << 2 )) \')\' # )\n) > b', ["a", "b"]),
        ("x=$( (cd b; ls) | ((y)) ) > a", ["a"]),
        ("eval 'rm a'; python -c 'open(\"b\",\"w\")'; make; ssh host rm c", []),
        # broken
        ("rm 'a", []),
        ('rm "a', []),
        ("rm a; echo $(", ["a"]),
        ("rm a >", ["a"]),
        ("", []),
    ],
)  # fmt: skip
def test_what_is_named_is_found(script: str, paths: list[str]) -> None:
    """And what only the shell could know is not."""
    assert found(script) == paths


def test_where_the_folder_is_not_known_only_absolute_paths_count() -> None:
    """A guess would check the wrong file."""
    assert shell_writes("rm a /r/b; cd c; rm d; cd /r; rm e", "") == [Write("/r/b"), Write("/r/e")]


def test_a_script_that_is_too_long_is_not_read() -> None:
    """It is data, and reading it would hold up everybody else; a file in a command does fit."""
    assert found("rm a; : " + "x" * SCRIPT_CHARS_MAX) == []
    assert found("rm a;" + "(" * TOKENS_MAX + "rm b") == ["a"]
    assert found("rm a; echo " + "$(" * 100_000 + "; rm b") == ["a"]
    assert found("rm a; echo " + "$( (( )" * 100_000 + "; rm b") == ["a"]
    assert found("cat > a <<E\n" + "x y > z\n" * 50_000 + "E\nrm b") == ["a", "b"]


@given(st.text(alphabet="ab /\\'\"$`(){}[]<>|&;#*?~!=-\n\t1crmdtesi", max_size=60))
@settings(max_examples=300, deadline=None)
def test_no_script_breaks_it(script: str) -> None:
    """Any text gives some paths, all of them absolute."""
    for write in shell_writes(script, "/r"):
        assert write.path.startswith("/")


WORDS = st.text(alphabet="abc./-_ '\"\\$", min_size=1, max_size=8)


@given(st.lists(WORDS, min_size=1, max_size=4))
@settings(max_examples=100, deadline=None)
def test_quoted_words_are_read_as_the_shell_reads_them(words: list[str]) -> None:
    """The shell itself says what the words are."""
    quoted = join(words)
    shell = subprocess.run(
        ["/bin/sh", "-c", f"printf '%s\\0' {quoted}"], capture_output=True, check=True, text=True
    )
    meant = [word for word in shell.stdout.split("\0")[:-1] if not word.startswith("/dev/")]
    expected = [word if word.startswith("/") else f"/r/{word}" for word in meant]
    got = [write.path for write in shell_writes(f"rm -- {quoted}", "/r")]
    assert got == list(dict.fromkeys(expected))
