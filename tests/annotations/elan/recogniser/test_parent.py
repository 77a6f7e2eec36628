import subprocess
import sys

import pytest

CHILD = """
import sys, time
from mmad.annotations.elan.recogniser.parent import end_with_parent
end_with_parent()
print("ready", flush=True)
time.sleep(60)
"""
PARENT = """
import subprocess, sys
child = subprocess.Popen([sys.executable, "-c", sys.argv[1]], stdout=subprocess.PIPE, text=True)
print(child.stdout.readline().strip(), child.pid, flush=True)
sys.stdin.read()
"""


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="signals")
def test_a_process_ends_with_the_one_that_started_it() -> None:
    parent = subprocess.Popen(
        [sys.executable, "-c", PARENT, CHILD],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert parent.stdin is not None
    assert parent.stdout is not None
    word, pid = parent.stdout.readline().split()
    assert (word, int(pid) > 0) == ("ready", True)
    parent.kill()
    # The child holds the same standard error; it has ended once nobody can be signalled.
    parent.wait()
    waited = subprocess.run(
        [sys.executable, "-c", WAIT, pid], timeout=30, check=False, capture_output=True
    )
    assert waited.returncode == 0


WAIT = """
import os, sys, time
for _ in range(200):
    try:
        os.kill(int(sys.argv[1]), 0)
        state = open(f"/proc/{sys.argv[1]}/stat").read().rpartition(")")[2].split()[0]
    except OSError:
        sys.exit(0)
    if state == "Z":
        sys.exit(0)
    time.sleep(0.1)
sys.exit(1)
"""
