"""Key files: for their owner alone, never replaced, refused where damaged or open to others."""

import pytest
import zmq

from devices.wire.keys import KeyFileError, make_keys, read_allowed, read_device_keys, read_server_keys


def test_server_and_devices_find_each_other_by_the_files(tmp_path):
    folder = tmp_path / "keys"
    made = make_keys(folder, ("one", "two"))
    assert sorted(path.name for path in made) == ["allowed", "one.key", "server.key", "server.pub", "two.key"]
    pair, public = read_device_keys(folder, "one")
    assert public == read_server_keys(folder).public
    assert read_allowed(folder)[pair.public] == "one"
    assert zmq.curve_public(pair.secret) == pair.public  # libsodium's own derivation
    assert len(read_allowed(folder)) == 2


def test_secrets_are_for_their_owner_alone(tmp_path):
    make_keys(tmp_path / "keys", ("one",))
    modes = {path.name: path.stat().st_mode & 0o777 for path in (tmp_path / "keys").iterdir()}
    assert modes == {"server.key": 0o600, "one.key": 0o600, "allowed": 0o600, "server.pub": 0o644}
    assert (tmp_path / "keys").stat().st_mode & 0o777 == 0o700
    (tmp_path / "keys" / "one.key").chmod(0o640)
    with pytest.raises(KeyFileError, match=r"one.key has mode 640, others may read it; chmod 600 "):
        read_device_keys(tmp_path / "keys", "one")


def test_a_second_call_adds_and_replaces_nothing(tmp_path):
    make_keys(tmp_path, ("one",))
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    assert [path.name for path in make_keys(tmp_path, ("one", "two"))] == ["two.key"]
    after = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    assert after.pop("allowed").startswith(before.pop("allowed"))
    assert before.items() <= after.items()


@pytest.mark.parametrize("name", ["", "server", "../one", "a b", ".hidden", "x" * 65])
def test_names_that_cannot_be_files_are_refused(name, tmp_path):
    with pytest.raises(KeyFileError, match="cannot be called"):
        make_keys(tmp_path / "keys", ("fine", name))
    assert not (tmp_path / "keys").exists()


@pytest.mark.parametrize(
    ("file", "content", "message"),
    [
        ("one.key", "", "one.key holds no key pair; remove it"),
        ("one.key", "public {p}\nsecret {p}\n", "one.key holds no key pair"),
        ("server.pub", "short", "server.pub holds no public key; copy it"),
        ("allowed", "# fine\none\n", "allowed line 2 is not of the form NAME PUBLIC_KEY"),
        ("allowed", "one {p}\ntwo {p}\n", "allowed line 2 has the key of one again"),
    ],
)
def test_damaged_files_are_named(file, content, message, tmp_path):
    make_keys(tmp_path, ("one",))
    public = (tmp_path / "server.pub").read_text().strip()
    (tmp_path / file).write_text(content.replace("{p}", public))
    with pytest.raises(KeyFileError) as refusal:
        (read_device_keys(tmp_path, "one"), read_allowed(tmp_path))
    assert message in str(refusal.value)


def test_files_that_are_missing_are_named_with_the_remedy(tmp_path):
    with pytest.raises(
        KeyFileError, match=r"server.key: No such file or directory; make it with airmeta keys "
    ):
        read_server_keys(tmp_path)
