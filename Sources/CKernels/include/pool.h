// Threads that share the chunks of one piece of work: fork, join, nothing allocated in between.
#pragma once
#include <stdint.h>

typedef struct gloss_pool gloss_pool;
// Computes chunk `chunk` of what `context` says, on any thread.
typedef void gloss_chunk(void *context, int64_t chunk);

// A pool of `threads` threads, the caller of a run being one of them. Threads that run its work are kept on the CPUs
// `cpus` (`cpu_count` of them; 0: where they are), the calling ones for good. Fewer threads where the system has no
// more; null without memory.
gloss_pool *gloss_pool_create(int64_t threads, const int32_t *cpus, int64_t cpu_count);
// Ends the threads. Nothing may be running.
void gloss_pool_destroy(gloss_pool *pool);
// Calls work(context, 0..<chunks), each once, and returns when all are done. From inside a run, and while another
// thread has one, the caller computes alone. `chunks` is below 2³¹.
void gloss_pool_run(gloss_pool *pool, int64_t chunks, gloss_chunk *work, void *context);

// The CPUs that this thread may run on, ascending; returns how many there are, of which at most `capacity` are written.
// 0: unknown.
int64_t gloss_allowed_cpus(int32_t *cpus, int64_t capacity);
