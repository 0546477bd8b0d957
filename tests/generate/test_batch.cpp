#include <algorithm>
#include <condition_variable>
#include <deque>
#include <map>
#include <mutex>
#include <thread>

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

TEST_CASE("cancelling frees a place at every stage") {
  const Model model = tiny_model();
  const GenerateOptions options{.max_new_tokens = 8, .logprobs = true};
  Batch batch(model, {.context = {.chunk_size = 8}, .max_sequences = 2});
  for (unsigned i = 0; i < 5; ++i) batch.add(random_ids(30, i), options);
  std::vector<Trace> found(5);
  const BatchCallback collect = [&](std::size_t index, const TokenEvent& event) {
    found[index].add(event);
    return true;
  };
  const auto require_counts = [&](std::size_t n_running, std::size_t n_waiting) {
    REQUIRE(batch.n_running() == n_running);
    REQUIRE(batch.n_waiting() == n_waiting);
    REQUIRE(batch.stats().n_running == n_running);
    REQUIRE(batch.stats().n_waiting == n_waiting);
    REQUIRE((batch.stats().n_positions > 0) == (n_running > 0));
    REQUIRE((batch.stats().cache_bytes > 0) == (n_running > 0));
  };
  require_counts(0, 5);
  batch.cancel(99);  // unknown
  batch.cancel(3);   // waiting
  require_counts(0, 4);
  REQUIRE(!batch.holds(3));
  REQUIRE(batch.holds(4));
  batch.step(collect);
  require_counts(2, 2);
  batch.cancel(0);  // in its prompt
  require_counts(1, 2);
  while (found[1].ids.empty()) batch.step(collect);
  batch.cancel(1);  // generating
  REQUIRE(!batch.holds(1));
  require_counts(1, 1);
  batch.cancel(1);  // again
  while (batch.step(collect)) {
  }
  require_counts(0, 0);
  batch.cancel(2);  // finished
  REQUIRE(found[0].ids.empty());
  REQUIRE(found[1].ids.size() == 1);
  REQUIRE(found[2] == alone(model, random_ids(30, 2), options));
  REQUIRE(found[3].ids.empty());
  REQUIRE(found[4] == alone(model, random_ids(30, 4), options));
}

TEST_CASE("callbacks may cancel and add") {
  const Model model = tiny_model();
  const GenerateOptions options{.max_new_tokens = 6, .logprobs = true};
  Batch batch(model, {.max_sequences = 4});
  for (unsigned i = 0; i < 4; ++i) batch.add(random_ids(5, i), options);
  std::vector<Trace> found(5);
  while (batch.step([&](std::size_t index, const TokenEvent& event) {
    found[index].add(event);
    if (index == 1 && found[1].ids.size() == 2) {
      batch.cancel(0);
      batch.cancel(1);
      batch.cancel(3);
      REQUIRE(!batch.holds(3));
      batch.add(random_ids(5, 4), options);
    }
    return true;
  })) {
  }
  REQUIRE(found[0].ids.size() == 2);
  REQUIRE(found[1].ids.size() == 2);
  REQUIRE(found[3].ids.size() == 1);
  REQUIRE(found[2] == alone(model, random_ids(5, 2), options));
  REQUIRE(found[4] == alone(model, random_ids(5, 4), options));
}

TEST_CASE("a long prompt holds up neither texts nor short prompts") {
  const Model model = tiny_model();
  Batch batch(model, {.context = {.chunk_size = 8}, .max_sequences = 4});
  std::vector<std::vector<std::size_t>> steps(4);  // at which each got its tokens
  std::size_t step = 0;
  const BatchCallback collect = [&](std::size_t index, const TokenEvent&) {
    steps[index].push_back(step);
    return true;
  };
  batch.add(random_ids(4, 1), {.max_new_tokens = 60});
  batch.step(collect);
  REQUIRE(steps[0] == std::vector<std::size_t>{0});
  batch.add(random_ids(180, 2), {.max_new_tokens = 2});
  while (++step < 5) batch.step(collect);
  batch.add(random_ids(6, 3), {.max_new_tokens = 3});
  batch.add(random_ids(9, 4), {.max_new_tokens = 1});
  do {
    batch.step(collect);
    ++step;
  } while (batch.n_running() > 0);
  for (std::size_t i = 0; i < steps[0].size(); ++i) REQUIRE(steps[0][i] == i);
  REQUIRE(steps[2].front() <= 5 + 3);  // a third of 7 tokens a step, at least
  REQUIRE(steps[3].front() <= 5 + 4);
  REQUIRE(steps[1].front() > 20);
  REQUIRE(steps[1].front() <= 30);
}

