// What must not change a single bit: threads, chunks, neighbours.
#include <atomic>
#include <thread>
#include <vector>

#include "model/golden.hpp"
#include "support/catch.hpp"

using namespace mixtral;
using namespace mixtral::test;

namespace {

bool same_bits(std::span<const float> a, std::span<const float> b) {
  return bit_difference(a, b).empty();
}

std::vector<float> last_row(MatrixView<const float> logits) {
  const auto row = logits.row(logits.rows - 1);
  return {row.begin(), row.end()};
}

std::vector<TokenId> long_prompt(std::size_t vocab, std::size_t n) {
  std::vector<TokenId> ids(n);
  for (std::size_t i = 0; i < n; ++i) ids[i] = static_cast<TokenId>((i * 37 + 11) % vocab);
  return ids;
}

}  // namespace

TEST_CASE("every thread count gives the same bits, with every back end") {
  for (const auto& path : golden_models()) {
    for (const GemmKind gemm :
         {GemmKind::native, GemmKind::onednn, GemmKind::openblas, GemmKind::eigen}) {
      if (!is_available(gemm)) continue;
      INFO(path.filename() << " " << name_of(gemm));
      Runner single(path, {.gemm = gemm}, DType::f16, 1);
      const std::vector<TokenId> prompt = long_prompt(single.network->config().vocab, 70);
      const std::vector<float> expected = single.logits(prompt);
      for (const std::size_t n_threads : {2, 3, 5}) {
        Runner runner(path, {.gemm = gemm}, DType::f16, n_threads);
        CHECK(same_bits(runner.logits(prompt), expected));
      }
    }
  }
}

TEST_CASE("every chunk size and split of a prompt gives the same bits") {
  for (const auto& path : golden_models()) {
    for (const Precision precision : {Precision::automatic, Precision::f32}) {
      INFO(path.filename());
      Runner whole(path, {.precision = precision}, DType::f16);
      const std::vector<TokenId> prompt = long_prompt(whole.network->config().vocab, 97);
      const std::vector<float> expected = last_row(whole.forward(prompt, LogitsFor::all));
      for (const std::size_t chunk : {1, 2, 5, 7, 32, 96}) {
        INFO("chunk " << chunk);
        Runner split(path, {.precision = precision}, DType::f16);
        std::vector<float> row;
        for (std::size_t i = 0; i < prompt.size(); i += chunk) {
          const std::size_t n = std::min(chunk, prompt.size() - i);
          row = last_row(split.forward(std::span(prompt).subspan(i, n), LogitsFor::last));
        }
        CHECK(same_bits(row, expected));
      }
    }
  }
}

TEST_CASE("whose logits are asked for changes no bit of them") {
  for (const auto& path : golden_models()) {
    INFO(path.filename());
    Runner all(path, {}, DType::f16), some(path, {}, DType::f16);
    const std::size_t vocab = all.network->config().vocab;
    const std::vector<TokenId> prompt = long_prompt(vocab, 50);
    const std::vector<float> expected = all.logits(prompt);
    REQUIRE(some.forward(std::span(prompt).first(30), LogitsFor::none).rows == 0);
    const MatrixView<const float> last = some.forward(std::span(prompt).subspan(30), {3});
    REQUIRE(last.rows == 3);
    CHECK(same_bits({last.data, 3 * vocab}, std::span(expected).last(3 * vocab)));
  }
}

TEST_CASE("neighbours in a batch change nothing") {
  for (const auto& path : golden_models()) {
    INFO(path.filename());
    Runner alone(path, {}, DType::f16);
    const Config& config = alone.network->config();
    const std::vector<TokenId> prompt = long_prompt(config.vocab, 40);
    const std::vector<float> expected = last_row(alone.forward(prompt, LogitsFor::last));

    KvCache first(config, 64, DType::f16), second(config, 64, DType::f32),
        third(config, 64, DType::f16);
    const std::vector<TokenId> one = {3};
    const std::vector<BatchItem> batch = {{&first, std::span(prompt).first(17), LogitsFor::all},
                                          {&second, one, LogitsFor::none},
                                          {&third, prompt, LogitsFor::last}};
    const MatrixView<const float> logits =
        alone.network->forward(batch, alone.workspace, alone.pool);
    REQUIRE(logits.rows == 18);
    CHECK(same_bits(last_row(logits), expected));

    // The first sequence catches up while the third decodes.
    const TokenId next = argmax(logits.row(17));
    const std::vector<BatchItem> step = {{&third, {&next, 1}, LogitsFor::last},
                                         {&first, std::span(prompt).subspan(17), LogitsFor::last}};
    CHECK(same_bits(last_row(alone.network->forward(step, alone.workspace, alone.pool)), expected));
  }
}

