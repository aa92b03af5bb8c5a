// The engine's threads. A free thread takes the next chunk from a counter. A waiting thread spins first, because the
// next run mostly begins within microseconds. Then it sleeps, because another thread may need the core, above all the
// thread that it waits for.
#if defined(__linux__)
#define _GNU_SOURCE
#include <linux/futex.h>
#include <sched.h>
#include <sys/syscall.h>
#include <unistd.h>
#endif
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include "pool.h"

enum { SPIN_NANOSECONDS = 30000 };
// A bit of `pending`: the caller of the run sleeps.
static const uint32_t WAITING = 1u << 31;

struct gloss_pool {
    // Number of the run << 32 | chunks not taken yet. Both are in one word, so that a late thread cannot take a chunk
    // of one run with the work of another.
    _Alignas(64) _Atomic(uint64_t) ticket;
    _Alignas(64) _Atomic(uint32_t) pending;  // unfinished chunks, and the bit WAITING
    _Alignas(64) _Atomic(uint32_t) runs;     // number of runs so far
    _Atomic(uint32_t) sleepers;
    _Atomic(bool) busy, stopped;
    _Atomic(gloss_chunk *) work;
    _Atomic(void *) context;
    _Atomic(uint32_t) chunks;
#if defined(__linux__)
    cpu_set_t cpus;
#endif
    uint64_t identity;  // 0: the pool does not pin threads
    int64_t worker_count;
    pthread_t workers[];
};

#if defined(__linux__)
static void sleep_while(_Atomic(uint32_t) *word, uint32_t value) {
    syscall(SYS_futex, word, FUTEX_WAIT_PRIVATE, value, NULL, NULL, 0);
}
static void wake(_Atomic(uint32_t) *word, uint32_t count) {
    syscall(SYS_futex, word, FUTEX_WAKE_PRIVATE, count, NULL, NULL, 0);
}
#else
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t changed = PTHREAD_COND_INITIALIZER;
static void sleep_while(_Atomic(uint32_t) *word, uint32_t value) {
    pthread_mutex_lock(&lock);
    if (atomic_load(word) == value) pthread_cond_wait(&changed, &lock);
    pthread_mutex_unlock(&lock);
}
static void wake(_Atomic(uint32_t) *word, uint32_t count) {
    (void)word, (void)count;
    pthread_mutex_lock(&lock);
    pthread_cond_broadcast(&changed);
    pthread_mutex_unlock(&lock);
}
#endif

static void relax(void) {
#if defined(__x86_64__)
    __builtin_ia32_pause();
#elif defined(__aarch64__)
    __asm__ volatile("yield");
#endif
}

static int64_t nanoseconds(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return now.tv_sec * 1000000000LL + now.tv_nsec;
}

#define SPIN_WHILE(condition)                                                               \
    for (int64_t end = nanoseconds() + SPIN_NANOSECONDS; (condition) && nanoseconds() < end;) \
        for (int i = 0; i < 32 && (condition); i++) relax();

// Takes and computes chunks until none is left. Returns how many it computed.
static uint32_t take_chunks(gloss_pool *pool) {
    uint32_t taken = 0;
    uint64_t ticket = atomic_load_explicit(&pool->ticket, memory_order_acquire);
    while ((uint32_t)ticket) {
        // If the exchange below succeeds, these belong to the ticket's run, because a run cannot end before its last
        // chunk.
        gloss_chunk *work = atomic_load_explicit(&pool->work, memory_order_relaxed);
        void *context = atomic_load_explicit(&pool->context, memory_order_relaxed);
        uint32_t chunks = atomic_load_explicit(&pool->chunks, memory_order_relaxed);
        if (!atomic_compare_exchange_weak_explicit(&pool->ticket, &ticket, ticket - 1, memory_order_acq_rel,
                                                   memory_order_acquire))
            continue;
        work(context, chunks - (uint32_t)ticket);
        taken++;
        ticket = atomic_load_explicit(&pool->ticket, memory_order_acquire);
    }
    return taken;
}

static void wait_for_run(gloss_pool *pool, uint32_t seen) {
    SPIN_WHILE(atomic_load_explicit(&pool->runs, memory_order_acquire) == seen)
    if (atomic_load_explicit(&pool->runs, memory_order_acquire) != seen) return;
    atomic_fetch_add(&pool->sleepers, 1);
    while (atomic_load(&pool->runs) == seen) sleep_while(&pool->runs, seen);
    atomic_fetch_sub(&pool->sleepers, 1);
}

// Pins the calling thread to the pool's CPUs.
static void settle(const gloss_pool *pool) {
#if defined(__linux__)
    static _Thread_local uint64_t settled;
    if (pool->identity == 0 || settled == pool->identity) return;
    settled = pool->identity;
    sched_setaffinity(0, sizeof pool->cpus, &pool->cpus);
#else
    (void)pool;
#endif
}

