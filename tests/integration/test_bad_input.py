"""What cannot be used: one clear message each, and its exit code."""

from __future__ import annotations

import json
import shutil
import time
from pathlib import Path

import pytest
from command_line import Command, Trained
from small_data import phantom_cases, save, truncate, write_folders, write_sheet

from lexiseg.data.readers import read_image
from lexiseg.extras import upgrade_hint

USAGE, DATA, RUN, WEIGHTS = 2, 3, 4, 5


@pytest.fixture
def train(cli: Command, folders: Path, tmp_path: Path, tiny_config: Path) -> Command:
    """Return a caller of `lexiseg train` on the data set a test has spoiled."""

    def run(*options: object) -> object:
        outcome = cli(
            "train", folders, "--out", tmp_path / "run", "--epochs", 1, "--config", tiny_config, *options
        )
        if outcome.code in (USAGE, DATA, WEIGHTS):
            assert not (tmp_path / "run").exists(), "a refused training writes nothing"
        return outcome

    return run


class TestData:
    @pytest.mark.parametrize("command", ["train", "evaluate", "check"])
    def test_empty_folder(self, cli: Command, trained: Trained, tmp_path: Path, command: str) -> None:
        empty = tmp_path / "empty"
        empty.mkdir()
        outcome = {
            "train": lambda: cli("train", empty, "--out", tmp_path / "run"),
            "evaluate": lambda: cli("evaluate", trained.run, empty, "--out", tmp_path / "out"),
            "check": lambda: cli("data", "check", empty),
        }[command]()
        outcome.refuses(DATA, f"{empty} is empty", "Train_Folder", "images/", "train_data.csv")

    def test_missing_folder(self, cli: Command, tmp_path: Path) -> None:
        outcome = cli("train", tmp_path / "nowhere", "--out", tmp_path / "run")
        outcome.refuses(DATA, f"{tmp_path / 'nowhere'} does not exist")

    def test_unknown_layout_names_the_folder_inside(self, cli: Command, folders: Path) -> None:
        outcome = cli("train", folders.parent, "--out", folders / "run")
        outcome.refuses(DATA, "has no known layout", f"Did you mean {folders}?")

    def test_missing_masks(self, train: Command, folders: Path) -> None:
        splits = json.loads((folders / "splits.json").read_text())
        for name in splits["train"][:2]:
            (folders / "masks" / f"{name}.png").unlink()
        for text in ("concepts", "none"):
            train("--text", text).refuses(DATA, "2 training images have no mask", "--unmasked leave_out")
        (folders / "masks" / f"{splits['val'][0]}.png").rename(folders / "masks" / "other.png")
        train().refuses(DATA, "no mask for 3 of 14 images", "other.png", "lexiseg data check")
        (folders / "masks" / "other.png").unlink()
        train().refuses(DATA, "no mask for 1 of 3 val images", "lexiseg data check")

    def test_sheet_without_the_columns(self, train: Command, folders: Path) -> None:
        write_sheet(folders / "reports.csv", {"a.png": "nothing"}, ("picture", "remark"))
        train().refuses(DATA, "reports.csv", "'picture', 'remark'", "image or mask names", "sentences")

    @pytest.mark.parametrize("text", ["reports", "concepts", "none"])
    def test_mask_of_another_size(self, train: Command, folders: Path, text: str) -> None:
        mask = sorted((folders / "masks").iterdir())[0]
        save(mask, read_image(mask)[:40, :50, 0])
        train("--text", text).refuses(DATA, str(mask), "50 x 40", "64 x 64")

    @pytest.mark.parametrize("text", ["reports", "concepts", "none"])
    def test_corrupt_image_in_training(self, train: Command, folders: Path, text: str) -> None:
        image = truncate(sorted((folders / "images").iterdir())[3])
        train("--text", text).refuses(DATA, str(image))

    def test_no_test_split(self, cli: Command, trained: Trained, phantom: Path, tmp_path: Path) -> None:
        data = tmp_path / "data"
        for split in ("Train_Folder", "Val_Folder"):
            shutil.copytree(phantom / split, data / split)
        outcome = cli("evaluate", trained.run, data, "--out", tmp_path / "out")
        outcome.refuses(DATA, "no images in its test split", "val: 6", "--split")
        assert not (tmp_path / "out").exists()

    def test_other_classes_than_the_run(self, cli: Command, trained: Trained, tmp_path: Path) -> None:
        data = write_folders(tmp_path / "data", phantom_cases(classes=2))
        outcome = cli("evaluate", trained.run, data, "--out", tmp_path / "out")
        outcome.refuses(DATA, f"The run {trained.run} segments", str(data / "dataset.yaml"))

    def test_reports_without_a_sheet(self, train: Command, folders: Path) -> None:
        (folders / "reports.csv").unlink()
        train("--text", "reports").refuses(DATA, "Training with reports needs a report", "--text concepts")

    def test_free_prose(self, train: Command, folders: Path) -> None:
        words = iter(f"word{n}" for n in range(10_000))
        rows = {i.name: " ".join(next(words) for _ in range(30)) for i in (folders / "images").iterdir()}
        write_sheet(folders / "reports.csv", rows, ("image", "report"))
        train().refuses(DATA, "free text", "--text concepts")


