#include "roofs/loops.hpp"

namespace mixtral::roofs {

constinit const Loops kBaselineLoops = make_loops<simd::Baseline>();

}  // namespace mixtral::roofs
