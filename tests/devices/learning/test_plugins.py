import os.path
import sys

import pytest

from devices.learning.plugins import PluginError, is_reference, load_object


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(tmp_path)
    before = set(sys.modules)
    yield tmp_path
    for name in set(sys.modules) - before:
        del sys.modules[name]


def test_a_reference_leads_to_its_object():
    assert load_object("os.path:join") is os.path.join
    assert load_object("builtins:dict.fromkeys") == dict.fromkeys


def test_only_a_colon_makes_a_reference():
    assert is_reference("module:object")
    assert not is_reference("omniglot")


@pytest.mark.parametrize("text", ["glyphs", ":thing", "module:", "a b:c", "module:x:y", "../file.py:x"])
def test_text_of_another_form_is_refused(text):
    with pytest.raises(PluginError, match=r"write it as 'package\.module:object'"):
        load_object(text)


@pytest.mark.parametrize("module", ["airmeta_absent", "os.absent", "airmeta_absent.inner"])
def test_a_module_that_is_not_there_is_named(module):
    with pytest.raises(
        PluginError, match=r"no module '.*absent'; install it, or put its folder on PYTHONPATH"
    ):
        load_object(f"{module}:thing")


def test_a_module_that_needs_another_names_that_other(folder):
    (folder / "needy_plugin.py").write_text("import airmeta_absent\n")
    with pytest.raises(PluginError, match="module 'needy_plugin' needs 'airmeta_absent'; install it"):
        load_object("needy_plugin:thing")


def test_a_module_that_fails_keeps_its_error_as_the_cause(folder):
    (folder / "broken_plugin.py").write_text("1 / 0\n")
    with pytest.raises(PluginError, match=r"failed \(ZeroDivisionError: division by zero\)") as caught:
        load_object("broken_plugin:thing")
    assert isinstance(caught.value.__cause__, ZeroDivisionError)


def test_a_missing_attribute_is_told_with_what_there_is(folder):
    (folder / "small_plugin.py").write_text("data = 1\n_hidden = 2\n")
    with pytest.raises(PluginError, match=r"'small_plugin' has no 'dat'; it has data$"):
        load_object("small_plugin:dat")
