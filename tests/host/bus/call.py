"""call.py OBJECT METHOD [SIGNATURE ARGUMENT…]: calls, and prints the results, or fails with the error's name and text.

An argument is a JSON value; "@PATH" stands for an open file."""

import json
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


path, method, *rest = sys.argv[1:]
interface = "org.containerctl1." + ("Container" if "/container/" in path else "Manager")
signature = rest[0] if rest else None
values = tuple(value(json.loads(word)) for word in rest[1:])
call = new_method_call(DBusAddress(path, "org.containerctl1", interface), method, signature, values)
try:
    with open_dbus_connection(bus="SYSTEM", enable_fds=True) as bus:
        print(json.dumps(unwrap_msg(bus.send_and_get_reply(call, timeout=60)), default=str))
except DBusErrorResponse as error:
    sys.exit(f"{error.name}: {error.data[0]}")
