"""Sends a router advertisement of PREFIX/64 by interface IFACE, to all nodes and to what a bridge keeps for itself.

advertise.py IFACE MAC PREFIX
"""
import socket
import struct
import sys

interface, own, prefix = sys.argv[1:]
own = bytes.fromhex(own.replace(":", ""))
source = b"\xfe\x80" + bytes(6) + bytes([own[0] ^ 2]) + own[1:3] + b"\xff\xfe" + own[3:]
target = socket.inet_pton(socket.AF_INET6, "ff02::1")
# Default route for half an hour, the sender's address, and a prefix to make addresses of.
body = struct.pack("!BBHBBHII", 134, 0, 0, 64, 8, 1800, 0, 0) + b"\1\1" + own
body += struct.pack("!BBBBIII", 3, 4, 64, 0xC0, 3600, 3600, 0) + socket.inet_pton(socket.AF_INET6, prefix)
data = source + target + struct.pack("!II", len(body), 58) + body
total = sum(struct.unpack("!%dH" % (len(data) // 2), data))
while total >> 16:
    total = (total & 0xFFFF) + (total >> 16)
body = body[:2] + struct.pack("!H", ~total & 0xFFFF) + body[4:]
packet = struct.pack("!IHBB", 6 << 28, len(body), 58, 255) + source + target + body
out = socket.socket(socket.AF_PACKET, socket.SOCK_RAW)
for address in ("333300000001", "0180c2000000", "0180c2000003", "0180c200000e"):
    out.sendto(bytes.fromhex(address) + own + b"\x86\xdd" + packet, (interface, 0))
