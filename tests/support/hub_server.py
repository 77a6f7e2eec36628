"""A server that speaks what mmad needs of the Hugging Face Hub, on this machine."""

import base64
import hashlib
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

COMMIT = "0123456789abcdef0123456789abcdef01234567"


@dataclass
class Hub:
    """Repositories, each a table of files.

    Attributes:
        repositories: Files of each repository by its id.
        private: Ids of those that need a token.
        gated: Ids of those whose authors ask for consent.
        damaged: Names of files that arrive with other bytes than stated.
        tokens: Tokens that may write, and read what is private.
        requests: Method and path of each request.
        made_private: Ids of repositories that were made private.
    """

    repositories: dict[str, dict[str, bytes]] = field(default_factory=dict)
    private: set[str] = field(default_factory=set)
    gated: set[str] = field(default_factory=set)
    damaged: set[str] = field(default_factory=set)
    tokens: set[str] = field(default_factory=lambda: {"a-token"})
    requests: list[str] = field(default_factory=list)
    made_private: set[str] = field(default_factory=set)

    def add(self, name: str, folder: Path) -> None:
        """Add a repository with the files of a folder."""
        self.repositories[name] = {
            path.relative_to(folder).as_posix(): path.read_bytes()
            for path in folder.rglob("*")
            if path.is_file()
        }


@contextmanager
def served(monkeypatch: pytest.MonkeyPatch, cache: Path) -> Iterator[Hub]:
    """A hub that huggingface_hub talks to while the block runs, with a cache of its own."""
    from huggingface_hub import constants

    hub = Hub()
    server = ThreadingHTTPServer(("127.0.0.1", 0), _handler_for(hub))
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    use(monkeypatch, f"http://127.0.0.1:{server.server_address[1]}", cache)
    monkeypatch.setattr(constants, "HF_HUB_DISABLE_XET", True)
    try:
        yield hub
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def use(monkeypatch: pytest.MonkeyPatch, endpoint: str, cache: Path) -> None:
    """Let huggingface_hub talk to another address, as HF_ENDPOINT and HF_HOME do when it is
    imported.
    """
    from huggingface_hub import constants

    template = f"{endpoint}/{{repo_id}}/resolve/{{revision}}/{{filename}}"
    monkeypatch.setattr(constants, "ENDPOINT", endpoint)
    monkeypatch.setattr(constants, "HUGGINGFACE_CO_URL_TEMPLATE", template)
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(cache))
    monkeypatch.setattr(constants, "HF_TOKEN_PATH", str(cache / "token"))
    monkeypatch.setattr(constants, "HF_STORED_TOKENS_PATH", str(cache / "stored_tokens"))
    monkeypatch.delenv("HF_TOKEN", raising=False)


def _handler_for(hub: Hub) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            self.read()

        def do_HEAD(self) -> None:
            self.read()

        def read(self) -> None:
            hub.requests.append(f"{self.command} {self.path}")
            words = self.path.split("?")[0].strip("/").split("/")
            if words[:2] == ["api", "models"]:
                self.describe("/".join(words[2:4]), words[4:])
            else:
                self.send_file("/".join(words[:2]), words[3], "/".join(words[4:]))

        def describe(self, name: str, rest: list[str]) -> None:
            if not self.may_read(name, rest[1] if len(rest) > 1 else "main"):
                return
            files = hub.repositories[name]
            if rest[:1] == ["tree"]:
                self.answer_json(
                    [
                        {"type": "file", "path": path, "size": len(body), "oid": "0" * 40}
                        for path, body in files.items()
                    ]
                )
            else:
                siblings = [{"rfilename": path} for path in files]
                self.answer_json({"id": name, "sha": COMMIT, "siblings": siblings})

        def send_file(self, name: str, revision: str, path: str) -> None:
            if not self.may_read(name, revision):
                return
            body = hub.repositories[name].get(path)
            if body is None:
                self.refuse(404, "EntryNotFound")
                return
            headers = {"X-Repo-Commit": COMMIT, "ETag": f'"{hashlib.sha1(body).hexdigest()}"'}
            if path.endswith((".safetensors", ".bin", ".pth", ".pt")):
                headers["X-Linked-ETag"] = f'"{hashlib.sha256(body).hexdigest()}"'
                headers["X-Linked-Size"] = str(len(body))
            if path in hub.damaged:
                body = body[:-1] + bytes([body[-1] ^ 1])
            self.answer(body, headers)

        def may_read(self, name: str, revision: str) -> bool:
            token = self.headers.get("Authorization", "").removeprefix("Bearer ")
            is_known = name in hub.repositories
            if not is_known or (name in hub.private and token not in hub.tokens):
                self.refuse(404 if is_known else 401, "RepoNotFound")
            elif name in hub.gated:
                self.refuse(403, "GatedRepo")
            elif revision not in ("main", COMMIT, "v1"):
                self.refuse(404, "RevisionNotFound")
            else:
                return True
            return False

        def do_POST(self) -> None:
            hub.requests.append(f"{self.command} {self.path}")
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            token = self.headers.get("Authorization", "").removeprefix("Bearer ")
            if token not in hub.tokens:
                self.refuse(401, "")
            elif self.path == "/api/repos/create":
                wanted = json.loads(body)
                name = f"{wanted['organization']}/{wanted['name']}"
                hub.repositories.setdefault(name, {})
                if wanted.get("private") or wanted.get("visibility") == "private":
                    hub.made_private.add(name)
                self.answer_json({"url": f"http://{self.headers['Host']}/{name}", "id": name})
            elif "/preupload/" in self.path:
                files = [
                    {"path": one["path"], "uploadMode": "regular", "shouldIgnore": False}
                    for one in json.loads(body)["files"]
                ]
                self.answer_json({"files": files})
            elif "/commit/" in self.path:
                name = "/".join(self.path.strip("/").split("/")[2:4])
                for line in body.splitlines():
                    content = json.loads(line)
                    if content["key"] == "file":
                        one = content["value"]
                        hub.repositories[name][one["path"]] = base64.b64decode(one["content"])
                address = f"http://{self.headers['Host']}/{name}/commit/{COMMIT}"
                self.answer_json({"commitUrl": address, "commitOid": COMMIT, "success": True})
            else:  # what a real hub says of the metadata of a card
                self.answer_json({"errors": [], "warnings": []})

        def answer_json(self, content: object) -> None:
            self.answer(json.dumps(content).encode(), {"Content-Type": "application/json"})

        def refuse(self, status: int, code: str) -> None:
            self.answer(b"", {"X-Error-Code": code}, status=status)

        def answer(self, body: bytes, headers: dict[str, str], *, status: int = 200) -> None:
            self.send_response(status)
            for name, value in {"Content-Length": str(len(body)), **headers}.items():
                self.send_header(name, value)
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            pass

    return Handler
