"""Tries what glossd must not be able to do, each in a process of its own, and prints what was possible.

Run outside of the unit by root, everything is possible: then the tries are good ones. Run in the unit, nothing is.
"""

import ctypes
import mmap
import os
import socket
import sys
import tempfile

libc = ctypes.CDLL(None, use_errno=True)


def call(name: str, *arguments: object) -> None:
    """A C function that says -1 on failure."""
    if getattr(libc, name)(*arguments) == -1:
        raise OSError(ctypes.get_errno(), name)


def write_into(folder: str) -> None:
    with tempfile.TemporaryFile(dir=folder):
        pass


def read(path: str) -> None:
    with open(path, "rb") as file:
        file.read()


def execute(path: str) -> None:
    if os.spawnv(os.P_WAIT, path, [path]) == 127:
        raise OSError(path)


def set_user_bit() -> None:
    os.fchmod(os.memfd_create("program"), 0o4755)


def write_and_execute() -> None:
    mmap.mmap(-1, 4096, prot=mmap.PROT_READ | mmap.PROT_WRITE | mmap.PROT_EXEC).close()


def see_others() -> None:
    if not [name for name in os.listdir("/proc") if name.isdigit() and int(name) not in (os.getpid(), os.getppid())]:
        raise OSError("only itself")


def real_time() -> None:
    os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(1))


def raw_socket(family: int, protocol: int) -> None:
    socket.socket(family, socket.SOCK_RAW, protocol).close()


TRIES = {
    **{f"write into {folder}": (write_into, folder) for folder in (
        "/", "/etc", "/etc/gloss", "/usr", "/var/lib/gloss", "/var/lib/gloss/models", "/var/tmp", "/tmp", "/dev/shm",
        "/run", "/run/lock", "/home", "/root", "/srv", "/var/log")},
    "read /home": (read, "/home/check/secret"),
    "read /root": (read, "/root/secret"),
    "read the settings of the manager": (read, "/etc/gloss/glossd.env"),
    "see other processes": (see_others,),
    "see what init does": (read, "/proc/1/cmdline"),
    "run a program": (execute, "/bin/true"),
    "a raw socket": (raw_socket, socket.AF_INET, socket.IPPROTO_ICMP),
    "a packet socket": (raw_socket, socket.AF_PACKET, 0),
    "a netlink socket": (raw_socket, socket.AF_NETLINK, 0),
    "become root": (os.setuid, 0),
    "change the root directory": (os.chroot, "/"),
    "mount": (lambda: call("mount", b"none", b"/mnt", b"tmpfs", 0, None),),
    "a namespace": (lambda: call("unshare", 0x08000000),),  # CLONE_NEWIPC
    "a set-user-id file": (set_user_bit,),
    "memory that is written and run": (write_and_execute,),
    "real-time priority": (real_time,),
    "another architecture's calls": (lambda: call("personality", 0x0008),),
    "trace itself": (lambda: call("ptrace", 0, 0, None, None),),
    "another host name": (lambda: call("sethostname", b"check", 5),),
}


def is_possible(what: object, *arguments: object) -> bool:
    """In a child: the filter of system calls kills."""
    child = os.fork()
    if child == 0:
        try:
            what(*arguments)
            os._exit(0)
        except BaseException:
            os._exit(1)
    return os.waitpid(child, 0)[1] == 0


possible = [name for name, arguments in TRIES.items() if is_possible(*arguments)]
for name in possible:
    print("possible:", name)
wanted = {"nothing": [], "everything": list(TRIES)}[sys.argv[1]]
for name in wanted:
    if name not in possible:
        print("not possible:", name)
sys.exit(0 if possible == wanted else 1)
