"""everything.py NAME: calls all that introspection shows, about the container NAME, and prints each answer."""

import sys
import xml.etree.ElementTree as ET

from jeepney import DBusAddress, MessageFlag, new_method_call
from jeepney.io.blocking import open_dbus_connection

NAME = sys.argv[1]
VALUES = {"s": NAME, "as": [], "a{sv}": {}, "v": ("s", "x"), "b": False, "i": 0, "u": 0, "t": 0, "h": sys.stdin}
OBJECTS = ["/org/containerctl1", "/org/containerctl1/network", "/org/containerctl1/container",
           "/org/containerctl1/container/" + NAME]
# Each way to say which containers are meant.
SELECTIONS = [{"Names": ("as", [NAME])}, {"Groups": ("as", [NAME])}, {"All": ("b", True)}]
# What answers is the same for everyone: ping, machine id, introspection.
bus = open_dbus_connection(bus="SYSTEM", enable_fds=True)


def ask(path, interface, method, signature, values, flags=0):
    call = new_method_call(DBusAddress(path, "org.containerctl1", interface), method, signature, tuple(values))
    call.header.flags |= flags
    reply = bus.send_and_get_reply(call, timeout=60)
    return reply.header.fields.get(4), reply.body


for path in OBJECTS:
    _, (text,) = ask(path, "org.freedesktop.DBus.Introspectable", "Introspect", None, ())
    print(text)
    for interface in ET.fromstring(text).iter("interface"):
        for method in interface.iter("method"):
            arguments = [arg for arg in method.iter("arg") if arg.get("direction") == "in"]
            types = [arg.get("type") for arg in arguments]
            values = [VALUES[type_] for type_ in types]
            if interface.get("name") == "org.freedesktop.DBus.Properties":
                values[0] = "org.containerctl1.Container"
            selects = bool(arguments) and arguments[0].get("name") == "selection"
            for calls in [[selection] + values[1:] for selection in SELECTIONS] if selects else [values]:
                for flags in (0, MessageFlag.allow_interactive_authorization):
                    answer = ask(path, interface.get("name"), method.get("name"), "".join(types) or None, calls, flags)
                    print(interface.get("name"), method.get("name"), int(flags), *answer)
