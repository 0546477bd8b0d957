#include "kernels/tables.hpp"
#include "mixtral/kernels/make_table.hpp"

namespace mixtral::detail {

constinit const KernelTable kAvx2VnniTable = kernels::make_table<simd::Avx2Vnni>();

}  // namespace mixtral::detail
