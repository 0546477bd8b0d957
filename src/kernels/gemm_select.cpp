#include "kernels/gemm_select.hpp"

#include <array>
#include <cstdlib>
#include <string>

#include "kernels/gemm_libraries.hpp"
#include "mixtral/core/error.hpp"

namespace mixtral {
namespace {

constexpr std::array kAllKinds = {GemmKind::native, GemmKind::onednn, GemmKind::openblas,
                                  GemmKind::eigen};

GemmKind parse_kind(const char* name) {
  for (GemmKind kind : kAllKinds) {
    if (name == name_of(kind)) return kind;
  }
  throw Error(ErrorCode::unsupported, "MIXTRAL_GEMM is \"" + std::string(name) +
                                          "\": expected native, onednn, openblas or eigen");
}

}  // namespace

std::string_view name_of(GemmKind kind) noexcept {
  switch (kind) {
    case GemmKind::native:
      return "native";
    case GemmKind::onednn:
      return "onednn";
    case GemmKind::openblas:
      return "openblas";
    case GemmKind::eigen:
      return "eigen";
  }
  return "?";
}

bool is_available(GemmKind kind) noexcept {
  switch (kind) {
    case GemmKind::native:
      return true;
    case GemmKind::onednn:
      return MIXTRAL_HAS_ONEDNN;
    case GemmKind::openblas:
      return MIXTRAL_HAS_OPENBLAS;
    case GemmKind::eigen:
      return MIXTRAL_HAS_EIGEN;
  }
  return false;
}

namespace detail {

GemmKind select_gemm(std::optional<GemmKind> requested) {
  if (!requested) {
    const char* variable = std::getenv("MIXTRAL_GEMM");
    requested = variable == nullptr || *variable == '\0' ? GemmKind::native : parse_kind(variable);
  }
  if (!is_available(*requested)) {
    throw Error(ErrorCode::unsupported,
                "this build has no " + std::string(name_of(*requested)) + " GEMM back end");
  }
  return *requested;
}

std::unique_ptr<GemmBackend> make_gemm(GemmKind kind, [[maybe_unused]] const KernelTable& kernels) {
  switch (kind) {
#if MIXTRAL_HAS_ONEDNN
    case GemmKind::onednn:
      return make_onednn_gemm(kernels);
#endif
#if MIXTRAL_HAS_OPENBLAS
    case GemmKind::openblas:
      return make_openblas_gemm(kernels);
#endif
#if MIXTRAL_HAS_EIGEN
    case GemmKind::eigen:
      return make_eigen_gemm(kernels);
#endif
    default:
      return nullptr;
  }
}

}  // namespace detail
}  // namespace mixtral
