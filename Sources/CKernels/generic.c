#define NAME(x) gloss_generic_##x
#define VECTORS 1
#include "body.h"
