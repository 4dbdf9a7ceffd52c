"""call.py [--read] OBJECT METHOD [SIGNATURE ARGUMENT…]: calls, and prints the results, or fails with the error's name
and text. With --read, what can be read from descriptors is printed in their place.

An argument is a JSON value; "@PATH" stands for an open file."""

import fcntl
import json
import os
import sys

from jeepney import DBusAddress, new_method_call
from jeepney.io.blocking import open_dbus_connection
from jeepney.wrappers import DBusErrorResponse, unwrap_msg


def value(found):
    if isinstance(found, str) and found.startswith("@"):
        return open(found[1:], "rb")
    if isinstance(found, dict):
        return {key: (kind, value(inner)) for key, (kind, inner) in found.items()}
    return found


def read(found):
    """The content of a pipe; the end that is written to is closed."""
    if not hasattr(found, "to_raw_fd"):
        return found
    fd = found.to_raw_fd()
    if fcntl.fcntl(fd, fcntl.F_GETFL) & os.O_ACCMODE == os.O_WRONLY:
        os.close(fd)
        return None
    return open(fd, "rb").read().decode(errors="replace")


reads = sys.argv[1] == "--read"
path, method, *rest = sys.argv[1 + reads:]
kind = "Container" if "/container/" in path else "Network" if path.endswith("/network") else "Manager"
interface = "org.containerctl1." + kind
signature = rest[0] if rest else None
values = tuple(value(json.loads(word)) for word in rest[1:])
call = new_method_call(DBusAddress(path, "org.containerctl1", interface), method, signature, values)
try:
    with open_dbus_connection(bus="SYSTEM", enable_fds=True) as bus:
        results = unwrap_msg(bus.send_and_get_reply(call, timeout=60))
        results = [read(result) for result in results] if reads else results
        print(json.dumps(results, default=str))
except DBusErrorResponse as error:
    sys.exit(f"{error.name}: {error.data[0]}")
