// Processes that close themselves in.
#pragma once

#include <stdint.h>
#include <sys/types.h>

// Starts `program` with these words (the last is NULL) and no environment. It has descriptor 0, which is `socket` of
// this process, and two outputs that lead nowhere. Returns 0, or an errno.
int csandbox_spawn(const char *program, char *const words[], int socket, pid_t *child);

// From now on this process computes, takes up to `memory` bytes (writable and its own; 0: as many as there are),
// reads and writes what is open, and ends. Every other system call kills it with SIGSYS. It ignores SIGTERM, SIGINT
// and SIGHUP, which are for its parent. Returns 0, or the errno of what could not be done: EBUSY where there is a
// second thread, which would stay outside.
int csandbox_enter(uint64_t memory);

// The last step of it: what this thread may call. Returns 0 or an errno.
int csandbox_filter(void);

// The processor time that a child has used, in nanoseconds; -1 where the system does not say.
int64_t csandbox_processor_time(pid_t child);

// Lets a child use that many more seconds of a processor; then the kernel ends it with SIGXCPU. It is for each image anew, so it is
// set from here: the child has no call for it. Returns 0 or an errno.
int csandbox_limit_processor_time(pid_t child, uint32_t seconds);
