// What one thread of this machine can do, measured in the same run as the kernels.
#pragma once

#include "mixtral/core/isa.hpp"

namespace mixtral::bench {

/// Bytes per second that one thread reads from memory, with software prefetch. Measured once.
double read_roof();

/// Floating-point operations per second of one thread in a cache-resident product of 6 tokens by 32
/// rows: what the kernels of `isa` reach when they wait for nothing. Measured once per isa.
double cached_product(Isa isa);

}  // namespace mixtral::bench
