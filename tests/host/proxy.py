"""Answers system calls as a program behind lxc.seccomp.notify.proxy does: `proxy.py SOCKET LOG`.

The cookie names the tree that a container's root is. What is done about mkdir(2) hangs on the name that is to be made;
devices are made. Every other call goes on. LOG gets a line for each mkdir.
"""

import array
import errno
import os
import select
import socket
import struct
import sys
import time

HEADER, CALL, ANSWER = struct.Struct("=QiiHHHHQ"), struct.Struct("=QIIiIQ6Q"), struct.Struct("=QqiI")
MKDIR, MKDIRAT, MKNOD, MKNODAT, CONTINUE = 83, 258, 133, 259, 1


def text_at(memory, address):
    return os.pread(memory, 256, address).split(b"\0")[0].decode()


class Connection:
    def __init__(self, connection, log):
        self.connection, self.log = connection, log
        self.later = []

    def serve(self):
        """One packet; false at the end."""
        packet, control, _, _ = self.connection.recvmsg(512, socket.CMSG_SPACE(12))
        if not packet:
            return False
        fds = array.array("i")
        for _, _, data in control:
            fds.frombytes(data)
        try:
            self.ask(packet, *fds)
        finally:
            for fd in fds:
                os.close(fd)
        return True

    def ask(self, packet, process, memory, listener):
        reserved, monitor, leader, call_size, answer_size, _, _, cookie_length = HEADER.unpack_from(packet)
        call_id, pid, _, number, _, _, *arguments = CALL.unpack_from(packet, HEADER.size)
        cookie = packet[HEADER.size + call_size + answer_size:]
        whole = (reserved, call_size, answer_size, len(cookie)) == (0, CALL.size, ANSWER.size, cookie_length)
        reply = lambda value=0, error=0, flags=0, number=call_id: packet[:HEADER.size + CALL.size] + ANSWER.pack(
            number, value, -error, flags)
        if number in (MKDIR, MKDIRAT):
            path = text_at(memory, arguments[0 if number == MKDIR else 1])
            name = path.rsplit("/", 1)[-1]
            what = os.readlink(f"/proc/self/fd/{listener}")
            status = open(f"/proc/self/fd/{process}/status").read()
            same = f"\nPid:\t{pid}\n" in status
            sound = "sound" if whole and same and "seccomp" in what else "unsound"
            print(name, monitor, leader, sound, file=self.log, flush=True)
            self.mkdir(cookie.decode() + path, name.split("-")[0], reply, call_id)
        elif number in (MKNOD, MKNODAT):
            first = 0 if number == MKNOD else 1
            path, mode, device = text_at(memory, arguments[first]), arguments[first + 1], arguments[first + 2]
            os.mknod(cookie.decode() + path, mode & 0xFFFF, device & 0xFFFF)
            self.send(reply())
        else:
            self.send(reply(flags=CONTINUE))

    def mkdir(self, path, name, reply, call_id):
        if name == "made":
            os.mkdir(path)
            self.send(reply())
        elif name == "denied":
            self.send(reply(error=errno.EDQUOT))
        elif name == "through":
            self.send(reply(flags=CONTINUE))
        elif name == "short":
            self.send(reply()[:-1])
        elif name == "other":
            self.send(reply(number=call_id + 1))
        elif name == "odd":
            self.send(reply(error=errno.EDQUOT, flags=CONTINUE))
        elif name == "dies":
            os._exit(1)
        elif name == "slow":
            self.later.append((time.monotonic() + 2, reply()))

    def send(self, packet):
        try:
            self.connection.sendmsg([packet])
        except OSError:
            pass

    def answer_late(self):
        over = [packet for due, packet in self.later if due <= time.monotonic()]
        self.later = [(due, packet) for due, packet in self.later if due > time.monotonic()]
        for packet in over:
            self.send(packet)


def main():
    path, log = sys.argv[1:]
    if not path.startswith("@") and os.path.exists(path):
        os.unlink(path)
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    listener.bind(path.replace("@", "\0"))
    listener.listen()
    connections = {}
    with open(log, "a") as log:
        while True:
            ready, _, _ = select.select([listener, *connections], [], [], 0.1)
            for one in ready:
                if one is listener:
                    connection, _ = listener.accept()
                    connections[connection] = Connection(connection, log)
                elif not connections[one].serve():
                    del connections[one]
            for connection in connections.values():
                connection.answer_late()


main()
