"""Servers of files on this machine, for tests: HTTP with byte ranges that counts what it sends, and what can be wrong with one."""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import socket
import subprocess
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

LOCAL = "127.0.0.1"


@dataclass
class Served:
    """A server that runs.

    Args:
        url: Where its files lie.
        sent: Bytes of files that it sent.
        requests: Requests that it answered with bytes of a file.
        fail_next: How many requests it will answer by 503.
        etags: Whether it states ETags and times of change.
    """

    url: str = ""
    sent: int = 0
    requests: int = 0
    fail_next: int = 0
    etags: bool = True
    paths: list[str] = field(default_factory=list)


class _Handler(SimpleHTTPRequestHandler):
    served: Served
    ranges = True
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        path = Path(self.translate_path(self.path))
        if self.served.fail_next > 0:
            self.served.fail_next -= 1
            self._answer(503)
        elif path.is_dir():
            super().do_GET()
        elif not path.is_file():
            self._answer(404)
        else:
            self._file(path)

    def _answer(self, status: int, **headers: str) -> None:
        self.send_response(status)
        for name, value in ({"Content-Length": "0"} | headers).items():
            self.send_header(name.replace("_", "-"), value)
        self.end_headers()

    def _file(self, path: Path) -> None:
        size, asked = path.stat().st_size, re.fullmatch(r"bytes=(\d+)-(\d+)", self.headers.get("Range", ""))
        headers = {"ETag": f'"{path.stat().st_mtime_ns}-{size}"'} if self.served.etags else {}
        first, last = (int(asked[1]), min(int(asked[2]), size - 1)) if asked and self.ranges else (0, size - 1)
        if asked and self.ranges and first >= size:
            self._answer(416, Content_Range=f"bytes */{size}", **headers)
            return
        status = 206 if asked and self.ranges else 200
        if status == 206:
            headers["Content-Range"] = f"bytes {first}-{last}/{size}"
        with path.open("rb") as file:
            file.seek(first)
            content = file.read(last - first + 1)
        self.served.requests += 1  # before the client can go on
        self.served.sent += len(content)
        self.served.paths.append(path.name)
        self._answer(status, **{"Content-Length": str(len(content)), **headers})
        with contextlib.suppress(ConnectionError):
            self.wfile.write(content)

    def log_message(self, *args: Any) -> None:
        """Be silent."""


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128  # a client asks for many ranges at once; beyond the usual 5 it would wait for a minute

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Be silent about clients that hang up."""


@contextlib.contextmanager
def http_server(folder: Path, *, ranges: bool = True, etags: bool = True) -> Iterator[Served]:
    """Serve a folder by HTTP on a free port of this machine."""
    served = Served(etags=etags)
    handler = type("Handler", (_Handler,), {"served": served, "ranges": ranges})
    server = _Server((LOCAL, 0), lambda *a: handler(*a, directory=str(folder)))
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
    thread.start()
    served.url = f"http://{LOCAL}:{server.server_address[1]}"
    try:
        yield served
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def free_port() -> int:
    """Return a port on which nobody listens."""
    with socket.socket() as probe:
        probe.bind((LOCAL, 0))
        return int(probe.getsockname()[1])


@contextlib.contextmanager
def xrootd_server(files: Sequence[Path]) -> Iterator[str]:
    """Serve copies of files by XRootD on a free port of this machine; yields the URL of their folder."""
    program, port = shutil.which("xrootd"), free_port()
    assert program is not None
    with tempfile.TemporaryDirectory(prefix="xrd", dir="/tmp") as name:  # its sockets need a short path, which its user may enter
        work, data = Path(name), Path(name) / "data"
        data.mkdir()
        for file in files:
            shutil.copy(file, data)
        config = work / "xrootd.cfg"
        config.write_text(f"xrd.port {port}\nall.export {data} r/o\nall.adminpath {work}\nall.pidpath {work}\n")
        user = []
        if os.geteuid() == 0:  # it refuses to run as root
            user = ["-R", "daemon"]
            for path in (work, data, *data.iterdir()):
                shutil.chown(path, "daemon")
        command = [program, "-c", str(config), "-l", str(work / "log"), *user]
        with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as server:
            try:
                _wait_for(port, server)
                yield f"root://{LOCAL}:{port}/{data}"
            finally:
                server.terminate()
                try:
                    server.wait(5)
                except subprocess.TimeoutExpired:
                    server.kill()


def _wait_for(port: int, server: subprocess.Popen[bytes]) -> None:
    for _ in range(100):
        with contextlib.suppress(OSError), socket.create_connection((LOCAL, port), timeout=1):
            return
        if server.poll() is not None:
            break
        time.sleep(0.1)
    msg = "the XRootD server does not start"
    raise RuntimeError(msg)
