#include "generate/tiny_model.hpp"
#include "generate/trace.hpp"
#include "mixtral/generate/batch.hpp"
#include "mixtral/generate/context.hpp"
#include "support/catch.hpp"

using namespace mixtral;
using namespace mixtral::test;

namespace {

struct Request {
  std::vector<TokenId> prompt;
  GenerateOptions options;
};

/// Prompts of many lengths, each with its own sampler and limit.
std::vector<Request> varied_requests() {
  std::vector<Request> requests;
  for (unsigned i = 0; i < 9; ++i) {
    GenerateOptions options{
        .max_new_tokens = 1 + 3 * ((i * 5) % 7), .sampling = lively(i), .logprobs = true};
    if (i % 3 == 0) options.sampling = SamplingOptions{.repetition_penalty = 1.3};
    if (i % 4 == 1) options.stop = {"a", "é"};
    requests.push_back({random_ids(1 + (i * 7) % 23, i), options});
  }
  return requests;
}

}  // namespace

TEST_CASE("a batch gives each text bit for bit as it is alone") {
  const Model model = tiny_model();
  const std::vector<Request> requests = varied_requests();
  std::vector<Trace> expected;
  for (const Request& request : requests) {
    expected.push_back(alone(model, request.prompt, request.options));
  }
  for (std::size_t max_sequences : {1, 2, 4, 32}) {
    for (std::size_t chunk_size : {1, 6, 512}) {
      CAPTURE(max_sequences, chunk_size);
      Batch batch(model, {.context = {.chunk_size = chunk_size}, .max_sequences = max_sequences});
      for (std::size_t i = 0; i < requests.size(); ++i) {
        REQUIRE(batch.add(requests[i].prompt, requests[i].options) == i);
      }
      std::vector<Trace> found(requests.size());
      while (batch.step([&](std::size_t index, const TokenEvent& event) {
        found[index].add(event);
        return true;
      })) {
      }
      REQUIRE(found == expected);
    }
  }
}

TEST_CASE("texts may join and be cancelled at any time") {
  const Model model = tiny_model();
  const GenerateOptions options{.max_new_tokens = 12, .sampling = lively(), .logprobs = true};
  Batch batch(model);
  batch.add(random_ids(5, 1), options);
  batch.add(random_ids(6, 2), options);
  std::vector<Trace> found(3);
  std::size_t n_steps = 0;
  while (batch.step([&](std::size_t index, const TokenEvent& event) {
    found[index].add(event);
    return index != 0 || found[0].ids.size() < 4;
  })) {
    if (++n_steps == 3) REQUIRE(batch.add(random_ids(7, 3), options) == 2);
  }
  REQUIRE(found[1] == alone(model, random_ids(6, 2), options));
  REQUIRE(found[2] == alone(model, random_ids(7, 3), options));
  REQUIRE(found[0].ids.size() == 4);
  REQUIRE(!batch.step([](std::size_t, const TokenEvent&) { return true; }));
}

TEST_CASE("a prompt cancelled between chunks leaves the others alone") {
  const Model model = tiny_model();
  GenerateOptions watched{.max_new_tokens = 4};
  std::vector<std::size_t> done;
  watched.on_prompt = [&](const PromptProgress& progress) {
    done.push_back(progress.done);
    REQUIRE(progress.total == 20);
    return done.size() < 2;
  };
  const GenerateOptions plain{.max_new_tokens = 4, .logprobs = true};
  Batch batch(model, {.context = {.chunk_size = 8}, .max_sequences = 4});
  batch.add(random_ids(20, 1), watched);
  batch.add(random_ids(6, 2), plain);
  std::vector<Trace> found(2);
  while (batch.step([&](std::size_t index, const TokenEvent& event) {
    found[index].add(event);
    return true;
  })) {
  }
  REQUIRE(done == std::vector<std::size_t>{4, 10});  // 4 of 8, then what the other left of 8
  REQUIRE(found[0].ids.empty());
  REQUIRE(found[1] == alone(model, random_ids(6, 2), plain));
}

TEST_CASE("a prompt cancelled at its last chunk leaves the others alone") {
  const Model model = tiny_model();
  GenerateOptions refused{.max_new_tokens = 4};
  refused.on_prompt = [&](const PromptProgress&) { return false; };
  const GenerateOptions plain{.max_new_tokens = 4, .logprobs = true};
  Batch batch(model);
  batch.add(random_ids(5, 1), refused);
  batch.add(random_ids(6, 2), plain);
  Trace found;
  while (batch.step([&](std::size_t index, const TokenEvent& event) {
    REQUIRE(index == 1);
    found.add(event);
    return true;
  })) {
  }
  REQUIRE(found == alone(model, random_ids(6, 2), plain));
}

