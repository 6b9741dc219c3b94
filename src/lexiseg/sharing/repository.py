"""Repositories of the Hugging Face hub: a run is sent to one, or fetched from one.

A repository holds the files of a bundle (`lexiseg.sharing.contents`) and a `README.md`, the card that the hub
shows. Fetching reads `bundle.json` first, then exactly the files that it lists, and checks each.
"""

from __future__ import annotations

import re
import tempfile
from dataclasses import dataclass
from pathlib import Path

import yaml
from huggingface_hub import (
    CommitOperationAdd,
    CommitOperationDelete,
    HfApi,
    RepoFile,
    constants,
    get_token,
    hf_hub_download,
)
from huggingface_hub.errors import (
    GatedRepoError,
    HfHubHTTPError,
    LocalEntryNotFoundError,
    RemoteEntryNotFoundError,
    RepositoryNotFoundError,
    RevisionNotFoundError,
)

from lexiseg.errors import DataError, UsageError
from lexiseg.files import atomic_folder, disk_error
from lexiseg.hub import hub_is_reachable, why_offline
from lexiseg.json_records import read_record, record_text
from lexiseg.outputs.new_folder import reserve_folder
from lexiseg.printable import command_word
from lexiseg.runs.run import Run
from lexiseg.sharing.contents import (
    BUNDLE_FILE,
    SHARED_FILES,
    BundleRecord,
    Contents,
    check_file,
    model_card,
)
from lexiseg.sharing.pack import shared_contents

_ADDRESS = re.compile(r"hf://(?P<name>[\w.-]+/[\w.-]+)(?:@(?P<revision>[\w./-]+))?")
_CARD_FILE = "README.md"
# Characters of an answer of the hub that a message shows.
_LONGEST_ANSWER = 1000


@dataclass(frozen=True)
class Address:
    """A repository of the hub.

    Attributes:
        name: Owner and name, such as "jane/chest".
        revision: Branch, tag or commit; None: the newest state.
    """

    name: str
    revision: str | None = None

    @classmethod
    def parse(cls, text: str) -> Address:
        """Read an address such as "hf://jane/chest" or "hf://jane/chest@v1".

        Raises:
            UsageError: It is none.
        """
        found = _ADDRESS.fullmatch(text)
        if found is None:
            raise UsageError(
                f"Expected a repository of the Hugging Face hub such as hf://OWNER/NAME or "
                f"hf://OWNER/NAME@REVISION, got {text!r}.",
                code="LEX-USE-1050",
            )
        return cls(found["name"], found["revision"])

    def __str__(self) -> str:
        return f"hf://{self.name}" + (f"@{self.revision}" if self.revision else "")


@dataclass(frozen=True, kw_only=True)
class Pushed:
    """A run that was sent to the hub.

    Attributes:
        url: The page of the commit.
        files: Names of the files that were sent.
        num_bytes: Their size together.
        removed: Names of the files of an earlier push that are not part of this one. The commit removes
            them; the history of the repository keeps them.
    """

    url: str
    files: tuple[str, ...]
    num_bytes: int
    removed: tuple[str, ...] = ()


def push(
    run: Run | str | Path,
    repository: str,
    *,
    public: bool = False,
    license: str | None = None,
    image_names: bool = False,
) -> Pushed:
    """Send a run to a repository of the Hugging Face hub, in one commit.

    The repository is made if there is none. Files of an earlier push that are not sent now are removed; other
    files stay. The address of the hub is that of `HF_ENDPOINT`.

    Args:
        run: The run, or its folder or name.
        repository: Such as "hf://jane/chest"; "@BRANCH" names a branch.
        public: Whether everybody can see a repository that is made now; one that exists stays as it is.
        license: Licence of the weights, as an SPDX identifier such as "CC-BY-4.0"; None: not stated.
        image_names: Whether the names of the training images are sent. Names of files can identify patients.

    Raises:
        RunError: The folder is no run, or its training is not finished.
        WeightsError: The network cannot be exported.
        UsageError: The address is none, no token is there, the hub cannot be reached, or it refuses.
    """
    run, address = Run.of(run), Address.parse(repository)
    _demand_hub(address)
    if get_token() is None:
        raise UsageError(
            f"Sending to {address} needs a token of the hub, and none was found. Log in with `hf auth "
            f"login`, or set HF_TOKEN.",
            code="LEX-USE-1051",
        )
    api = HfApi()
    with shared_contents(run, license=license, image_names=image_names) as contents:
        card = _card(contents, address)
        operations = [
            CommitOperationAdd(BUNDLE_FILE, record_text(contents.record).encode()),
            CommitOperationAdd(_CARD_FILE, card.encode()),
            *(CommitOperationAdd(name, str(path)) for name, path in contents.paths.items()),
        ]
        try:
            api.create_repo(address.name, private=not public, exist_ok=True)
            removed = _left_over(api, address, contents)
            commit = api.create_commit(
                address.name,
                [*operations, *map(CommitOperationDelete, removed)],
                commit_message=f"Run {contents.record.name}, Lexiseg {contents.record.lexiseg_version}",
                revision=address.revision,
            )
        except (HfHubHTTPError, OSError, ValueError) as error:
            raise _refusal(address, error, sending=True) from error
        return Pushed(
            url=str(commit.commit_url),
            files=tuple(operation.path_in_repo for operation in operations),
            num_bytes=contents.num_bytes,
            removed=removed,
        )


