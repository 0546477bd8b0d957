#include "roofs/loops.hpp"

namespace mixtral::roofs {

constinit const Loops kAvx2VnniLoops = make_loops<simd::Avx2Vnni>();

}  // namespace mixtral::roofs
