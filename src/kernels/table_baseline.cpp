#include "kernels/tables.hpp"
#include "mixtral/kernels/make_table.hpp"

namespace mixtral::detail {

constinit const KernelTable kBaselineTable = kernels::make_table<simd::Baseline>();

}  // namespace mixtral::detail
