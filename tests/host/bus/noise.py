"""noise.py COUNT SEED: so many calls that mean nothing; each of them must be answered."""

import random
import sys

from jeepney import DBusAddress, new_method_call
from jeepney.io.blocking import open_dbus_connection

count, seed = int(sys.argv[1]), int(sys.argv[2])
chance = random.Random(seed)
PATHS = ["/", "/org", "/org/containerctl1", "/org/containerctl1/network", "/org/containerctl1/container",
         "/org/containerctl1/container/p1", "/org/containerctl1/container/_", "/org/containerctl1/container/_2e_2e_2fetc",
         "/org/containerctl1/container/p1/x"]
INTERFACES = ["org.containerctl1.Manager", "org.containerctl1.Container", "org.containerctl1.Network",
              "org.freedesktop.DBus.Properties",
              "org.freedesktop.DBus.Introspectable", "org.freedesktop.DBus.Peer", "a.b", None]
METHODS = ["Start", "Stop", "GetContainer", "CreateContainer", "DestroyContainer", "Get", "GetAll", "Set", "Ping",
           "Introspect", "Subscribe", "Unsubscribe", "OpenConsole", "StartContainers", "StopContainers", "DescribeLoad",
           "Wait", "OpenJournal", "WriteDefinition", "Attach", "AddPort", "ListPorts", "X"]
TEXTS = ["", "p1", "../../etc", "\x1b[2J", "x" * 5000, "org.containerctl1.Container", "State", "-"]
bus = open_dbus_connection(bus="SYSTEM")


def body():
    shapes = {
        "s": lambda: chance.choice(TEXTS),
        "t": lambda: chance.getrandbits(64),
        "i": lambda: chance.getrandbits(31),
        "as": lambda: [chance.choice(TEXTS) for _ in range(chance.randrange(5))],
        "a{sv}": lambda: {chance.choice(TEXTS): ("as", ["x"]) for _ in range(chance.randrange(4))},
        "v": lambda: ("a(sv)", [("x", ("d", 0.5))]),
        "ay": lambda: chance.randbytes(chance.randrange(300)),
    }
    types = [chance.choice(list(shapes)) for _ in range(chance.randrange(4))]
    return "".join(types) or None, tuple(shapes[type_]() for type_ in types)


answered = 0
for start in range(0, count, 50):
    waiting = set()
    for _ in range(min(50, count - start)):
        object_ = DBusAddress(chance.choice(PATHS), "org.containerctl1", chance.choice(INTERFACES))
        call = new_method_call(object_, chance.choice(METHODS), *body())
        serial = next(bus.outgoing_serial)
        bus.send(call, serial=serial)
        waiting.add(serial)
    while waiting:
        reply = bus.receive(timeout=60)
        serial = reply.header.fields.get(5)
        answered += serial in waiting
        waiting.discard(serial)
print(answered)
