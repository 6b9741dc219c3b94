"""A closed pipe ends no work, and no character ends it either."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

pytestmark = pytest.mark.skipif(os.name == "nt", reason="Windows has other pipes")

SCRIPT = """
import sys
from lexiseg.cli.terminal.output_streams import ignore_closed_pipes

ignore_closed_pipes()
ignore_closed_pipes()
print("first", flush=True)
sys.stdin.readline()
for number in range(10000):
    print("line", number)
print("error", file=sys.stderr)
sys.stdout.flush()
sys.exit(7)
"""


@pytest.mark.parametrize("unbuffered", ["", "1"])
def test_a_reader_that_ends(unbuffered: str) -> None:
    process = subprocess.Popen(
        [sys.executable, "-c", SCRIPT],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONUNBUFFERED": unbuffered},
    )
    assert process.stdin is not None
    assert process.stdout is not None
    assert process.stderr is not None
    assert process.stdout.readline() == "first\n"
    process.stdout.close()
    process.stdin.write("\n")
    process.stdin.close()
    assert process.stderr.read() == "error\n"
    assert process.wait() == 7


@pytest.mark.parametrize("redirection", [">&-", "2>&-"])
def test_an_output_that_is_closed_from_the_start(redirection: str) -> None:
    code = "from lexiseg.cli.terminal import output_streams as o; o.ignore_closed_pipes(); print('a')"
    done = subprocess.run(["sh", "-c", f'"$0" -c "$1" {redirection}', sys.executable, code], check=False)
    assert done.returncode == 0


def test_characters_that_an_output_cannot_show() -> None:
    code = (
        "from lexiseg.cli.terminal.output_streams import ignore_closed_pipes; ignore_closed_pipes(); "
        r"print('a\xfc\udcff')"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, "PYTHONIOENCODING": "ascii:strict"},
        capture_output=True,
        check=True,
    )
    assert done.stdout == b"a\\xfc\\udcff\n"
