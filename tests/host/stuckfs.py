"""A file system that does not answer: `stuckfs.py DIRECTORY` mounts it there, by /dev/fuse alone.

Its root can be looked at, and every name in it, or how much room it has, can be asked for; that question is read and never
answered, and so whoever asks sleeps in the kernel, where SIGKILL does not reach him, until this process ends.
"""

import os
import struct
import sys
import ctypes

LOOKUP, GETATTR, STATFS, INIT, OPENDIR = 1, 3, 17, 26, 27
IN, OUT = struct.Struct("<IIQQIIII"), struct.Struct("<IiQ")
ATTR = struct.Struct("<QQQQQQIIIIIIIIII")


def mount(directory):
    fd = os.open("/dev/fuse", os.O_RDWR)
    libc = ctypes.CDLL(None, use_errno=True)
    data = f"fd={fd},rootmode=40000,user_id=0,group_id=0,allow_other"
    if libc.mount(b"stuckfs", directory.encode(), b"fuse", 0, data.encode()) != 0:
        sys.exit(f"failed to mount '{directory}': {os.strerror(ctypes.get_errno())}")
    return fd


def answer(fd, unique, payload):
    os.write(fd, OUT.pack(OUT.size + len(payload), 0, unique) + payload)


def main():
    fd = mount(sys.argv[1])
    attr = struct.pack("<QII", 0, 0, 0) + ATTR.pack(1, 0, 0, 0, 0, 0, 0, 0, 0, 0o40755, 2, 0, 0, 0, 4096, 0)
    print("mounted", flush=True)
    while True:
        request = os.read(fd, 1 << 20)
        _, opcode, unique, *_ = IN.unpack_from(request)
        if opcode == INIT:
            answer(fd, unique, struct.pack("<IIIIHHIIHHI28x", 7, 31, 4096, 0, 12, 10, 4096, 1, 0, 0, 0))
        elif opcode == GETATTR:
            answer(fd, unique, attr)
        elif opcode not in (LOOKUP, STATFS):
            os.write(fd, OUT.pack(OUT.size, -38, unique))


main()
