"""The command that installs an extra fits the origin of the installation: folder, file, repository, index."""

from __future__ import annotations

import json
import re
import shlex
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

from doc_blocks import PAGES
from lexiseg import extras, printable
from lexiseg.extras import (
    PACKAGES,
    install_command,
    install_hint,
    load_module,
    missing_package,
    require_extra,
    upgrade_hint,
    without_commands,
)
from refusals import refuses


def install(folder: Path, monkeypatch: pytest.MonkeyPatch, origin: dict[str, object] | None) -> None:
    """Make Lexiseg an installed package with a record of where it comes from."""
    info = folder / "site-packages" / "lexiseg-9.0.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: lexiseg\nVersion: 9.0\n", encoding="utf-8")
    if origin is not None:
        (info / "direct_url.json").write_text(json.dumps(origin), encoding="utf-8")
    monkeypatch.syspath_prepend(str(info.parent))


@pytest.fixture
def source(tmp_path: Path) -> Path:
    """Return a source folder of Lexiseg, with a space in its name."""
    folder = tmp_path / "my lexiseg"
    folder.mkdir()
    (folder / "pyproject.toml").touch()
    return folder


def test_from_an_index(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    install(tmp_path, monkeypatch, None)
    assert install_command("train") == "pip install 'lexiseg[train]'"
    assert install_command("serve,dicom") == "pip install 'lexiseg[serve,dicom]'"
    assert install_command() == "pip install lexiseg"
    assert upgrade_hint() == "Upgrade Lexiseg with: pip install --upgrade lexiseg"


@pytest.mark.parametrize(("editable", "option"), [(True, "-e "), (False, "")])
def test_from_a_folder(
    editable: bool, option: str, source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    facts = {"editable": True} if editable else {}
    install(tmp_path, monkeypatch, {"url": source.as_uri(), "dir_info": facts})
    assert install_command("train") == f"pip install {option}'{source}[train]'"
    assert install_hint("train") == f"Install the extra 'train' with: pip install {option}'{source}[train]'"
    assert upgrade_hint() == (
        f"Upgrade Lexiseg: it is installed from the folder {source}; get the newer version there, then run: "
        f"pip install {option}'{source}'"
    )


def test_from_a_folder_that_is_gone(source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    install(tmp_path, monkeypatch, {"url": source.as_uri(), "dir_info": {}})
    (source / "pyproject.toml").unlink()
    assert install_command("dicom") == "pip install '.[dicom]', in the source folder of Lexiseg"


@pytest.mark.parametrize(
    ("origin", "address"),
    [
        ({"url": "file:///wheels/lexiseg-9.0.whl", "archive_info": {}}, "file:///wheels/lexiseg-9.0.whl"),
        (
            {"url": "https://code.test/l", "vcs_info": {"vcs": "git", "commit_id": "abc"}},
            "git+https://code.test/l@abc",
        ),
        (
            {
                "url": "https://code.test/l",
                "vcs_info": {"vcs": "git", "commit_id": "abc", "requested_revision": "v9"},
            },
            "git+https://code.test/l@v9",
        ),
    ],
)
def test_from_a_file_or_a_repository(
    origin: dict[str, object], address: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    install(tmp_path, monkeypatch, origin)
    assert install_command("dicom") == f"pip install 'lexiseg[dicom] @ {address}'"
    assert f"from {address}; install the newer version" in upgrade_hint()


def test_a_source_folder_that_is_not_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "path", [])
    folder = Path(extras.__file__).parents[2]
    assert install_command("dicom") == f"pip install -e {shlex.quote(f'{folder}[dicom]')}"


def test_what_a_server_says_of_an_extra_names_no_folder(
    source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    install(tmp_path, monkeypatch, {"url": source.as_uri(), "dir_info": {"editable": True}})
    said = f"a.dcm is a DICOM file. {install_hint('dicom')} [LEX-USE-940] {install_hint('volumes')}"
    assert str(source) in said
    assert without_commands(said) == (
        "a.dcm is a DICOM file. Install the extra 'dicom' on the server. [LEX-USE-940] "
        "Install the extra 'volumes' on the server."
    )
    assert without_commands("No extra is missing.") == "No extra is missing."


def test_windows_takes_double_quotes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    install(tmp_path, monkeypatch, None)
    monkeypatch.setattr(printable, "_IS_WINDOWS", True)
    assert install_command("train") == 'pip install "lexiseg[train]"'


def test_a_missing_package_names_its_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "openvino", None)
    monkeypatch.delitem(sys.modules, "lexiseg.engines.openvino_engine", raising=False)
    with refuses("LEX-USE-860", "'openvino'", install_command("openvino")):
        load_module("lexiseg.engines.openvino_engine")
    with refuses("LEX-USE-860", "'timm'", install_command("train")):
        raise missing_package(ModuleNotFoundError("no", name="timm.layers")) or AssertionError
    assert missing_package(ModuleNotFoundError("no", name="yaml")) is None
    with pytest.raises(ModuleNotFoundError, match=r"lexiseg\.nothing"):
        load_module("lexiseg.nothing")


def test_an_extra_is_required_before_the_work(monkeypatch: pytest.MonkeyPatch) -> None:
    require_extra("train")
    monkeypatch.setattr(extras, "is_installed", lambda package: package != "pynetdicom")
    require_extra("dicom")
    with refuses("LEX-USE-860", "'pynetdicom'", install_command("gateway")):
        require_extra("gateway")


def test_every_package_of_an_extra_exists() -> None:
    # Ray is large, so developers install it by themselves.
    names = {name for names in PACKAGES.values() for name in names} - {"ray"}
    assert [name for name in sorted(names) if find_spec(name) is None] == []


def test_no_text_names_the_command_of_one_kind_of_installation() -> None:
    """Messages take `install_command`; pages name the extra, and one page shows the commands."""
    source = Path(extras.__file__).parent
    files = [*source.rglob("*.py"), *source.rglob("*.yaml"), *PAGES]
    holding = {file.name for file in files if re.search(r"lexiseg\[[a-z,{]", file.read_text("utf-8"))}
    assert holding - {"CHANGELOG.md"} == {"extras.py", "engines.md"}