TEST_CASE("a throwing callback loses nothing but its own turn") {
  const Model model = tiny_model();
  const GenerateOptions options{.max_new_tokens = 6, .logprobs = true};
  Batch batch(model);
  for (unsigned i = 0; i < 3; ++i) batch.add(random_ids(5, i), options);
  std::vector<Trace> found(3);
  bool has_thrown = false;
  const BatchCallback collect = [&](std::size_t index, const TokenEvent& event) {
    found[index].add(event);
    if (index == 1 && found[1].ids.size() == 3 && !has_thrown) {
      has_thrown = true;
      throw Error(ErrorCode::cancelled, "once");
    }
    return true;
  };
  for (bool goes_on = true; goes_on;) {
    try {
      goes_on = batch.step(collect);
    } catch (const Error& error) {
      REQUIRE(error.code() == ErrorCode::cancelled);
    }
  }
  REQUIRE(has_thrown);
  for (unsigned i = 0; i < 3; ++i) REQUIRE(found[i] == alone(model, random_ids(5, i), options));
}

TEST_CASE("several prompts in one call") {
  const Model model = tiny_model();
  const std::vector<std::string> prompts = {"the cat", "", "a", "the cat"};
  const GenerateOptions options{.max_new_tokens = 10, .sampling = lively()};
  const std::vector<Completion> found =
      generate_batch(model, prompts, options, {.max_sequences = 3});
  REQUIRE(found.size() == 4);
  for (std::size_t i = 0; i < prompts.size(); ++i) {
    const Completion expected = model.generate(prompts[i], options).run();
    REQUIRE(found[i].text == expected.text);
    REQUIRE(found[i].ids == expected.ids);
    REQUIRE(found[i].finish == expected.finish);
  }
  REQUIRE(generate_batch(model, {}).empty());

  const std::vector<Completion> cancelled = generate_batch(
      model, prompts, options, {}, [](std::size_t index, const TokenEvent&) { return index != 2; });
  REQUIRE(cancelled[2].finish == FinishReason::cancelled);
  REQUIRE(cancelled[2].ids.size() == 1);
  REQUIRE(cancelled[0].ids == found[0].ids);
}

TEST_CASE("a batch rejects what a context rejects, and goes on") {
  const Model model = tiny_model();
  REQUIRE(error_of([&] { Batch(model, {.max_sequences = 0}); }).code() ==
          ErrorCode::invalid_argument);
  Batch batch(model, {.context = {.n_ctx = 16}});
  REQUIRE(error_of([&] { batch.add(random_ids(10), {.max_new_tokens = 7}); }).code() ==
          ErrorCode::capacity);
  REQUIRE(error_of([&] { batch.add(std::vector<TokenId>{}); }).code() ==
          ErrorCode::invalid_argument);
  REQUIRE(error_of([&] { batch.add("a", {.stop = {""}}); }).code() == ErrorCode::invalid_argument);
  const std::vector<ChatMessage> messages = {{Role::user, "a"}};
  REQUIRE(error_of([&] { batch.add_chat(messages); }).code() == ErrorCode::capacity);
  REQUIRE(batch.add("a", {.max_new_tokens = 2}) == 0);
  std::size_t n_tokens = 0;
  while (batch.step([&](std::size_t, const TokenEvent&) { return ++n_tokens > 0; })) {
  }
  REQUIRE(n_tokens == 2);
}

TEST_CASE("a failing step can be tried again") {
  const auto checkpoint = std::make_shared<RandomCheckpoint>(tiny_config());
  const Model model = make_model(checkpoint);
  const GenerateOptions options{.max_new_tokens = 6, .logprobs = true};
  const Trace expected = alone(model, random_ids(5), options);
  Batch batch(model);
  batch.add(random_ids(5), options);
  Trace found;
  const BatchCallback collect = [&](std::size_t, const TokenEvent& event) {
    found.add(event);
    return true;
  };
  for (int i = 0; i < 3; ++i) batch.step(collect);
  checkpoint->is_broken = true;
  REQUIRE(error_of([&] { batch.step(collect); }).code() == ErrorCode::io);
  checkpoint->is_broken = false;
  while (batch.step(collect)) {
  }
  REQUIRE(found == expected);
}
