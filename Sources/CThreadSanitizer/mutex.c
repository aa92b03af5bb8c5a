// ThreadSanitizer can't see all of Swift's Mutex: where two threads meet at one, waiting and waking is done by
// libswiftSynchronization, which is not instrumented, with futexes. The two functions that its inlined fast path
// falls back to stand here before the library's own, and say what they do. Empty in every other build.
#include "CThreadSanitizer.h"

#if defined(__has_feature)
#if __has_feature(thread_sanitizer)
#include <dlfcn.h>
#include <stdint.h>

// sanitizer/tsan_interface.h, which the toolchain leaves out.
void __tsan_acquire(void *address);
void __tsan_release(void *address);

#define SELF __attribute__((swift_context))
#define LOCK "$s15Synchronization12_MutexHandleV9_lockSlowyys6UInt32VF"
#define UNLOCK "$s15Synchronization12_MutexHandleV11_unlockSlowyyF"

typedef __attribute__((swiftcall)) void locker(uint32_t thread, SELF void *mutex);
typedef __attribute__((swiftcall)) void unlocker(SELF void *mutex);

__attribute__((swiftcall)) void gloss_lock_slow(uint32_t thread, SELF void *mutex) __asm__(LOCK);
__attribute__((swiftcall)) void gloss_unlock_slow(SELF void *mutex) __asm__(UNLOCK);

__attribute__((swiftcall)) void gloss_lock_slow(uint32_t thread, SELF void *mutex) {
    ((locker *)dlsym(RTLD_NEXT, LOCK))(thread, mutex);
    __tsan_acquire(mutex);
}

__attribute__((swiftcall)) void gloss_unlock_slow(SELF void *mutex) {
    __tsan_release(mutex);
    ((unlocker *)dlsym(RTLD_NEXT, UNLOCK))(mutex);
}
#endif
#endif
