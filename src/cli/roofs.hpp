// What the machine can do at best, measured: the yardsticks of `mixtral bench`.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>

#include "mixtral/core/dtype.hpp"
#include "mixtral/core/executor.hpp"
#include "mixtral/core/tensor.hpp"

namespace mixtral::cli {

/// Reads memory as fast as all threads of an executor can.
class ReadRoof {
 public:
  /// Takes half a gibibyte, on huge pages where the system has them.
  ReadRoof();

  /// Bytes per second over at least a tenth of a second.
  double measure(Executor& executor);

 private:
  void read_once(Executor& executor);

  AlignedBuffer<std::uint64_t> buffer_;
  std::uint64_t checksum_ = 0;  // keeps the compiler from leaving the reads out
};

/// A matrix product [n_tokens, depth] x [depth, n_rows].
struct GemmShape {
  std::size_t n_tokens, n_rows, depth;
};

/// The product of one shape by oneDNN alone, with weights packed as it likes best.
class GemmRoof {
 public:
  virtual ~GemmRoof() = default;

  /// Floating-point operations per second over at least a fifth of a second.
  virtual double measure() = 0;
};

/// Null when this build lacks oneDNN, or it can't multiply `dtype` (f32 or bf16) on this machine.
std::unique_ptr<GemmRoof> make_gemm_roof(const GemmShape& shape, DType dtype,
                                         std::size_t n_threads);

}  // namespace mixtral::cli