class TestOptions:
    @pytest.mark.parametrize(
        ("options", "parts"),
        [
            (("--image-size", 100), ("multiple of 32", "got 100")),
            (("--encoder", "resnet18x"), ("no model named 'resnet18x'", "Did you mean")),
            (("--preset", "paper"), ("width: the paper preset of STPNet has no such field",)),
            (("--preset", "paper", "--encoder", "resnet18"), ("encoder", "has no such field", "LEX-USE-500")),
            (("--text", "poems"), ("'poems'", "reports", "concepts")),
            (("--model", "unet"), ("'unet'", "stpnet")),
        ],
    )
    def test_impossible_value(self, train: Command, options: tuple[object, ...], parts: tuple[str]) -> None:
        train(*options).refuses(USAGE, *parts)

    def test_unknown_vocabulary(self, train: Command) -> None:
        train("--vocabulary", "knee").refuses(USAGE, "knee", "chest", "polyp")

    def test_epochs_and_minutes(self, train: Command) -> None:
        train("--max-minutes", 1).refuses(USAGE, "only one of them; got epochs and max_minutes")

    def test_unknown_field_in_the_configuration(self, cli: Command, folders: Path, tmp_path: Path) -> None:
        file = tmp_path / "wrong.yaml"
        file.write_text("learning_speed: 1\n")
        outcome = cli("train", folders, "--out", tmp_path / "run", "--config", file)
        outcome.refuses(USAGE, str(file), "learning_speed", "learning_rate")

    def test_missing_configuration(self, cli: Command, folders: Path, tmp_path: Path) -> None:
        outcome = cli("train", folders, "--out", tmp_path / "run", "--config", tmp_path / "none.yaml")
        outcome.refuses(USAGE, "none.yaml", "cannot be read")

    def test_no_command(self, cli: Command) -> None:
        cli("teach").refuses(USAGE, "No such command 'teach'")

    def test_no_out(self, cli: Command, folders: Path) -> None:
        cli("train", folders).refuses(USAGE, "Missing option '--out'")

    def test_unknown_device(self, cli: Command, trained: Trained, images: Path, tmp_path: Path) -> None:
        outcome = cli("predict", trained.run, images, "--out", tmp_path / "out", "--device", "abacus")
        outcome.refuses(USAGE, "'abacus'", "--device cpu")


class TestWeights:
    def test_text_encoder_without_network(self, train: Command, monkeypatch: pytest.MonkeyPatch) -> None:
        # Port 9 of this machine refuses at once, like a machine without a network.
        monkeypatch.setattr("huggingface_hub.constants.ENDPOINT", "http://127.0.0.1:9")
        for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
            monkeypatch.delenv(name, raising=False)
        started = time.monotonic()
        train("--text-encoder", "nobody/no-such-encoder").refuses(
            WEIGHTS, "nobody/no-such-encoder", "127.0.0.1:9", "local"
        )
        assert time.monotonic() - started < 30

    def test_missing_encoder_weights(self, train: Command, tmp_path: Path) -> None:
        outcome = train("--encoder-weights", tmp_path / "none.safetensors")
        outcome.refuses(WEIGHTS, "none.safetensors")

    def test_convert_of_no_checkpoint(self, cli: Command, tmp_path: Path) -> None:
        outcome = cli("convert", "stpnet", tmp_path / "none.pth", tmp_path / "run")
        assert outcome.code in (USAGE, WEIGHTS)
        outcome.refuses(outcome.code)


