import pytest

from convai.__main__ import main
from convai.backends.management.repository import models_in
from convai.description.config_files import profiles_of
from convai.description.recognisers import ALL_MODEL_NAMES
from convai.generator.profiles import PROFILES


@pytest.fixture
def no_exports(monkeypatch):
    """Exporting takes half a minute; the test of the wheel does it."""
    monkeypatch.setattr("convai.init.export_networks", lambda folder: None)


def test_it_creates_a_repository_with_every_model_and_profile(no_exports, tmp_path, capsys):
    folder = tmp_path / "new" / "models"
    assert main(["init", str(folder)]) == 0
    assert set(models_in(folder)) == {*ALL_MODEL_NAMES}
    assert profiles_of(folder / "bert") == set(PROFILES)
    assert (folder / "convai_ensemble" / "1").is_dir()  # or Triton finds no version of it
    assert (folder / "text_encoder" / "1" / "pronunciations.txt.gz").is_file()
    assert f"convai serve --model-repository {folder}" in capsys.readouterr().out
    assert list(folder.parent.iterdir()) == [folder]


def test_a_folder_in_use_is_refused_and_left_as_it_is(no_exports, tmp_path, capsys):
    (tmp_path / "notes.txt").touch()
    assert main(["init", str(tmp_path)]) == 1
    assert (
        capsys.readouterr().err
        == f"convai init: {tmp_path} exists and is not empty; name another folder, or remove it\n"
    )
    assert [path.name for path in tmp_path.iterdir()] == ["notes.txt"]


def test_the_current_folder_is_refused(no_exports, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert main(["init", "."]) == 1
    assert capsys.readouterr().err.endswith(f"expected one to create, got the current one, {tmp_path}\n")


def test_a_failure_leaves_nothing_behind(monkeypatch, tmp_path, capsys):
    def fail(folder):
        raise OSError("the disk is full")

    monkeypatch.setattr("convai.init.export_networks", fail)
    assert main(["init", str(tmp_path / "models")]) == 1
    assert list(tmp_path.iterdir()) == []
