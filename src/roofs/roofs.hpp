// What the machine can do at best, measured: the yardsticks of `mixtral bench` and the
// micro-benchmarks.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

#include "mixtral/core/executor.hpp"
#include "mixtral/core/isa.hpp"
#include "mixtral/core/tensor.hpp"

namespace mixtral::roofs {

/// Reads memory as fast as all threads of an executor can.
class ReadRoof {
 public:
  /// Takes half a gibibyte, on huge pages where the system has them.
  ReadRoof();

  /// Bytes per second in the best of several passes of several ways to read: one or more streams a thread, with and
  /// without software prefetch.
  double measure(Executor& executor);

 private:
  using Sum = std::uint64_t (*)(const std::uint64_t* words, std::size_t n) noexcept;

  void read_once(Executor& executor, Sum sum_of);

  AlignedBuffer<std::uint64_t> buffer_;
  std::uint64_t checksum_ = 0;  // keeps the compiler from leaving the reads out
};

/// The elements that are multiplied; sums are f32, or 32-bit integers of int8.
enum class Arithmetic { f32, bf16, int8 };

/// "f32", "bf16" or "int8".
std::string_view name_of(Arithmetic arithmetic) noexcept;

/// Whether `isa` has instructions for such products: all but bf16 without AVX-512 have.
bool has_arithmetic(Isa isa, Arithmetic arithmetic) noexcept;

/// Operations per second, where a multiplication and an addition are two, of all threads of
/// `executor` together in a loop of the best such instructions of `isa` that touches registers
/// alone: the best of several short runs. The machine must support `isa`, and `isa` have the
/// arithmetic.
double measure_arithmetic(Isa isa, Arithmetic arithmetic, Executor& executor);

}  // namespace mixtral::roofs