class TestRun:
    @pytest.mark.parametrize("command", ["predict", "evaluate"])
    def test_missing_run(
        self, cli: Command, phantom: Path, images: Path, tmp_path: Path, command: str
    ) -> None:
        source = images if command == "predict" else phantom
        outcome = cli(command, tmp_path / "none", source, "--out", tmp_path / "out")
        outcome.refuses(RUN, f"run folder at {tmp_path / 'none'}", "lexiseg train")
        assert not (tmp_path / "out").exists()

    def test_folder_that_is_no_run(self, cli: Command, phantom: Path, tmp_path: Path) -> None:
        outcome = cli("evaluate", phantom, phantom, "--out", tmp_path / "out")
        outcome.refuses(RUN, "is not a run folder", "run.json")

    @pytest.mark.parametrize("command", ["predict", "evaluate", "resume"])
    def test_run_of_a_newer_version(
        self, cli: Command, trained: Trained, phantom: Path, images: Path, tmp_path: Path, command: str
    ) -> None:
        run = Path(shutil.copytree(trained.run, tmp_path / "run"))
        manifest = json.loads((run / "run.json").read_text())
        # A newer version may well have fields this one does not know.
        changes = {"format_version": 99, "lexiseg_version": "9.9.9", "a_new_field": 1}
        (run / "run.json").write_text(json.dumps({**manifest, **changes}))
        outcome = {
            "predict": lambda: cli("predict", run, images, "--out", tmp_path / "out"),
            "evaluate": lambda: cli("evaluate", run, phantom, "--out", tmp_path / "out"),
            "resume": lambda: cli("train", phantom, "--out", run, "--resume"),
        }[command]()
        outcome.refuses(RUN, "newer Lexiseg (9.9.9, format 99)", upgrade_hint())

    def test_damaged_manifest(self, cli: Command, trained: Trained, images: Path, tmp_path: Path) -> None:
        run = Path(shutil.copytree(trained.run, tmp_path / "run"))
        truncate(run / "run.json")
        outcome = cli("predict", run, images, "--out", tmp_path / "out")
        outcome.refuses(RUN, "run.json is damaged")

    @pytest.mark.parametrize("name", ["weights.safetensors", "bank.safetensors"])
    @pytest.mark.parametrize("how", ["missing", "cut"])
    def test_damaged_weights(
        self, cli: Command, trained: Trained, images: Path, tmp_path: Path, name: str, how: str
    ) -> None:
        run = Path(shutil.copytree(trained.run, tmp_path / "run"))
        (run / name).unlink() if how == "missing" else truncate(run / name)
        outcome = cli("predict", run, images, "--out", tmp_path / "out")
        outcome.refuses(WEIGHTS, str(run / name))

    def test_out_is_not_empty(self, cli: Command, folders: Path, trained: Trained, tmp_path: Path) -> None:
        (tmp_path / "full").mkdir()
        (tmp_path / "full" / "thesis.txt").write_text("mine")
        outcome = cli("train", folders, "--out", tmp_path / "full")
        outcome.refuses(RUN, "already exists and is not empty", "another --out")
        assert [path.name for path in (tmp_path / "full").iterdir()] == ["thesis.txt"]
        cli("train", folders, "--out", trained.run).refuses(RUN, "not empty", "--resume")

    def test_resume_without_run(self, cli: Command, folders: Path, tmp_path: Path) -> None:
        outcome = cli("train", folders, "--out", tmp_path / "none", "--resume")
        outcome.refuses(RUN, f"run folder at {tmp_path / 'none'}")

    def test_resume_with_other_options(self, cli: Command, phantom: Path, trained: Trained) -> None:
        outcome = cli("train", phantom, "--out", trained.run, "--resume", "--seed", 7, "--epochs", 2)
        outcome.refuses(USAGE, "keeps its configuration", "seed")
        assert "epochs" not in outcome.message.split("but")[1].split("would")[0]

    def test_resume_with_other_data(
        self, cli: Command, folders: Path, trained: Trained, tmp_path: Path
    ) -> None:
        run = Path(shutil.copytree(trained.run, tmp_path / "run"))
        manifest = json.loads((run / "run.json").read_text())
        manifest["training"] = {"finished": False, "seed": 0}
        (run / "run.json").write_text(json.dumps(manifest))
        outcome = cli("train", folders, "--out", run, "--resume")
        outcome.refuses(RUN, "started on other data", "Resume with the same data")


