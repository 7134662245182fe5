"""Rooms and paths in real repositories, made by the real git (contract R1, R5, C1)."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from rally.facilitation.places import Place, canonical_path, find_place
from rally.facilitation.repository import parse_config
from rally.model.errors import UsageError


class Git:
    """The real git, with nothing of the surrounding user's or hook's settings."""

    def __init__(self, home: Path) -> None:
        home.mkdir()
        self.env = {k: v for k, v in os.environ.items() if not k.startswith(("GIT_", "XDG_"))}
        self.env |= {"HOME": str(home), "GIT_CONFIG_NOSYSTEM": "1", "LC_ALL": "C"}
        (home / ".gitconfig").write_text(
            '[user]\nname = t\nemail = t@example.org\n[protocol "file"]\nallow = always\n'
        )

    def __call__(self, cwd: Path, *args: str) -> None:
        subprocess.run(
            ["git", *args], cwd=cwd, env=self.env, check=True, capture_output=True, text=True
        )

    def repository(self, top: Path, *options: str) -> Path:
        """A repository with one commit."""
        self(top.parent, "init", *options, top.name)
        (top / "src").mkdir()
        (top / "src" / "a.py").write_text("")
        self(top, "add", ".")
        self(top, "commit", "-m", "first")
        return top


@pytest.fixture
def git(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Git:
    for name in [name for name in os.environ if name.startswith("GIT_")]:
        monkeypatch.delenv(name)
    return Git(tmp_path / "home")


@pytest.fixture
def base(tmp_path: Path) -> Path:
    """A real folder outside any repository."""
    folder = tmp_path.resolve() / "base"
    folder.mkdir()
    return folder


@pytest.fixture
def repo(git: Git, base: Path) -> Path:
    return git.repository(base / "repo")


def place(cwd: Path, override: str | None = None) -> Place:
    return find_place(str(cwd), override)


def roots(cwd: Path) -> tuple[str, str]:
    found = place(cwd)
    return found.root, found.top


# -- rooms ----------------------------------------------------------------------------------------


def test_a_room_is_found_from_any_sub_folder(repo: Path) -> None:
    """The main working tree's root, also from a folder that does not exist any more."""
    assert roots(repo) == (str(repo), str(repo))
    assert roots(repo / "src") == (str(repo), str(repo))
    assert roots(repo / "src" / "gone") == (str(repo), str(repo))
    assert place(repo).common_dir == str(repo / ".git")


def test_all_linked_worktrees_share_one_room(git: Git, repo: Path, base: Path) -> None:
    """Inside or beside the main working tree, from a sub-folder too."""
    for wt in (base / "beside", repo / ".worktrees" / "inside"):
        git(repo, "worktree", "add", str(wt))
        assert roots(wt / "src") == (str(repo), str(wt))
        assert place(wt).common_dir == str(repo / ".git")
    expected = [str(base / "beside"), str(repo / ".worktrees" / "inside")]
    assert place(repo).linked_tops() == expected
    assert place(base / "beside").linked_tops() == expected


def test_a_moved_worktree_is_found_where_it_is(git: Git, repo: Path, base: Path) -> None:
    """`git worktree move` and back pointers relative to the git directory are understood."""
    git(repo, "worktree", "add", str(base / "wt"))
    git(repo, "worktree", "move", str(base / "wt"), str(base / "moved"))
    assert place(repo).linked_tops() == [str(base / "moved")]
    (repo / ".git" / "worktrees" / "wt" / "gitdir").write_text("../../../../moved/.git\n")
    assert place(repo).linked_tops() == [str(base / "moved")]


def test_a_folder_that_took_a_worktrees_place_is_none(git: Git, repo: Path, base: Path) -> None:
    """A deleted worktree is still listed, until something else stands there."""
    git(repo, "worktree", "add", str(base / "wt"))
    (base / "wt").rename(base / "away")
    assert place(repo).linked_tops() == [str(base / "wt")]
    (base / "wt").mkdir()
    assert place(repo).linked_tops() == []


def test_the_room_of_a_bare_repository_is_its_folder(git: Git, repo: Path, base: Path) -> None:
    """From inside it and from its worktrees."""
    git(base, "clone", "--bare", str(repo), "shop.git")
    bare = base / "shop.git"
    git(bare, "worktree", "add", str(base / "wt"))
    assert roots(bare) == (str(bare), str(bare))
    assert roots(bare / "hooks") == (str(bare), str(bare))
    assert roots(base / "wt" / "src") == (str(bare), str(base / "wt"))


