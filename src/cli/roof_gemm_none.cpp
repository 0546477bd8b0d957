#include "roofs.hpp"

namespace mixtral::cli {

std::unique_ptr<GemmRoof> make_gemm_roof(const GemmShape&, DType, std::size_t) { return nullptr; }

}  // namespace mixtral::cli
