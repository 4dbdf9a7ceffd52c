"""Sends frames that a container must not send, and a few that it may; or tells which of them came by.

frames.py send IFACE OWN_MAC OWN_V4 OWN_V6 OTHER_MAC OTHER_V4 OTHER_V6
frames.py watch IFACE SECONDS

Each frame carries its number: IPv4 packets as their identification, IPv6 packets as their flow label, and others
behind MARK at their end, which a bridge cuts off of the first two. `watch` prints the names that it saw, once each.
"""
import ipaddress
import socket
import struct
import sys
import time

MARK = b"<<frame:"
# Of no other traffic: added to a frame's number.
BASE = 0xF400
ALL = b"\xff" * 6


def mac(text):
    return bytes.fromhex(text.replace(":", ""))


def checksum(data):
    data += b"\0" * (len(data) % 2)
    total = sum(struct.unpack("!%dH" % (len(data) // 2), data))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF


def ip4(source, target, payload, protocol=17):
    source, target = socket.inet_aton(source), socket.inet_aton(target)
    head = struct.pack("!BBHHHBBH", 0x45, 0, 20 + len(payload), 1, 0, 64, protocol, 0) + source + target
    return head[:10] + struct.pack("!H", checksum(head)) + head[12:] + payload


def udp4(source, target, sport, dport, payload):
    return ip4(source, target, struct.pack("!HHHH", sport, dport, 8 + len(payload), 0) + payload)


def ip6(source, target, payload, following):
    head = struct.pack("!IHBB", 6 << 28, len(payload), following, 255)
    return head + socket.inet_pton(socket.AF_INET6, source) + socket.inet_pton(socket.AF_INET6, target) + payload


def icmp6(source, target, body, before=b""):
    pseudo = socket.inet_pton(socket.AF_INET6, source) + socket.inet_pton(socket.AF_INET6, target)
    pseudo += struct.pack("!II", len(body), 58)
    body = body[:2] + struct.pack("!H", checksum(pseudo + body)) + body[4:]
    return ip6(source, target, before + body, 0 if before else 58)


def udp6(source, target, sport, dport, payload):
    length = 8 + len(payload)
    pseudo = socket.inet_pton(socket.AF_INET6, source) + socket.inet_pton(socket.AF_INET6, target)
    pseudo += struct.pack("!II", length, 17)
    body = struct.pack("!HHHH", sport, dport, length, 0) + payload
    body = body[:6] + struct.pack("!H", checksum(pseudo + body)) + body[8:]
    return ip6(source, target, body, 17)


def arp(operation, mac_from, ip_from, ip_to):
    head = struct.pack("!HHBBH", 1, 0x800, 6, 4, operation)
    return head + mac_from + socket.inet_aton(ip_from) + ALL + socket.inet_aton(ip_to)


def advertisement(target, address):
    return struct.pack("!BBHI", 136, 0, 0, 0x20000000) + socket.inet_pton(socket.AF_INET6, target) + b"\2\1" + address


def solicitation(target, option=b""):
    return struct.pack("!BBHI", 135, 0, 0, 0) + socket.inet_pton(socket.AF_INET6, target) + option


def link_local(address):
    a = bytes([address[0] ^ 2]) + address[1:3] + b"\xff\xfe" + address[3:]
    return str(ipaddress.IPv6Address(b"\xfe\x80" + b"\0" * 6 + a))


def frames(own, own4, own6, other, other4, other6):
    """Name, destination, source, type, packet."""
    local, everyone = link_local(own), "ff02::1"
    many = b"\x33\x33\0\0\0\1"
    router = struct.pack("!BBHBBHII", 134, 0, 0, 64, 0, 1800, 0, 0)
    dhcp = lambda op, address: struct.pack("!BBBBIHH", op, 1, 6, 0, 7, 0, 0x8000) + b"\0" * 16 + address + b"\0" * 10 + b"\0" * 192
    yield "may-udp4", ALL, own, 0x800, udp4(own4, "255.255.255.255", 9, 9, b"")
    yield "may-udp6", many, own, 0x86DD, udp6(local, everyone, 9, 9, b"")
    yield "may-udp6-global", many, own, 0x86DD, udp6(own6, everyone, 9, 9, b"")
    yield "may-arp", ALL, own, 0x806, arp(1, own, own4, other4)
    yield "may-advertise", many, own, 0x86DD, icmp6(own6, everyone, advertisement(own6, own))
    yield "mac", ALL, other, 0x800, udp4(own4, "255.255.255.255", 9, 9, b"")
    yield "ipv4", ALL, own, 0x800, udp4(other4, "255.255.255.255", 9, 9, b"")
    yield "ipv6", many, own, 0x86DD, udp6(other6, everyone, 9, 9, b"")
    yield "ipv6-link-local", many, own, 0x86DD, udp6(link_local(other), everyone, 9, 9, b"")
    yield "ipv6-unspecified", many, own, 0x86DD, udp6("::", everyone, 9, 9, b"")
    yield "arp-reply", ALL, own, 0x806, arp(2, own, other4, own4)
    yield "arp-gratuitous", ALL, own, 0x806, arp(1, own, other4, other4)
    yield "arp-inner-mac", ALL, own, 0x806, arp(2, other, own4, own4)
    yield "nd-target", many, own, 0x86DD, icmp6(own6, everyone, advertisement(other6, own))
    yield "nd-option", many, own, 0x86DD, icmp6(own6, everyone, advertisement(own6, other))
    yield "nd-two-options", many, own, 0x86DD, icmp6(own6, everyone, advertisement(own6, own) + b"\2\1" + other)
    yield "nd-solicit-option", many, own, 0x86DD, icmp6(own6, everyone, solicitation(other6, b"\1\1" + other))
    yield "nd-duplicate", many, own, 0x86DD, icmp6("::", everyone, solicitation(other6))
    yield "router-advertisement", many, own, 0x86DD, icmp6(local, everyone, router)
    yield "router-behind-options", many, own, 0x86DD, icmp6(local, everyone, router, b"\x3a\0\1\4\0\0\0\0")
    yield "redirect", many, own, 0x86DD, icmp6(local, everyone, struct.pack("!BBHI", 137, 0, 0, 0) + b"\xfe\x80" + b"\0" * 30)
    yield "dhcp-server", ALL, own, 0x800, udp4(own4, "255.255.255.255", 67, 68, dhcp(2, other))
    yield "dhcp-hardware-address", ALL, own, 0x800, udp4("0.0.0.0", "255.255.255.255", 68, 67, dhcp(1, other))
    yield "dhcpv6-server", many, own, 0x86DD, udp6(local, everyone, 547, 546, b"\7\0\0\1")
    yield "loopback", ALL, own, 0x800, udp4(own4, "127.0.0.1", 9, 9, b"")
    yield "vlan", ALL, own, 0x8100, struct.pack("!HH", 5, 0x800) + udp4(other4, "255.255.255.255", 9, 9, b"")
    yield "vlan-none", ALL, own, 0x8100, struct.pack("!HH", 0, 0x800) + udp4(other4, "255.255.255.255", 9, 9, b"")
    yield "provider-vlan", ALL, own, 0x88A8, struct.pack("!HH", 5, 0x86DD) + udp6(other6, everyone, 9, 9, b"")
    yield "other-protocol", ALL, own, 0x88B5, b"\0" * 46


def send(interface, own, own4, own6, other, other4, other6):
    out = socket.socket(socket.AF_PACKET, socket.SOCK_RAW)
    out.bind((interface, 0))
    numbered = enumerate(frames(mac(own), own4, own6, mac(other), other4, other6))
    for number, (name, target, source, kind, packet) in numbered:
        if kind == 0x800:
            packet = packet[:4] + struct.pack("!H", BASE + number) + packet[6:10] + b"\0\0" + packet[12:]
            packet = packet[:10] + struct.pack("!H", checksum(packet[:20])) + packet[12:]
        if kind == 0x86DD:
            packet = struct.pack("!I", 6 << 28 | BASE + number) + packet[4:]
        frame = target + source + struct.pack("!H", kind) + packet
        out.send(frame.ljust(60, b"\0") + MARK + struct.pack("!H", BASE + number))
        print(name)


def number_of(frame):
    kind = struct.unpack("!H", frame[12:14])[0]
    at = frame.rfind(MARK)
    if kind == 0x800:
        return struct.unpack("!H", frame[18:20])[0] - BASE
    if kind == 0x86DD:
        return (struct.unpack("!I", frame[14:18])[0] & 0xFFFFF) - BASE
    return struct.unpack("!H", frame[at + len(MARK) :][:2])[0] - BASE if at >= 0 else -1


def watch(interface, seconds):
    into = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(3))
    into.bind((interface, 0))
    end, seen = time.time() + float(seconds), set()
    some = "02:00:00:00:00:01", "10.0.0.1", "fd00::1"
    names = [frame[0] for frame in frames(mac(some[0]), *some[1:], mac(some[0]), *some[1:])]
    print("watching", flush=True)
    while time.time() < end:
        into.settimeout(max(0.05, end - time.time()))
        try:
            frame = into.recv(4096)
        except TimeoutError:
            continue
        number = number_of(frame)
        if 0 <= number < len(names):
            seen.add(names[number])
    print("\n".join(sorted(seen)))


{"send": send, "watch": watch}[sys.argv[1]](*sys.argv[2:])