def test_a_hidden_bare_repository_with_worktrees_beside_it(git: Git, repo: Path) -> None:
    """`project/.bare` with `project/.git` pointing to it: one room from everywhere."""
    project = repo.parent / "project"
    project.mkdir()
    git(project, "clone", "--bare", str(repo), ".bare")
    (project / ".git").write_text("gitdir: ./.bare\n")
    git(project, "worktree", "add", "feature")
    bare = str(project / ".bare")
    assert place(project).root == bare
    assert roots(project / "feature" / "src") == (bare, str(project / "feature"))


def test_bareness_moved_to_the_worktree_config_is_seen(git: Git, repo: Path, base: Path) -> None:
    """`git sparse-checkout` in a worktree moves core.bare out of the shared config."""
    git(base, "clone", "--bare", str(repo), "shop.git")
    git(base / "shop.git", "worktree", "add", str(base / "wt"))
    git(base / "wt", "sparse-checkout", "set", "src")
    assert "bare = true" not in (base / "shop.git" / "config").read_text()
    assert roots(base / "wt") == (str(base / "shop.git"), str(base / "wt"))


def test_a_submodule_has_its_own_room(git: Git, repo: Path, base: Path) -> None:
    """The submodule's top; its linked worktrees and its git directory lead there too."""
    outer = git.repository(base / "outer")
    git(outer, "submodule", "add", str(repo), "libs/sub")
    sub = outer / "libs" / "sub"
    git(sub, "worktree", "add", str(base / "subwt"))
    assert roots(outer / "libs") == (str(outer), str(outer))
    assert roots(sub / "src") == (str(sub), str(sub))
    assert roots(base / "subwt" / "src") == (str(sub), str(base / "subwt"))
    assert roots(outer / ".git" / "modules" / "libs" / "sub" / "hooks") == (str(sub), str(sub))


def test_inside_the_git_directory_the_room_is_the_working_trees(
    git: Git, repo: Path, base: Path
) -> None:
    """As for a hook, or an agent that looks around."""
    git(repo, "worktree", "add", str(base / "wt"))
    assert roots(repo / ".git" / "hooks") == (str(repo), str(repo))
    assert roots(repo / ".git" / "worktrees" / "wt") == (str(repo), str(base / "wt"))


def test_a_separate_git_directory_leaves_the_room_with_the_files(git: Git, base: Path) -> None:
    """The room is the working tree; where git records no way back to it, that is said."""
    top = git.repository(base / "repo", "--separate-git-dir", str(base / "store"))
    git(top, "worktree", "add", str(base / "wt"))
    assert roots(top / "src") == (str(top), str(top))
    assert place(top).linked_tops() == [str(base / "wt")]
    for lost in (base / "wt", base / "store"):
        with pytest.raises(UsageError) as caught:
            place(lost)
        assert caught.value.code == "room-not-found"
        assert "RALLY_ROOM" in caught.value.hint
    found = place(base / "wt", str(top))
    assert (found.root, found.top) == (str(top), str(base / "wt"))
    assert canonical_path(str(base / "wt" / "src" / "a.py"), found) == "src/a.py"
    git(top, "config", "core.worktree", str(top))
    assert roots(base / "wt") == (str(top), str(base / "wt"))


def test_the_innermost_repository_wins(git: Git, repo: Path) -> None:
    """A repository cloned into another has its own room, with or without `.rally/` around it."""
    (repo / ".rally").mkdir()
    inner = git.repository(repo / "vendor")
    assert roots(inner / "src") == (str(inner), str(inner))


def test_an_empty_git_folder_is_no_repository(repo: Path) -> None:
    """Git passes it over, and so does rally."""
    (repo / "src" / ".git").mkdir()
    assert roots(repo / "src") == (str(repo), str(repo))


@pytest.mark.parametrize("pointer", ["gitdir: /nowhere/.git\n", "nonsense", "", "gitdir: \n"])
def test_a_broken_git_file_inside_a_repository_is_passed_over(repo: Path, pointer: str) -> None:
    """A worktree in the repository's own folder whose link broke still finds that repository."""
    broken = repo / ".worktrees" / "old"
    broken.mkdir(parents=True)
    (broken / ".git").write_text(pointer)
    assert roots(broken) == (str(repo), str(repo))


