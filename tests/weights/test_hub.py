"""Weights by hub id: fetched from a server of the hub's kind, and then without one."""

import hashlib
import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from mmad.weights.export import write_hugging_face
from support.backbones import perturbed_backbone

pytestmark = pytest.mark.slow

COMMIT = "0123456789abcdef0123456789abcdef01234567"


def handler_for(folder: Path) -> type[BaseHTTPRequestHandler]:
    files = {path.name: path.read_bytes() for path in folder.iterdir()}

    class Handler(BaseHTTPRequestHandler):
        def answer(self, body: bytes, *, headers: dict[str, str], with_body: bool) -> None:
            self.send_response(200)
            for name, value in {"Content-Length": str(len(body)), **headers}.items():
                self.send_header(name, value)
            self.end_headers()
            if with_body:
                self.wfile.write(body)

        def respond(self, *, with_body: bool) -> None:
            path = self.path.split("?")[0]
            name = path.rsplit("/", 1)[-1]
            if path.startswith("/api/models/lab/videomae-tiny"):
                siblings = [{"rfilename": name} for name in files]
                tree = [
                    {"type": "file", "path": name, "size": len(body), "oid": "0" * 40}
                    for name, body in files.items()
                ]
                info = {"id": "lab/videomae-tiny", "sha": COMMIT, "siblings": siblings}
                content = tree if "/tree/" in path else info
                body = json.dumps(content).encode()
                self.answer(body, headers={"Content-Type": "application/json"}, with_body=with_body)
            elif path.startswith("/lab/videomae-tiny/resolve/") and name in files:
                headers = {"ETag": f'"{hashlib.sha1(files[name]).hexdigest()}"'}
                self.answer(
                    files[name], headers={**headers, "X-Repo-Commit": COMMIT}, with_body=with_body
                )
            else:
                self.send_response(404)
                self.send_header("X-Error-Code", "RepoNotFound")
                self.send_header("Content-Length", "0")
                self.end_headers()

        def do_GET(self) -> None:
            self.respond(with_body=True)

        def do_HEAD(self) -> None:
            self.respond(with_body=False)

        def log_message(self, *_: object) -> None:
            pass

    return Handler


@pytest.fixture
def server(tmp_path: Path) -> Iterator[ThreadingHTTPServer]:
    write_hugging_face(tmp_path / "repository", perturbed_backbone(seed=1))
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler_for(tmp_path / "repository"))
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield server
    server.shutdown()


def run(arguments: list[str], *, port: int, home: Path) -> subprocess.CompletedProcess[str]:
    environment = {
        **os.environ,
        "HF_ENDPOINT": f"http://127.0.0.1:{port}",
        "HF_HOME": str(home),
        "HF_HUB_DISABLE_XET": "1",
        "HF_HUB_ETAG_TIMEOUT": "3",
    }
    return subprocess.run(
        [sys.executable, "-m", "mmad", "weights", *arguments],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )


def test_fetched_once_then_offline(server: ThreadingHTTPServer, tmp_path: Path) -> None:
    port, home = server.server_address[1], tmp_path / "home"
    fetched = run(["fetch", "lab/videomae-tiny"], port=port, home=home)
    assert fetched.returncode == 0, fetched.stderr
    assert "VideoMAE in hugging face naming: width 16, 2 blocks" in fetched.stdout
    server.shutdown()
    server.server_close()
    sizes = ["--set", "backbone.size={width: 16, depth: 2, num_heads: 2}"]
    config = ["--config", "configs/dsta_videomae_s.yaml", *sizes]
    inspected = run(["inspect", "lab/videomae-tiny", *config], port=port, home=home)
    assert inspected.returncode == 0, inspected.stderr
    assert "0 missing, 0 unexpected" in inspected.stdout
    absent = run(["fetch", "lab/other"], port=port, home=home)
    assert absent.returncode == 2
    assert "lab/other" in absent.stderr
    assert "Traceback" not in absent.stderr


def test_an_unknown_name_is_said(server: ThreadingHTTPServer, tmp_path: Path) -> None:
    absent = run(["fetch", "lab/other"], port=server.server_address[1], home=tmp_path / "home")
    assert absent.returncode == 2
    assert "mmad: lab/other: cannot be fetched" in absent.stderr
    assert "Traceback" not in absent.stderr
