"""`lexiseg data list`, `get` and `import` as commands, on miniatures and a server on this machine."""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from command_line import Command

import originals
from lexiseg.data.public import dataset_import, registry
from lexiseg.data.public.registry import RemoteFile, find_entry
from range_server import Served, serving


def archive_of(name: str, folder: Path) -> bytes:
    """Return a ZIP of a data set's miniature."""
    originals.MAKERS[name](folder / "original")
    return Path(shutil.make_archive(str(folder / "packed"), "zip", folder / "original")).read_bytes()


@pytest.fixture
def served_as(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Return what makes a data set's downloads come from this machine; entries take https only."""
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)

    def change(name: str, *urls: str, **known: object) -> None:
        files = tuple(
            RemoteFile.model_construct(
                name=f"miniature{number}.zip", url=url, **{"size": None, "sha256": None, **known}
            )
            for number, url in enumerate(urls, 1)
        )
        entry = find_entry(name).model_copy(update={"downloads": files})
        for module in (dataset_import, registry):
            monkeypatch.setattr(module, "find_entry", lambda wanted: entry)

    return change


def test_list(cli: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "200")
    table = cli("data", "list")
    assert table.code == 0
    for name in ("kvasir-seg", "mosmeddata+", "chaos-mr", "by hand, then data import"):
        assert name in table.stdout
    entries = json.loads(cli("data", "list", "--json").stdout)
    assert len(entries) == 14
    one = cli("data", "list", "COVID-Xray").stdout
    assert "left and right: the image's" in one
    assert "not confirmed: licence" in one
    cli("data", "list", "nothing").refuses(2, "No data set 'nothing'")


def test_get_needs_a_login(cli: Command, tmp_path: Path) -> None:
    outcome = cli("data", "get", "bkai", "--out", tmp_path / "bkai")
    outcome.refuses(2, "without a login", "accept the rules", "lexiseg data import bkai FOLDER --out")
    assert list(tmp_path.iterdir()) == []


def test_get_over_cut_connections_and_check(
    cli: Command, tmp_path: Path, served_as: Callable[..., None]
) -> None:
    content = archive_of("kvasir-seg", tmp_path)
    with serving(Served(content, cuts=[1000, 2000])) as served:
        served_as("kvasir-seg", served.url, size=len(content), sha256=hashlib.sha256(content).hexdigest())
        outcome = cli("data", "get", "kvasir", "--out", tmp_path / "kvasir")
    assert outcome.code == 0
    assert len(served.requests) == 3
    assert "(as expected)" in outcome.stdout
    assert "2 train, 1 val, 1 test images" in outcome.stdout
    assert "commercial use needs written permission" in outcome.stdout
    assert not (tmp_path / "kvasir.download").exists()
    checked = json.loads(cli("data", "check", tmp_path / "kvasir", "--json").stdout)
    assert checked["ok"]
    record = json.loads((tmp_path / "kvasir/import.json").read_text())
    assert record["downloads"][0]["sha256"] == hashlib.sha256(content).hexdigest()


def test_get_prints_a_checksum_that_nobody_knew(
    cli: Command, tmp_path: Path, served_as: Callable[..., None]
) -> None:
    content = archive_of("dfu", tmp_path)
    with serving(Served(content)) as served:
        served_as("dfu", served.url)
        outcome = cli("data", "get", "dfu", "--out", tmp_path / "dfu", "--keep-archives")
    assert outcome.code == 0
    assert f"SHA-256 {hashlib.sha256(content).hexdigest()} (no expected value" in outcome.stdout
    assert [path.name for path in (tmp_path / "dfu.download").iterdir()] == ["miniature1.zip"]


