"""Many requests against a real server: those of its description, and changed uploads of every kind.

    python tests/fuzz/server_campaign.py --cases 10000 --uploads 10000

It prints how many answers there were of each status, and ends with 1 if one was a defect (a status from 500
up), took longer than allowed, or if the server died.
"""

from __future__ import annotations

import argparse
import io
import subprocess
import sys
import tempfile
import time
import zipfile
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

import httpx2
import numpy as np
import SimpleITK
from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st
from PIL import Image

sys.path.insert(0, str(Path(__file__).parents[1]))
sys.path.insert(0, str(Path(__file__).parents[1] / "integration"))

from mutations import BYTES, TOKENS, Change, apply, changes

from dicom_files import dicom_dataset
from pictures import soft_picture
from server_process import served
from volume_files import body, ct_series, nifti

#: What every answer must keep to, by the names of schemathesis.
CHECKS = "not_a_server_error,status_code_conformance,content_type_conformance,response_schema_conformance"

# Seconds after which an answer counts as one of a server that hangs; a busy machine is no bug.
_SLOW = 60.0
_BOUNDARY = "b0undary"


@dataclass
class Uploads:
    """What became of changed uploads.

    Attributes:
        answers: Number of answers by status and code.
        faults: What went wrong, with the input that shows it.
    """

    answers: Counter[str] = field(default_factory=Counter)
    faults: list[str] = field(default_factory=list)


def images() -> dict[str, bytes]:
    """Return a small image of each kind that the server reads, and volumes and zip files, by file name."""
    grey = soft_picture(0, 40, 48)
    found = {}
    for kind in ("PNG", "JPEG", "TIFF", "BMP", "WEBP"):
        buffer = io.BytesIO()
        Image.fromarray(np.dstack([grey] * 3)).save(buffer, format=kind)
        found[f"a.{kind.lower()}"] = buffer.getvalue()
    for kind, pixels in (("PNG", grey.astype(np.uint16) * 257), ("TIFF", grey.astype(np.float32))):
        buffer = io.BytesIO()
        Image.fromarray(pixels).save(buffer, format=kind)
        found[f"deep.{kind.lower()}"] = buffer.getvalue()
    buffer = io.BytesIO()
    dicom_dataset(grey, PatientOrientation=["L", "F"], PixelSpacing=[1, 1]).save_as(
        buffer, enforce_file_format=True
    )
    found["a.dcm"] = buffer.getvalue()
    return found | volumes()


def volumes() -> dict[str, bytes]:
    """Return a small volume of each kind that jobs take, by file name."""
    found = {}
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        scan = nifti(folder / "a.nii", body(), np.diag([0.5, 0.75, 2.0, 1.0]))
        for name in ("a.nii.gz", "a.mha", "a.nrrd"):
            SimpleITK.WriteImage(SimpleITK.ReadImage(str(scan)), str(folder / name))
            found[name] = (folder / name).read_bytes()
        buffer = io.BytesIO()
        with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
            for file in ct_series(folder / "ct")[:3]:
                archive.write(file, f"ct/{file.name}")
            archive.write(scan, "a.nii")
        found["a.zip"] = buffer.getvalue()
    return found


def send_changed_uploads(address: str, count: int, *, start: int = 0) -> Uploads:
    """Send images and whole bodies that were changed at random.

    Args:
        address: Address of the server.
        count: Number of requests.
        start: Seed of the changes.
    """
    found = Uploads()
    originals = images()
    texts = st.sampled_from([token.decode("utf-8", "replace") for token in TOKENS])
    with httpx2.Client(base_url=address, timeout=2 * _SLOW, trust_env=False) as http:

        @seed(start)
        @settings(
            max_examples=count,
            database=None,
            deadline=None,
            phases=[Phase.generate],
            suppress_health_check=list(HealthCheck),
        )
        @given(
            st.sampled_from(sorted(originals)),
            changes(BYTES),
            st.booleans(),
            st.sampled_from(("/v1/predict", "/v1/refine", "/v1/jobs")),
            st.one_of(st.just("left: lower left lung"), texts),
            st.sampled_from(
                ({}, {"formats": "mask,seg"}, {"axis": "i", "window": "40,400"}, {"single_slices": "true"})
            ),
        )
        def draw(
            kind: str, chosen: list[Change], whole: bool, route: str, said: str, job: dict[str, str]
        ) -> None:
            content = originals[kind] if whole else apply(originals[kind], chosen)
            fields = {"/v1/refine": {"say": said, "formats": "seg,sr"}, "/v1/jobs": job}.get(route, {})
            body = _body(kind, content, fields)
            if whole:
                body = apply(body, chosen)
            _send(http, route, body, f"{kind}, seed {start}", found)

        draw()
    return found


