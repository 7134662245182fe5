"""Installing hooks into real files, and the way back: byte for byte, or nothing at all."""

from __future__ import annotations

import json
import stat
from collections.abc import Sequence
from pathlib import Path

import pytest
from config_samples import SAMPLES, Sample
from hook_desk import AGENTS, FILES, put, tree

from rally.execution.hook_surfaces import surfaces, target_at
from rally.facilitation.places import find_place
from rally.model.errors import Failure, Refused, UsageError
from rally.setup.backups import Backups
from rally.setup.surface import FileChange, Scope, Wish
from rally.setup.work import put_in, take_out


class User:
    """Somebody with a working tree and a home, without processes."""

    def __init__(self, folder: Path) -> None:
        self.top = folder / "repo"
        self.home = folder / "home"
        self.top.mkdir()
        self.home.mkdir()
        self.env = {"HOME": str(self.home), "XDG_STATE_HOME": str(folder / "state"), "PATH": ""}
        self.backups = Backups(self.env)

    def folder(self, scope: Scope) -> Path:
        return self.top if scope == "repo" else self.home

    def install(self, *names: str, scope: Scope = "repo", wish: Wish | None = None) -> None:
        with put_in(self.planned(names, scope, wish or Wish()), self.backups):
            pass

    def planned(self, names: Sequence[str], scope: Scope, wish: Wish) -> list[FileChange]:
        at = target_at(scope, find_place(str(self.top)), self.env)
        return [one for name in names for one in surfaces()[name].install(at, wish).changes]

    def uninstall(self, *names: str, scope: Scope = "repo") -> None:
        at = target_at(scope, find_place(str(self.top)), self.env)
        changes = [one for name in names for one in surfaces()[name].uninstall(at).changes]
        take_out(changes, self.backups)

    def state(self, name: str, scope: Scope = "repo") -> str:
        at = target_at(scope, find_place(str(self.top)), self.env)
        return surfaces()[name].status(at).state


@pytest.fixture
def user(tmp_path: Path) -> User:
    return User(tmp_path)


@pytest.mark.parametrize("scope", ["repo", "user"])
@pytest.mark.parametrize("sample", SAMPLES, ids=lambda sample: f"{sample.host}: {sample.what}")
def test_installing_and_uninstalling_leaves_every_configuration_byte_identical(
    user: User, sample: Sample, scope: Scope
) -> None:
    """Also after a second installation with other options; modes stay too."""
    put(user.folder(scope) / sample.file, sample.data).chmod(0o640)
    before = tree(user.folder(scope))
    user.install(sample.host, scope=scope)
    assert user.state(sample.host, scope) == "installed"
    assert tree(user.folder(scope)) != before
    user.install(sample.host, scope=scope, wish=Wish(auto_claim=True, fail_closed=True))
    assert user.state(sample.host, scope) == "installed"
    user.uninstall(sample.host, scope=scope)
    assert tree(user.folder(scope)) == before
    assert user.state(sample.host, scope) == "absent"


@pytest.mark.parametrize("name", AGENTS)
def test_what_was_not_there_is_not_there_afterwards(user: User, name: str) -> None:
    """Neither the file nor the folders that were made for it."""
    user.install(name, scope="user")
    assert tree(user.home)
    user.uninstall(name, scope="user")
    assert tree(user.home) == {}


def test_a_folder_that_somebody_used_meanwhile_stays(user: User) -> None:
    """Only what is empty goes."""
    user.install("claude")
    put(user.top / ".claude" / "commands" / "mine.md", b"x")
    user.uninstall("claude")
    assert list(tree(user.top)) == [".claude", ".claude/commands", ".claude/commands/mine.md"]


@pytest.mark.parametrize("name", FILES)
def test_of_a_file_that_was_edited_since_only_rallys_part_goes(user: User, name: str) -> None:
    """The user's edit is kept; a file that rally made and nobody used goes even then."""
    file = user.top / FILES[name]
    user.install(name)
    file.write_bytes(file.read_bytes().replace(b'"hooks": {', b'"mine": [1],\n  "hooks": {', 1))
    user.uninstall(name)
    assert json.loads(file.read_bytes()) == {"mine": [1]}
    file.unlink()
    user.install(name)
    file.write_bytes(file.read_bytes() + b"\n\n")
    user.uninstall(name)
    assert not file.exists()


