// Log-probabilities of prompts and continuations, against logits that are asked for directly.
#include <algorithm>

#include "generate/tiny_model.hpp"
#include "mixtral/generate/context.hpp"
#include "mixtral/generate/score.hpp"
#include "support/catch.hpp"

using namespace mixtral;
using namespace mixtral::test;

namespace {

struct Scored {
  TokenId id;
  double logprob;
  TokenId likeliest;
  std::optional<FinishReason> finish;
  bool operator==(const Scored&) const = default;
};

/// Tokens `from`, `from` + 1, ... of `ids` by the logits of a context that evaluates all of them.
std::vector<Scored> directly(const Model& model, const std::vector<TokenId>& ids,
                             std::size_t from) {
  std::vector<Scored> scored;
  Context context(model);
  context.eval(ids, [&](std::size_t first, MatrixView<const float> logits) {
    for (std::size_t row = 0; row < logits.rows; ++row) {
      const std::size_t next = first + row + 1;
      if (next < from || next >= ids.size()) continue;
      const std::span<const float> values = logits.row(row);
      const auto best = std::max_element(values.begin(), values.end()) - values.begin();
      scored.push_back({ids[next], logprob(values, ids[next]), static_cast<TokenId>(best), {}});
    }
  });
  return scored;
}

/// Options that record the tokens of the prompt in `scored`.
GenerateOptions recording(std::vector<Scored>& scored, std::size_t from, std::size_t n_new) {
  GenerateOptions options{.max_new_tokens = n_new, .top_logprobs = 1};
  options.prompt_logprobs_from = from;
  options.on_prompt_token = [&scored](const TokenEvent& event) {
    REQUIRE(event.text.empty());
    REQUIRE(event.top_logprobs.size() == 1);
    scored.push_back({event.id, event.logprob, event.top_logprobs[0].id, event.finish});
  };
  return options;
}

std::vector<Scored> with_finish(std::vector<Scored> scored) {
  if (!scored.empty()) scored.back().finish = FinishReason::length;
  return scored;
}

bool go_on(std::size_t, const TokenEvent&) { return true; }

void run(Batch& batch) {
  while (batch.step(go_on)) {
  }
}

}  // namespace

TEST_CASE("a context scores the tokens of a prompt by the logits before them") {
  const Model model = tiny_model();
  const std::vector<TokenId> ids = random_ids(40);
  for (const std::size_t chunk_size : {1, 7, 512}) {
    for (const std::size_t from : {0, 1, 2, 17, 39, 40, 1000}) {
      CAPTURE(chunk_size, from);
      const std::vector<Scored> expected = directly(model, ids, from);
      std::vector<Scored> found;
      Context context(model, {.chunk_size = chunk_size});
      Generation generation = context.generate(ids, recording(found, from, 0));
      REQUIRE(!generation.next());
      REQUIRE(generation.finish_reason() == FinishReason::length);
      REQUIRE(found == with_finish(expected));
      REQUIRE(context.size() == 40);

      found.clear();  // again, from what is held now, and with a text after it
      context.rewind(0);
      context.eval(ids);
      const Completion completion =
          context.generate(std::vector<TokenId>{5}, recording(found, from, 6)).run();
      std::vector<TokenId> longer = ids;
      longer.push_back(5);
      REQUIRE(found == directly(model, longer, from));
      REQUIRE(completion.ids == model.generate(longer, {.max_new_tokens = 6}).run().ids);
    }
  }
}

TEST_CASE("a batch scores the tokens of prompts, whatever it knows of them already") {
  const Model model = tiny_model();
  const std::vector<TokenId> ids = random_ids(60);
  for (const std::size_t chunk_size : {1, 7, 512}) {
    for (const std::size_t from : {0, 25, 59}) {
      CAPTURE(chunk_size, from);
      Batch batch(model, {.context = {.chunk_size = chunk_size}, .max_sequences = 4});
      const std::vector<Scored> expected = directly(model, ids, from);
      for (int i = 0; i < 3; ++i) {
        std::vector<Scored> alone, with_text;
        const std::size_t only_scored = batch.add(ids, recording(alone, from, 0));
        batch.add(ids, recording(with_text, from, 3));
        batch.add(random_ids(30, 2), {.max_new_tokens = 9});
        REQUIRE(batch.holds(only_scored));
        run(batch);
        REQUIRE(!batch.holds(only_scored));
        REQUIRE(alone == with_finish(expected));
        REQUIRE(with_text == expected);
      }
      // The first time around the second prompt and, from then on, both go on from the others; what
      // must be scored must be computed.
      REQUIRE(batch.stats().n_prompt_reused >= 5 * (from > 16 ? from - 16 : 0));
    }
  }
}