static void *worker(void *argument) {
    gloss_pool *pool = argument;
    settle(pool);
    for (;;) {
        // A run sets the ticket first and then `runs`. So reading `runs` before the ticket cannot miss a run that
        // begins in between.
        uint32_t seen = atomic_load_explicit(&pool->runs, memory_order_acquire);
        uint32_t taken = take_chunks(pool);
        if (taken && atomic_fetch_sub_explicit(&pool->pending, taken, memory_order_acq_rel) - taken == WAITING)
            wake(&pool->pending, 1);
        if (atomic_load_explicit(&pool->stopped, memory_order_acquire)) return NULL;
        wait_for_run(pool, seen);
    }
}

static void begin_run(gloss_pool *pool, uint32_t chunks, gloss_chunk *work, void *context) {
    atomic_store_explicit(&pool->work, work, memory_order_relaxed);
    atomic_store_explicit(&pool->context, context, memory_order_relaxed);
    atomic_store_explicit(&pool->chunks, chunks, memory_order_relaxed);
    atomic_store_explicit(&pool->pending, chunks, memory_order_relaxed);
    uint64_t number = atomic_load_explicit(&pool->runs, memory_order_relaxed) + 1;
    atomic_store_explicit(&pool->ticket, number << 32 | chunks, memory_order_release);
    // A worker either sees the new number before it sleeps, or is in `sleepers` here.
    atomic_fetch_add(&pool->runs, 1);
    uint32_t sleepers = atomic_load(&pool->sleepers);
    if (sleepers) wake(&pool->runs, sleepers < chunks ? sleepers : chunks - 1);
}

static void join_run(gloss_pool *pool, uint32_t taken) {
    if (atomic_fetch_sub_explicit(&pool->pending, taken, memory_order_acq_rel) == taken) return;
    SPIN_WHILE(atomic_load_explicit(&pool->pending, memory_order_acquire) != 0)
    if (atomic_load_explicit(&pool->pending, memory_order_acquire) == 0) return;
    uint32_t pending = atomic_fetch_or_explicit(&pool->pending, WAITING, memory_order_acq_rel) | WAITING;
    while (pending != WAITING) {
        sleep_while(&pool->pending, pending);
        pending = atomic_load_explicit(&pool->pending, memory_order_acquire);
    }
}

void gloss_pool_run(gloss_pool *pool, int64_t chunks, gloss_chunk *work, void *context) {
    settle(pool);
    bool shared = chunks > 1 && pool->worker_count > 0
        && !atomic_exchange_explicit(&pool->busy, true, memory_order_acquire);
    if (!shared) {
        for (int64_t chunk = 0; chunk < chunks; chunk++) work(context, chunk);
        return;
    }
    begin_run(pool, (uint32_t)chunks, work, context);
    join_run(pool, take_chunks(pool));
    atomic_store_explicit(&pool->busy, false, memory_order_release);
}

// The workers block all signals, which are for the other threads of the program.
static void start_workers(gloss_pool *pool, int64_t count) {
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    while (pool->worker_count < count && pthread_create(&pool->workers[pool->worker_count], NULL, worker, pool) == 0) {
#if defined(__linux__)
        pthread_setname_np(pool->workers[pool->worker_count], "gloss-compute");
#endif
        pool->worker_count++;
    }
    pthread_sigmask(SIG_SETMASK, &before, NULL);
}

gloss_pool *gloss_pool_create(int64_t threads, const int32_t *cpus, int64_t cpu_count) {
    size_t size = sizeof(gloss_pool) + (size_t)threads * sizeof(pthread_t);
    gloss_pool *pool = aligned_alloc(_Alignof(gloss_pool), (size + 63) / 64 * 64);
    if (!pool) return NULL;
    memset(pool, 0, size);
#if defined(__linux__)
    static _Atomic(uint64_t) last_identity;
    if (cpu_count > 0) pool->identity = atomic_fetch_add(&last_identity, 1) + 1;
    for (int64_t i = 0; i < cpu_count; i++) CPU_SET(cpus[i], &pool->cpus);
#else
    (void)cpus, (void)cpu_count;
#endif
    start_workers(pool, threads - 1);
    return pool;
}

void gloss_pool_destroy(gloss_pool *pool) {
    atomic_store_explicit(&pool->stopped, true, memory_order_release);
    atomic_fetch_add(&pool->runs, 1);
    wake(&pool->runs, INT32_MAX);
    for (int64_t i = 0; i < pool->worker_count; i++) pthread_join(pool->workers[i], NULL);
    free(pool);
}

int64_t gloss_allowed_cpus(int32_t *cpus, int64_t capacity) {
    int64_t count = 0;
#if defined(__linux__)
    cpu_set_t set;
    if (sched_getaffinity(0, sizeof set, &set) != 0) return 0;
    for (int32_t cpu = 0; cpu < CPU_SETSIZE; cpu++) {
        if (!CPU_ISSET(cpu, &set)) continue;
        if (count < capacity) cpus[count] = cpu;
        count++;
    }
#else
    (void)cpus, (void)capacity;
#endif
    return count;
}
