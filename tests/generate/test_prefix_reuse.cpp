// What a batch computes once for several prompts, and that nobody can tell from the results.
#include <map>
#include <random>

#include "generate/tiny_model.hpp"
#include "generate/trace.hpp"
#include "mixtral/generate/batch.hpp"
#include "support/catch.hpp"

using namespace mixtral;
using namespace mixtral::test;

namespace {

std::vector<TokenId> join(std::vector<TokenId> first, const std::vector<TokenId>& second) {
  first.insert(first.end(), second.begin(), second.end());
  return first;
}

std::vector<TokenId> first_of(const std::vector<TokenId>& ids, std::size_t n) {
  return {ids.begin(), ids.begin() + n};
}

GenerateOptions sampled(std::size_t n, unsigned seed) {
  return {.max_new_tokens = n, .sampling = lively(seed), .top_logprobs = 2};
}

/// Runs what `batch` holds to its end.
std::map<std::size_t, Trace> run(Batch& batch) {
  std::map<std::size_t, Trace> traces;
  while (batch.step([&](std::size_t index, const TokenEvent& event) {
    traces[index].add(event);
    return true;
  })) {
  }
  return traces;
}

std::size_t cache_bytes(const Model& model, std::size_t n_positions) {
  return KvCache::bytes_for(model.config(), n_positions, DType::f16);
}

}  // namespace

TEST_CASE("a prompt goes on from a finished sequence that began alike, with the same result") {
  const Model model = tiny_model();
  const std::vector<TokenId> system = random_ids(70, 1);
  Batch batch(model);
  const std::size_t first = batch.add(join(system, random_ids(9, 2)), sampled(20, 1));
  const Trace reply = run(batch)[first];
  REQUIRE(batch.stats().n_prompt_reused == 0);
  REQUIRE(batch.stats().n_prompt_computed == 79);

  SECTION("the same system prompt") {
    const std::vector<TokenId> prompt = join(system, random_ids(5, 3));
    const std::size_t index = batch.add(prompt, sampled(8, 2));
    REQUIRE(run(batch)[index] == alone(model, prompt, sampled(8, 2)));
    REQUIRE(batch.stats().n_prompt_reused == 70);
    REQUIRE(batch.stats().n_prompt_computed == 79 + 5);
  }
  SECTION("a conversation that grows") {
    const std::vector<TokenId> prompt =
        join(join(join(system, random_ids(9, 2)), reply.ids), random_ids(5, 3));
    const std::size_t index = batch.add(prompt, sampled(8, 2));
    REQUIRE(run(batch)[index] == alone(model, prompt, sampled(8, 2)));
    REQUIRE(batch.stats().n_prompt_reused == 79 + reply.ids.size() - 1);  // the last wasn't read
  }
  SECTION("the very same prompt, whose last token must be read for its logits") {
    const std::vector<TokenId> prompt = join(system, random_ids(9, 2));
    const std::size_t index = batch.add(prompt, sampled(20, 1));
    REQUIRE(run(batch)[index] == reply);
    REQUIRE(batch.stats().n_prompt_reused == 78);
  }
  SECTION("a beginning of it") {
    const std::vector<TokenId> prompt = first_of(system, 40);
    const std::size_t index = batch.add(prompt, sampled(4, 1));
    REQUIRE(run(batch)[index] == alone(model, prompt, sampled(4, 1)));
    REQUIRE(batch.stats().n_prompt_reused == 39);
  }
  SECTION("a few tokens in common aren't worth a copy") {
    const std::vector<TokenId> prompt = join(first_of(system, 15), random_ids(5, 4));
    batch.add(prompt, sampled(4, 1));
    run(batch);
    REQUIRE(batch.stats().n_prompt_reused == 0);
  }
}

TEST_CASE("on_prompt counts what has to be computed") {
  const Model model = tiny_model();
  const std::vector<TokenId> prompt = random_ids(50, 1);
  Batch batch(model, {.context = {.chunk_size = 8}, .max_sequences = 2});
  batch.add(prompt, sampled(2, 1));
  run(batch);
  GenerateOptions options = sampled(2, 1);
  std::vector<std::size_t> done;
  options.on_prompt = [&](const PromptProgress& progress) {
    done.push_back(progress.done);
    REQUIRE(progress.total == 20);
    return true;
  };
  batch.add(join(prompt, random_ids(20, 2)), options);
  run(batch);
  REQUIRE(done == std::vector<std::size_t>{8, 16, 20});
}