def test_a_broken_git_file_outside_still_marks_the_top(base: Path) -> None:
    """Agents in different sub-folders of it meet in one room."""
    (base / "wt" / "src").mkdir(parents=True)
    (base / "wt" / ".git").write_text("gitdir: /nowhere/.git/worktrees/wt\n")
    assert roots(base / "wt" / "src") == (str(base / "wt"), str(base / "wt"))
    assert place(base / "wt").common_dir is None
    (base / ".rally").mkdir()
    assert place(base / "wt" / "src").root == str(base)


def test_outside_git_the_nearest_room_or_the_folder_itself(base: Path) -> None:
    """`.rally/` upwards, else where the command runs; looking creates nothing."""
    deep = base / "x" / "y"
    deep.mkdir(parents=True)
    assert roots(deep) == (str(deep), str(deep))
    (base / "x" / ".rally").write_text("a file is no room")
    assert place(deep).root == str(deep)
    (base / ".rally").mkdir()
    assert place(deep).root == str(base)
    assert place(deep).linked_tops() == []
    assert list(deep.iterdir()) == []


def test_a_symlinked_folder_leads_to_the_real_room(repo: Path, base: Path) -> None:
    """The same room, whatever way one came."""
    (base / "way").symlink_to(repo / "src")
    assert roots(base / "way") == (str(repo), str(repo))


def test_the_environment_of_git_never_redirects(
    git: Git, repo: Path, base: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Inside a hook of one repository, a command in another one's folder means that folder."""
    other = git.repository(base / "other")
    monkeypatch.setenv("GIT_DIR", str(other / ".git"))
    monkeypatch.setenv("GIT_WORK_TREE", str(other))
    monkeypatch.setenv("GIT_COMMON_DIR", str(other / ".git"))
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(repo))
    assert roots(repo / "src") == (str(repo), str(repo))


# -- the override ---------------------------------------------------------------------------------


def test_an_override_is_exactly_that_folder(git: Git, repo: Path, base: Path) -> None:
    """A sub-folder, a linked worktree's top, a folder outside git: no searching from there."""
    git(repo, "worktree", "add", str(base / "wt"))
    (base / "plain").mkdir()
    (base / "link").symlink_to(base / "plain")
    for named in (repo / "src", base / "wt", base / "plain"):
        found = place(base, str(named))
        assert (found.root, found.top, found.common_dir) == (str(named), str(named), None)
    assert place(base, "link").root == str(base / "plain")
    assert place(repo / "src", "../../plain").root == str(base / "plain")
    assert place(repo, "").root == str(repo)


def test_an_override_that_is_the_own_room_keeps_the_working_tree(
    git: Git, repo: Path, base: Path
) -> None:
    """A child of a runner gets RALLY_ROOM and works in a linked worktree."""
    git(repo, "worktree", "add", str(base / "wt"))
    found = place(base / "wt" / "src", str(repo))
    assert (found.root, found.top) == (str(repo), str(base / "wt"))
    assert place(base, str(repo)).top == str(repo)
    assert canonical_path(str(base / "wt" / "src" / "a.py"), place(base, str(repo))) == "src/a.py"


@pytest.mark.parametrize("named", ["missing", "file", "nul\0nul", "x" * 5000])
def test_an_override_that_is_no_folder_is_an_error(base: Path, named: str) -> None:
    """Nothing is created for it."""
    (base / "file").write_text("")
    with pytest.raises(UsageError) as caught:
        place(base, named)
    assert caught.value.code == "room-not-found"
    assert ascii(named) in caught.value.message
    assert list(base.iterdir()) == [base / "file"]


# -- paths ----------------------------------------------------------------------------------------


def test_a_path_is_relative_to_the_root_wherever_the_command_runs(repo: Path) -> None:
    """Agents hand paths to each other, so the folder does not count."""
    for cwd in (repo, repo / "src"):
        assert canonical_path("src//./a.py", place(cwd)) == "src/a.py"
        assert canonical_path("a.py", place(cwd)) == "a.py"
        assert canonical_path(".", place(cwd)) == "."
        assert canonical_path("new/../src/*.py", place(cwd)) == "src/*.py"


def test_absolute_paths_of_every_working_tree_mean_the_same(
    git: Git, repo: Path, base: Path
) -> None:
    """Root, the caller's own tree and other trees, beside or inside; existing or not."""
    beside, inside = base / "beside", repo / ".worktrees" / "inside"
    for wt in (beside, inside):
        git(repo, "worktree", "add", str(wt))
    for cwd in (repo, beside, inside):
        here = place(cwd)
        for tree in (repo, beside, inside):
            assert canonical_path(str(tree / "src" / "a.py"), here) == "src/a.py"
            assert canonical_path(f"{tree}/new//x/../*.py", here) == "new/*.py"
            assert canonical_path(f"/{tree}/src/", here) == "src"
            assert canonical_path(str(tree), here) == "."
        assert canonical_path(".worktrees/inside/src/a.py", here) == "src/a.py"
        assert canonical_path("./.worktrees/inside/src/*.py", here) == "src/*.py"
        assert canonical_path(".worktrees/*", here) == ".worktrees/*"


