"""Starting and stopping servers, and reading what their processes used."""

import os
import socket
import subprocess
import time
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import psutil

from benchmarks.contestants import Contestant
from benchmarks.load import HOST

ROOT = Path(__file__).parent.parent
START = 60.0
"""Seconds a server has until it listens."""


@dataclass(frozen=True)
class Server:
    """A running contestant."""

    contestant: Contestant
    port: int
    process: psutil.Process
    log: Path

    @contextmanager
    def named(self) -> Iterator[None]:
        """Add to an error which server it comes from, and what that said."""
        try:
            yield
        except Exception as error:
            error.add_note(f"This is {self.contestant.name}. It said:\n{self.said()}")
            raise

    def said(self) -> str:
        """The end of what it wrote on its standard outputs."""
        return self.log.read_text(errors="replace")[-3000:]


@contextmanager
def running(contestants: Iterable[Contestant], folder: Path) -> Iterator[list[Server]]:
    """All contestants, each listening on a port of its own; they are ended afterwards, whatever happens."""
    with ExitStack() as stack:
        servers = [stack.enter_context(_running(contestant, folder)) for contestant in contestants]
        for server in servers:
            _wait(server)
        yield servers


@contextmanager
def _running(contestant: Contestant, folder: Path) -> Iterator[Server]:
    port = _free_port()
    log = folder / f"{contestant.name}.log"
    environment = {**os.environ, **contestant.environment_on(port)}
    with log.open("wb") as output:
        process = subprocess.Popen(  # noqa: S603
            contestant.command, cwd=ROOT, env=environment, stdout=output, stderr=subprocess.STDOUT
        )
    try:
        yield Server(contestant, port, psutil.Process(process.pid), log)
    finally:
        process.terminate()
        try:
            process.wait(15)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        return int(probe.getsockname()[1])


def _wait(server: Server) -> None:
    deadline = time.monotonic() + START
    while time.monotonic() < deadline and server.process.status() != psutil.STATUS_ZOMBIE:
        with suppress(OSError), socket.create_connection((HOST, server.port), timeout=1):
            return
        time.sleep(0.1)
    with server.named():
        raise RuntimeError("it does not listen")


def processor_seconds(process: psutil.Process) -> float:
    """Processor time of a process and of all its descendants, also those that have ended, from /proc/<pid>/stat."""
    total = 0.0
    for member in [process, *process.children(recursive=True)]:
        with suppress(psutil.NoSuchProcess):
            used = member.cpu_times()
            total += used.user + used.system + used.children_user + used.children_system
    return total


def forget_peak(process: psutil.Process) -> None:
    """Let the peak of memory begin anew, where the system can (Linux)."""
    for member in [process, *process.children(recursive=True)]:
        with suppress(OSError):
            Path(f"/proc/{member.pid}/clear_refs").write_text("5")


def peak_megabytes(process: psutil.Process) -> float:
    """The most memory that a process and its children had resident; where the system does not tell, have now."""
    return sum(_peak(member) for member in [process, *process.children(recursive=True)])


def _peak(process: psutil.Process) -> float:
    with suppress(OSError):
        for line in Path(f"/proc/{process.pid}/status").read_text().splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) / 1024
    return process.memory_info().rss / 1024 / 1024
