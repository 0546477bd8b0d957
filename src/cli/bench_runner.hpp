// Runs the tests of `mixtral bench` and counts what each forward pass reads and computes.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "mixtral/core/executor.hpp"
#include "mixtral/model/mixtral.hpp"
#include "weights.hpp"

namespace mixtral::cli {

/// Tokens of a prompt that go through the network at once, as in ContextOptions.
inline constexpr std::size_t kBenchChunk = 512;

/// One thing to be timed.
struct BenchTest {
  enum class Kind { prompt, decode };

  Kind kind;
  std::size_t n_tokens;   ///< per sequence
  std::size_t depth = 0;  ///< positions that each sequence holds before
  std::size_t batch = 1;  ///< sequences side by side

  /// "pp512", "tg32", "tg32@d4096", "tg32@b4", "tg32@d4096@b4".
  std::string name() const;
};

/// What a test did in a short while: once, or as often as it takes to be timed well.
struct BenchSample {
  double seconds = 0;
  double tokens = 0;      ///< of all sequences together
  double bytes = 0;       ///< each byte of weights and cache once per forward pass
  double operations = 0;  ///< a multiplication and an addition are two
};

/// Holds the contexts for the largest of some tests. Prompts and new tokens are random; what lies
/// before them, a test's depth, is not computed but zero, which costs attention the same time.
class BenchRunner {
 public:
  /// Throws Error(out_of_memory).
  BenchRunner(const Mixtral& network, Executor& executor, const std::vector<BenchTest>& tests,
              DType cache_dtype, std::uint64_t seed);

  BenchSample run(const BenchTest& test);

 private:
  void set_depth(const BenchTest& test);
  void fill(KvCache& cache, std::size_t depth) const;
  void decode(const BenchTest& test, BenchSample& sample);
  void prefill(const BenchTest& test, BenchSample& sample);
  void add(std::size_t sequence, std::size_t n_tokens, LogitsFor logits);
  void forward(BenchSample& sample);
  void count(std::size_t n_experts_read, BenchSample& sample) const;

  const Mixtral& network_;
  Executor& executor_;
  WeightCensus census_;
  std::vector<KvCache> caches_;               // [batch]
  std::vector<std::vector<TokenId>> tokens_;  // [batch][n_ctx of the cache]
  Workspace workspace_;
  std::vector<BatchItem> items_;  // of the next forward pass
};

}  // namespace mixtral::cli
