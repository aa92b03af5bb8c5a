// A pool of threads that share the chunks of a run (fork and join). A run allocates nothing.
#pragma once
#include <stdint.h>

typedef struct gloss_pool gloss_pool;
// Computes chunk `chunk` of the work in `context`, on any thread of the pool.
typedef void gloss_chunk(void *context, int64_t chunk);

// Creates a pool of `threads` threads, of which the caller of a run is one. The pool pins its threads to the CPUs in
// `cpus` (`cpu_count` of them; 0: no pinning). A thread that calls a run stays pinned. The pool has fewer threads if
// the system gives no more. Returns null if memory runs out.
gloss_pool *gloss_pool_create(int64_t threads, const int32_t *cpus, int64_t cpu_count);
// Ends the threads. No run may be in progress.
void gloss_pool_destroy(gloss_pool *pool);
// Calls work(context, chunk) once for each chunk in 0..<chunks, and returns when all have ended. Inside a run, or
// while another thread has a run, the caller computes all chunks itself. `chunks` is below 2³¹.
void gloss_pool_run(gloss_pool *pool, int64_t chunks, gloss_chunk *work, void *context);

// Writes the CPUs that this thread may run on, ascending, at most `capacity` of them. Returns how many there are, or 0
// if that is unknown.
int64_t gloss_allowed_cpus(int32_t *cpus, int64_t capacity);
