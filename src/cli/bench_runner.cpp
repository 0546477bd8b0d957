#include "bench_runner.hpp"

#include <algorithm>
#include <chrono>
#include <random>

namespace mixtral::cli {
namespace {

constexpr double kMinSeconds = 0.1;

std::size_t max_batch(const std::vector<BenchTest>& tests) {
  std::size_t batch = 1;
  for (const BenchTest& test : tests) batch = std::max(batch, test.batch);
  return batch;
}

/// The most that any test puts into the context of `sequence`.
std::size_t max_positions(const std::vector<BenchTest>& tests, std::size_t sequence) {
  std::size_t n = 1;
  for (const BenchTest& test : tests) {
    if (sequence < test.batch) n = std::max(n, test.depth + test.n_tokens);
  }
  return n;
}

std::size_t max_positions(const std::vector<BenchTest>& tests) {
  std::size_t n = 1;
  for (const BenchTest& test : tests) n = std::max(n, test.depth + test.n_tokens);
  return n;
}

std::vector<TokenId> random_tokens(std::size_t n, std::size_t vocab, std::mt19937_64& random) {
  std::uniform_int_distribution<TokenId> any(0, static_cast<TokenId>(vocab - 1));
  std::vector<TokenId> tokens(n);
  std::generate(tokens.begin(), tokens.end(), [&] { return any(random); });
  return tokens;
}

/// Counts the experts that a forward pass reads: in each layer those that any token chose.
class ExpertCounter final : public ForwardObserver {
 public:
  explicit ExpertCounter(std::size_t n_experts) : used_(n_experts) {}

  void on_hidden(std::size_t, MatrixView<const float>) override {}
  void on_router(std::size_t, MatrixView<const std::uint32_t> experts,
                 MatrixView<const float>) override {
    used_.assign(used_.size(), false);
    for (std::size_t row = 0; row < experts.rows; ++row) {
      for (const std::uint32_t expert : experts.row(row)) used_[expert] = true;
    }
    n_read_ += static_cast<std::size_t>(std::count(used_.begin(), used_.end(), true));
  }

  std::size_t n_read() const noexcept { return n_read_; }