class TestFileInTheWay:
    """A file is where a folder would have to be made: said before any work, and the file stays."""

    @pytest.mark.parametrize(
        "command",
        [
            ("train", "DATA"),
            ("evaluate", "RUN", "DATA", "--split", "val"),
            ("predict", "RUN", "IMAGES"),
            ("demo",),
            ("data", "import", "busi", "IMAGES"),
            ("data", "get", "busi"),
        ],
        ids=lambda command: command[1] if command[0] == "data" else command[0],
    )
    def test_out_lies_in_a_file(
        self,
        cli: Command,
        trained: Trained,
        phantom: Path,
        images: Path,
        tmp_path: Path,
        command: tuple[str, ...],
    ) -> None:
        file = tmp_path / "file"
        file.write_text("mine")
        named = {"RUN": trained.run, "DATA": phantom, "IMAGES": images}
        outcome = cli(*(named.get(word, word) for word in command), "--out", file / "deep" / "out")
        outcome.refuses(USAGE, "cannot be created", f"{file} is a file")
        assert file.read_text() == "mine"
        assert [path.name for path in tmp_path.iterdir()] == ["file"]

    @pytest.mark.parametrize("command", ["predict", "evaluate"])
    def test_out_is_a_file(
        self, cli: Command, trained: Trained, phantom: Path, images: Path, tmp_path: Path, command: str
    ) -> None:
        file = tmp_path / "file"
        file.write_text("mine")
        source = (images,) if command == "predict" else (phantom, "--split", "val")
        cli(command, trained.run, *source, "--out", file).refuses(USAGE, f"{file} is a file")
        assert file.read_text() == "mine"

    @pytest.mark.parametrize("option", ["--rois", "--out"])
    def test_describing(self, cli: Command, phantom: Path, tmp_path: Path, option: str) -> None:
        file = tmp_path / "file"
        file.write_text("mine")
        places = {"--out": tmp_path / "d.jsonl", "--rois": tmp_path / "rois"}
        places[option] = file if option == "--rois" else file / "d.jsonl"
        outcome = cli("data", "describe", phantom, *(word for pair in places.items() for word in pair))
        outcome.refuses(USAGE, f"The folder {file} cannot be created: {file} is a file")
        assert [path.name for path in tmp_path.iterdir()] == ["file"]

    def test_a_phantom(self, cli: Command, tmp_path: Path) -> None:
        (tmp_path / "file").write_text("mine")
        outcome = cli("data", "phantom", tmp_path / "file", "--train", 1, "--val", 1, "--test", 1)
        outcome.refuses(USAGE, f"{tmp_path / 'file'} is a file")

    def test_a_converted_run(self, cli: Command, tmp_path: Path) -> None:
        (tmp_path / "file").write_text("mine")
        outcome = cli("convert", "stpnet", tmp_path / "none.pth", tmp_path / "file" / "run")
        outcome.refuses(USAGE, f"{tmp_path / 'file'} is a file")


class TestPredict:
    def test_nothing_to_predict(self, cli: Command, trained: Trained, tmp_path: Path) -> None:
        outcome = cli("predict", trained.run, tmp_path / "*.png", "--out", tmp_path / "out")
        outcome.refuses(DATA, "No image found at", "no file matches the pattern")
        assert not (tmp_path / "out").exists()

    def test_two_images_of_one_name(
        self, cli: Command, trained: Trained, images: Path, tmp_path: Path
    ) -> None:
        image = sorted(images.iterdir())[0]
        twin = tmp_path / "other" / image.name
        twin.parent.mkdir()
        shutil.copy(image, twin)
        outcome = cli("predict", trained.run, image, twin, "--out", tmp_path / "out")
        outcome.refuses(DATA, "would both write the mask", str(twin), "two commands")
