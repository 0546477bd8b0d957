#include "kernels/tables.hpp"
#include "mixtral/kernels/make_table.hpp"

namespace mixtral::detail {

constinit const KernelTable kAvx512Table = kernels::make_table<simd::Avx512>();

}  // namespace mixtral::detail