TEST_CASE("a prompt with nothing to score is done without work") {
  const Model model = tiny_model();
  Batch batch(model);
  std::vector<Scored> found;
  const std::size_t one = batch.add(random_ids(1), recording(found, 0, 0));
  const std::size_t beyond = batch.add(random_ids(20), recording(found, 20, 0));
  run(batch);
  REQUIRE(!batch.holds(one));
  REQUIRE(!batch.holds(beyond));
  REQUIRE(found.empty());
  REQUIRE(batch.stats().n_prompt_computed == 0);

  Context context(model);
  REQUIRE(!context.generate(random_ids(1), recording(found, 0, 0)).next());
  REQUIRE(found.empty());
  REQUIRE(context.generate(random_ids(4), {.max_new_tokens = 2}).run().ids.size() == 2);
}

TEST_CASE("a scored prompt may fill the context") {
  const Model model = tiny_model();
  std::vector<Scored> found;
  Batch batch(model, {.context = {.n_ctx = 20}});
  batch.add(random_ids(20), recording(found, 0, 0));
  run(batch);
  REQUIRE(found == with_finish(directly(model, random_ids(20), 0)));
  REQUIRE(error_of([&] { batch.add(random_ids(21), recording(found, 0, 0)); }).code() ==
          ErrorCode::capacity);
  GenerateOptions cut = recording(found, 0, 0);
  cut.overflow = Overflow::truncate;
  found.clear();
  batch.add(random_ids(25), cut);
  run(batch);
  REQUIRE(found.size() == 19);
}

TEST_CASE("a throwing on_prompt_token loses its own event only") {
  const Model model = tiny_model();
  const std::vector<TokenId> ids = random_ids(30);
  std::vector<Scored> found, other;
  GenerateOptions options = recording(found, 0, 0);
  const auto record = options.on_prompt_token;
  options.on_prompt_token = [&](const TokenEvent& event) {
    record(event);
    if (found.size() == 7 || found.size() == 20) throw Error(ErrorCode::cancelled, "now");
  };
  SECTION("in a batch") {
    Batch batch(model, {.context = {.chunk_size = 16}});
    batch.add(ids, options);
    batch.add(random_ids(25, 2), recording(other, 0, 0));
    std::size_t n_thrown = 0;
    for (bool goes_on = true; goes_on;) {
      try {
        goes_on = batch.step(go_on);
      } catch (const Error&) {
        ++n_thrown;
      }
    }
    REQUIRE(n_thrown == 2);
    REQUIRE(other == with_finish(directly(model, random_ids(25, 2), 0)));
  }
  SECTION("in a context") {
    Context context(model, {.chunk_size = 16});
    Generation generation = context.generate(ids, options);
    for (int i = 0; i < 2; ++i) {
      REQUIRE(error_of([&] { generation.next(); }).code() == ErrorCode::cancelled);
    }
    REQUIRE(!generation.next());
  }
  REQUIRE(found == with_finish(directly(model, ids, 0)));
}