TEST_CASE("several long prompts advance side by side") {
  const Model model = tiny_model();
  Batch batch(model, {.context = {.chunk_size = 16}, .max_sequences = 4});
  std::vector<std::size_t> done(3);
  for (unsigned i = 0; i < 3; ++i) {
    GenerateOptions options{.max_new_tokens = 1};
    options.on_prompt = [&done, i](const PromptProgress& progress) {
      done[i] = progress.done;
      return true;
    };
    batch.add(random_ids(150, i), options);
  }
  std::size_t n_steps = 0;
  while (batch.step([](std::size_t, const TokenEvent&) { return true; })) {
    ++n_steps;
    const auto [least, most] = std::minmax_element(done.begin(), done.end());
    REQUIRE(*most - *least <= n_steps);
  }
  REQUIRE(n_steps == (450 + 15) / 16);
}

TEST_CASE("a thread that owns a batch serves requests of others") {
  const Model model = tiny_model();
  constexpr unsigned kThreads = 4, kRequests = 6;
  struct Message {
    unsigned sender;
    std::vector<TokenId> prompt;
    GenerateOptions options;
  };
  std::mutex mutex;
  std::condition_variable arrived;
  std::deque<Message> inbox;
  std::vector<std::vector<Trace>> replies(kThreads);
  unsigned n_senders = kThreads;

  std::thread owner([&] {
    Batch batch(model, {.context = {.chunk_size = 16, .n_threads = 2}, .max_sequences = 3});
    std::map<std::size_t, std::pair<unsigned, Trace>> open;
    for (bool goes_on = true; goes_on;) {
      {
        std::unique_lock lock(mutex);
        if (open.empty()) arrived.wait(lock, [&] { return !inbox.empty() || n_senders == 0; });
        for (; !inbox.empty(); inbox.pop_front()) {
          const Message& message = inbox.front();
          open[batch.add(message.prompt, message.options)].first = message.sender;
        }
        goes_on = !open.empty() || n_senders > 0;
      }
      batch.step([&](std::size_t index, const TokenEvent& event) {
        open[index].second.add(event);
        if (event.finish) {
          const std::lock_guard lock(mutex);
          replies[open[index].first].push_back(open[index].second);
          open.erase(index);
        }
        return true;
      });
    }
  });
  std::vector<std::thread> senders;
  for (unsigned sender = 0; sender < kThreads; ++sender) {
    senders.emplace_back([&, sender] {
      for (unsigned i = 0; i < kRequests; ++i) {
        std::lock_guard lock(mutex);
        inbox.push_back({sender, random_ids(20 + i, sender), {.max_new_tokens = 5, .logprobs = true}});
        arrived.notify_one();
      }
      const std::lock_guard lock(mutex);
      --n_senders;
      arrived.notify_one();
    });
  }
  for (std::thread& sender : senders) sender.join();
  owner.join();
  for (unsigned sender = 0; sender < kThreads; ++sender) {
    REQUIRE(replies[sender].size() == kRequests);
    for (unsigned i = 0; i < kRequests; ++i) {
      const Trace expected = alone(model, random_ids(20 + i, sender),
                                   {.max_new_tokens = 5, .logprobs = true});
      REQUIRE(std::count(replies[sender].begin(), replies[sender].end(), expected) == 1);
    }
  }
}

TEST_CASE("a callback that throws at the last token has seen it") {
  const Model model = tiny_model();
  Batch batch(model);
  batch.add(random_ids(5), {.max_new_tokens = 1});
  std::size_t n_events = 0;
  const BatchCallback thrower = [&](std::size_t, const TokenEvent& event) -> bool {
    ++n_events;
    REQUIRE(event.finish == FinishReason::length);
    throw Error(ErrorCode::cancelled, "now");
  };
  REQUIRE(error_of([&] { batch.step(thrower); }).code() == ErrorCode::cancelled);
  REQUIRE(!batch.step(thrower));
  REQUIRE(n_events == 1);
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
