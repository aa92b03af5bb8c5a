// What tests do to libcurl, and what Swift does not see of the C library.
#pragma once
#include <spawn.h>

// A child will not inherit any descriptor from `first` on. Returns 0, or why not.
int spawn_close_from(posix_spawn_file_actions_t *actions, int first);

// Names that resolve as a test says: this program's own getaddrinfo, which libcurl finds before the C library's.

// From now on lookups of `name` give these addresses: numbers, separated by spaces; lookups that follow each other
// give what stands between semicolons, and the last of them for ever. Nothing between them: there is no such name; an
// exclamation mark: the name server does not answer. Other names are the C library's.
void names_script(const char *name, const char *answers);

// While a name is held, lookups of it do not end.
void names_hold(const char *name, int is_held);

// How many lookups of a scripted name there were.
int names_lookup_count(const char *name);

// Sets libcurl up, before anything else does, with memory that can run out.
void curl_memory_begin(void);

// From now on the allocation of this number fails, counted from 1, and with `lasts` every one after it. 0: none fails.
void curl_memory_fail(long number, int lasts);

// How many allocations there were since then.
long curl_memory_count(void);
