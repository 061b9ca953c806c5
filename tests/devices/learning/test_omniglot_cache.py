import functools
import http.server
import socket
import threading
from pathlib import Path

import pytest

from devices.learning.datasets import DataError
from devices.learning.omniglot import load_omniglot
from devices.learning.omniglot_cache import (
    ARCHIVES,
    BASE_URL,
    SMALL_ARCHIVES,
    default_cache,
    fetch_archives,
    local_archives,
)
from tests.devices.learning.test_omniglot import entries, write_zip


class QuietHandler(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *arguments: object) -> None:
        pass


@pytest.fixture
def site(tmp_path):
    """A folder, and the loopback address at which it is served."""
    folder = tmp_path / "site"
    folder.mkdir()
    handler = functools.partial(QuietHandler, directory=str(folder))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield folder, f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


def fill(folder: Path) -> None:
    write_zip(folder / ARCHIVES[0], entries("Greek"))
    write_zip(folder / ARCHIVES[1], entries("Tagalog", root="images_evaluation"))


def test_without_paths_the_archives_are_downloaded_once(site, tmp_path):
    folder, url = site
    fill(folder)
    cache = tmp_path / "deep" / "cache"
    data = load_omniglot([], [], cache_folder=cache, base_url=url)
    assert data.train.names[0] == "Greek/character01"
    assert data.test.names[0] == "Tagalog/character01"
    assert sorted(path.name for path in cache.iterdir()) == sorted(ARCHIVES)
    for name in ARCHIVES:
        (folder / name).unlink()
    again = load_omniglot([], [], cache_folder=cache, base_url=url)
    assert again.train.images.tobytes() == data.train.images.tobytes()


def test_a_file_that_the_site_lacks_says_where_to_put_it(site, tmp_path):
    with pytest.raises(DataError, match=r"download failed \(HTTP Error 404") as caught:
        fetch_archives(tmp_path / "cache", site[1])
    message = str(caught.value)
    assert "\n" not in message
    for part in (
        *(f"{BASE_URL}/{name}" for name in ARCHIVES),
        str(tmp_path / "cache"),
        "task.path",
        "task.test_path",
    ):
        assert part in message


def test_no_network_is_an_error_that_says_what_to_do(tmp_path):
    with socket.socket() as unused:  # bound and not listening: a connection is refused
        unused.bind(("127.0.0.1", 0))
        with pytest.raises(DataError, match=r"download failed .*; put https://github.com"):
            fetch_archives(tmp_path, f"http://127.0.0.1:{unused.getsockname()[1]}")


def test_a_silent_server_is_given_up(tmp_path):
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        with pytest.raises(DataError, match="timed out"):
            fetch_archives(tmp_path, f"http://127.0.0.1:{silent.getsockname()[1]}", timeout_s=0.1)


@pytest.mark.parametrize("kept", [0, 40, 2000])
def test_what_is_no_whole_archive_does_not_enter_the_cache(site, tmp_path, kept):
    folder, url = site
    fill(folder)
    whole = (folder / ARCHIVES[0]).read_bytes()
    (folder / ARCHIVES[0]).write_bytes(whole[:kept])
    with pytest.raises(DataError, match="not a complete zip archive"):
        fetch_archives(tmp_path / "cache", url)
    assert list((tmp_path / "cache").iterdir()) == []


def test_a_cache_that_cannot_be_made_is_an_error(site, tmp_path):
    fill(site[0])
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(DataError, match="download failed"):
        fetch_archives(tmp_path / "file" / "cache", site[1])


def test_the_cache_is_where_the_environment_says(monkeypatch, tmp_path):
    monkeypatch.setenv("AIRMETA_CACHE", str(tmp_path))
    assert default_cache() == tmp_path
    monkeypatch.delenv("AIRMETA_CACHE")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert default_cache() == tmp_path / ".cache" / "airmeta" / "omniglot"


def test_an_archive_in_the_cache_needs_no_network(monkeypatch, tmp_path):
    fill(tmp_path)
    monkeypatch.delenv("AIRMETA_DATA", raising=False)
    monkeypatch.setenv("AIRMETA_CACHE", str(tmp_path))
    assert load_omniglot([], [], base_url="http://127.0.0.1:9").test.num_classes == 2


def test_archives_in_the_data_folder_come_first_and_the_full_ones_before_the_small(monkeypatch, tmp_path):
    folder = tmp_path / "omniglot"
    folder.mkdir()
    monkeypatch.setenv("AIRMETA_DATA", str(tmp_path))
    assert local_archives() is None
    for names in (SMALL_ARCHIVES, ARCHIVES):
        for name in names:
            (folder / name).touch()
        assert local_archives() == tuple(folder / name for name in names)
    monkeypatch.delenv("AIRMETA_DATA")
    assert local_archives() is None
