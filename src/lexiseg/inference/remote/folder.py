"""An output folder at a URL: results are made in a folder of this computer and uploaded at the end."""

from __future__ import annotations

import hashlib
import os
import uuid
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from pydantic import ValidationError

from lexiseg.errors import DataError
from lexiseg.files import TEMPORARY_PREFIX, disk_errors, make_folder, write_text
from lexiseg.inference.formats.file_names import RESULTS_FILE, VOLUMES_FILE
from lexiseg.inference.remote.file_systems import file_system, remote_errors
from lexiseg.json_records import FileRecord, record_text
from lexiseg.structured_text import UnusableTextError, read_json

#: Name of the file that marks an upload that is not finished, here and there.
UPLOAD_FILE = ".lexiseg-upload.json"

#: Name of the file that states, in the folder of this computer, of what the finished results are.
MADE_FILE = ".lexiseg-made.json"

#: Files that are uploaded at the same time.
_UPLOADS = 8

#: File systems on which a file that is being written has its name already, and that rename files. On others,
#: such as s3 and gs, a file is there once it is whole.
_WITH_PARTIAL_FILES = frozenset(
    {"file", "local", "sftp", "ssh", "ftp", "smb", "hdfs", "arrow_hdfs", "webhdfs", "webHDFS"}
)


class UploadRecord(FileRecord):
    """An upload that is not finished.

    Attributes:
        schema_version: Version of this schema.
        id: Tells it from all other uploads.
        command: What is predicted, and how.
    """

    id: str
    command: str


class MadeRecord(FileRecord):
    """Finished results that wait for their upload.

    Attributes:
        schema_version: Version of this schema.
        inputs_sha256: What was predicted, and how (`lexiseg.inference.batches.inputs_digest`).
        failed: Number of images, volumes and outputs that failed.
    """

    inputs_sha256: str
    failed: int


