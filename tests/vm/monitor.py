#!/usr/bin/python3
"""Runs commands of qemu's monitor (QMP) one after another: monitor.py SOCKET JSON…

`migrate` and `cont` are waited for: whoever still takes its saved memory in forgets the latter.
"""
import json
import socket
import sys
import time


def main(path, commands):
    monitor = socket.socket(socket.AF_UNIX)
    monitor.settimeout(300)
    monitor.connect(path)
    stream = monitor.makefile("rw")

    def ask(command):
        stream.write(json.dumps(command) + "\n")
        stream.flush()
        while True:
            line = stream.readline()
            if not line:
                sys.exit("monitor: qemu went away")
            message = json.loads(line)
            if "error" in message:
                sys.exit(f"monitor: {command['execute']}: {message['error']['desc']}")
            if "return" in message:
                return message["return"]

    def saved():
        status = ask({"execute": "query-migrate"})
        if status.get("status") in ("failed", "cancelled"):
            sys.exit(f"monitor: migrate: {status.get('error-desc')}")
        return status.get("status") == "completed"

    def runs():
        if ask({"execute": "query-status"})["running"]:
            return True
        ask({"execute": "cont"})
        return False

    stream.readline()
    ask({"execute": "qmp_capabilities"})
    for command in map(json.loads, commands):
        ask(command)
        done = {"migrate": saved, "cont": runs}.get(command["execute"], lambda: True)
        while not done():
            time.sleep(0.1)


main(sys.argv[1], sys.argv[2:])
