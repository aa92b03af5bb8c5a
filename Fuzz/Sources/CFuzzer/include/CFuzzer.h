// libFuzzer's driver, and a network that answers what the fuzzer wants.
#pragma once

#include <stddef.h>
#include <stdint.h>

// libFuzzer's: runs with a program's arguments, and returns its exit status.
int LLVMFuzzerRunDriver(int *argc, char ***argv, int (*target)(const uint8_t *bytes, size_t count));

// What every connection that is made from now on receives before it is closed. Every name resolves to 93.184.216.34.
void cfuzzer_answer(const uint8_t *bytes, size_t count);
