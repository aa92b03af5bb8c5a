// A sandbox for processes that parse untrusted bytes: few system calls and bounded memory.
#pragma once

#include <stdint.h>
#include <sys/types.h>

// Starts `program` with the arguments `words` (the last is NULL) and an empty environment. The child's descriptor 0 is
// `socket` of this process; its descriptors 1 and 2 are /dev/null. Returns 0 or an errno.
int csandbox_spawn(const char *program, char *const words[], int socket, pid_t *child);

// Puts this process into the sandbox. It can then compute, allocate up to `memory` bytes (private and writable; 0: no
// limit), read and write open descriptors, and exit. Every other system call kills it with SIGSYS. It ignores SIGTERM,
// SIGINT and SIGHUP, which its parent handles. Returns 0, or the errno of the step that failed. EBUSY: the process has
// a second thread, which the filter would not cover.
int csandbox_enter(uint64_t memory);

// The last step of csandbox_enter: installs the filter of system calls for this thread. Returns 0 or an errno.
int csandbox_filter(void);

// The processor time that a child has used, in nanoseconds; -1 where the system does not say.
int64_t csandbox_processor_time(pid_t child);

// Lets a child use that many more seconds of a processor; then the kernel ends it with SIGXCPU. It is for each image anew, so it is
// set from here: the child has no call for it. Returns 0 or an errno.
int csandbox_limit_processor_time(pid_t child, uint32_t seconds);