def test_without_the_backup_rallys_part_is_found_all_the_same(user: User, tmp_path: Path) -> None:
    """A clone on another machine has the hooks and no backup; so has a state folder that was cleared."""
    file = put(user.top / FILES["claude"], b'{\n  "model": "opus"\n}\n')
    user.install("claude")
    for backup in (tmp_path / "state" / "rally" / "backups").iterdir():
        backup.write_bytes(b"no longer what it was")
    user.uninstall("claude")
    assert file.read_bytes() == b'{\n  "model": "opus"\n}\n'


def test_the_backup_is_the_file_as_it_was_and_for_its_owner_only(
    user: User, tmp_path: Path
) -> None:
    """Configurations hold keys; the backup goes with the hooks."""
    put(user.top / FILES["claude"], b'{"env": {"KEY": "secret"}}')
    user.install("claude")
    folder = tmp_path / "state" / "rally" / "backups"
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    kept = [one for one in folder.iterdir() if one.suffix == ".before"]
    assert [one.read_bytes() for one in kept] == [b'{"env": {"KEY": "secret"}}']
    assert {stat.S_IMODE(one.stat().st_mode) for one in folder.iterdir()} == {0o600}
    user.uninstall("claude")
    assert list(folder.iterdir()) == []


@pytest.mark.parametrize("target", ["dotfiles/settings.json", "dotfiles/none/settings.json"])
def test_a_link_stays_a_link_and_the_file_behind_it_is_edited(user: User, target: str) -> None:
    """Also where the link leads to nothing yet."""
    behind = user.home / target
    if "none" not in target:
        put(behind, b"{}\n")
    link = user.home / FILES["claude"]
    link.parent.mkdir()
    link.symlink_to(behind)
    before = tree(user.home)
    user.install("claude", scope="user")
    assert link.is_symlink()
    assert b"rally hook" in behind.read_bytes()
    user.uninstall("claude", scope="user")
    assert tree(user.home) == before


@pytest.mark.parametrize("mode", [0o600, 0o664, 0o755])
def test_the_mode_of_a_file_is_kept(user: User, mode: int) -> None:
    """Whatever the umask is."""
    file = put(user.top / FILES["gemini"], b"{}")
    file.chmod(mode)
    user.install("gemini")
    assert stat.S_IMODE(file.stat().st_mode) == mode


@pytest.mark.parametrize("data", [b"{", b"[]", b'{"hooks": 1}', b"\xff\xfe{\0}\0"])
@pytest.mark.parametrize("name", FILES)
def test_a_broken_configuration_is_never_touched(user: User, name: str, data: bytes) -> None:
    """Refused with its place; the other surfaces of the same call are left alone as well."""
    put(user.top / FILES[name], data)
    before = tree(user.top)
    with pytest.raises(UsageError) as caught:
        user.install(*AGENTS)
    assert caught.value.code == "broken-config"
    assert f"{FILES[name]}:1:" in caught.value.message
    if data != b'{"hooks": 1}':  # that is no hook of rally's: nothing to take out
        with pytest.raises(UsageError):
            user.uninstall(*AGENTS)
    assert tree(user.top) == before


@pytest.mark.parametrize("name", FILES)
def test_a_configuration_that_is_no_file_is_refused(user: User, name: str) -> None:
    """A folder in its place, a link in a circle, or a file where its folder would be."""
    file = user.top / FILES[name]
    file.mkdir(parents=True)
    for said in ("it is no file", "symbolic links", "not a directory"):
        with pytest.raises(UsageError, match=f"{file} cannot be read: .*{said}") as caught:
            user.install(name)
        assert caught.value.code == "unreadable"
        assert user.state(name) == "broken"
        if said == "it is no file":
            file.rmdir()
            file.symlink_to(file)
        elif file.is_symlink():
            file.unlink()
            file.parent.rmdir()
            file.parent.write_bytes(b"")


def test_a_plugin_of_somebody_else_is_not_replaced(user: User) -> None:
    """Refused, and uninstalling leaves it alone."""
    file = put(user.top / ".opencode" / "plugins" / "rally.ts", b"export const Rally = 1\n")
    with pytest.raises(Refused, match="was not written by rally"):
        user.install("opencode")
    user.uninstall("opencode")
    assert file.read_bytes() == b"export const Rally = 1\n"