TEST_CASE("long contexts split over workers give the same bits as one worker") {
  const auto path = golden_models().front();
  std::vector<float> expected;
  for (const std::size_t n_threads : {1, 4}) {
    const Mixtral network(open_checkpoint(path));
    ThreadPool pool(n_threads);
    KvCache cache(network.config(), 1200, DType::bf16);
    Workspace workspace(network.config(), 1100, 1, 1200, n_threads);
    const std::vector<TokenId> prompt = long_prompt(network.config().vocab, 1100);
    const BatchItem fill{&cache, prompt, LogitsFor::none};
    network.forward({&fill, 1}, workspace, pool);
    const TokenId next = 5;
    const BatchItem step{&cache, {&next, 1}, LogitsFor::last};
    const std::vector<float> row = last_row(network.forward({&step, 1}, workspace, pool));
    if (expected.empty()) {
      expected = row;
    } else {
      CHECK(same_bits(row, expected));
    }
  }
}

TEST_CASE("a rewound context and a cloned one go on as a fresh one") {
  for (const auto& path : golden_models()) {
    INFO(path.filename());
    Runner runner(path, {}, DType::bf16);
    const std::vector<TokenId> prompt = long_prompt(runner.network->config().vocab, 50);
    const std::vector<float> expected = last_row(runner.forward(prompt, LogitsFor::last));
    runner.cache.truncate(20);
    KvCache copy = runner.cache.clone();
    const auto rest = std::span<const TokenId>(prompt).subspan(20);
    CHECK(same_bits(last_row(runner.forward(rest, LogitsFor::last)), expected));
    const BatchItem item{&copy, rest, LogitsFor::last};
    CHECK(same_bits(last_row(runner.network->forward({&item, 1}, runner.workspace, runner.pool)),
                    expected));
  }
}

TEST_CASE("two contexts of one model run in two threads") {
  const auto path = golden_models().front();
  const auto network = std::make_shared<const Mixtral>(open_checkpoint(path));
  const std::vector<TokenId> prompt = long_prompt(network->config().vocab, 60);
  std::vector<float> results[2];
  const auto work = [&](std::vector<float>& result) {
    ThreadPool pool(2);
    KvCache cache(network->config(), 80, DType::f16);
    Workspace workspace(network->config(), 60, 1, 80, 2);
    const BatchItem item{&cache, prompt, LogitsFor::last};
    result = last_row(network->forward({&item, 1}, workspace, pool));
    for (TokenId next = 3; next < 13; ++next) {
      const BatchItem step{&cache, {&next, 1}, LogitsFor::last};
      result = last_row(network->forward({&step, 1}, workspace, pool));
    }
  };
  std::thread other([&] { work(results[1]); });
  work(results[0]);
  other.join();
  REQUIRE(same_bits(results[0], results[1]));
}

TEST_CASE("two models with more threads than cores, beside a busy neighbour, get to the same logits") {
  const std::size_t n_cores = std::max(1u, std::thread::hardware_concurrency());
  std::atomic<bool> stop = false;
  std::vector<std::thread> neighbours;
  for (std::size_t i = 0; i < n_cores; ++i) {
    neighbours.emplace_back([&] {
      while (!stop.load(std::memory_order_relaxed)) {
      }
    });
  }
  const auto work = [&](std::size_t n_threads, std::vector<float>& result) {
    Runner runner(golden_models().front(), {}, DType::f16, n_threads);
    runner.forward(long_prompt(runner.network->config().vocab, 60), LogitsFor::none);
    for (TokenId next = 3; next < 35; ++next) {
      result = last_row(runner.forward({&next, 1}, LogitsFor::last));
    }
  };
  std::vector<float> expected, results[2];
  work(1, expected);
  std::thread other([&] { work(n_cores + 1, results[1]); });
  work(3 * n_cores, results[0]);
  other.join();
  stop = true;
  for (std::thread& neighbour : neighbours) neighbour.join();
  REQUIRE(same_bits(results[0], expected));
  REQUIRE(same_bits(results[1], expected));
}