 private:
  std::vector<bool> used_;  // [n_experts] of the current layer
  std::size_t n_read_ = 0;
};

}  // namespace

std::string BenchTest::name() const {
  std::string text = (kind == Kind::prompt ? "pp" : "tg") + std::to_string(n_tokens);
  if (depth > 0) text += "@d" + std::to_string(depth);
  if (batch > 1) text += "@b" + std::to_string(batch);
  return text;
}

BenchRunner::BenchRunner(const Mixtral& network, Executor& executor,
                         const std::vector<BenchTest>& tests, DType cache_dtype, std::uint64_t seed)
    : network_(network),
      executor_(executor),
      census_(count_weights(network.checkpoint())),
      workspace_(network.config(), std::max(kBenchChunk, max_batch(tests)), max_batch(tests),
                 max_positions(tests), executor.n_threads()) {
  std::mt19937_64 random(seed);
  for (std::size_t i = 0; i < max_batch(tests); ++i) {
    const std::size_t n_ctx = max_positions(tests, i);
    caches_.emplace_back(network.config(), n_ctx, cache_dtype);
    tokens_.push_back(random_tokens(n_ctx, network.config().vocab, random));
  }
}

BenchSample BenchRunner::run(const BenchTest& test) {
  using Clock = std::chrono::steady_clock;
  BenchSample sample;
  while (sample.seconds < kMinSeconds) {
    set_depth(test);
    const Clock::time_point start = Clock::now();
    test.kind == BenchTest::Kind::prompt ? prefill(test, sample) : decode(test, sample);
    sample.seconds += std::chrono::duration<double>(Clock::now() - start).count();
    sample.tokens += static_cast<double>(test.n_tokens * test.batch);
  }
  return sample;
}

void BenchRunner::set_depth(const BenchTest& test) {
  for (std::size_t i = 0; i < test.batch; ++i) {
    caches_[i].truncate(std::min(caches_[i].size(), test.depth));
    fill(caches_[i], test.depth);
  }
}

void BenchRunner::fill(KvCache& cache, std::size_t depth) const {
  const Config& c = network_.config();
  const std::vector<std::byte> zeros(bytes_of(cache.dtype(), c.head_dim));
  for (std::size_t layer = 0; layer < c.n_layers; ++layer) {
    for (std::size_t head = 0; head < c.n_kv_heads; ++head) {
      for (std::size_t position = cache.size(); position < depth; ++position) {
        cache.set_key(layer, head, position, zeros.data());
        std::copy(zeros.begin(), zeros.end(), cache.value(layer, head, position));
      }
    }
  }
  cache.advance(depth - cache.size());
}

void BenchRunner::prefill(const BenchTest& test, BenchSample& sample) {
  for (std::size_t left = test.n_tokens; left > 0;) {
    const std::size_t n = std::min(kBenchChunk, left);
    left -= n;
    add(0, n, left == 0 ? LogitsFor::last : LogitsFor::none);
    forward(sample);
  }
}

void BenchRunner::decode(const BenchTest& test, BenchSample& sample) {
  for (std::size_t step = 0; step < test.n_tokens; ++step) {
    for (std::size_t sequence = 0; sequence < test.batch; ++sequence) {
      add(sequence, 1, LogitsFor::last);
    }
    forward(sample);
  }
}

void BenchRunner::add(std::size_t sequence, std::size_t n_tokens, LogitsFor logits) {
  KvCache& cache = caches_[sequence];
  items_.push_back({&cache, std::span(tokens_[sequence]).subspan(cache.size(), n_tokens), logits});
}

void BenchRunner::forward(BenchSample& sample) {
  ExpertCounter experts(network_.config().n_experts);
  network_.forward(items_, workspace_, executor_, &experts);
  count(experts.n_read(), sample);
  items_.clear();
}

void BenchRunner::count(std::size_t n_experts_read, BenchSample& sample) const {
  const Config& c = network_.config();
  const std::size_t window = c.sliding_window.value_or(c.max_position);
  std::size_t n_tokens = 0, n_logits = 0, cache_bytes = 0, attended = 0, last_attended = 0;
  for (const BatchItem& item : items_) {
    const std::size_t end = item.cache->size();
    n_tokens += item.tokens.size();
    n_logits += item.logits == LogitsFor::last;
    cache_bytes += 2 * c.n_layers * bytes_of(item.cache->dtype(), c.kv_dim()) *
                   std::min(end, window + item.tokens.size() - 1);
    for (std::size_t p = end - item.tokens.size(); p < end; ++p)
      attended += std::min(p + 1, window);
    if (item.logits == LogitsFor::last) last_attended += std::min(end, window);
  }
  const std::size_t body = census_.dense.parameters - census_.lm_head.parameters +
                           census_.experts.parameters / census_.n_experts * census_.n_active;
  sample.bytes +=
      static_cast<double>(census_.dense.bytes - (n_logits == 0 ? census_.lm_head.bytes : 0) +
                          n_experts_read * census_.bytes_per_expert() +
                          n_tokens * (census_.embedding.bytes / c.vocab) + cache_bytes);
  // The last layer computes keys and values alone of tokens without logits.
  const std::size_t key_value = 2 * c.hidden * c.kv_dim();
  const std::size_t n_dropped = n_tokens - n_logits;
  sample.operations += 2.0 * static_cast<double>(body) * static_cast<double>(n_tokens) -
                       2.0 * static_cast<double>((body / c.n_layers - key_value) * n_dropped) +
                       2.0 * static_cast<double>(census_.lm_head.parameters * n_logits) +
                       4.0 * static_cast<double>(c.q_dim() * ((c.n_layers - 1) * attended + last_attended));
}

}  // namespace mixtral::cli
