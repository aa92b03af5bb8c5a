#include "CNames.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include <curl/curl.h>

static atomic_long count, failing;
static atomic_int lasting;

static int fails(void) {
    const long number = ++count, first = failing;
    return first && (lasting ? number >= first : number == first);
}

static void *take(size_t size) { return fails() ? NULL : malloc(size); }
static void *take_again(void *memory, size_t size) { return fails() ? NULL : realloc(memory, size); }
static void *take_zeros(size_t number, size_t size) { return fails() ? NULL : calloc(number, size); }
static char *copy(const char *text) { return fails() ? NULL : strdup(text); }

void curl_memory_begin(void) { curl_global_init_mem(CURL_GLOBAL_DEFAULT, take, free, take_again, copy, take_zeros); }

void curl_memory_fail(long number, int lasts) { count = 0, lasting = lasts, failing = number; }

long curl_memory_count(void) { return count; }
