#include <algorithm>
#include <thread>

#include "generate/tiny_model.hpp"
#include "mixtral/generate/context.hpp"
#include "support/catch.hpp"

using namespace mixtral;
using namespace mixtral::test;

namespace {

using Ids = std::vector<TokenId>;
using Logits = std::vector<float>;

Logits copy(std::span<const float> logits) { return Logits(logits.begin(), logits.end()); }

Logits last_logits(const Model& model, const Ids& ids, const ContextOptions& options = {}) {
  return copy(Context(model, options).eval(ids));
}

Ids held(const Context& context) { return Ids(context.tokens().begin(), context.tokens().end()); }

Ids first(const Ids& ids, std::size_t count) { return Ids(ids.begin(), ids.begin() + count); }

}  // namespace

TEST_CASE("evaluating a prompt at once, in chunks or token by token gives the same bits") {
  const Model model = tiny_model();
  const Ids ids = random_ids(37);
  const Logits expected = last_logits(model, ids);
  REQUIRE(expected.size() == model.config().vocab);
  for (std::size_t chunk_size : {1, 2, 5, 36, 37, 38}) {
    REQUIRE(last_logits(model, ids, {.chunk_size = chunk_size}) == expected);
  }
  for (std::size_t n_threads : {1, 2, 3}) {
    REQUIRE(last_logits(model, ids, {.n_threads = n_threads}) == expected);
  }
  Context context(model);
  Logits stepwise;
  for (TokenId id : ids) stepwise = copy(context.eval({&id, 1}));
  REQUIRE(stepwise == expected);
}

TEST_CASE("the logits of every row come chunk by chunk and equal those of single steps") {
  const Model model = tiny_model();
  const Ids ids = random_ids(11);
  Context stepwise(model);
  std::vector<Logits> expected;
  for (TokenId id : ids) expected.push_back(copy(stepwise.eval({&id, 1})));

  Context context(model, {.chunk_size = 4});
  std::vector<std::size_t> firsts;
  std::vector<Logits> rows;
  context.eval(ids, [&](std::size_t first, MatrixView<const float> logits) {
    firsts.push_back(first);
    for (std::size_t i = 0; i < logits.rows; ++i) rows.push_back(copy(logits.row(i)));
  });
  REQUIRE(rows == expected);
  REQUIRE(firsts == std::vector<std::size_t>{0, 4, 8});
}

TEST_CASE("all logits after a generation leave out the token it sampled last") {
  const Model model = tiny_model();
  Context context(model);
  context.generate("the", {.max_new_tokens = 3}).run();
  std::size_t n_rows = 0;
  context.eval(random_ids(2),
               [&](std::size_t, MatrixView<const float> logits) { n_rows += logits.rows; });
  REQUIRE(n_rows == 2);
  const Ids all = held(context);
  const TokenId next = 5;
  REQUIRE(copy(context.eval({&next, 1})) == [&] {
    Ids ids = all;
    ids.push_back(next);
    return last_logits(model, ids);
  }());
}

TEST_CASE("a rewound context equals a fresh one") {
  const Model model = tiny_model();
  const Ids ids = random_ids(20);
  Context context(model);
  context.eval(ids);
  for (std::size_t size : {20, 13, 1, 0}) {
    context.rewind(size);
    REQUIRE(held(context) == first(ids, size));
    Context branch = context.clone();
    const Ids more = random_ids(3, 2);
    Ids whole = first(ids, size);
    whole.insert(whole.end(), more.begin(), more.end());
    REQUIRE(copy(branch.eval(more)) == last_logits(model, whole));
  }
  REQUIRE(error_of([&] { context.rewind(1); }).code() == ErrorCode::invalid_argument);
}

TEST_CASE("a clone goes its own way") {
  const Model model = tiny_model();
  Context context(model);
  context.eval(random_ids(5));
  Context clone = context.clone();
  clone.eval(random_ids(4, 3));
  REQUIRE(held(context) == random_ids(5));
  const Ids more = random_ids(2, 4);
  Ids whole = random_ids(5);
  whole.insert(whole.end(), more.begin(), more.end());
  REQUIRE(copy(context.eval(more)) == last_logits(model, whole));
  REQUIRE(clone.size() == 9);
}

