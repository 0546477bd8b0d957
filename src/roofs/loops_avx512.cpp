#include "roofs/loops.hpp"

namespace mixtral::roofs {

constinit const Loops kAvx512Loops = make_loops<simd::Avx512>();

}  // namespace mixtral::roofs