TEST_CASE("prompts that come together wait for what one of them computes for all") {
  const Model model = tiny_model();
  const std::vector<TokenId> shots = random_ids(100, 1);
  Batch batch(model, {.context = {.chunk_size = 16}, .max_sequences = 8});
  std::vector<std::vector<TokenId>> prompts;
  for (unsigned i = 0; i < 6; ++i) prompts.push_back(join(shots, random_ids(3 + i, i / 2)));
  const std::vector<TokenId> stranger = random_ids(30, 9);
  for (const auto& prompt : prompts) batch.add(prompt, sampled(6, 1));
  batch.add(stranger, sampled(6, 1));

  batch.step([](std::size_t, const TokenEvent&) { return true; });
  REQUIRE(batch.n_running() == 2);  // the first, and the stranger, who isn't held up
  REQUIRE(batch.n_waiting() == 5);
  std::map<std::size_t, Trace> found = run(batch);
  for (std::size_t i = 0; i < prompts.size(); ++i) {
    REQUIRE(found[i] == alone(model, prompts[i], sampled(6, 1)));
  }
  REQUIRE(found[6] == alone(model, stranger, sampled(6, 1)));
  REQUIRE(batch.stats().n_prompt_reused > 5 * (100 - 16));
}

TEST_CASE("who waits for a prefix goes on when its computation is cancelled") {
  const Model model = tiny_model();
  const std::vector<TokenId> shots = random_ids(100, 1);
  Batch batch(model, {.context = {.chunk_size = 16}, .max_sequences = 8});
  batch.add(join(shots, random_ids(3, 2)), sampled(4, 1));
  const std::vector<TokenId> prompt = join(shots, random_ids(3, 3));
  batch.add(prompt, sampled(4, 1));
  batch.step([](std::size_t, const TokenEvent&) { return true; });
  REQUIRE(batch.n_waiting() == 1);
  batch.cancel(0);
  REQUIRE(batch.n_running() == 0);
  REQUIRE(run(batch)[1] == alone(model, prompt, sampled(4, 1)));
  REQUIRE(batch.stats().n_prompt_reused == 16);  // of what had been computed
}

TEST_CASE("without a prefix cache everything is computed") {
  const Model model = tiny_model();
  const std::vector<TokenId> prompt = random_ids(60, 1);
  Batch batch(model, {.prefix_cache_bytes = 0});
  for (int i = 0; i < 3; ++i) batch.add(prompt, sampled(3, 1));
  run(batch);
  batch.add(prompt, sampled(3, 1));
  run(batch);
  REQUIRE(batch.stats().n_prompt_reused == 0);
  REQUIRE(batch.stats().n_prompt_computed == 240);
  REQUIRE(batch.stats().prefix_bytes == 0);
}

TEST_CASE("kept prefixes stay within their budget, and the least recently used goes first") {
  const Model model = tiny_model();
  const std::size_t budget = 3 * cache_bytes(model, 64);
  Batch batch(model, {.prefix_cache_bytes = budget});
  const auto read = [&](unsigned seed) {
    const std::uint64_t before = batch.stats().n_prompt_reused;
    batch.add(random_ids(60, seed), sampled(2, 1));
    run(batch);
    REQUIRE(batch.stats().prefix_bytes <= budget);
    return batch.stats().n_prompt_reused > before;
  };
  for (unsigned seed : {1, 2, 3}) REQUIRE(!read(seed));
  REQUIRE(batch.stats().prefix_bytes == budget);
  REQUIRE(read(1));
  REQUIRE(!read(4));  // in place of 2
  REQUIRE(read(3));
  REQUIRE(read(1));
  REQUIRE(read(4));
  REQUIRE(!read(2));
  REQUIRE(!read(3));

  batch.add(random_ids(250, 5), sampled(2, 1));  // larger than the budget: not kept
  run(batch);
  REQUIRE(read(2));
}