def test_get_what_is_not_that_data_set_keeps_the_archive(
    cli: Command, tmp_path: Path, served_as: Callable[..., None]
) -> None:
    with serving(Served(archive_of("dfu", tmp_path))) as served:
        served_as("kvasir-seg", served.url)
        outcome = cli("data", "get", "kvasir", "--out", tmp_path / "kvasir")
    # FUSeg's folders are called images and labels, not images and masks.
    outcome.refuses(3, "does not look like Kvasir-SEG: expected Kvasir-SEG/images/NAME.jpg")
    assert not (tmp_path / "kvasir").exists()
    assert [path.name for path in (tmp_path / "kvasir.download").iterdir()] == ["miniature1.zip"]


def test_get_with_a_wrong_checksum(cli: Command, tmp_path: Path, served_as: Callable[..., None]) -> None:
    with serving(Served(b"not the file")) as served:
        served_as("kvasir-seg", served.url, sha256="0" * 64)
        cli("data", "get", "kvasir", "--out", tmp_path / "kvasir").refuses(
            3, "expected the SHA-256", "removed"
        )
    assert not (tmp_path / "kvasir").exists()


def test_get_a_page_to_log_in_and_then_the_archive(
    cli: Command, tmp_path: Path, served_as: Callable[..., None]
) -> None:
    with serving(Served(b"<html>log in</html>")) as served:
        served_as("kvasir-seg", served.url)
        cli("data", "get", "kvasir", "--out", tmp_path / "kvasir").refuses(
            3, "a web page, perhaps a login page"
        )
        served.content, served.etag = archive_of("kvasir-seg", tmp_path), '"two"'
        assert cli("data", "get", "kvasir", "--out", tmp_path / "kvasir").code == 0


def test_get_two_archives_that_belong_together(
    cli: Command, tmp_path: Path, served_as: Callable[..., None]
) -> None:
    originals.camus(tmp_path / "original")
    parts = [
        Path(shutil.make_archive(str(tmp_path / part), "zip", tmp_path / "original", part)).read_bytes()
        for part in ("database_nifti", "database_split")
    ]
    with serving(Served(parts[0])) as images, serving(Served(parts[1])) as split:
        served_as("camus", images.url, split.url)
        outcome = cli("data", "get", "camus", "--out", tmp_path / "camus")
    assert outcome.code == 0
    assert "CAMUS: 6 train, 2 val, 2 test images" in outcome.stdout
    record = json.loads((tmp_path / "camus/import.json").read_text())
    assert [file["size"] for file in record["downloads"]] == [len(part) for part in parts]


def test_import_and_check(cli: Command, tmp_path: Path) -> None:
    originals.acdc(tmp_path / "original")
    outcome = cli("data", "import", "acdc", tmp_path / "original", "--out", tmp_path / "acdc", "--seed", 3)
    assert outcome.code == 0
    assert "Val was split off train by patient with seed 3" in outcome.stdout
    assert f"Next: `lexiseg data check {tmp_path / 'acdc'}`" in outcome.stdout
    assert json.loads((tmp_path / "acdc/splits.json").read_text())["seed"] == 3
    assert cli("data", "check", tmp_path / "acdc").code == 0


def test_import_makes_a_folder_of_the_data_sets_name(
    cli: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    originals.glas(tmp_path / "original")
    monkeypatch.chdir(tmp_path)
    assert cli("data", "import", "Warwick-QU", "original").code == 0
    assert (tmp_path / "glas/dataset.yaml").is_file()


def test_import_of_something_else(cli: Command, tmp_path: Path) -> None:
    originals.kvasir(tmp_path / "original")
    outcome = cli("data", "import", "camus", tmp_path / "original", "--out", tmp_path / "out")
    outcome.refuses(
        3, "does not look like CAMUS: expected database_nifti/patient0001", "It holds Kvasir-SEG/"
    )
    (tmp_path / "broken.zip").write_text("<html>log in</html>")
    outcome = cli("data", "import", "kvasir", tmp_path / "broken.zip", "--out", tmp_path / "out")
    outcome.refuses(3, "a web page, perhaps a login page")
    outcome = cli("data", "import", "kvasir", __file__, "--out", tmp_path / "out")
    outcome.refuses(3, "neither a folder nor a .zip or .tar archive")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["broken.zip", "original"]
