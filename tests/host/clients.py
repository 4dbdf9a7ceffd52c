"""Many clients at once: `clients.py CLIENTS SECONDS NAME…`; a line per call that ended with a code that is not documented
for it, or took too long. The last line is how many calls there were."""

import random
import subprocess
import sys
import threading
import time

VERBS = {
    "start": {0, 75},
    "stop": {0, 75},
    "stop --kill": {0, 75},
    "stop --no-wait": {0, 75},
    "restart": {0, 75},
    "freeze": {0, 66, 75},
    "thaw": {0, 66, 75},
    "kill --signal WINCH": {0, 66, 75},
    "list": {0},
    "info": {0},
}
LIMIT = 20


def client(seed, end, names, calls):
    chance = random.Random(seed)
    while time.monotonic() < end:
        verb = chance.choice(list(VERBS))
        name = "" if verb == "list" else chance.choice(names)
        began = time.monotonic()
        try:
            done = subprocess.run(f"containerctl {verb} {name}", shell=True, capture_output=True, text=True, timeout=LIMIT)
        except subprocess.TimeoutExpired:
            print(f"{verb} {name}: no end after {LIMIT} s", flush=True)
            continue
        calls.append(time.monotonic() - began)
        if done.returncode not in VERBS[verb]:
            print(f"{verb} {name}: {done.returncode} {done.stderr.strip()}", flush=True)


def main(clients, seconds, names):
    calls = []
    end = time.monotonic() + seconds
    threads = [threading.Thread(target=client, args=(seed, end, names, calls)) for seed in range(clients)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    print(f"calls: {len(calls)}, longest: {max(calls):.1f} s")


main(int(sys.argv[1]), float(sys.argv[2]), sys.argv[3:])
