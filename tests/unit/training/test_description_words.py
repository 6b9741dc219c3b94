"""Training with a description file: it must fit, and says what it says."""

from __future__ import annotations

import io
import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml
from rich.console import Console

import lexiseg
from lexiseg.data import open_dataset
from lexiseg.data.phantom import write_phantom
from lexiseg.data.readers import read_mask
from lexiseg.data.sample import DatasetIndex
from lexiseg.describing.description_file import DescriptionFile, read_descriptions
from lexiseg.errors import DataError
from lexiseg.runs.manifest import Manifest
from lexiseg.runs.run import Run
from lexiseg.training.config import CONFIG_FILE, make_config
from lexiseg.training.description_words import (
    check_described,
    described_words,
    recorded,
    recorded_file,
    vocabulary_of_file,
)
from lexiseg.training.plan import plan_run
from lexiseg.training.resume import continue_run, resumed_config
from lexiseg.training.text_source import WordSource
from lexiseg.training.train import train
from lexiseg.training.unmasked_images import take_part
from lexiseg.words.description import UNKNOWN
from lexiseg.words.vocabulary import load_vocabulary
from refusals import refuses

CHEST = load_vocabulary("chest")
QUIET = Console(quiet=True)
Lines = list[dict[str, Any]]


@pytest.fixture(scope="module")
def two(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("two") / "data"
    write_phantom(folder, num_train=10, num_val=3, num_test=2, size=64, seed=4, classes=2)
    return folder


@pytest.fixture(scope="module")
def measured(phantom: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("described") / "measured.jsonl"
    lexiseg.describe(phantom, path)
    return path


@pytest.fixture
def changed(measured: Path, tmp_path: Path) -> Callable[[Callable[[Lines], Any]], DescriptionFile]:
    """Return a maker of changed files."""

    def make(change: Callable[[Lines], Any]) -> DescriptionFile:
        lines = [json.loads(line) for line in measured.read_text().splitlines()]
        change(lines)
        path = tmp_path / "changed.jsonl"
        path.write_text("".join(json.dumps(line) + "\n" for line in lines))
        return read_descriptions(path)

    return make


def words(index: DatasetIndex, file: DescriptionFile) -> list[tuple[int, ...]]:
    said, notes = WordSource(file.source, file).words(index, "train", CHEST, side=file.side)
    assert notes == ()
    assert (said.source, said.side) == (file.source, file.side)
    return list(said.indices)


def test_a_measured_file_says_what_is_measured(index: DatasetIndex, measured: Path) -> None:
    file = read_descriptions(measured)
    expected, _ = WordSource("concepts").words(index, "train", CHEST, side="image")
    assert tuple(words(index, file)) == expected.indices
    source = WordSource.of(index, make_config({"text": str(file.path)}))
    assert (source.text, source.reads_sheet) == ("concepts", False)
    assert source.side(replace(index, side="patient"), CHEST) == "image"


def test_classes_of_one_image_are_measured_together(two: Path, tmp_path: Path) -> None:
    lexiseg.describe(two, tmp_path / "d.jsonl")
    index = open_dataset(two)
    expected, _ = WordSource("concepts").words(index, "train", CHEST, side="image")
    assert tuple(words(index, read_descriptions(tmp_path / "d.jsonl"))) == expected.indices


def test_what_cannot_be_measured_is_known_where_classes_agree(two: Path, tmp_path: Path) -> None:
    lexiseg.describe(two, tmp_path / "d.jsonl")
    index = open_dataset(two)
    spoken = CHEST.to_dict()
    spoken["factors"][0]["measure"] = None
    unmeasured = type(CHEST).from_dict(spoken)
    file = read_descriptions(tmp_path / "d.jsonl")
    said = described_words(file, index, index.split("train"), unmeasured, "image")
    seen = set()
    for sample, indices in zip(index.split("train"), said, strict=True):
        lines = [line for line in file.lines if line.id == sample.id and not line.problems]
        phrases = {line.factors["laterality"] for line in lines}
        seen.add(len(phrases))
        expected = CHEST.factors[0].phrases.index(phrases.pop() or "") if len(phrases) == 1 else UNKNOWN
        assert indices[0] == expected
    assert seen == {1, 2}  # the phantom has images of both kinds


def test_the_words_of_one_line_are_taken_as_they_are(
    index: DatasetIndex, changed: Callable[..., DescriptionFile]
) -> None:
    def change(lines: Lines) -> None:
        lines[0]["factors"] = {"count": "multiple infected areas", "left": None}
        lines[0]["provenance"] = {
            "source": "lmm",
            "model": "m",
            "server": None,
            "prompt_version": 1,
            "replies": 1,
        }
        lines[1]["side"] = "patient"

    before = words(index, changed(lambda lines: None))
    after = words(index, changed(change))
    assert after[0] == (UNKNOWN, 1, UNKNOWN, UNKNOWN)
    assert after[1] == (*before[1][:2], before[1][3], before[1][2])
    assert after[2:] == before[2:]


class TestRefused:
    def check(self, index: DatasetIndex, file: DescriptionFile) -> None:
        check_described(file, index, vocabulary_of_file(file, index, None))

    def test_a_file_that_fits_is_taken(self, index: DatasetIndex, measured: Path) -> None:
        self.check(index, read_descriptions(measured))

    def test_one_for_other_images(self, index: DatasetIndex, changed: Callable[..., DescriptionFile]) -> None:
        def change(lines: Lines) -> None:
            for number, line in enumerate(lines[3:]):
                line["id"] = f"other{number}"

        with refuses("LEX-DATA-120", "(other0,"):
            self.check(index, changed(change))

    def test_one_that_misses_an_image(
        self, index: DatasetIndex, changed: Callable[..., DescriptionFile]
    ) -> None:
        missing = index.split("val")[0].id
        drop = lambda lines: lines.remove(next(line for line in lines if line["id"] == missing))  # noqa: E731
        with pytest.raises(DataError, match=rf"describes 20 of the 21 .*; not {missing}\. .*: 0 of its 23"):
            self.check(index, changed(drop))

    def test_the_test_split_need_not_be_described(
        self, index: DatasetIndex, changed: Callable[..., DescriptionFile]
    ) -> None:
        test = {sample.id for sample in index.split("test")}

        def drop(lines: Lines) -> None:
            lines[:] = [line for line in lines if line["id"] not in test]

        self.check(index, changed(drop))

    @pytest.mark.parametrize(
        ("change", "message"),
        [
            ({"class": "kidney"}, "line 5: .* has no class 'kidney', only opacity"),
            ({"class": "background"}, "line 5: .* has no class 'background', only opacity"),
            ({"factors": {"mood": "good"}}, "line 5: the vocabulary 'chest' has no factor 'mood'"),
            (
                {"factors": {"count": "3"}},
                "line 5: the factor 'count' .* has no phrase '3', only one infected",
            ),
        ],
    )
    def test_what_does_not_exist(
        self,
        index: DatasetIndex,
        changed: Callable[..., DescriptionFile],
        change: dict[str, Any],
        message: str,
    ) -> None:
        with pytest.raises(DataError, match=message):
            self.check(index, changed(lambda lines: lines[4].update(change)))

    def test_a_class_of_the_mask_that_no_line_speaks_of(self, two: Path, tmp_path: Path) -> None:
        """Dropping a line is noticed where the mask holds its class, and only there."""
        index = open_dataset(two)
        lexiseg.describe(two, tmp_path / "d.jsonl")
        learned = {sample.id for split in ("train", "val") for sample in index.split(split)}
        lines = [json.loads(line) for line in (tmp_path / "d.jsonl").read_text().splitlines()]
        nodules = [line for line in lines if line["class"] == "nodule" and line["id"] in learned]
        there = {
            sample.id
            for sample in index.samples
            if sample.mask is not None and 2 in read_mask(sample.mask, index.coding)
        }
        present = [line["id"] for line in nodules if line["id"] in there]
        absent = [line["id"] for line in nodules if line["id"] not in there]
        assert len(present) > 1
        assert absent

        def without(ids: list[str]) -> DescriptionFile:
            kept = [line for line in lines if line["class"] != "nodule" or line["id"] not in ids]
            (tmp_path / "cut.jsonl").write_text("".join(json.dumps(line) + "\n" for line in kept))
            return read_descriptions(tmp_path / "cut.jsonl")

        self.check(index, without(absent))
        with pytest.raises(
            DataError,
            match=rf"describes only some of the classes .* 'nodule' of {present[0]}, 'nodule'",
        ):
            self.check(index, without([*absent, *present[:2]]))
        for line in lines:  # a line for the whole image speaks of every class
            line["class"] = None if line["class"] == "opacity" else line["class"]
        self.check(index, without([line["id"] for line in lines]))

    def test_a_vocabulary_nobody_knows(
        self, index: DatasetIndex, changed: Callable[..., DescriptionFile]
    ) -> None:
        file = changed(lambda lines: [line.update(vocabulary="own") for line in lines])
        with refuses("LEX-DATA-119", "--vocabulary"):
            self.check(index, file)
        assert vocabulary_of_file(file, index, "chest").name == "chest"

    def test_the_wrong_side(
        self, index: DatasetIndex, changed: Callable[..., DescriptionFile], phantom: Path
    ) -> None:
        file = changed(lambda lines: [line.update(side="patient") for line in lines])
        config = make_config({"text": str(file.path)})
        with refuses("LEX-DATA-131", "masks of"):
            plan_run(take_part(index, config), config, QUIET)


def test_the_keyword_is_the_data_sets(index: DatasetIndex, measured: Path) -> None:
    vocabulary = vocabulary_of_file(read_descriptions(measured), replace(index, keyword="spot"), None)
    assert (vocabulary.keyword.singular, vocabulary.keyword.plural) == ("spot", "spots")


class TestKeywords:
    @pytest.mark.parametrize(
        ("stated", "expected"),
        [
            ("", "area"),
            ("keyword: {opacity: dull area, nodule: nodule area}\n", "area"),
            ("keyword: finding\n", "finding"),
        ],
    )
    def test_of_several_classes_together(self, two: Path, tmp_path: Path, stated: str, expected: str) -> None:
        data = Path(shutil.copytree(two, tmp_path / "data"))
        with (data / "dataset.yaml").open("a") as file:
            file.write(stated)
        index = open_dataset(data)
        lexiseg.describe(data, tmp_path / "d.jsonl", vocabulary="polyp")
        for text in ("concepts", str(tmp_path / "d.jsonl")):
            config = make_config({"text": text, "vocabulary": "polyp"})
            vocabulary = plan_run(take_part(index, config), config, QUIET).vocabulary
            assert vocabulary is not None
            assert (vocabulary.keyword.singular, vocabulary.keyword.plural) == (expected, f"{expected}s")

    @pytest.mark.parametrize(("model", "is_said"), [("cotexnet", True), ("stpnet", False)])
    def test_the_vocabularys_own_is_said_where_sentences_are_read(
        self, index: DatasetIndex, model: str, is_said: bool
    ) -> None:
        config = make_config({"text": "concepts", "vocabulary": "polyp", "model": model})
        said = io.StringIO()
        plan_run(take_part(index, config), config, Console(file=said, width=500))
        assert ("Sentences use the word 'polyp area'" in said.getvalue()) == is_said


class TestPlan:
    def test_the_run_remembers_the_file_and_goes_on_with_the_same_words(
        self, index: DatasetIndex, changed: Callable[..., DescriptionFile], tmp_path: Path
    ) -> None:
        def forget(lines: Lines) -> None:
            for line in lines:
                line["factors"].pop("laterality")

        file = changed(forget)
        config = make_config({"text": file.path})
        plan = plan_run(take_part(index, config), config, QUIET)
        assert plan.text == "concepts"
        assert plan.vocabulary is not None
        assert plan.vocabulary.names == ("count", "left", "right")
        assert plan.manifest.data.descriptions == recorded(file)
        assert plan.bank is not None
        splits = {s: [sample.id for sample in index.split(s)] for s in ("train", "val")}
        (tmp_path / "run").mkdir()
        (tmp_path / "run" / "splits.json").write_text(json.dumps(splits))
        run = Run.create(tmp_path / "run", plan.manifest)
        plan.bank.save(run.bank_file)
        again = continue_run(take_part(index, config), Run.open(run.path), config)
        for before, after in ((plan.train, again.train), (plan.val, again.val)):
            assert before is not None
            assert after is not None
            assert before.indices == after.indices
            assert (before.source, before.side) == (after.source, after.side)
        file.path.write_text(file.path.read_text() + "\n")
        with refuses("LEX-RUN-012", "changed.jsonl has changed"):
            continue_run(take_part(index, config), Run.open(run.path), config)
        file.path.unlink()
        with refuses("LEX-DATA-105", "changed.jsonl cannot be read"):
            continue_run(take_part(index, config), Run.open(run.path), config)

    def test_the_run_finds_the_file_from_any_folder(
        self, index: DatasetIndex, measured: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.chdir(measured.parent)
        config = make_config({"text": measured.name})
        plan = plan_run(take_part(index, config), config, QUIET)
        run = Run.create(tmp_path / "run", plan.manifest)
        (run.path / CONFIG_FILE).write_text(yaml.safe_dump(config.model_dump(mode="json")))
        with monkeypatch.context() as elsewhere:
            elsewhere.chdir(tmp_path)
            file = recorded_file(run)
            assert file is not None
            assert file.sha256 == read_descriptions(measured).sha256
            assert resumed_config(run.path, {"text": str(measured)}, None).text == str(measured)
        assert resumed_config(run.path, {"text": measured.name}, None) == config
        with refuses("LEX-USE-068", "keeps its configuration,"):
            resumed_config(run.path, {"text": "other.jsonl"}, None)
        assert recorded(read_descriptions(measured.name)).file == str(measured)

    def test_a_run_without_file_has_none(self, tiny_run: Run) -> None:
        assert recorded_file(tiny_run) is None

    def test_it_trains_as_measuring_does(
        self, phantom: Path, measured: Path, tiny_options: dict[str, Any], tmp_path: Path
    ) -> None:
        """Measured words are measured again after every change, wherever they come from."""
        run = train(phantom, tmp_path / "file", text=str(measured), **tiny_options)
        other = train(phantom, tmp_path / "concepts", text="concepts", **tiny_options)
        assert run.weights_file.read_bytes() == other.weights_file.read_bytes()
        assert Manifest.model_validate_json((run.path / "run.json").read_text()).text == "concepts"


def test_a_text_that_is_neither_choice_nor_file() -> None:
    with refuses("LEX-USE-069", "ending in .jsonl; got 'poems'"):
        make_config({"text": "poems"})
    with refuses("LEX-USE-069", "got 3"):
        make_config({"text": 3})
    assert make_config({"text": Path("a/b.jsonl")}).text == str(Path.cwd() / "a" / "b.jsonl")