TEST_CASE("a failed eval changes nothing") {
  const Model model = tiny_model();
  Context context(model, {.n_ctx = 8});
  context.eval(random_ids(5));
  REQUIRE(error_of([&] { context.eval(Ids{}); }).code() == ErrorCode::invalid_argument);
  REQUIRE(error_of([&] { context.eval(Ids{-1}); }).code() == ErrorCode::invalid_argument);
  const auto vocab = static_cast<TokenId>(model.config().vocab);
  REQUIRE(error_of([&] { context.eval(Ids{3, vocab}); }).code() == ErrorCode::invalid_argument);
  REQUIRE(error_of([&] { context.eval(random_ids(4)); }).code() == ErrorCode::capacity);
  const LogitsCallback ignore = [](std::size_t, MatrixView<const float>) {};
  REQUIRE(error_of([&] { context.eval(random_ids(4), ignore); }).code() == ErrorCode::capacity);
  const LogitsCallback fail = [](std::size_t, MatrixView<const float>) {
    throw Error(ErrorCode::cancelled, "enough");
  };
  REQUIRE(error_of([&] { context.eval(random_ids(2), fail); }).code() == ErrorCode::cancelled);
  REQUIRE(held(context) == random_ids(5));
  const TokenId next = 9;
  Ids whole = random_ids(5);
  whole.push_back(next);
  REQUIRE(copy(context.eval({&next, 1})) == last_logits(model, whole));
}

TEST_CASE("a failing forward pass leaves the context usable") {
  const auto checkpoint = std::make_shared<RandomCheckpoint>(tiny_config());
  const Model model = make_model(checkpoint);
  Context context(model);
  context.eval(random_ids(5));
  checkpoint->is_broken = true;
  REQUIRE(error_of([&] { context.eval(random_ids(2)); }).code() == ErrorCode::io);
  REQUIRE(context.size() == 5);
  Generation generation = context.generate(random_ids(2));
  REQUIRE(error_of([&] { generation.next(); }).code() == ErrorCode::io);
  checkpoint->is_broken = false;
  REQUIRE(generation.next().has_value());  // nothing was lost
  REQUIRE(context.size() == 8);
}

TEST_CASE("context options are checked and resolved") {
  const Model model = tiny_model();
  REQUIRE(Context(model).capacity() == 256);  // max_position is less than 4096
  REQUIRE(Context(model, {.n_ctx = 17}).capacity() == 17);
  const Error too_long = error_of([&] { Context(model, {.n_ctx = 257}); });
  REQUIRE(too_long.code() == ErrorCode::invalid_argument);
  REQUIRE(std::string(too_long.what()).find("256") != std::string::npos);
  REQUIRE(error_of([&] { Context(model, {.chunk_size = 0}); }).code() ==
          ErrorCode::invalid_argument);
  REQUIRE(Context(model, {.n_ctx = 64}).bytes() < Context(model, {.n_ctx = 128}).bytes());
}

TEST_CASE("a plugged-in executor does the work") {
  struct CountingExecutor final : Executor {
    std::size_t n_threads() const noexcept override { return 1; }
    void run(std::size_t n_tasks, TaskRef task) override {
      ++n_runs;
      for (std::size_t t = 0; t < n_tasks; ++t) task(t, 0);
    }
    std::size_t n_runs = 0;
  };
  const Model model = tiny_model();
  const auto executor = std::make_shared<CountingExecutor>();
  REQUIRE(last_logits(model, random_ids(5), {.executor = executor}) ==
          last_logits(model, random_ids(5)));
  REQUIRE(executor->n_runs > 0);
}

TEST_CASE("contexts of one model run in different threads") {
  const Model model = tiny_model();
  std::vector<Completion> expected(3), found(3);
  const auto complete = [&](unsigned seed) {
    return model
        .generate(random_ids(9, seed), {.max_new_tokens = 12, .sampling = lively()},
                  {.n_threads = 2})
        .run();
  };
  for (unsigned i = 0; i < 3; ++i) expected[i] = complete(i);
  std::vector<std::thread> threads;
  for (unsigned i = 0; i < 3; ++i) threads.emplace_back([&, i] { found[i] = complete(i); });
  for (std::thread& thread : threads) thread.join();
  for (unsigned i = 0; i < 3; ++i) REQUIRE(found[i].ids == expected[i].ids);
}
