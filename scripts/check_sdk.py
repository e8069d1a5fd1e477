#!/usr/bin/env python3
"""Builds the client's wheel, installs it into a fresh environment, and uses it from there: a yes, a no, no answer."""

import json
import subprocess
import sys
import tempfile
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
UV = Path(sys.executable).parent / "uv"

USE = """
import sys
from importlib.resources import files
import antibody_guard
from antibody_guard import Denied, Guard, Unavailable

assert "site-packages" in antibody_guard.__file__, antibody_guard.__file__
assert files("antibody_guard").joinpath("py.typed").is_file()
with Guard(sys.argv[1], "a-token", agent_id="scout", spool=sys.argv[2]) as guard:
    @guard.tool
    def pay(amount):
        return amount
    assert pay(5) == 5
    try:
        pay(500)
    except Denied as no:
        assert no.reason == "Too much."
    else:
        raise AssertionError("a denial let it through")
with Guard("http://127.0.0.1:9", "a-token", agent_id="scout", deadline_s=0.2) as guard:
    try:
        guard.check("pay", {})
    except Unavailable:
        print("The wheel of", antibody_guard.__name__, "works on Python", sys.version.split()[0])
"""


class Server(BaseHTTPRequestHandler):
    """Allows what is below 100."""

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        is_large = body.get("action", {}).get("arguments", {}).get("amount", 0) > 100
        said = {
            "decision_id": "dec_1",
            "verdict": "block" if is_large else "allow",
            "reason": "Too much.",
        }
        content = json.dumps(said).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, format: str, *args: object) -> None:
        pass


def main() -> int:
    server = HTTPServer(("127.0.0.1", 0), Server)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder)
        run(UV, "build", "--quiet", "--wheel", ROOT / "sdk", "--out-dir", place)
        (wheel,) = place.glob("*.whl")
        run(UV, "venv", "--quiet", "--python", sys.executable, place / "fresh")
        python = place / "fresh" / "bin" / "python"
        # What httpx needs, in the versions that are locked.
        run(UV, "pip", "install", "--quiet", "--python", python, "--constraint",
            ROOT / "requirements" / "run.txt", wheel)  # fmt: skip
        address = f"http://127.0.0.1:{server.server_port}"
        run(python, "-I", "-W", "error", "-c", USE, address, place / "spool", cwd=place)
    server.shutdown()
    server.server_close()
    return 0


def run(*command: object, cwd: Path = ROOT) -> None:
    subprocess.run([str(each) for each in command], cwd=cwd, check=True)


if __name__ == "__main__":
    sys.exit(main())
