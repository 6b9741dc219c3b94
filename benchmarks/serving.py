"""Measure a server on this machine: throughput, processor time, times of answers, overload, and memory.

    python benchmarks/serving.py [RUN] [--seconds 30] [--hour]

It starts `lexiseg serve` on a free port and sends PNG files of 224 x 224 pixels from a process of its own.
With --hour, 80 % of the measured throughput go on for an hour.
"""

from __future__ import annotations

import argparse
import asyncio
import io
import os
import re
import subprocess
import sys
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from machine import describe_machine
from PIL import Image
from scipy.ndimage import gaussian_filter

import lexiseg

_CLIENTS = 16
_BOUNDARY = "benchmark"
_HOUR = 3600


@dataclass
class Answers:
    """What came back.

    Attributes:
        seconds: Time of each answer with status 200.
        statuses: Number of answers by status; 0 for a connection that broke.
    """

    seconds: list[float] = field(default_factory=list)
    statuses: Counter[int] = field(default_factory=Counter)

    def p95(self) -> float:
        """Return the time in milliseconds within which 95 % of the answers came."""
        return 1000 * float(np.percentile(self.seconds, 95)) if self.seconds else float("nan")


class Connection:
    """One connection that is used again and again."""

    def __init__(self, port: int, message: bytes) -> None:
        self._port, self._message = port, message
        self._streams: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None

    async def send(self, answers: Answers) -> None:
        """Send the request once and note its answer."""
        started = time.perf_counter()
        try:
            # The server closes a connection that was not used for some seconds; that is no broken request.
            if self._streams is not None and self._streams[0].at_eof():
                self.close()
            if self._streams is None:
                self._streams = await asyncio.open_connection("127.0.0.1", self._port)
            reader, writer = self._streams
            writer.write(self._message)
            await writer.drain()
            head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").lower()
            length = re.search(r"content-length: (\d+)", head)
            await reader.readexactly(int(length[1]) if length else 0)
        except (OSError, asyncio.IncompleteReadError):
            self.close()
            answers.statuses[0] += 1
            return
        status = int(head.split(" ", 2)[1])
        answers.statuses[status] += 1
        if status == 200:
            answers.seconds.append(time.perf_counter() - started)
        if "connection: close" in head:
            self.close()

    def close(self) -> None:
        """Close the connection."""
        if self._streams is not None:
            self._streams[1].close()
        self._streams = None


async def as_fast_as_possible(port: int, message: bytes, *, clients: int, seconds: float) -> Answers:
    """Let clients send one request after the other."""
    answers, until = Answers(), time.perf_counter() + seconds

    async def one() -> None:
        connection = Connection(port, message)
        while time.perf_counter() < until:
            await connection.send(answers)
        connection.close()

    await asyncio.gather(*(one() for _ in range(clients)))
    return answers


async def at_rate(port: int, message: bytes, *, rate: float, seconds: float) -> Answers:
    """Send requests at a steady rate, whether or not earlier ones have been answered."""
    answers, free, tasks = Answers(), list[Connection](), set[asyncio.Task[None]]()

    async def one() -> None:
        connection = free.pop() if free else Connection(port, message)
        await connection.send(answers)
        free.append(connection)

    started = time.perf_counter()
    for number in range(int(rate * seconds)):
        await asyncio.sleep(max(0.0, started + number / rate - time.perf_counter()))
        task = asyncio.create_task(one())
        tasks.add(task)
        task.add_done_callback(tasks.discard)
    await asyncio.gather(*tasks)
    for connection in free:
        connection.close()
    return answers


def picture() -> bytes:
    """Return a PNG file of 224 x 224 pixels."""
    noise = gaussian_filter(np.random.default_rng(0).normal(size=(224, 224)), 8)
    pixels = np.clip(128 + 900 * noise, 0, 255).astype(np.uint8)
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, format="PNG")
    return buffer.getvalue()


def request(port: int, content: bytes) -> bytes:
    """Return a whole HTTP request that predicts an image."""
    part = f'--{_BOUNDARY}\r\nContent-Disposition: form-data; name="image"; filename="a.png"\r\n\r\n'
    body = part.encode() + content + f"\r\n--{_BOUNDARY}--\r\n".encode()
    head = (
        f"POST /v1/predict HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nContent-Length: {len(body)}\r\n"
        f"Content-Type: multipart/form-data; boundary={_BOUNDARY}\r\n\r\n"
    )
    return head.encode() + body


