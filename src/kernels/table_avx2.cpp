#include "kernels/tables.hpp"
#include "mixtral/kernels/make_table.hpp"

namespace mixtral::detail {

constinit const KernelTable kAvx2Table = kernels::make_table<simd::Avx2>();

}  // namespace mixtral::detail
