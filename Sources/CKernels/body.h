// The kernels, written once and compiled for each instruction set: the including file sets the target, and defines
// NAME(x) and VECTORS (16-float columns of a register tile).
#include "vectors.h"
#include "gemm.h"
#include "rows.h"