def engine_speed(run: Path, content: bytes, seconds: float) -> tuple[float, float]:
    """Return images per second of prediction in batches, and CPU milliseconds per image."""
    predictor = lexiseg.load(run)
    batch = [np.asarray(Image.open(io.BytesIO(content)).convert("RGB"))] * predictor.options.batch_size
    predictor.predict_arrays(batch)
    count, started, used = 0, time.perf_counter(), time.process_time()
    while time.perf_counter() - started < seconds:
        predictor.predict_arrays(batch)
        count += len(batch)
    return count / (time.perf_counter() - started), 1000 * (time.process_time() - used) / count


def usage(process: int) -> tuple[float, float]:
    """Return the memory in MB and the CPU seconds of a process and its children; Linux only."""
    pages = ticks = 0
    for entry in Path("/proc").iterdir():
        if entry.name.isdecimal():
            try:
                fields = (entry / "stat").read_text().rpartition(")")[2].split()
                if process in (int(entry.name), int(fields[1])):
                    ticks += int(fields[11]) + int(fields[12])
                    pages += int((entry / "statm").read_text().split()[1])
            except OSError:
                continue  # it has just ended
    return pages * os.sysconf("SC_PAGE_SIZE") / 1e6, ticks / os.sysconf("SC_CLK_TCK")


def memory_mb(process: int) -> float:
    """Return the resident memory of a process and its children."""
    return usage(process)[0]


async def recovery_seconds(port: int, message: bytes, *, within: float) -> float:
    """Return the time after which a single request is answered with 200 and as quickly as before."""
    started = time.perf_counter()
    while True:
        answers = Answers()
        connection = Connection(port, message)
        await connection.send(answers)
        connection.close()
        if answers.seconds and answers.seconds[0] <= within:
            return time.perf_counter() - started
        await asyncio.sleep(0.02)


async def measure(port: int, process: int, engine: tuple[float, float], options: argparse.Namespace) -> None:
    """Send all loads, and print a row for each; see `engine_speed` for `engine`."""
    speed, milliseconds = engine
    message, seconds = request(port, picture()), options.seconds
    await as_fast_as_possible(port, message, clients=2, seconds=1)
    used = usage(process)[1]
    full = await as_fast_as_possible(port, message, clients=_CLIENTS, seconds=seconds)
    used = 1000 * (usage(process)[1] - used) / len(full.seconds)
    rate = len(full.seconds) / seconds
    row(f"throughput, {_CLIENTS} clients", f"{rate:.1f} images/s, {100 * rate / speed:.0f} % of the engine")
    row("CPU per request outside the engine", f"{used - milliseconds:.1f} ms ({used:.1f} ms with it)")
    half = await at_rate(port, message, rate=rate / 2, seconds=seconds)
    row("p95 at half load", f"{half.p95():.0f} ms")
    single = await as_fast_as_possible(port, message, clients=1, seconds=seconds)
    row("p95 of single requests", f"{single.p95():.0f} ms")
    before = memory_mb(process)
    over = await at_rate(port, message, rate=4 * rate, seconds=seconds)
    after = memory_mb(process)
    back = await recovery_seconds(port, message, within=2 * single.p95() / 1000)
    row("overload x4", f"{dict(over.statuses)}; memory {before:.0f} -> {after:.0f} MB; back in {back:.2f} s")
    if options.hour:
        start = memory_mb(process)
        hour = await at_rate(port, message, rate=0.8 * rate, seconds=_HOUR)
        end = memory_mb(process)
        change = 100 * (end / start - 1)
        row("1 hour at 80 %", f"{dict(hour.statuses)}; p95 {hour.p95():.0f} ms; memory {change:+.1f} %")


def row(name: str, value: str) -> None:
    """Print one row of the table."""
    print(f"| {name} | {value} |", flush=True)


def main() -> None:
    """Parse the arguments, start the server, measure."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("run", nargs="?", default="covid-xray")
    parser.add_argument("--seconds", type=float, default=30.0)
    parser.add_argument("--hour", action="store_true")
    options = parser.parse_args()
    print(describe_machine(), flush=True)
    engine = engine_speed(options.run, picture(), options.seconds)
    row("the engine alone, in batches", f"{engine[0]:.1f} images/s, {engine[1]:.1f} ms CPU per image")
    command = [sys.executable, "-m", "lexiseg", "serve", options.run, "--port", "0"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as server:
        try:
            assert server.stdout is not None
            line = server.stdout.readline()
            found = re.search(r":(\d+) \(Ctrl-C", line)
            if found is None:
                sys.exit(f"The server did not start: {line}")
            asyncio.run(measure(int(found[1]), server.pid, engine, options))
        finally:
            server.terminate()


if __name__ == "__main__":
    main()
