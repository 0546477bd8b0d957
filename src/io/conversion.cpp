#include "io/conversion.hpp"

#include <system_error>

#include "core/message.hpp"
#include "mixtral/core/error.hpp"

namespace mixtral::detail {

void check_target(const std::filesystem::path& path) {
  std::error_code error;
  if (std::filesystem::is_directory(path, error)) {
    throw Error(ErrorCode::invalid_argument,
                quote(path) + ": expected the name of a file, found a directory");
  }
}

void count(const TensorType& tensor, const WeightView& target, ConvertReport& report) {
  report.n_weights += target.rows * target.cols;
  report.weight_bytes += target.bytes();
  if (tensor.type == tensor.asked_for) return;
  for (Substitution& known : report.substitutions) {
    if (known.asked_for == tensor.asked_for && known.width == target.cols) {
      ++known.n_tensors;
      return;
    }
  }
  report.substitutions.push_back({tensor.asked_for, tensor.type, target.cols, 1});
}

}  // namespace mixtral::detail
