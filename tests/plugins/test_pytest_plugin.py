"""The pytest plugin that comes with Jackline, and the names of `jackline.testing`."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from jackline import testing


def test_each_test_has_a_home_of_its_own(jackline_home, tmp_path):
    assert os.environ["JACKLINE_HOME"] == str(jackline_home)
    assert jackline_home == tmp_path / "jackline"
    assert list(jackline_home.iterdir()) == []


def test_every_public_name_is_there():
    assert all(getattr(testing, name) for name in testing.__all__)
    with pytest.raises(AttributeError, match=r"module 'jackline\.testing' has no attribute 'Nothing'"):
        _ = testing.Nothing


def test_loading_the_plugin_loads_nothing_heavy():
    code = "import sys, jackline.testing.plugin; assert not {'sqlalchemy', 'pydantic', 'yaml'} & sys.modules.keys()"
    subprocess.run([sys.executable, "-c", code], check=True)