TEST_CASE("a kept sequence replaces its own beginnings, and takes no more than it holds") {
  const Model model = tiny_model();
  const std::vector<TokenId> ids = random_ids(200, 1);
  Batch batch(model);
  const auto read = [&](const std::vector<TokenId>& prompt) {
    batch.add(prompt, sampled(1, 1));
    run(batch);
  };
  for (const std::size_t n : {40, 90, 150, 200}) read(first_of(ids, n));
  REQUIRE(batch.stats().prefix_bytes == cache_bytes(model, 200));
  read(join(first_of(ids, 190), random_ids(5, 2)));  // hardly anything new
  REQUIRE(batch.stats().prefix_bytes == cache_bytes(model, 200));
  read(join(first_of(ids, 150), random_ids(30, 2)));
  REQUIRE(batch.stats().prefix_bytes == cache_bytes(model, 200) + cache_bytes(model, 180));

  Batch once(model);
  once.add(first_of(ids, 100), {.max_new_tokens = 150});
  once.step([](std::size_t, const TokenEvent&) { return true; });
  once.cancel(0);
  REQUIRE(once.stats().prefix_bytes == cache_bytes(model, 100));
  once.add(first_of(ids, 200), sampled(1, 1));  // in its place: as much is given back as was taken
  run(once);
  REQUIRE(once.stats().prefix_bytes == cache_bytes(model, 200));
}

TEST_CASE("requests wait for room in max_cache_bytes, and never exceed it") {
  const Model model = tiny_model();
  const std::size_t limit = cache_bytes(model, 64) * 5 / 2;  // two requests
  Batch batch(model, {.max_cache_bytes = limit});
  REQUIRE(error_of([&] { batch.add(random_ids(100), sampled(100, 1)); }).code() ==
          ErrorCode::capacity);
  std::map<std::size_t, Trace> found;
  std::vector<std::vector<TokenId>> prompts;
  for (unsigned i = 0; i < 6; ++i) {
    prompts.push_back(random_ids(30, i));
    REQUIRE(batch.add(prompts[i], sampled(30, i)) == i);
  }
  std::size_t most = 0;
  while (batch.step([&](std::size_t index, const TokenEvent& event) {
    found[index].add(event);
    return true;
  })) {
    const BatchStats stats = batch.stats();
    REQUIRE(stats.cache_bytes + stats.prefix_bytes <= limit);
    most = std::max(most, stats.n_running);
  }
  REQUIRE(most == 2);
  for (unsigned i = 0; i < 6; ++i) {
    REQUIRE(found[i] == alone(model, prompts[i], sampled(30, i)));
  }
}

TEST_CASE("texts are the same whoever joins, leaves and shares, at random steps") {
  const Model model = tiny_model();
  std::mt19937 random(5);
  const auto below = [&](std::size_t n) { return static_cast<std::size_t>(random() % n); };
  const std::vector<std::vector<TokenId>> beginnings = {random_ids(90, 1), random_ids(40, 2), {}};
  const std::size_t budget = 4 * cache_bytes(model, 128);
  for (const std::size_t chunk_size : {3, 24, 512}) {
    Batch batch(model, {.context = {.chunk_size = chunk_size},
                        .max_sequences = 5,
                        .prefix_cache_bytes = budget});
    struct Expected {
      std::vector<TokenId> prompt;
      GenerateOptions options;
      std::size_t cancel_at;  // step; 0 = never
    };
    std::map<std::size_t, Expected> requests;
    std::map<std::size_t, Trace> found;
    std::size_t n_steps = 0;
    const auto add = [&] {
      const std::vector<TokenId>& whole = beginnings[below(beginnings.size())];
      const auto prompt = join(first_of(whole, below(whole.size() + 1)),
                               random_ids(1 + below(20), static_cast<unsigned>(below(3))));
      const auto options = sampled(1 + below(25), static_cast<unsigned>(below(4)));
      const std::size_t index = batch.add(prompt, options);
      requests[index] = {prompt, options, below(4) == 0 ? n_steps + 1 + below(20) : 0};
    };
    while (batch.step([&](std::size_t index, const TokenEvent& event) {
      found[index].add(event);
      return true;
    }) || requests.size() < 40) {
      ++n_steps;
      for (const auto& [index, request] : requests) {
        if (request.cancel_at == n_steps) batch.cancel(index);
      }
      while (requests.size() < 40 && below(3) != 0) add();
    }
    for (const auto& [index, request] : requests) {
      CAPTURE(chunk_size, index);
      Trace expected = alone(model, request.prompt, request.options);
      if (request.cancel_at > 0) expected.shorten(found[index].ids.size());
      REQUIRE(found[index].ids == expected.ids);
      REQUIRE(found[index].logprobs == expected.logprobs);
      REQUIRE((found[index] == expected || request.cancel_at > 0));
    }
    REQUIRE(batch.stats().n_prompt_reused > 200);
  }
}