def test_a_path_in_a_deleted_worktree_still_means_something(
    git: Git, repo: Path, base: Path
) -> None:
    """A claim made through it can be named until git prunes the worktree."""
    git(repo, "worktree", "add", str(base / "wt"))
    (base / "wt").rename(base / "away")
    assert canonical_path(str(base / "wt" / "src" / "a.py"), place(repo)) == "src/a.py"
    git(repo, "worktree", "prune")
    with pytest.raises(UsageError):
        canonical_path(str(base / "wt" / "src" / "a.py"), place(repo))


def test_a_submodule_is_not_taken_for_a_worktree(git: Git, repo: Path, base: Path) -> None:
    """Paths in it keep their prefix in the outer room."""
    outer = git.repository(base / "outer")
    git(outer, "submodule", "add", str(repo), "sub")
    assert canonical_path("sub/src/a.py", place(outer)) == "sub/src/a.py"
    assert canonical_path(str(outer / "sub" / "src"), place(outer / "sub")) == "src"


def test_links_inside_the_room_lead_to_one_form(repo: Path) -> None:
    """Links in the middle, at the end, to links, dangling; before a wildcard, not behind it."""
    (repo / "link").symlink_to("src")
    (repo / "src" / "alias.py").symlink_to(repo / "src" / "a.py")
    (repo / "twice").symlink_to("./link/")
    (repo / "dangling").symlink_to("src/new/thing")
    here = place(repo)
    assert canonical_path("link/a.py", here) == "src/a.py"
    assert canonical_path("twice/alias.py", here) == "src/a.py"
    assert canonical_path("link", here) == "src"
    assert canonical_path("dangling/x", here) == "src/new/thing/x"
    assert canonical_path("link/../b", here) == "b"
    assert canonical_path("gone/../link/b", here) == "src/b"
    assert canonical_path("link/*.py", here) == "src/*.py"
    assert canonical_path("*/alias.py", here) == "*/alias.py"
    assert canonical_path(f"{repo}/twice/**", here) == "src/**"


def test_links_are_those_of_the_callers_own_tree(git: Git, repo: Path, base: Path) -> None:
    """A linked worktree whose branch has the link follows it, though the main tree has none."""
    git(repo, "worktree", "add", str(base / "wt"))
    (base / "wt" / "lib").symlink_to("src")
    (base / "wt" / "shared").symlink_to(repo / "src")
    assert canonical_path("lib/a.py", place(base / "wt")) == "src/a.py"
    assert canonical_path("lib/a.py", place(repo)) == "lib/a.py"
    assert canonical_path("shared/a.py", place(base / "wt")) == "src/a.py"
    assert canonical_path(str(base / "wt" / "lib" / "a.py"), place(repo)) == "src/a.py"


def test_an_absolute_path_through_a_link_to_the_room_is_inside(repo: Path, base: Path) -> None:
    """/home/me/shop may be a link to where the room really is."""
    (base / "way").symlink_to(repo)
    assert canonical_path(str(base / "way" / "src" / "a.py"), place(repo)) == "src/a.py"
    assert canonical_path(f"{base}/nowhere/../way/src", place(repo)) == "src"


@pytest.mark.parametrize(
    "raw", ["../x", "src/../../x", "out/x", "out", "out/../x", "{base}/x", "/", "/etc/*", "{repo}x"]
)
def test_what_leaves_the_room_is_refused_with_the_root_in_the_hint(
    repo: Path, base: Path, raw: str
) -> None:
    """Climbing, links that lead out, absolute paths elsewhere, a name that only begins alike."""
    (repo / "out").symlink_to(base)
    typed = raw.format(base=base, repo=repo)
    with pytest.raises(UsageError) as caught:
        canonical_path(typed, place(repo / "src"))
    assert caught.value.code == "path-outside-room"
    assert caught.value.details == {"path": typed}
    assert caught.value.hint == f"paths are relative to the room's root, {repo}"


