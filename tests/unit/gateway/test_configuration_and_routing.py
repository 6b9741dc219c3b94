"""The configuration of a gateway, and which rule an image follows."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from dicom_files import dicom_dataset
from gateway_setup import RULE, picture
from lexiseg.gateway.configuration import Rule, WebAccess
from lexiseg.gateway.configuration_file import read_configuration
from lexiseg.gateway.connections.web_session import web_client
from lexiseg.gateway.header import Header
from lexiseg.gateway.prediction.classification import classify
from lexiseg.gateway.prediction.routing import rule_for
from lexiseg.gateway.queue.spool import CLEANED, Spool
from lexiseg.gateway.site_key import SiteKey
from refusals import refuses

VALID: dict[str, Any] = {
    "state": "state",
    "sources": {"inbox": {"kind": "folder", "path": "in"}},
    "rules": [{**RULE, "send_to": ["out"]}],
    "destinations": {"out": {"kind": "folder", "path": "/abs/out"}},
}


def written(folder: Path, **changes: Any) -> Path:
    path = folder / "gateway.yaml"
    path.write_text(yaml.safe_dump({**VALID, **changes}), encoding="utf-8")
    return path


def test_paths_start_at_the_folder_of_the_file(tmp_path: Path) -> None:
    (tmp_path / "runs" / "mine").mkdir(parents=True)
    rules = [RULE, {**RULE, "name": "mine", "run": "runs/mine"}]
    found = read_configuration(written(tmp_path, rules=rules))
    assert found.state == tmp_path / "state"
    assert found.sources["inbox"].path == tmp_path / "in"  # type: ignore[union-attr]
    assert found.destinations["out"].path == Path("/abs/out")  # type: ignore[union-attr]
    assert [rule.run for rule in found.rules] == ["covid-xray", str(tmp_path / "runs" / "mine")]


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"rules": []}, ["rules"]),
        ({"rules": [RULE, RULE]}, ["same name"]),
        ({"rules": [{**RULE, "send_to": ["pacs"]}]}, ["'pacs'", "there are: out"]),
        ({"rules": [{**RULE, "write": ["card"]}]}, ["'card'", "seg"]),
        ({"rules": [{**RULE, "description": "("}]}, ["regular expression"]),
        ({"sources": {"a": {"kind": "dicom", "allow": []}}}, ["allow"]),
        ({"sources": {"a": {"kind": "dicom", "allow": ["P"], "tls": {}}}}, ["certificate"]),
        (
            {"sources": {"a": {"kind": "folder", "path": ""}}},
            ["sources.a", "path", "expected a path", "empty"],
        ),
        ({"state": ""}, ["state", "expected a path", "empty"]),
        ({"site_key_file": ""}, ["site_key_file", "expected a path", "empty"]),
        ({"sources": {"a": {"kind": "ftp"}}}, ["expected one of dicom, folder, dicomweb"]),
        ({"destinations": {"out": {"kind": "dicom", "host": "h", "port": 0, "ae_title": "A"}}}, ["port"]),
        ({"destinations": {"out": {"kind": "dicomweb", "url": "archive"}}}, ["url"]),
        (
            {"destinations": {"out": {"kind": "dicom", "host": "h", "port": 1, "ae_title": "A" * 17}}},
            ["destinations.out.ae_title", "is no AE title: expected 1 to 16 ASCII characters"],
        ),
        (
            {
                "destinations": {"out": {"kind": "dicom", "host": "h", "port": 1, "ae_title": "A"}},
                "rules": [{**RULE, "write": ["seg", "mask"], "send_to": ["out"]}],
            },
            ["only a folder takes mask", "remove it from `write`"],
        ),
        ({"colour": "red"}, ["colour", "no such field"]),
        (
            {
                "sources": {
                    "a": {"kind": "dicomweb", "url": "https://a.example", "modality": ["CR"], "days": 7}
                },
                "delete_after_days": 1,
                "forget_after_days": 8,
            },
            ["`forget_after_days` must be more than 8", "the last 7 days"],
        ),
    ],
)
def test_what_cannot_be_is_refused(tmp_path: Path, changes: dict[str, Any], words: list[str]) -> None:
    with refuses("LEX-USE-1232", *words):
        read_configuration(written(tmp_path, **changes))


def folders(**paths: str) -> dict[str, Any]:
    return {name: {"kind": "folder", "path": path} for name, path in paths.items()}


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"sources": folders(inbox=".")}, ["`sources.inbox.path`", "the configuration (", "gateway.yaml"]),
        ({"sources": folders(inbox="in"), "state": "in/state"}, ["`state`", "is this folder or lies in it"]),
        ({"sources": folders(inbox="state/received")}, ["state/received", "files of its own"]),
        ({"sources": folders(inbox="state/work/in")}, ["state/work", "files of its own"]),
        ({"sources": folders(inbox="state")}, ["`state`"]),
        (
            {"sources": folders(inbox="in"), "destinations": folders(out="in/out")},
            ["`destinations.out.path`"],
        ),
        (
            {"sources": folders(inbox="out/1.2.3"), "destinations": folders(out="out")},
            ["`destinations.out.path`", "results"],
        ),
        (
            {"sources": folders(inbox="link/1.2.3"), "destinations": folders(out="out")},
            ["`destinations.out.path`", "results"],
        ),
        ({"sources": folders(one="in", two="in/../in/sub")}, ["`sources.one.path`", "`sources.two.path`"]),
        ({"sources": folders(inbox="in"), "site_key_file": "in/site.key"}, ["`site_key_file`"]),
        ({"sources": folders(inbox="runs")}, ["`rules.1.run`"]),
        (
            {
                "sources": {
                    **folders(inbox="in"),
                    "archive": {
                        "kind": "dicomweb",
                        "url": "https://a.example",
                        "modality": ["CR"],
                        "tls": {"authorities": "in/a.pem"},
                    },
                }
            },
            ["`sources.archive.tls.authorities`"],
        ),
    ],
)
def test_a_source_that_would_remove_needed_files_is_refused(
    tmp_path: Path, changes: dict[str, Any], words: list[str]
) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "link").symlink_to("out")
    (tmp_path / "runs" / "mine").mkdir(parents=True)
    rules = [{**RULE, "send_to": ["out"]}, {**RULE, "name": "mine", "run": "runs/mine"}]
    path = written(tmp_path, **{"rules": rules, **changes})
    with refuses("LEX-USE-1870", "removes all files", *words):
        read_configuration(path)


@pytest.mark.parametrize("folder", CLEANED)
@pytest.mark.parametrize("below", ["", "/out"])
def test_a_destination_where_the_gateway_tidies_is_refused(tmp_path: Path, folder: str, below: str) -> None:
    with refuses("LEX-USE-1871", "`destinations.out.path`", f"state/{folder}"):
        read_configuration(written(tmp_path, destinations=folders(out=f"state/{folder}{below}")))


@pytest.mark.parametrize(
    "changes",
    [
        {"destinations": folders(out="state/out")},
        {"destinations": folders(out="state")},
        {"sources": folders(inbox="state/in")},
        {"sources": folders(inbox="in"), "state": "."},
        {"sources": folders(inbox="in"), "state": "in/.lexiseg"},
        {"sources": folders(inbox="in"), "site_key_file": "in/.site.key"},
        {"sources": folders(inbox="in"), "destinations": folders(out="in/.out")},
        {"sources": folders(inbox="out/in"), "destinations": folders(out="out")},
    ],
)
def test_folders_from_which_nothing_needed_is_removed_are_taken(
    tmp_path: Path, changes: dict[str, Any]
) -> None:
    read_configuration(written(tmp_path, **changes))


def test_files_beside_the_folders_of_the_gateway_stay(tmp_path: Path) -> None:
    kept = [tmp_path / "out" / "a.dcm", tmp_path / "in" / "b.dcm"]
    spool = Spool(tmp_path)
    for file in kept:
        file.parent.mkdir()
        file.touch()
    for name in ("received", "quarantine"):
        (tmp_path / name / "e.dcm").touch()
    for name in ("results", "work"):
        (tmp_path / name / "e").mkdir()
    spool.tidy(with_image=(), with_results=(), quarantined=())
    assert all(file.is_file() for file in kept)
    assert all(list((tmp_path / name).iterdir()) == [] for name in CLEANED)


def test_folders_beside_each_other_are_taken(tmp_path: Path) -> None:
    sources = folders(one="in", two="in2")
    found = read_configuration(written(tmp_path, sources=sources, destinations=folders(out="out")))
    assert len(found.sources) == 2


@pytest.mark.parametrize("name", ["gateway.yaml", "module.yaml"])
def test_the_configurations_of_the_image_are_valid(name: str) -> None:
    folder = Path(__file__).parents[3] / "deploy" / "gateway"
    assert [rule.run for rule in read_configuration(folder / name).rules] == ["covid-xray"]


def test_an_archive_needs_dicom_objects(tmp_path: Path) -> None:
    archive = {"kind": "dicom", "host": "h", "port": 104, "ae_title": "PACS"}
    with refuses("LEX-USE-1232", "'pacs'", "seg"):
        read_configuration(
            written(
                tmp_path,
                rules=[{**RULE, "write": ["mask"], "send_to": ["pacs"]}],
                destinations={"pacs": archive},
            )
        )


def test_files_that_are_no_configuration(tmp_path: Path) -> None:
    with refuses("LEX-USE-1230", "missing.yaml cannot be read: No such file or directory."):
        read_configuration(tmp_path / "missing.yaml")
    path = tmp_path / "list.yaml"
    path.write_text("- a\n", encoding="utf-8")
    with refuses("LEX-USE-1231", "list"):
        read_configuration(path)


def header(**values: Any) -> Header:
    return Header.of(dicom_dataset(picture(), **values))


def rules(*values: dict[str, Any]) -> list[Rule]:
    return [Rule.model_validate({"name": str(n), "run": "r", **value}) for n, value in enumerate(values)]


def test_an_image_follows_the_first_rule_that_fits() -> None:
    known = rules(
        {"modality": ["ct"]},
        {"modality": ["cr"], "body_part": ["hand"]},
        {"modality": ["CR", "DX"], "body_part": ["Chest"], "description": "thorax|chest"},
        {"modality": ["CR"]},
    )
    assert rule_for(header(SeriesDescription="CHEST pa"), known) == known[2]
    assert rule_for(header(StudyDescription="Thorax"), known) == known[2]
    assert rule_for(header(), known) == known[3]
    assert rule_for(header(modality="US"), known) is None
    # A body part that the file does not state fits no rule that asks for one.
    assert rule_for(header(BodyPartExamined=None, StudyDescription="chest"), known) == known[3]


def test_an_expression_that_takes_too_long_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("lexiseg.gateway.prediction.routing._PATTERN_SECONDS", 0.05)
    with refuses("LEX-USE-1235", "simpler"):
        rule_for(header(StudyDescription="a" * 200), rules({"description": "(.*a){20}b"}))


def test_own_results_are_no_images(tmp_path: Path) -> None:
    path = tmp_path / "own.dcm"
    dicom_dataset(picture(), Manufacturer="Lexiseg").save_as(path, enforce_file_format=True)
    assert classify(path, rules({})).rule is None


def test_the_site_key_hides_and_repeats(tmp_path: Path) -> None:
    first = SiteKey.of_file(None, tmp_path)
    assert first.hashed("Q-4711") == SiteKey.of_file(None, tmp_path).hashed("Q-4711")
    assert first.hashed("Q-4711") != SiteKey(b"other").hashed("Q-4711")
    assert first.hashed("") == ""
    # HMAC-SHA256 of RFC 4231, test case 2, shortened.
    assert SiteKey(b"Jefe").hashed("what do ya want for nothing?") == "5bdcc146bf60754e6a042426089575c7"
    (tmp_path / "short").write_text("abc")
    with refuses("LEX-USE-1234", "32"):
        SiteKey.of_file(tmp_path / "short", tmp_path)
    with refuses("LEX-USE-1233", "absent"):
        SiteKey.of_file(tmp_path / "absent", tmp_path)


@pytest.mark.parametrize(("field", "content"), [("token_file", "secret"), ("user_file", "me:secret")])
def test_credentials_are_not_sent_to_another_machine_without_encryption(
    tmp_path: Path, field: str, content: str
) -> None:
    (tmp_path / "file").write_text(content)

    def access(url: str, **more: bool) -> WebAccess:
        return WebAccess.model_validate({"url": url, field: tmp_path / "file", **more})

    with refuses("LEX-USE-1672", "http://archive.example/dicom-web", field, "unencrypted: true"):
        web_client(access("http://archive.example/dicom-web"))
    for allowed in (
        access("http://archive.example/dicom-web", unencrypted=True),
        access("https://archive.example/dicom-web"),
        access("http://127.0.0.1:8042/dicom-web"),
        WebAccess(url="http://archive.example/dicom-web"),
    ):
        web_client(allowed)


def test_an_address_with_a_password_is_refused_and_not_shown() -> None:
    with refuses("LEX-USE-1671", "user_file") as caught:
        web_client(WebAccess(url="https://me:secret@archive.example/dicom-web"))  # pragma: allowlist secret
    assert "secret" not in str(caught.value)
