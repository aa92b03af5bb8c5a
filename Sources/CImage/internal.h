#pragma once

#include "CImage.h"

// Fills in the reason and hands the status back, so that a failure is one `return`.
cimage_status cimage_fail(cimage_reason *reason, cimage_status status, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
