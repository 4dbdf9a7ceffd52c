"""SEC-32: frames of all shapes that a container may send, made from a seed, and an oracle that says which of them pass.

generated.py send CONFIG SEED COUNT IFACE        sends them
generated.py watch CONFIG STOP PLACE...          prints the numbers of those that come by until the file STOP is there;
                                                 PLACE is IFACE, or IFACE:ETHERTYPE for what is delivered to IFACE itself
generated.py judge CONFIG SEED COUNT SEEN...     compares what was seen with the oracle

CONFIG is a JSON file: own, other, host: {"mac": ..., "v4": [...], "v6": [...]}; free4, free6: addresses that the sender may
claim. A frame's number stands behind MARK at its end.
"""
import ipaddress
import json
import os
import random
import select
import socket
import struct
import sys
import time

MARK = b"<#f#>"
TCP, UDP, ICMP, IGMP, PIM, ICMP6 = 6, 17, 1, 2, 103, 58
HBH, ROUTING, FRAGMENT, AH, OPTIONS = 0, 43, 44, 51, 60
IP4, IP6, ARP = 0x0800, 0x86DD, 0x0806


def mac(text):
    return bytes.fromhex(text.replace(":", ""))


def checksum(data):
    data += b"\0" * (len(data) % 2)
    total = sum(struct.unpack("!%dH" % (len(data) // 2), data))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF


def link_local(address):
    return b"\xfe\x80" + bytes(6) + bytes([address[0] ^ 2]) + address[1:3] + b"\xff\xfe" + address[3:]


class Party:
    def __init__(self, config):
        self.mac = mac(config["mac"])
        self.v4 = [socket.inet_aton(address) for address in config["v4"]]
        self.v6 = [socket.inet_pton(socket.AF_INET6, address) for address in config["v6"]]
        self.all6 = self.v6 + [link_local(self.mac)]


class Net:
    def __init__(self, path):
        config = json.load(open(path))
        self.own, self.other, self.host = (Party(config[who]) for who in ("own", "other", "host"))
        self.free4 = [socket.inet_aton(address) for address in config["free4"]]
        self.free6 = [socket.inet_pton(socket.AF_INET6, address) for address in config["free6"]]
        self.may4, self.may6 = self.own.v4 + self.free4, self.own.all6 + self.free6


class Maker:
    """One frame from a seed and a number."""

    def __init__(self, net, seed, number):
        self.net, self.number = net, number
        self.random = random.Random(f"{seed} {number}")

    def one(self, *choices):
        return self.random.choice(choices)

    def chance(self, percent):
        return self.random.random() * 100 < percent

    def mac(self):
        net = self.net
        return self.one(net.own.mac, net.other.mac, net.host.mac, self.random.randbytes(6))

    def frame(self):
        net = self.net
        source = net.own.mac if self.chance(88) else self.mac()
        groups = b"\x33\x33\0\0\0\1", b"\1\0\x5e\0\0\1"
        reserved = b"\1\x80\xc2\0\0" + bytes([self.random.randrange(0x22)])
        target = self.one(net.other.mac, net.other.mac, net.host.mac, b"\xff" * 6, *groups, reserved)
        kind, packet = self.random.choices(
            [self.ip4, self.ip6, self.arp, self.unusual], [35, 45, 14, 6]
        )[0]()
        head = target + source
        for _ in range(self.one(1, 2) if self.chance(5) else 0):
            head += struct.pack("!HH", self.one(0x8100, 0x88A8, 0x9100), self.one(0, 1, 5, 4095))
        frame = head + struct.pack("!H", kind) + packet
        return frame.ljust(60, b"\0") + MARK + struct.pack("!I", self.number)

    def unusual(self):
        kind = self.one(0x88CC, 0x888E, 0x88B5, 0x8863, 0x8864, 0x8035, 0x0842, 0x88E5, 0x0026, 0x0001, 0x6558, 0x8847)
        if kind == 0x26:  # a length, LLC: of a spanning tree, or SNAP with IPv4 in it
            snap = b"\xaa\xaa\3\0\0\0\x08\0" + self.ip4()[1]
            return kind, self.one(b"\x42\x42\3" + bytes(35), snap[:38])
        return kind, self.one(self.ip4()[1], self.random.randbytes(46))

    def arp(self):
        net = self.net
        kind, protocol = self.one(1, 1, 1, 1, 6, 0), self.one(IP4, IP4, IP4, IP4, IP6)
        lengths = self.one((6, 4), (6, 4), (6, 4), (6, 4), (6, 16), (8, 4), (0, 4), (6, 0))
        operation = self.one(1, 1, 2, 2, 3, 4, 8, 9, 0, 26)
        sender = net.own.mac if self.chance(70) else self.mac()
        body = struct.pack("!HHBBH", kind, protocol, *lengths, operation)
        body += sender + self.address4() + self.mac() + self.address4()
        return ARP, body[: self.random.randrange(len(body))] if self.chance(4) else body

    def address4(self):
        net = self.net
        strange = bytes(4), b"\x7f\0\0\1", b"\xff" * 4, b"\xe0\0\0\1", b"\x08\x08\x08\x08", self.random.randbytes(4)
        lists = [net.own.v4] * 4 + [net.free4, net.other.v4, net.host.v4, list(strange)]
        return self.one(*self.one(*lists))

    def ip4(self):
        net = self.net
        source = self.one(*net.own.v4) if self.chance(60) else self.address4()
        broadcast, group = b"\xff" * 4, b"\xe0\0\0\x16"
        target = self.one(*net.other.v4, *net.host.v4, broadcast, group, b"\x7f\0\0\1", b"\x08\x08\x08\x08")
        protocol, payload = self.upper4()
        flags = self.one(0, 0, 0, 0, 0x4000, 0x2000, 0x8000)
        offset = self.one(1, 3, 185) if self.chance(15) else 0
        options = self.one(b"", b"", b"", b"\1" * 4, b"\7\7\4" + bytes(4) + b"\0", b"\x94\4\0\0")
        length = 20 + len(options) + len(payload)
        version = 4
        if self.chance(3):
            length = self.one(0, 19, length - 1, length + 1000)
        if self.chance(2):
            version = self.one(0, 5, 6)
        words = 5 + len(options) // 4
        if self.chance(2):
            words = self.one(0, 4, 15)
        head = struct.pack("!BBHHHBBH", version << 4 | words, 0, length, self.number & 0xFFFF, flags | offset, 64, protocol, 0)
        head += source + target + options
        head = head[:10] + struct.pack("!H", checksum(head)) + head[12:]
        packet = head + payload
        return IP4, packet[: self.random.randrange(8, len(packet))] if self.chance(3) else packet

    def upper4(self):
        protocol = self.one(TCP, UDP, UDP, UDP, UDP, ICMP, ICMP, IGMP, IGMP, PIM, 4, 41, 47, 50, AH, 89, 112, 132, ICMP6, 0, 255)
        if protocol == UDP:
            return protocol, self.udp(self.dhcp)
        if protocol == ICMP:
            return protocol, struct.pack("!BBHI", self.random.randrange(20), self.one(0, 0, 1), 0, 7) + bytes(16)
        if protocol == IGMP:
            kinds = 0x11, 0x12, 0x13, 0x14, 0x16, 0x17, 0x22, 0x24, 0x30
            body = struct.pack("!BBH", self.one(*kinds), 10, 0) + b"\xef\1\1\1"
            return protocol, body[:2] + struct.pack("!H", checksum(body)) + body[4:]
        if protocol == TCP:
            return protocol, struct.pack("!HHIIBBHHH", 1000, self.one(22, 80, 179), 1, 0, 0x50, self.one(2, 4, 16), 100, 0, 0)
        return protocol, self.random.randbytes(self.one(8, 24, 40))

    def udp(self, special):
        ports = 67, 68, 546, 547, 53, 5353, 9999
        if self.chance(50):
            source, target, payload = special()
        else:
            source, target, payload = self.one(*ports), self.one(*ports), self.random.randbytes(self.one(0, 8, 64))
        datagram = struct.pack("!HHHH", source, target, 8 + len(payload), 0) + payload
        return datagram[: self.random.randrange(1, 60)] if self.chance(6) else datagram

    def dhcp(self):
        operation, kind, length = self.one(1, 1, 1, 2), self.one(1, 1, 1, 6), self.one(6, 6, 6, 0, 16)
        relay = self.one(bytes(4), bytes(4), bytes(4), *self.net.other.v4)
        hardware = (self.net.own.mac if self.chance(60) else self.mac()) + bytes(10)
        body = struct.pack("!BBBBIHH", operation, kind, length, 0, self.number, 0, self.one(0, 0x8000))
        body += bytes(12) + relay + hardware + bytes(192) + b"\x63\x82\x53\x63\x35\1" + self.one(b"\1", b"\3", b"\2") + b"\xff"
        source, target = self.one((68, 67), (68, 67), (68, 67), (67, 68), (9999, 67), (9999, 68), (67, 67))
        return source, target, body

    def address6(self):
        net = self.net
        strange = bytes(16), bytes(15) + b"\1", b"\xff\2" + bytes(13) + b"\1", bytes(10) + b"\xff\xff" + net.own.v4[0]
        lists = [net.own.all6] * 4 + [net.free6, net.other.all6, net.host.all6, list(strange), [bytes(16)]]
        return self.one(*self.one(*lists))

    def ip6(self):
        net = self.net
        source = self.address6() if self.chance(55) else self.one(*net.own.all6)
        everyone, routers = b"\xff\2" + bytes(13) + b"\1", b"\xff\2" + bytes(13) + b"\2"
        target = self.one(*net.other.all6, *net.host.all6, everyone, routers, bytes(15) + b"\1")
        following, payload = self.upper6(source, target)
        for _ in range(self.one(1, 1, 2, 3) if self.chance(35) else 0):
            following, payload = self.extension(following, payload)
        length, version, limit = len(payload), 6, self.one(255, 255, 255, 64, 1)
        if self.chance(3):
            length = self.one(0, 24, 32, length - 1, length + 1000)
        if self.chance(2):
            version = self.one(0, 4, 5)
        head = struct.pack("!IHBB", version << 28 | self.number, max(0, length) & 0xFFFF, following, limit) + source + target
        packet = head + payload
        return IP6, packet[: self.random.randrange(24, len(packet))] if self.chance(3) else packet

    def extension(self, following, payload):
        kind = self.one(HBH, HBH, ROUTING, FRAGMENT, FRAGMENT, OPTIONS, AH)
        if kind == FRAGMENT:
            offset, more = self.one(0, 0, 1, 3, 100), self.one(0, 1)
            return kind, struct.pack("!BBHI", following, 0, offset << 3 | more, self.number) + payload
        if kind == ROUTING:
            return kind, bytes([following, 2, self.one(0, 2, 4), self.one(0, 1)]) + bytes(4) + self.address6() + payload
        if kind == AH:
            return kind, bytes([following, 4]) + bytes(22) + payload
        filler = self.one(b"\5\2\0\0\1\0", b"\1\4" + bytes(4), b"\1\4" + bytes(4), b"\x3e\4" + bytes(4))
        return kind, bytes([following, self.one(0, 0, 0, 0, 9)]) + filler + payload

    def upper6(self, source, target):
        protocol = self.one(TCP, UDP, UDP, ICMP6, ICMP6, ICMP6, ICMP6, ICMP6, PIM, 59, 4, 41, 50, 89, 132, 112, ICMP)
        if protocol == ICMP6:
            body = self.icmp6()
        elif protocol == UDP:
            body = self.udp(lambda: (*self.one((546, 547), (547, 546), (9, 546), (546, 546)), b"\1\0\0\7"))
        elif protocol == TCP:
            return self.upper_tcp()
        else:
            return protocol, self.random.randbytes(self.one(0, 8, 24))
        pseudo = source + target + struct.pack("!II", len(body), protocol)
        at = 2 if protocol == ICMP6 else 6
        if len(body) >= at + 2 and not self.chance(5):
            body = body[:at] + struct.pack("!H", checksum(pseudo + body)) + body[at + 2 :]
        return protocol, body

    def upper_tcp(self):
        return TCP, struct.pack("!HHIIBBHHH", 1000, self.one(22, 80), 1, 0, 0x50, 2, 100, 0, 0)

    def icmp6(self):
        kind = self.one(1, 2, 128, 129, 130, 131, 132, 133, 133, 134, 135, 135, 135, 136, 136, 136, 137, 138, 139, 141, 142, 143, 148, 151, 153, 200)
        code = self.one(0, 0, 0, 1)
        if kind in (135, 136):
            body = struct.pack("!BBHI", kind, code, 0, self.one(0, 0xE0000000, 0x20000000)) + self.address6() + self.options()
        elif kind == 133:
            body = struct.pack("!BBHI", kind, code, 0, 0) + self.options()
        elif kind == 134:
            body = struct.pack("!BBHBBHII", kind, code, 0, 64, 0, 1800, 0, 0) + self.options()
        elif kind == 137:
            body = struct.pack("!BBHI", kind, code, 0, 0) + self.address6() + self.address6() + self.options()
        elif kind == 143:
            body = struct.pack("!BBHHH", kind, code, 0, 0, 1) + b"\4\0\0\0" + b"\xff\2" + bytes(13) + b"\x99"
        else:
            body = struct.pack("!BBHI", kind, code, 0, 0) + b"\xff\2" + bytes(13) + b"\x99"
        return body[: self.random.randrange(1, len(body))] if self.chance(3) else body

    def options(self):
        def option():
            address = self.net.own.mac if self.chance(60) else self.mac()
            return self.one(
                b"\1\1" + address,
                b"\2\1" + address,
                b"\1\1" + address,
                b"\2\1" + address,
                b"\x0e\1" + self.random.randbytes(6),
                b"\5\1\0\0\0\0\5\xdc",
                b"\1\0" + address,
                b"\1\2" + address + bytes(8),
            )

        return b"".join(option() for _ in range(self.one(0, 1, 1, 1, 1, 2)))


class Oracle:
    """Which frames of the container pass: NEVER, MAY (nobody is harmed) or MUST (it is a right of the container's)."""

    def __init__(self, net):
        self.net = net

    def verdict(self, frame):
        target, source, (kind,) = frame[:6], frame[6:12], struct.unpack("!H", frame[12:14])
        if target[:5] == b"\1\x80\xc2\0\0" and target[5] < 16 or source != self.net.own.mac:
            return "NEVER"
        judge = {IP4: self.ip4, IP6: self.ip6, ARP: self.arp}.get(kind)
        verdict = judge(frame[14:]) if judge else "NEVER"
        # To groups a bridge sends by rules of its own.
        unicast = target in (self.net.other.mac, self.net.host.mac, b"\xff" * 6)
        return "MAY" if verdict == "MUST" and not unicast else verdict

    def arp(self, packet):
        kind, protocol, hardware, length, operation = struct.unpack("!HHBBH", packet[:8])
        fits = (kind, protocol, hardware, length) == (1, IP4, 6, 4) and operation in (1, 2)
        own = packet[8:14] == self.net.own.mac and packet[14:18] in self.net.may4 + [bytes(4)]
        return "MUST" if fits and own else "NEVER"

    def ip4(self, packet):
        if len(packet) < 20:
            return "NEVER"
        words, length = packet[0] & 15, struct.unpack("!H", packet[2:4])[0]
        (fragment,), protocol = struct.unpack("!H", packet[6:8]), packet[9]
        source, target, offset = packet[12:16], packet[16:20], fragment & 0x1FFF
        formed = packet[0] >> 4 == 4 and words >= 5 and words * 4 <= length <= len(packet)
        if source not in self.net.may4 + [bytes(4)]:
            return "NEVER"
        must = "MUST" if formed else "MAY"
        body = packet[words * 4 : length] if formed else b""
        if protocol == UDP and not fragment & 0x3FFF and self.asks(body) and source not in self.net.free4:
            return must
        if source == bytes(4) or target[0] == 127:
            return "NEVER"
        if protocol == AH:
            return "MAY" if offset else "NEVER"
        if protocol not in (UDP, ICMP, IGMP, PIM):
            return must
        if offset:
            return "MAY" if protocol == PIM else must
        if protocol == UDP:
            if len(body) < 4:
                return "MAY"
            ports = struct.unpack("!HH", body[:4])
            return "NEVER" if ports[0] == 67 or ports[1] in (67, 68, 546) else must
        if not body:
            return "MAY"
        if protocol == ICMP:
            return must if body[:1] and body[0] in (0, 3, 8, 11, 12, 13, 14) else "NEVER"
        asked = protocol == IGMP and body[:1] and body[0] in (0x12, 0x16, 0x17, 0x22) and not fragment & 0x3FFF
        return "MAY" if asked else "NEVER"

    def asks(self, body):
        """A DHCP client that asks in its own name."""
        if len(body) < 42 or struct.unpack("!HH", body[:4]) != (68, 67):
            return False
        return body[8:11] == b"\1\1\6" and body[32:36] == bytes(4) and body[36:42] == self.net.own.mac

    def ip6(self, packet):
        if len(packet) < 40:
            return "NEVER"
        length, following = struct.unpack("!HB", packet[4:7])
        source, nobody = packet[8:24], bytes(16)
        if source not in self.net.may6 + [nobody]:
            return "NEVER"
        formed = packet[0] >> 4 == 6 and 40 + length <= len(packet)
        chain, protocol, body, offset = self.walk(following, packet[40 : 40 + length])
        must = "MUST" if formed and protocol is not None else "MAY"
        if source == nobody:
            return self.unspecified(chain, protocol, body, length, must)
        if FRAGMENT in chain:
            # The upper layer must be in the first fragment, and follow at once.
            if chain != [FRAGMENT] or length < 16 or protocol in (None, 59):
                return "NEVER"
            if offset and protocol != PIM:
                return must
        if AH in chain:
            return "NEVER"
        # Whoever receives a packet that ends in the middle of its headers does nothing.
        if protocol is None:
            return "MAY"
        if protocol not in (UDP, ICMP6, PIM):
            return must
        if protocol == PIM:
            return "NEVER"
        if len(body) < 4:
            return "MAY"
        if protocol == UDP:
            ports = struct.unpack("!HH", body[:4])
            if ports == (546, 547) and not chain:
                return must
            return "NEVER" if ports[0] == 547 or ports[1] in (68, 546, 547) else must
        if body[0] in (1, 2, 3, 4, 128, 129):
            return must
        if body[0] in (131, 132, 143):
            return "MAY" if chain == [HBH] else "NEVER"
        if chain:
            return "NEVER"
        own, target, options = self.net.own.mac, body[8:24], body[24:length]
        if body[0] == 135:
            return must if length == 24 or options == b"\1\1" + own else "NEVER"
        if body[0] == 136:
            return must if target in self.net.may6 and (length == 24 or options == b"\2\1" + own) else "NEVER"
        if body[0] == 133:
            return must if length == 8 or body[8:length] == b"\1\1" + own else "NEVER"
        return "NEVER"

    def unspecified(self, chain, protocol, body, length, must):
        """From nobody: a question for routers, whether an address is free, and which groups are joined."""
        if protocol != ICMP6 or not body:
            return "NEVER"
        if body[0] in (131, 132, 143):
            return "MAY" if chain == [HBH] else "NEVER"
        if body[0] == 133 and not chain:
            return must if length == 8 else "NEVER"
        # Of one that was cut short the target is another, which may be free.
        if body[0] == 135 and not chain and must == "MAY":
            return must
        if body[0] == 135 and not chain and body[8:24] in self.net.may6:
            return must if length == 24 or length == 32 and body[24:26] == b"\x0e\1" else "NEVER"
        return "NEVER"

    def walk(self, following, body):
        """Headers on the way, the upper layer (none where it is not found), its bytes, and the offset of a fragment."""
        chain = []
        while following in (HBH, ROUTING, FRAGMENT, AH, OPTIONS):
            if len(body) < 8:
                return chain, None, b"", 0
            chain.append(following)
            if following == FRAGMENT:
                offset = struct.unpack("!H", body[2:4])[0] >> 3
                following, body = body[0], body[8:]
                if offset:
                    known = following not in (HBH, ROUTING, FRAGMENT, AH, OPTIONS)
                    return chain, following if known else None, body, offset
                continue
            size = (body[1] + 2) * 4 if following == AH else (body[1] + 1) * 8
            if len(body) < size:
                return chain, None, b"", 0
            following, body = body[0], body[size:]
        return chain, following, body, 0


def send(config, seed, count, interface):
    net = Net(config)
    out = socket.socket(socket.AF_PACKET, socket.SOCK_RAW)
    out.bind((interface, 0))
    for number in range(int(count)):
        out.send(Maker(net, seed, number).frame())
        if number % 200 == 199:
            time.sleep(0.002)


def number_of(frame):
    at = frame.rfind(MARK)
    return struct.unpack("!I", frame[at + len(MARK) :][:4])[0] if 0 <= at <= len(frame) - len(MARK) - 4 else -1


def watch(config, stop, *places):
    own, sockets = Net(config).own.mac, []
    for place in places:
        interface, _, kind = place.partition(":")
        into = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(int(kind or "3", 0)))
        into.setsockopt(socket.SOL_SOCKET, 33, 1 << 26)  # SO_RCVBUFFORCE
        into.bind((interface, 0))
        into.setblocking(False)
        sockets.append(into)
    print("watching", flush=True)
    seen = set()
    while True:
        ended = os.path.exists(stop)
        for into in select.select(sockets, [], [], 0.1)[0]:
            try:
                while True:
                    frame, address = into.recvfrom(4096)
                    if address[2] != socket.PACKET_OUTGOING:
                        seen.add(number_of(frame))
            except BlockingIOError:
                pass
        if ended:
            break
    lost = sum(struct.unpack("II", s.getsockopt(263, 6, 8))[1] for s in sockets)  # PACKET_STATISTICS
    print("lost", lost)
    print("\n".join(str(number) for number in sorted(seen)))


def judge(config, seed, count, *files):
    net, seen = Net(config), set()
    for name in files:
        lines = open(name).read().split("\n")
        assert lines[:2] == ["watching", "lost 0"], f"{name}: {lines[:2]}"
        seen |= {int(line) for line in lines[2:] if line}
    oracle, counts, wrong = Oracle(net), {}, []
    for number in range(int(count)):
        frame = Maker(net, seed, number).frame()
        frame = frame[: -len(MARK) - 4]
        verdict, came = oracle.verdict(frame), number in seen
        counts[verdict, came] = counts.get((verdict, came), 0) + 1
        if came and verdict == "NEVER" or not came and verdict == "MUST":
            wrong.append(f"{verdict} {'seen' if came else 'not seen'}: {seed} {number} {frame.hex()}")
    for (verdict, came), number in sorted(counts.items()):
        print(verdict, "seen" if came else "unseen", number)
    print("wrong", len(wrong))
    print("\n".join(wrong[:20]))


{"send": send, "watch": watch, "judge": judge}[sys.argv[1]](*sys.argv[2:])