def test_several_files_change_together_or_not_at_all(user: User) -> None:
    """When the last one cannot be written the first ones are as they were, folders included."""
    put(user.top / FILES["claude"], b'{"a": 1}')
    changes = user.planned(("claude", "codex", "cursor"), "repo", Wish())
    put(user.top / ".cursor", b"in the way")
    before = tree(user.top)
    with pytest.raises(Failure), put_in(changes, user.backups):
        pass
    assert tree(user.top) == before
    assert user.backups.of(str(user.top / FILES["claude"])) is None


def test_what_fails_afterwards_undoes_the_files(user: User) -> None:
    """A step that belongs to the same command may still fail: as if nothing had been done."""
    user.install("claude")
    before = tree(user.top)
    changes = user.planned(AGENTS, "repo", Wish(auto_claim=True))
    with pytest.raises(KeyboardInterrupt), put_in(changes, user.backups):
        assert tree(user.top) != before
        raise KeyboardInterrupt
    assert tree(user.top) == before
    user.uninstall("claude")
    assert tree(user.top) == {}


def test_a_file_that_another_program_writes_meanwhile_is_not_overwritten(user: User) -> None:
    """What the plan was made from is compared at the last moment."""
    file = put(user.top / FILES["claude"], b"{}")
    changes = user.planned(("cursor", "claude"), "repo", Wish())
    file.write_bytes(b'{"theirs": true}')
    with pytest.raises(Failure) as caught, put_in(changes, user.backups):
        pass
    assert caught.value.code == "config-changed"
    assert file.read_bytes() == b'{"theirs": true}'
    assert not (user.top / ".cursor").exists()


def test_a_torn_installation_is_taken_up_again(user: User) -> None:
    """A process that was killed leaves a file that nobody reads; the next one works as ever."""
    put(user.top / ".claude" / ".settings.json.rally-new", b"half")
    user.install("claude")
    user.uninstall("claude")
    assert list(tree(user.top)) == [".claude"]


@pytest.mark.parametrize("damage", [b"{}", b"not json", b'{"path": 1, "was_absent": 2}'])
def test_a_damaged_backup_is_none(user: User, tmp_path: Path, damage: bytes) -> None:
    """It is never restored."""
    put(user.top / FILES["claude"], b'{"a": 1}')
    user.install("claude")
    for one in (tmp_path / "state" / "rally" / "backups").glob("*.json"):
        one.write_bytes(damage)
    user.uninstall("claude")
    assert json.loads((user.top / FILES["claude"]).read_bytes()) == {"a": 1}


def test_codex_gets_one_file_and_moves_with_its_user(user: User) -> None:
    """Hooks that the user begins to keep in hooks.json draw rally's there; config.toml comes back."""
    table = b'[[hooks.Stop]]\n[[hooks.Stop.hooks]]\ntype = "command"\ncommand = "x"\n'
    toml = put(user.top / ".codex" / "config.toml", table)
    user.install("codex")
    assert b"rally hook" in toml.read_bytes()
    put(user.top / FILES["codex"], b'{"hooks": {}}')
    user.install("codex")
    assert toml.read_bytes() == table
    assert user.state("codex") == "installed"
    user.uninstall("codex")
    assert (user.top / FILES["codex"]).read_bytes() == b'{"hooks": {}}'


def test_folders_that_variables_name_are_the_ones(user: User, tmp_path: Path) -> None:
    """CLAUDE_CONFIG_DIR, CODEX_HOME and XDG_CONFIG_HOME, for the user's scope only."""
    for variable in ("CLAUDE_CONFIG_DIR", "CODEX_HOME", "XDG_CONFIG_HOME"):
        user.env[variable] = str(tmp_path / variable)
    user.install("claude", "codex", "opencode", scope="user")
    assert tree(user.home) == {}
    assert (tmp_path / "CLAUDE_CONFIG_DIR" / "settings.json").exists()
    assert (tmp_path / "CODEX_HOME" / "hooks.json").exists()
    assert (tmp_path / "XDG_CONFIG_HOME" / "opencode" / "plugins" / "rally.ts").exists()
    user.install("claude")
    assert (user.top / FILES["claude"]).exists()
