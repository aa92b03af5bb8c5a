"""Stops one thread of a process, as a lock that never opens would: the others run on. Ends with the thread.

freeze.py PID NAME    NAME is the thread's, as in /proc/PID/task/*/comm
"""

import ctypes
import os
import sys

PTRACE_SEIZE, PTRACE_INTERRUPT, WALL = 0x4206, 0x4207, 0x40000000


def thread(pid: str, name: str) -> int:
    for tid in os.listdir(f"/proc/{pid}/task"):
        with open(f"/proc/{pid}/task/{tid}/comm") as comm:
            if comm.read().strip() == name:
                return int(tid)
    sys.exit(f"freeze: process {pid} has no thread {name}")


def ptrace(request: int, tid: int) -> None:
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.ptrace(request, tid, None, None) < 0:
        sys.exit(f"freeze: ptrace: {os.strerror(ctypes.get_errno())}")


tid = thread(*sys.argv[1:])
ptrace(PTRACE_SEIZE, tid)
ptrace(PTRACE_INTERRUPT, tid)
os.waitpid(tid, WALL)
print(f"froze {tid}", flush=True)
os.waitpid(tid, WALL)  # its death