class RemoteFolder:
    """A folder at a URL that a command fills, after `begin`.

    Args:
        url: The folder.
        command: What is predicted, and how; the same command goes on with an upload that was interrupted.
        inner: A folder in `work` that holds the results; empty for `work` itself.

    Attributes:
        url: The folder.
        work: The folder of this computer in which results are made, in the current folder.

    Raises:
        DataError: The folder holds files, an upload of another command was not finished, or the URL cannot be
            reached.
        UsageError: There are no credentials.
        DiskError: There is no space or no permission.
    """

    def __init__(self, url: str, *, command: str, inner: str = "") -> None:
        self.url = url.rstrip("/")
        self.work = Path(f"lexiseg-upload-{hashlib.sha256(self.url.encode()).hexdigest()[:10]}")
        self._made = self.work / inner
        self._system, self._path = file_system(self.url)
        protocol = self._system.protocol
        protocols = {protocol} if isinstance(protocol, str) else {*protocol}
        self._shows_partial_files = not _WITH_PARTIAL_FILES.isdisjoint(protocols)
        self._command = command
        self._is_ours()

    def begin(self) -> None:
        """Mark the folders here and there, so that only the same command goes on with them.

        Nothing is marked before, so that a command that is refused for its images or its run leaves nothing.

        Raises:
            DataError: As of `RemoteFolder`.
            UsageError: There are no credentials.
            DiskError: There is no space or no permission.
        """
        if self._is_ours():
            return
        marker = self.work / UPLOAD_FILE
        make_folder(self.work)
        write_text(marker, record_text(UploadRecord(id=uuid.uuid4().hex, command=self._command)))
        with remote_errors(self.url):
            if self._shows_partial_files:  # and has folders, other than object stores
                self._system.makedirs(self._path, exist_ok=True)
            self._system.pipe_file(f"{self._path}/{UPLOAD_FILE}", marker.read_bytes())

    def _is_ours(self) -> bool:
        """Return whether the same command marked the folders here and there, and was interrupted.

        Raises:
            DataError: Another command did, or the folder there holds files.
        """
        marker = self.work / UPLOAD_FILE
        record = self._record(marker)
        if record is not None and record.command != self._command:
            raise DataError(
                f"{self.work.absolute()} is the folder of another command for {self.url}, whose results were "
                "not uploaded. Run that command again; to give its results up, remove this folder and the "
                "files at the URL.",
                code="LEX-DATA-1293",
            )
        theirs = f"{self._path}/{UPLOAD_FILE}"
        with remote_errors(self.url):
            there = self._system.exists(theirs)
            if there and record is not None and self._system.cat_file(theirs) == marker.read_bytes():
                return True
            occupied = bool(self._system.find(self._path, maxdepth=1, withdirs=True))
        if occupied:
            of_upload = f", those of an upload that is not finished ({UPLOAD_FILE})" if there else ""
            raise DataError(
                f"{self.url} holds files already{of_upload}, and results at a URL replace nothing. Choose "
                "another --out, or remove the files there.",
                code="LEX-DATA-1294",
            )
        return False

    def made(self, inputs_sha256: str) -> MadeRecord | None:
        """Return what is known of finished results that wait for their upload; None where there are none.

        Results of other inputs are not those of this command: its name of a folder or a run stays the same
        when the content changes.

        Args:
            inputs_sha256: What is predicted now, and how.
        """
        try:
            record = MadeRecord.model_validate(read_json(self.work / MADE_FILE))
        except (OSError, UnusableTextError, ValidationError):
            return None
        return record if record.inputs_sha256 == inputs_sha256 else None

    def begin_results(self) -> None:
        """Forget finished results, before others are made.

        Raises:
            DiskError: There is no permission.
        """
        with disk_errors(self.work / MADE_FILE):
            (self.work / MADE_FILE).unlink(missing_ok=True)

    def finish_results(self, record: MadeRecord) -> None:
        """Note that the results are finished, so that only the upload is left.

        Raises:
            DiskError: There is no space or no permission.
        """
        write_text(self.work / MADE_FILE, record_text(record))

    def upload(self) -> int:
        """Upload all results, the lists of them last, and remove the folder of this computer.

        Returns:
            The number of files.

        Raises:
            DataError: The URL cannot be reached; the results stay here, and the same command uploads them.
            UsageError: There are no credentials.
        """
        files = list(self._results())
        lists = [file for file in (VOLUMES_FILE, RESULTS_FILE) if file in files]
        with remote_errors(self.url):
            folders = {f"{self._path}/{file}".rpartition("/")[0] for file in files}
            for folder in sorted(folders):
                self._system.makedirs(folder, exist_ok=True)
        with ThreadPoolExecutor(_UPLOADS, thread_name_prefix="lexiseg-upload") as pool:
            list(pool.map(self._put, (file for file in files if file not in lists)))
        for file in lists:
            self._put(file)
        with remote_errors(self.url):
            self._system.rm_file(f"{self._path}/{UPLOAD_FILE}")
        self._remove_work()
        return len(files)

    def _put(self, file: str) -> None:
        """Upload one file, in parts where it is large; where it can be, a part of it never has its name."""
        name, made = f"{self._path}/{file}", str(self._made / file)
        with remote_errors(self.url):
            if not self._shows_partial_files:
                self._system.put_file(made, name)
                return
            folder, _, last = name.rpartition("/")
            beside = f"{folder}/{TEMPORARY_PREFIX}{hashlib.sha256(os.fsencode(last)).hexdigest()[:10]}"
            self._system.put_file(made, beside)
            if self._system.exists(name):  # of an interrupted upload; some systems replace nothing
                self._system.rm_file(name)
            self._system.mv(beside, name)

    def _results(self) -> Iterator[str]:
        """Yield the files of the work folder that are results, from the folder."""
        for file in sorted(self._made.rglob("*")):
            name = file.relative_to(self._made)
            if file.is_file() and not any(part.startswith(".") for part in name.parts):
                yield name.as_posix()

    def _remove_work(self) -> None:
        # The marker goes first: what is left without it is no upload that waits.
        (self.work / UPLOAD_FILE).unlink(missing_ok=True)
        for path in sorted(self.work.rglob("*"), reverse=True):
            if path.is_dir():
                path.rmdir()
            else:
                path.unlink()
        self.work.rmdir()

    @staticmethod
    def _record(marker: Path) -> UploadRecord | None:
        try:
            return UploadRecord.model_validate(read_json(marker))
        except (OSError, UnusableTextError, ValidationError):
            return None