TEST_CASE("scores of continuations are those of a direct computation") {
  const Model model = tiny_model();
  std::vector<ScoreRequest> requests;
  const std::vector<TokenId> shots = random_ids(80, 1);
  for (unsigned question = 0; question < 6; ++question) {
    std::vector<TokenId> context = shots;
    for (TokenId id : random_ids(10 + question, question + 10)) context.push_back(id);
    for (unsigned choice = 0; choice < 4; ++choice) {
      requests.push_back({context, random_ids(1 + (choice * question) % 5, choice + 50)});
    }
    // What the model itself would say is greedy.
    requests.push_back({context, model.generate(context, {.max_new_tokens = 4}).run().ids});
  }
  requests.push_back({{1}, random_ids(30, 3)});
  requests.push_back({{1}, {}});

  std::vector<std::size_t> progress;
  const BatchOptions options{.context = {.chunk_size = 64}, .max_sequences = 8};
  const auto found = score(model, requests, options, [&](std::size_t done, std::size_t total) {
    REQUIRE(total == requests.size());
    progress.push_back(done);
    return true;
  });
  REQUIRE(std::is_sorted(progress.begin(), progress.end()));
  REQUIRE(progress.back() == requests.size());
  REQUIRE(found.size() == requests.size());
  std::size_t n_greedy = 0;
  for (std::size_t i = 0; i < requests.size(); ++i) {
    std::vector<TokenId> ids = requests[i].context;
    ids.insert(ids.end(), requests[i].continuation.begin(), requests[i].continuation.end());
    double sum = 0;
    bool is_greedy = true;
    std::vector<double> logprobs;
    for (const Scored& token : directly(model, ids, requests[i].context.size())) {
      sum += token.logprob;
      is_greedy &= token.id == token.likeliest;
      logprobs.push_back(token.logprob);
    }
    REQUIRE(found[i].logprob == sum);
    REQUIRE(found[i].is_greedy == is_greedy);
    REQUIRE(found[i].token_logprobs == logprobs);
    n_greedy += is_greedy;
  }
  REQUIRE(n_greedy >= 7);
  REQUIRE(n_greedy < requests.size());

  Batch batch(model, options);
  for (int i = 0; i < 2; ++i) {
    const auto again = score(batch, requests);
    for (std::size_t k = 0; k < found.size(); ++k) REQUIRE(again[k].logprob == found[k].logprob);
  }
  // The shots are computed once, each question once, and of each continuation what it needs.
  REQUIRE(batch.stats().n_prompt_computed < 700);
  REQUIRE(score(model, {}).empty());
}

TEST_CASE("a score that can't be is an error, and leaves the batch empty") {
  const Model model = tiny_model();
  Batch batch(model, {.context = {.n_ctx = 64, .chunk_size = 4}});
  std::vector<ScoreRequest> requests(5, {random_ids(20), random_ids(5, 2)});
  SECTION("no context") {
    requests[3].context.clear();
    const Error error = error_of([&] { score(batch, requests); });
    REQUIRE(error.code() == ErrorCode::invalid_argument);
    REQUIRE(std::string(error.what()).find("request 3") != std::string::npos);
  }
  SECTION("an id out of range") {
    requests[2].continuation[1] = -1;
    REQUIRE(error_of([&] { score(batch, requests); }).code() == ErrorCode::invalid_argument);
  }
  SECTION("too long") {
    requests[4].continuation = random_ids(45);
    REQUIRE(error_of([&] { score(batch, requests); }).code() == ErrorCode::capacity);
  }
  SECTION("cancelled") {
    std::size_t n_calls = 0;
    REQUIRE(error_of([&] {
              score(batch, requests, [&](std::size_t, std::size_t) { return ++n_calls < 2; });
            }).code() == ErrorCode::cancelled);
  }
  REQUIRE(batch.n_running() + batch.n_waiting() == 0);
  requests.assign(1, {random_ids(20), random_ids(5, 2)});
  REQUIRE(score(batch, requests)[0].token_logprobs.size() == 5);
  batch.add(random_ids(4), {.max_new_tokens = 4});
  REQUIRE(error_of([&] { score(batch, requests); }).code() == ErrorCode::invalid_argument);
}

TEST_CASE("a log-probability and the likeliest tokens come at once as they come apart") {
  std::vector<float> logits;
  for (int i = 0; i < 100; ++i) logits.push_back(static_cast<float>((i * 37) % 91) / 7);
  std::vector<TokenLogprob> top, expected;
  REQUIRE(token_logprobs(logits, 41, 5, top) == logprob(logits, 41));
  top_logprobs(logits, 5, expected);
  REQUIRE(top.size() == 5);
  for (std::size_t i = 0; i < 5; ++i) {
    REQUIRE(top[i].id == expected[i].id);
    REQUIRE(top[i].logprob == expected[i].logprob);
  }
  REQUIRE(error_of([&] { token_logprobs(logits, 100, 5, top); }).code() ==
          ErrorCode::invalid_argument);
}