def _body(name: str, content: bytes, fields: dict[str, str]) -> bytes:
    head = f'--{_BOUNDARY}\r\nContent-Disposition: form-data; name="image"; filename="{name}"\r\n\r\n'
    parts = [head.encode() + content]
    parts += [
        f'--{_BOUNDARY}\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n{value}'.encode(
            "utf-8", "replace"
        )
        for name, value in fields.items()
    ]
    return b"\r\n".join(parts) + f"\r\n--{_BOUNDARY}--\r\n".encode()


def _send(http: httpx2.Client, route: str, body: bytes, about: str, found: Uploads) -> None:
    started = time.monotonic()
    headers = {"Content-Type": f"multipart/form-data; boundary={_BOUNDARY}"}
    try:
        answer = http.post(route, content=body, headers=headers)
    except httpx2.HTTPError as error:
        found.faults.append(f"{route}, {about}: {type(error).__name__} {error}: {body[:2000]!r}")
        return
    seconds = time.monotonic() - started
    # Jobs of changed images fill the list; that they are refused then is right.
    found.answers[f"{route} {answer.status_code}"] += 1
    if answer.status_code >= 500 or seconds > _SLOW:
        found.faults.append(
            f"{route}, {about}: {answer.status_code} after {seconds:.1f} s: {answer.text[:300]}: "
            f"{body[:2000]!r}"
        )


def run_described_cases(address: str, count: int, *, start: int = 0) -> subprocess.CompletedProcess[str]:
    """Run schemathesis on the description of the server, and return its process.

    Args:
        address: Address of the server.
        count: Number of cases, roughly: so many for each operation that together there are as many.
        start: Seed of the cases.
    """
    operations = 13
    return subprocess.run(
        [
            Path(sys.executable).with_name("schemathesis"), "run", f"{address}/openapi.json",
            "--checks", CHECKS, "--max-examples", str(max(1, count // operations)), "--seed", str(start + 1),
            "--phases", "examples,coverage,fuzzing", "--request-timeout", str(_SLOW), "--no-color",
            "--continue-on-failure", "--generation-database", "none",
        ],
        capture_output=True,
        text=True,
    )  # fmt: skip


def has_defects(log: Path) -> bool:
    """Return whether the log of a server names a defect, of a job for example; print its lines."""
    lines = [line for line in log.read_text().splitlines() if "defect" in line]
    print("\n".join(lines[:20]))
    return bool(lines)


def main() -> int:
    """Run both, print what came, and return the exit code."""
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--cases", type=int, default=10_000)
    options.add_argument("--uploads", type=int, default=10_000)
    options.add_argument("--seed", type=int, default=0)
    chosen = options.parse_args()
    failed = False
    with served("covid-xray") as server:
        if chosen.uploads:
            found = send_changed_uploads(server.address, chosen.uploads, start=chosen.seed)
            for answer, number in sorted(found.answers.items()):
                print(f"{answer}: {number}")
            print("\n".join(found.faults))
            failed |= bool(found.faults)
        if chosen.cases:
            done = run_described_cases(server.address, chosen.cases, start=chosen.seed)
            print(done.stdout[-5000:])
            failed |= done.returncode != 0
        failed |= has_defects(server.log)
        failed |= server.end() != 0
    print("faults were found" if failed else "no fault")
    return int(failed)


if __name__ == "__main__":
    sys.exit(main())
