#include <string>

#include "kernels/tables.hpp"
#include "mixtral/core/error.hpp"

namespace mixtral {

const KernelTable& kernel_table(Isa isa) {
  switch (isa) {
    case Isa::baseline:
      return detail::kBaselineTable;
#if defined(__x86_64__)
    case Isa::avx2:
      return detail::kAvx2Table;
    case Isa::avx512:
      return detail::kAvx512Table;
    case Isa::avx2_vnni:
      return detail::kAvx2VnniTable;
#else
    case Isa::avx2:
    case Isa::avx512:
    case Isa::avx2_vnni:
      break;
#endif
  }
  throw Error(ErrorCode::unsupported,
              "this build has no kernels for " + std::string(name_of(isa)));
}

}  // namespace mixtral
