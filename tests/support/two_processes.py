"""Runs a function of a test module in two processes of one group.

``python -m support.two_processes MODULE FUNCTION ARGUMENT...``; the second process is a fork of the
first, so that what is slow to import is imported once.
"""

import faulthandler
import importlib.util
import os
import socket
import subprocess
import sys
import traceback
from pathlib import Path


def run_in_two(module: str, function: str, *arguments: object) -> None:
    """Run ``function`` of the file ``module`` with arguments, as strings, in both processes."""
    tests = Path(__file__).resolve().parents[1]
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    environment = {
        **os.environ,
        "PYTHONPATH": os.pathsep.join([str(tests), str(tests.parent)]),
        "OMP_NUM_THREADS": "1",
        "MASTER_ADDR": "127.0.0.1",
        "MASTER_PORT": str(port),
        "WORLD_SIZE": "2",
    }
    command = [sys.executable, "-m", "support.two_processes", module, function]
    done = subprocess.run(
        [*command, *map(str, arguments)],
        capture_output=True,
        text=True,
        check=False,
        env=environment,
        timeout=120,
    )
    assert done.returncode == 0, done.stdout + done.stderr


def next_group() -> None:
    """Meet at another port from now on, since the last group leaves its names at its own."""
    os.environ["MASTER_PORT"] = str(int(os.environ["MASTER_PORT"]) + 1)


def main() -> int:
    file, function, *arguments = sys.argv[1:]
    spec = importlib.util.spec_from_file_location(Path(file).stem, file)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    child = os.fork()
    faulthandler.dump_traceback_later(90)
    os.environ["RANK"] = os.environ["LOCAL_RANK"] = "0" if child else "1"
    code = 0
    try:
        getattr(module, function)(*arguments)
    except BaseException:
        traceback.print_exc()
        code = 1
    sys.stdout.flush()
    sys.stderr.flush()
    if not child:
        os._exit(code)
    return code or os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


if __name__ == "__main__":
    os._exit(main())
