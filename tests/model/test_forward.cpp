// What forward refuses, and that decoding allocates nothing.
#include <atomic>
#include <cstdlib>
#include <new>
#include <vector>

#include "model/golden.hpp"
#include "support/catch.hpp"

using namespace mixtral;
using namespace mixtral::test;

#if !defined(MIXTRAL_SANITIZED) && defined(__GLIBC__)
#define MIXTRAL_TEST_COUNTS_ALLOCATIONS 1
namespace {
std::atomic<std::size_t> n_allocations{0};
}
extern "C" {
void* __libc_malloc(std::size_t size);
void* __libc_memalign(std::size_t alignment, std::size_t size);
void* malloc(std::size_t size) {
  ++n_allocations;
  return __libc_malloc(size);
}
void* aligned_alloc(std::size_t alignment, std::size_t size) {
  ++n_allocations;
  return __libc_memalign(alignment, size);
}
}
#endif

namespace {

ErrorCode error_of(const std::vector<BatchItem>& batch, Runner& runner) {
  try {
    runner.network->forward(batch, runner.workspace, runner.pool);
  } catch (const Error& error) {
    return error.code();
  }
  return ErrorCode::internal;
}

}  // namespace

#ifdef MIXTRAL_TEST_COUNTS_ALLOCATIONS
TEST_CASE("decoding does not allocate") {
  for (const auto& path : golden_models()) {
    INFO(path.filename());
    Runner runner(path, {}, DType::f16);
    const std::vector<TokenId> prompt = {1, 5, 9, 13};
    runner.forward(prompt, LogitsFor::last);
    const std::size_t before = n_allocations;
    for (TokenId id = 3; id < 40; ++id) runner.forward({&id, 1}, LogitsFor::last);
    const std::size_t after = n_allocations;
    CHECK(after == before);
    const std::vector<int> counted(100);
    CHECK(n_allocations > after);
  }
}
#endif

TEST_CASE("forward refuses bad batches and leaves the caches alone") {
  Runner runner(golden_models().front(), {}, DType::f16);
  const Config& config = runner.network->config();
  KvCache& cache = runner.cache;
  const std::vector<TokenId> good = {1, 2, 3};
  const std::vector<TokenId> negative = {1, -1};
  const std::vector<TokenId> high = {static_cast<TokenId>(config.vocab)};
  const std::vector<TokenId> many(161, 1);
  KvCache small(config, 2, DType::f16);
  KvCache huge(config, 257, DType::f16);

  CHECK(error_of({{&cache, {}, LogitsFor::last}}, runner) == ErrorCode::invalid_argument);
  CHECK(error_of({{nullptr, good, LogitsFor::last}}, runner) == ErrorCode::invalid_argument);
  CHECK(error_of({{&cache, negative, LogitsFor::last}}, runner) == ErrorCode::invalid_argument);
  CHECK(error_of({{&cache, high, LogitsFor::last}}, runner) == ErrorCode::invalid_argument);
  CHECK(error_of({{&cache, good, LogitsFor::last}, {&cache, good, LogitsFor::last}}, runner) ==
        ErrorCode::invalid_argument);
  CHECK(error_of({{&small, good, LogitsFor::last}}, runner) == ErrorCode::capacity);
  CHECK(error_of({{&huge, good, LogitsFor::last}}, runner) == ErrorCode::capacity);
  CHECK(error_of({{&cache, many, LogitsFor::last}}, runner) == ErrorCode::capacity);
  CHECK(cache.size() == 0);
  CHECK(small.size() == 0);

  ThreadPool wide(runner.pool.n_threads() + 1);
  const BatchItem item{&cache, good, LogitsFor::last};
  CHECK_THROWS_AS(runner.network->forward({&item, 1}, runner.workspace, wide), Error);
  Workspace no_logits(config, 8, 0, 256, 2);
  CHECK_THROWS_AS(runner.network->forward({&item, 1}, no_logits, runner.pool), Error);
  CHECK(cache.size() == 0);
  CHECK(runner.forward(good, LogitsFor::last).rows == 1);
  CHECK(cache.size() == 3);
}

TEST_CASE("forward refuses a cache or a workspace of another model") {
  Runner runner(golden_models().front(), {}, DType::f16);
  const Mixtral other(open_checkpoint(golden_models().back()));
  const std::vector<TokenId> tokens = {1, 2, 3};
  KvCache foreign(other.config(), 256, DType::f16);
  CHECK(error_of({{&foreign, tokens, LogitsFor::last}}, runner) == ErrorCode::invalid_argument);
  CHECK(foreign.size() == 0);

  Workspace scratch(other.config(), 8, 1, 256, 2);
  const BatchItem item{&runner.cache, tokens, LogitsFor::last};
  CHECK_THROWS_AS(runner.network->forward({&item, 1}, scratch, runner.pool), Error);
  CHECK(runner.cache.size() == 0);
}

TEST_CASE("an empty batch is no work") {
  Runner runner(golden_models().front(), {}, DType::f16);
  CHECK(runner.network->forward({}, runner.workspace, runner.pool).rows == 0);
}

TEST_CASE("the active paths can be asked for") {
  const auto path = golden_models().front();
  const Mixtral network(open_checkpoint(path),
                        {.isa = Isa::baseline, .gemm = GemmKind::native, .precision = Precision::f32});
  CHECK(network.isa() == Isa::baseline);
  CHECK(network.gemm() == GemmKind::native);
  CHECK(network.precision() == Precision::f32);
}

TEST_CASE("MIXTRAL_ISA and MIXTRAL_GEMM choose, and wrong values are errors") {
  const auto path = golden_models().front();
  setenv("MIXTRAL_ISA", "baseline", 1);
  setenv("MIXTRAL_GEMM", "native", 1);
  CHECK(Mixtral(open_checkpoint(path)).isa() == Isa::baseline);
  setenv("MIXTRAL_ISA", "avx1024", 1);
  CHECK_THROWS_AS(Mixtral(open_checkpoint(path)), Error);
  unsetenv("MIXTRAL_ISA");
  setenv("MIXTRAL_GEMM", "mkl", 1);
  CHECK_THROWS_AS(Mixtral(open_checkpoint(path)), Error);
  unsetenv("MIXTRAL_GEMM");
  CHECK(Mixtral(open_checkpoint(path)).isa() == detect_isa());
}