def _left_over(api: HfApi, address: Address, contents: Contents) -> tuple[str, ...]:
    """Return the files of earlier pushes that are no part of a bundle that is sent.

    Raises:
        HfHubHTTPError: The hub refuses to say what it holds.
    """
    names = [BUNDLE_FILE, *(name for name in SHARED_FILES if name not in contents.paths)]
    found = api.get_paths_info(address.name, names, revision=address.revision)
    held = {entry.path for entry in found if isinstance(entry, RepoFile)}
    if BUNDLE_FILE not in held:
        return ()  # no push wrote them: a person did
    return tuple(name for name in names if name in held and name != BUNDLE_FILE)


def pull(repository: str, out: str | Path) -> Run:
    """Fetch a run from a repository of the Hugging Face hub.

    Only the files that its `bundle.json` lists are fetched; each must have the stated checksum.

    Args:
        repository: Such as "hf://jane/chest" or "hf://jane/chest@v1".
        out: The run folder, which must not exist yet, or be empty.

    Returns:
        The run.

    Raises:
        UsageError: The address is none, or the hub cannot be reached, or it refuses.
        DataError: The repository holds no run of Lexiseg, or a file was changed or damaged.
        RunError: `out` holds something already, or the run is of a newer version.
        DiskError: There is no space or no permission.
    """
    address, out = Address.parse(repository), Path(out)
    Run.refuse_existing(out)
    _demand_hub(address)
    with (
        reserve_folder(out),
        atomic_folder(out) as folder,
        tempfile.TemporaryDirectory(dir=folder) as fetched,
    ):
        record = read_record(
            _fetch(address, BUNDLE_FILE, Path(fetched)),
            BundleRecord,
            remedy="Ask the owner of the repository to push the run again.",
        )
        for name, expected in record.files.items():
            file = _fetch(address, name, Path(fetched))
            check_file(file, name, expected, source=str(address))
            file.rename(folder / name)
        (Path(fetched) / BUNDLE_FILE).rename(folder / BUNDLE_FILE)
        Run.open(folder)
    return Run.open(out)


def _fetch(address: Address, name: str, folder: Path) -> Path:
    try:
        return Path(hf_hub_download(address.name, name, revision=address.revision, local_dir=folder))
    except RemoteEntryNotFoundError as error:
        raise DataError(
            f"{address} holds no {name}: it is no run of Lexiseg, or not whole. "
            f"`lexiseg push RUN {command_word(address)}` makes such a repository.",
            code="LEX-DATA-1055",
        ) from error
    except LocalEntryNotFoundError as error:  # the hub did not say what it holds
        raise UsageError(
            f"{address} cannot be reached: {constants.ENDPOINT} gives no answer that can be used "
            f"({_said(error.__cause__ or error)}). Check the network and HF_ENDPOINT, and run the "
            "command again.",
            code="LEX-USE-1824",
        ) from error
    except (HfHubHTTPError, OSError, ValueError) as error:
        found = disk_error(folder, error) if isinstance(error, OSError) else error
        raise (_refusal(address, error, sending=False) if found is error else found) from error


def _demand_hub(address: Address) -> None:
    if not hub_is_reachable():
        raise UsageError(
            f"{address} cannot be reached: {why_offline()}. `lexiseg pack` and `lexiseg unpack` need no "
            f"network.",
            code="LEX-USE-1052",
        )


def _refusal(address: Address, error: Exception, *, sending: bool) -> UsageError:
    """Return the error for what the hub refuses, in one sentence with what to do."""
    if isinstance(error, RevisionNotFoundError):
        said = f"it has no branch, tag or commit {address.revision!r}"
    elif isinstance(error, GatedRepoError):
        said = f"its owner must give you access first: see {constants.ENDPOINT}/{address.name}"
    elif isinstance(error, RepositoryNotFoundError):
        said = (
            "there is no such repository, or your token may not see it. Check the name, and log in with `hf "
            "auth login`"
        )
    else:
        said = _said(error)
    doing = "Sending to" if sending else "Fetching from"
    return UsageError(f"{doing} {address} failed: {said}.", code="LEX-USE-1053")


def _said(error: BaseException) -> str:
    """Return what the hub said on one line: its first line is often a heading, and the reason comes after."""
    lines = (line.strip().removeprefix("- ").rstrip(".") for line in str(error).splitlines())
    text = ". ".join(line for line in lines if line) or type(error).__name__
    return text if len(text) <= _LONGEST_ANSWER else text[:_LONGEST_ANSWER] + "..."


def _card(contents: Contents, address: Address) -> str:
    """Return the card of a repository: what the hub reads, how the run is used, and its model card."""
    head: dict[str, object] = {
        "library_name": "lexiseg",
        "pipeline_tag": "image-segmentation",
        "tags": ["lexiseg", "medical", "research"],
    }
    license = contents.record.licences.model
    if license is not None:
        head["license"] = license.lower()  # the hub knows the identifiers in lower case only
    return (
        f"---\n{yaml.safe_dump(head, sort_keys=False)}---\n\n{model_card(contents).rstrip()}\n\n## Use\n\n"
        "Research software, not a medical device: not for clinical use.\n\n"
        "With Lexiseg and its extra `share`:\n\n```bash\n"
        f"lexiseg pull hf://{address.name} --out RUN\nlexiseg predict RUN image.png --out predictions\n```\n"
    )