def test_links_in_a_circle_are_an_ordinary_error(repo: Path) -> None:
    """They name nothing."""
    (repo / "one").symlink_to("two")
    (repo / "two").symlink_to("one/x")
    with pytest.raises(UsageError) as caught:
        canonical_path("one/a", place(repo))
    assert caught.value.code == "bad-path"


@pytest.mark.parametrize(
    ("raw", "code"),
    [
        ("", "bad-path"),
        ("src/*/../a", "bad-path"),
        ("{repo}/src/*/../../..", "bad-path"),
        ("a\0b", "bad-text"),
        ("/a\udcff", "bad-text"),
        ("x" * 4097, "too-long"),
    ],
)
def test_what_can_be_no_path_is_refused_before_the_disk(repo: Path, raw: str, code: str) -> None:
    """The rules of the text hold for typed paths too."""
    with pytest.raises(UsageError) as caught:
        canonical_path(raw.format(repo=repo), place(repo))
    assert caught.value.code == code


def test_names_longer_than_the_disk_takes_are_only_text(repo: Path) -> None:
    """A path need not exist, so a name of 300 letters is not looked for in vain."""
    assert canonical_path("x" * 300 + "/a", place(repo)) == "x" * 300 + "/a"
    assert canonical_path("src/a.py/below", place(repo)) == "src/a.py/below"


def test_a_link_to_a_name_that_is_no_utf8_is_refused(repo: Path) -> None:
    """No fact may hold it."""
    (repo / "odd").symlink_to("\udcff")
    with pytest.raises(UsageError) as caught:
        canonical_path("odd", place(repo))
    assert caught.value.code == "bad-text"


def test_composition_and_ignored_case_have_one_form(git: Git, repo: Path) -> None:
    """NFC always; case only where the repository says so, in absolute paths too."""
    assert canonical_path("cafe\u0301", place(repo)) == "caf\u00e9"
    assert canonical_path("SRC/A.py", place(repo)) == "SRC/A.py"
    git(repo, "config", "core.ignoreCase", "true")
    here = place(repo / "src")
    assert here.ignore_case
    assert canonical_path("SRC/A.py", here) == "src/a.py"
    assert canonical_path(f"{str(repo).upper()}/SRC/A.py", here) == "src/a.py"
    assert place(repo, "src").ignore_case


def test_a_room_at_the_root_of_the_disk_holds_absolute_paths() -> None:
    """`/` is a folder like any other, in a container for example."""
    here = Place(root="/")
    assert canonical_path("/no-such-folder/a.py", here) == "no-such-folder/a.py"
    assert canonical_path("no-such-folder/a.py", here) == "no-such-folder/a.py"
    assert canonical_path("/", here) == "."


def test_a_room_of_a_bare_repository_takes_the_paths_of_its_worktrees(
    git: Git, repo: Path, base: Path
) -> None:
    """Relative ones are looked at in the caller's worktree, absolute ones are mapped."""
    git(base, "clone", "--bare", str(repo), "shop.git")
    for wt in (base / "one", base / "shop.git" / "two"):
        git(base / "shop.git", "worktree", "add", str(wt))
    (base / "one" / "lib").symlink_to("src")
    here = place(base / "one")
    assert canonical_path("lib/a.py", here) == "src/a.py"
    assert canonical_path(str(base / "shop.git" / "two" / "src" / "a.py"), here) == "src/a.py"
    assert canonical_path("two/src/a.py", place(base / "shop.git")) == "src/a.py"


# -- git's config format --------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("[core]\n\tbare = true\n", {"core.bare": "true"}),
        ("[CORE] Bare=YES ; comment\n", {"core.bare": "yes"}),
        ("[core]\nignorecase\n", {"core.ignorecase": "true"}),
        ('[core]\nworktree = "../a #1" # real\n', {"core.worktree": "../a #1"}),
        ("[core]\nworktree = ../A\\\n/b\n", {"core.worktree": "../A/b"}),
        ('[core]\nworktree = a\\"b\\\\c\n', {"core.worktree": 'a"b\\c'}),
        ('[remote "core"]\nbare = true\n[core "x"]\nbare = true\n', {}),
        ("[core]\n# bare = true\n;bare = true\n\n", {}),
        ("[core]\nbare = true\n[core]\nbare = false\n", {"core.bare": "false"}),
        ("[core\nbare = true", {}),
        ("\x00\ufffd", {}),
    ],
)
def test_gits_config_is_read_as_git_reads_it(text: str, expected: dict[str, str]) -> None:
    """Sections, case, comments, quotes, continued lines; nonsense is passed over."""
    assert parse_config(text) == expected
