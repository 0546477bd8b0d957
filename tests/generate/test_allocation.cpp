// Counts what operator new hands out, so it has an executable of its own.
#include <atomic>
#include <cstdlib>
#include <new>

#include "generate/tiny_model.hpp"
#include "mixtral/generate/batch.hpp"
#include "mixtral/generate/context.hpp"
#include "support/catch.hpp"

namespace {

std::atomic<std::size_t> n_allocations = 0;

void* allocate(std::size_t size) {
  ++n_allocations;
  if (void* memory = std::malloc(size)) return memory;
  throw std::bad_alloc();
}

}  // namespace

void* operator new(std::size_t size) { return allocate(size); }
void* operator new[](std::size_t size) { return allocate(size); }
void* operator new(std::size_t size, const std::nothrow_t&) noexcept { return std::malloc(size); }
void operator delete(void* memory) noexcept { std::free(memory); }
void operator delete[](void* memory) noexcept { std::free(memory); }
void operator delete(void* memory, std::size_t) noexcept { std::free(memory); }
void operator delete[](void* memory, std::size_t) noexcept { std::free(memory); }

using namespace mixtral;
using namespace mixtral::test;

TEST_CASE("a decode step allocates nothing") {
  const Model model = tiny_model();
  SamplingOptions sampling = lively(2);
  sampling.repetition_penalty = 1.2;
  sampling.top_k = 50;
  sampling.top_p = 0.95;
  sampling.min_p = 0.01;
  GenerateOptions options{.max_new_tokens = 100, .top_logprobs = 5};
  options.stop = {"never to be seen"};
  for (const bool samples : {false, true}) {
    if (samples) options.sampling = sampling;
    Context context(model, {.n_threads = 2});
    Generation generation = context.generate("the cat", options);
    for (int warm_up = 0; warm_up < 3; ++warm_up) generation.next();
    const std::size_t before = n_allocations;
    std::size_t n_tokens = 0;
    while (generation.next()) ++n_tokens;
    REQUIRE(n_tokens > 20);
    REQUIRE(n_allocations == before);
  }
}

TEST_CASE("a step of a batch that only decodes allocates nothing") {
  const Model model = tiny_model();
  Batch batch(model, {.context = {.n_threads = 2}});
  const SamplingOptions endless{.logit_bias = {{2, -1000.0f}}};  // no EOS
  for (unsigned i = 0; i < 4; ++i) {
    batch.add(random_ids(5 + i, i),
              {.max_new_tokens = 60, .sampling = endless, .top_logprobs = 2});
  }
  std::size_t n_tokens = 0;
  const BatchCallback count = [&](std::size_t, const TokenEvent&) { return ++n_tokens > 0; };
  for (int warm_up = 0; warm_up < 20; ++warm_up) batch.step(count);
  REQUIRE(batch.n_running() == 4);
  const std::size_t before = n_allocations;
  for (int i = 0; i < 20; ++i) batch.step(count);
  REQUIRE(n_allocations == before);
  REQUIRE(n_tokens > 60);
}
