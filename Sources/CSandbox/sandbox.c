#define _GNU_SOURCE
#include "CSandbox.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <stddef.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>

#if defined(__x86_64__)
#define MACHINE AUDIT_ARCH_X86_64
#elif defined(__aarch64__)
#define MACHINE AUDIT_ARCH_AARCH64
#else
#error "the numbers of system calls are not known here"
#endif

#if defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define SANITIZED 1
#endif
#endif

#define LOAD(field) BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, field))
#define ANSWER(what) BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_##what)
#define IS(value, yes, no) BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, value, yes, no)
#define ALLOW(call) IS(SYS_##call, 0, 1), ANSWER(ALLOW)

// The allowed system calls. Memory may be allocated, but not as executable. No call opens a file, connects, starts or
// signals a process, or inspects another process.
static struct sock_filter program[] = {
    LOAD(arch), IS(MACHINE, 1, 0), ANSWER(KILL_PROCESS),
    LOAD(nr),
    ALLOW(read), ALLOW(write), ALLOW(close), ALLOW(exit), ALLOW(exit_group),
    ALLOW(futex), ALLOW(brk), ALLOW(munmap), ALLOW(mremap), ALLOW(madvise),
    ALLOW(rt_sigreturn), ALLOW(rt_sigprocmask), ALLOW(rt_sigaction), ALLOW(sigaltstack), ALLOW(restart_syscall),
    ALLOW(getpid), ALLOW(gettid), ALLOW(getrandom), ALLOW(sched_yield),
    ALLOW(clock_gettime), ALLOW(gettimeofday),
#ifdef SANITIZED
    ALLOW(nanosleep), ALLOW(clock_nanosleep),
#endif
    IS(SYS_mmap, 1, 0), IS(SYS_mprotect, 0, 4),
    LOAD(args[2]), BPF_JUMP(BPF_JMP | BPF_JSET | BPF_K, PROT_EXEC, 1, 0), ANSWER(ALLOW), ANSWER(KILL_PROCESS),
    ANSWER(KILL_PROCESS),
};

int csandbox_spawn(const char *program, char *const words[], int socket, pid_t *child) {
    posix_spawn_file_actions_t actions;
    int code = posix_spawn_file_actions_init(&actions);
    if (code) return code;
    code = posix_spawn_file_actions_adddup2(&actions, socket, 0);
    if (!code) code = posix_spawn_file_actions_addopen(&actions, 1, "/dev/null", O_WRONLY, 0);
    if (!code) code = posix_spawn_file_actions_addopen(&actions, 2, "/dev/null", O_WRONLY, 0);
    if (!code) code = posix_spawn_file_actions_addclosefrom_np(&actions, 3);
    // A thread of Dispatch's pool blocks most signals, and a child inherits that: a limit would send it a signal in vain.
    posix_spawnattr_t attributes;
    sigset_t none;
    sigemptyset(&none);
    if (!code) {
        code = posix_spawnattr_init(&attributes);
        if (!code) {
            code = posix_spawnattr_setsigmask(&attributes, &none);
            if (!code) code = posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGMASK);
            char *const nothing[] = {NULL};
            if (!code) code = posix_spawn(child, program, &actions, &attributes, words, nothing);
            posix_spawnattr_destroy(&attributes);
        }
    }
    posix_spawn_file_actions_destroy(&actions);
    return code;
}

static int thread_count(void) {
    DIR *folder = opendir("/proc/self/task");
    if (!folder) return -1;
    int count = 0;
    while (readdir(folder)) count++;
    closedir(folder);
    return count - 2;  // "." and ".."
}

// When memory runs out, the kernel ends this process first, and not the daemon that holds the jobs.
static void volunteer_for_the_end(void) {
    const int file = open("/proc/self/oom_score_adj", O_WRONLY | O_CLOEXEC);
    if (file < 0) return;
    if (write(file, "1000", 4) < 0) { /* not essential */ }
    close(file);
}

static int limit(int resource, uint64_t value) {
    const struct rlimit both = {value, value};
    return setrlimit(resource, &both);
}

int csandbox_filter(void) {
    const struct sock_fprog filter = {sizeof program / sizeof program[0], program};
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)) return errno;
    return prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &filter) ? errno : 0;
}

int csandbox_enter(uint64_t memory) {
    signal(SIGTERM, SIG_IGN), signal(SIGINT, SIG_IGN), signal(SIGHUP, SIG_IGN);
    // Swift's handlers would start a program that prints a backtrace. The parent must see the signal itself.
    const int crashes[] = {SIGSEGV, SIGBUS, SIGILL, SIGTRAP, SIGABRT, SIGFPE, SIGQUIT, SIGXCPU};
    for (size_t i = 0; i < sizeof crashes / sizeof *crashes; i++) signal(crashes[i], SIG_DFL);
    volunteer_for_the_end();
#ifndef SANITIZED  // a sanitizer's shadow memory counts as data, and one sanitizer has its own thread
    if (thread_count() != 1) return EBUSY;
    if (memory && limit(RLIMIT_DATA, memory)) return errno;
#else
    (void)memory, (void)thread_count;
#endif
    if (limit(RLIMIT_CORE, 0) || limit(RLIMIT_FSIZE, 0) || limit(RLIMIT_NOFILE, 0)) return errno;
    return csandbox_filter();
}

int64_t csandbox_processor_time(pid_t child) {
    clockid_t clock;
    struct timespec time;
    if (clock_getcpuclockid(child, &clock) || clock_gettime(clock, &time)) return -1;
    return (int64_t)time.tv_sec * 1000000000 + time.tv_nsec;
}

int csandbox_limit_processor_time(pid_t child, uint32_t seconds) {
    const int64_t used = csandbox_processor_time(child);
    if (used < 0) return ESRCH;
    struct rlimit limit;
    if (prlimit(child, RLIMIT_CPU, NULL, &limit)) return errno;
    // The kernel counts whole seconds: this one counts as used up.
    const rlim_t end = (rlim_t)(used / 1000000000) + 1 + seconds;
    limit.rlim_cur = end < limit.rlim_max ? end : limit.rlim_max;
    return prlimit(child, RLIMIT_CPU, &limit, NULL) ? errno : 0;
}
