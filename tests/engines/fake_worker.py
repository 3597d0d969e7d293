"""A worker that does what capsules say: {"codes": [first run, second …], "seconds": 1, "kill": [runs], "babble": true}.

Keeps a diary in the run directory, starts a receipt for every run, and honours SIGTERM as the real one does.
"""

import json
import os
import signal
import sys
import time
from pathlib import Path

told = 0


def tell(number, frame):
    global told
    told = number


def note(text):
    handle = os.open("diary", os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o666)
    os.write(handle, f"{text} {os.getpid()}\n".encode())
    os.close(handle)


def read(capsule):
    file, _, number = capsule.rpartition("#")
    head, *lines = Path(file).read_text().splitlines()
    return int(number), json.loads(lines[json.loads(head)["jobs"].index(int(number))])


def serve(capsule):
    number, what = read(capsule)
    stem, run = os.path.join(os.path.dirname(capsule), f"j{number:06}"), 0
    while True:
        run += 1
        try:
            open(f"{stem}.receipt.{run:02}.jsonl", "x").close()
            break
        except FileExistsError:
            pass
    note(f"start {number}")
    if run in what.get("kill", ()):
        os.kill(os.getpid(), signal.SIGKILL)
    deadline = time.monotonic() + what.get("seconds", 0)
    while time.monotonic() < deadline and (not told or what.get("deaf")):
        time.sleep(0.01)
    note(f"end {number}")
    codes = what.get("codes", [0])
    return 128 + told if told and not what.get("deaf") else codes[min(run, len(codes)) - 1]


def main():
    signal.signal(signal.SIGTERM, tell)
    while line := sys.stdin.readline():
        capsule = json.loads(line)["capsule"]
        code = serve(capsule)
        babbles = "babble" in read(capsule)[1]
        print("babble" if babbles else json.dumps({"capsule": capsule, "code": code}), flush=True)
        if code > 128:
            return


main()
