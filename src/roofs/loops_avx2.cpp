#include "roofs/loops.hpp"

namespace mixtral::roofs {

constinit const Loops kAvx2Loops = make_loops<simd::Avx2>();

}  // namespace mixtral::roofs
