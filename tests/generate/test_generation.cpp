#include <algorithm>
#include <cmath>
#include <set>

#include "generate/tiny_model.hpp"
#include "mixtral/generate/context.hpp"
#include "mixtral/text/streaming_decoder.hpp"
#include "support/catch.hpp"

using namespace mixtral;
using namespace mixtral::test;

namespace {

using Ids = std::vector<TokenId>;

Ids held(const Context& context) { return Ids(context.tokens().begin(), context.tokens().end()); }

Ids joined(Ids first, const Ids& second) {
  first.insert(first.end(), second.begin(), second.end());
  return first;
}

/// Greedy continuation by the definition: the whole text through the network for each token.
Ids greedy_oracle(const Model& model, Ids ids, std::size_t count) {
  const std::size_t n_prompt = ids.size();
  while (ids.size() < n_prompt + count) {
    Context context(model);
    const auto logits = context.eval(ids);
    ids.push_back(std::max_element(logits.begin(), logits.end()) - logits.begin());
    if (ids.back() == 2) break;
  }
  return Ids(ids.begin() + n_prompt, ids.end());
}

std::string text_of(const Model& model, const Ids& prompt, Ids ids) {
  if (!ids.empty() && ids.back() == 2) ids.pop_back();
  StreamingDecoder decoder(model.shared_tokenizer(), prompt.back() == 1
                                                         ? StreamingDecoder::Start::fresh
                                                         : StreamingDecoder::Start::continuation);
  std::string text;
  for (TokenId id : ids) text += decoder.push(id);
  return text + decoder.finish();
}

}  // namespace

TEST_CASE("greedy generation equals running the whole text for each token") {
  const Model model = tiny_model();
  const Ids prompt = joined({1}, random_ids(7));
  Generation generation = model.generate(prompt, {.max_new_tokens = 24});
  REQUIRE(generation.n_prompt() == 8);
  REQUIRE(generation.run().ids == greedy_oracle(model, prompt, 24));
}

TEST_CASE("iteration, events and run give the same text") {
  const Model model = tiny_model();
  const GenerateOptions options{.max_new_tokens = 60, .sampling = lively(5)};
  const Completion completion = model.generate("the cat", options).run();
  REQUIRE(completion.finish == FinishReason::length);
  REQUIRE(completion.ids.size() == 60);
  REQUIRE(completion.text == text_of(model, model.tokenize("the cat"), completion.ids));

  std::string iterated;
  for (std::string_view piece : model.generate("the cat", options)) {
    REQUIRE(!piece.empty());
    iterated += piece;
  }
  REQUIRE(iterated == completion.text);

  Generation generation = model.generate("the cat", options);
  std::string text;
  Ids ids;
  while (const auto event = generation.next()) {
    text += event->text;
    ids.push_back(event->id);
    REQUIRE(event->finish.has_value() == (ids.size() == 60));
    REQUIRE(std::isnan(event->logprob));
    REQUIRE(event->top_logprobs.empty());
  }
  REQUIRE(text == completion.text);
  REQUIRE(ids == completion.ids);
  REQUIRE(generation.finish_reason() == FinishReason::length);
  REQUIRE(!generation.next());
  static_assert(std::input_iterator<Generation::Iterator>);
}

TEST_CASE("text arrives in whole UTF-8 characters") {
  const Model model = tiny_model();
  // Bytes and pieces of several bytes only: half characters at every turn.
  SamplingOptions sampling = lively(3);
  for (TokenId id = 267; id < 293; ++id) sampling.logit_bias.push_back({id, -30});
  Generation generation = model.generate("", {.max_new_tokens = 200, .sampling = sampling});
  std::size_t n_empty = 0;
  while (const auto event = generation.next()) {
    if (event->text.empty()) ++n_empty;
    const std::string text(event->text);
    REQUIRE((text.empty() || (text[0] & 0xC0) != 0x80));
    REQUIRE(text.find('\xff') == std::string::npos);
  }
  REQUIRE(n_empty > 0);
}

TEST_CASE("a seed fixes the text, another one changes it") {
  const Model model = tiny_model();
  const auto ids = [&](std::uint64_t seed) {
    return model.generate("a", {.max_new_tokens = 30, .sampling = lively(seed)}).run().ids;
  };
  REQUIRE(ids(1) == ids(1));
  REQUIRE(ids(1) != ids(2));
}

TEST_CASE("EOS ends the text and is not part of it") {
  const Model model = tiny_model();
  SamplingOptions sampling;
  sampling.logit_bias = {{2, 1000.0f}};
  Context context(model);
  const Completion completion =
      context.generate("a", {.max_new_tokens = 9, .sampling = sampling}).run();
  REQUIRE(completion.finish == FinishReason::eos);
  REQUIRE(completion.ids == Ids{2});
  REQUIRE(completion.text.empty());
  REQUIRE(held(context) == joined(model.tokenize("a"), {2}));
}

TEST_CASE("every EOS id of the model ends the text") {
  Config config = tiny_config();
  config.eos_ids = {2, 270};
  const Model model = make_model(std::make_shared<const RandomCheckpoint>(config));
  SamplingOptions sampling;
  sampling.logit_bias = {{270, 1000.0f}};
  const Completion completion = model.generate("a", {.sampling = sampling}).run();
  REQUIRE(completion.finish == FinishReason::eos);
  REQUIRE(completion.text.empty());
}

TEST_CASE("a stop string cuts the text wherever tokens split it") {
  const Model model = tiny_model();
  const GenerateOptions plain{.max_new_tokens = 60, .sampling = lively(8)};
  const std::string text = model.generate("the", plain).run().text;
  std::set<std::size_t> starts;
  for (std::size_t at = 0; at < text.size(); ++at) {
    if ((text[at] & 0xC0) != 0x80) starts.insert(at);  // first bytes of characters
  }
  starts.insert(text.size());
  for (auto begin = starts.begin(); begin != starts.end(); ++begin) {
    const auto end =
        std::next(begin, std::min<std::size_t>(3, std::distance(begin, starts.end()) - 1));
    if (begin == end) continue;
    GenerateOptions options = plain;
    options.stop = {text.substr(*begin, *end - *begin)};
    CAPTURE(text, options.stop[0]);
    const Completion completion = model.generate("the", options).run();
    REQUIRE(completion.finish == FinishReason::stop);
    REQUIRE(completion.text == text.substr(0, text.find(options.stop[0])));
  }
}

TEST_CASE("text held back for a stop string comes out when the text ends otherwise") {
  const Model model = tiny_model();
  const GenerateOptions plain{.max_new_tokens = 20, .sampling = lively(8)};
  const std::string text = model.generate("the", plain).run().text;
  GenerateOptions options = plain;
  options.stop = {text + "!"};
  const Completion completion = model.generate("the", options).run();
  REQUIRE(completion.finish == FinishReason::length);
  REQUIRE(completion.text == text);
}

TEST_CASE("log-probabilities are those of the raw logits") {
  const Model model = tiny_model();
  const Ids prompt = joined({1}, random_ids(5));
  SamplingOptions sampling = lively(4);
  sampling.repetition_penalty = 1.5;
  sampling.top_k = 20;
  sampling.logit_bias = {{7, 3.0f}};
  Generation generation =
      model.generate(prompt, {.max_new_tokens = 15, .sampling = sampling, .top_logprobs = 4});
  Context oracle(model);
  std::span<const float> logits = oracle.eval(prompt);
  while (const auto event = generation.next()) {
    REQUIRE(event->logprob == Approx(logprob(logits, event->id)).epsilon(1e-12));
    std::vector<TokenLogprob> expected;
    top_logprobs(logits, 4, expected);
    REQUIRE(event->top_logprobs.size() == 4);
    for (std::size_t i = 0; i < 4; ++i) {
      REQUIRE(event->top_logprobs[i].id == expected[i].id);
      REQUIRE(event->top_logprobs[i].logprob == expected[i].logprob);
    }
    logits = oracle.eval({&event->id, 1});
  }
  Generation bare = model.generate(prompt, {.max_new_tokens = 1, .logprobs = true});
  const auto event = bare.next();
  REQUIRE(event->logprob < 0);
  REQUIRE(event->top_logprobs.empty());
}

TEST_CASE("a context goes on where a generation ended") {
  const Model model = tiny_model();
  const Ids prompt = joined({1}, random_ids(6));
  const Ids expected = model.generate(prompt, {.max_new_tokens = 20}).run().ids;
  REQUIRE(expected.size() == 20);
  Context context(model);
  Ids ids = context.generate(prompt, {.max_new_tokens = 8}).run().ids;
  REQUIRE(held(context) == joined(prompt, ids));
  ids = joined(ids, context.generate("", {.max_new_tokens = 12}).run().ids);
  REQUIRE(ids == expected);
  REQUIRE(held(context) == joined(prompt, expected));
}

TEST_CASE("cancelling at any token leaves the context usable") {
  const Model model = tiny_model();
  const Ids prompt = joined({1}, random_ids(6));
  const Ids expected = model.generate(prompt, {.max_new_tokens = 10}).run().ids;
  for (std::size_t n_taken = 1; n_taken < 10; ++n_taken) {
    Context context(model);
    std::size_t n_seen = 0;
    const Completion completion =
        context.generate(prompt, {.max_new_tokens = 10}).run([&](const TokenEvent&) {
          return ++n_seen < n_taken;
        });
    REQUIRE(completion.finish == FinishReason::cancelled);
    REQUIRE(completion.ids == Ids(expected.begin(), expected.begin() + n_taken));
    REQUIRE(held(context) == joined(prompt, completion.ids));
    REQUIRE(context.generate("", {.max_new_tokens = 10 - n_taken}).run().ids ==
            Ids(expected.begin() + n_taken, expected.end()));
  }
  Context dropped(model);
  { Generation never_pulled = dropped.generate(prompt, {.max_new_tokens = 10}); }
  REQUIRE(held(dropped) == prompt);
  REQUIRE(dropped.generate("", {.max_new_tokens = 10}).run().ids == expected);
}

TEST_CASE("asking to stop at the last token doesn't make a finished text a cancelled one") {
  const Model model = tiny_model();
  const Completion completion =
      model.generate("a", {.max_new_tokens = 1}).run([](const auto&) { return false; });
  REQUIRE(completion.finish == FinishReason::length);
}

TEST_CASE("the prompt can be watched and cancelled between chunks") {
  const Model model = tiny_model();
  const Ids prompt = random_ids(10);
  std::vector<std::size_t> done;
  GenerateOptions options{.max_new_tokens = 3};
  options.on_prompt = [&](const PromptProgress& progress) {
    REQUIRE(progress.total == 10);
    done.push_back(progress.done);
    return true;
  };
  const Ids expected = model.generate(prompt, options, {.chunk_size = 4}).run().ids;
  REQUIRE(done == std::vector<std::size_t>{4, 8, 10});

  for (std::size_t n_chunks : {1, 2, 3}) {
    Context context(model, {.chunk_size = 4});
    std::size_t n_seen = 0;
    options.on_prompt = [&](const PromptProgress&) { return ++n_seen < n_chunks; };
    Generation generation = context.generate(prompt, options);
    REQUIRE(!generation.next());
    REQUIRE(generation.finish_reason() == FinishReason::cancelled);
    REQUIRE(!generation.next());
    REQUIRE(held(context) == prompt);
    REQUIRE(context.generate("", {.max_new_tokens = 3}).run().ids == expected);
  }
}

TEST_CASE("a generation whose context was used elsewhere is an error, not nonsense") {
  const Model model = tiny_model();
  Context context(model);
  Generation stale = context.generate("a", {.max_new_tokens = 5});
  stale.next();
  context.rewind(1);
  REQUIRE(error_of([&] { stale.next(); }).code() == ErrorCode::invalid_argument);
  Generation interrupted = context.generate("b", {.max_new_tokens = 5});
  Generation current = context.generate("c", {.max_new_tokens = 5});
  REQUIRE(error_of([&] { interrupted.next(); }).code() == ErrorCode::invalid_argument);
  REQUIRE(current.next());
}

TEST_CASE("a generation outlives the handle of its context") {
  const Model model = tiny_model();
  const Ids expected = model.generate("a", {.max_new_tokens = 5}).run().ids;
  std::optional<Context> context(std::in_place, model);
  Generation generation = context->generate("a", {.max_new_tokens = 5});
  context.reset();
  REQUIRE(generation.run().ids == expected);
}

TEST_CASE("an empty prompt is BOS alone, and its text starts afresh") {
  const Model model = tiny_model();
  SamplingOptions sampling;
  sampling.logit_bias = {{TinyTokenizer::kFirstPiece + 1, 1000.0f}};  // "▁the"
  Context context(model);
  const GenerateOptions options{.max_new_tokens = 2, .sampling = sampling};
  REQUIRE(context.generate("", options).run().text == "the the");
  REQUIRE(context.tokens()[0] == 1);
  REQUIRE(context.size() == 3);
  REQUIRE(context.generate("", options).run().text == " the the");
  REQUIRE(model.generate("x", options).run().text == " the the");
  REQUIRE(error_of([&] { context.generate(Ids{}); }).code() == ErrorCode::invalid_argument);
}

TEST_CASE("the end of the context is known before any work") {
  const Model model = tiny_model();
  const Ids prompt = random_ids(10);
  Context context(model, {.n_ctx = 16});
  const Error error = error_of([&] { context.generate(prompt, {.max_new_tokens = 7}); });
  REQUIRE(error.code() == ErrorCode::capacity);
  for (const char* number : {"16", "10", "7"}) {
    REQUIRE(std::string(error.what()).find(number) != std::string::npos);
  }
  REQUIRE(error_of([&] { context.generate(random_ids(16)); }).code() == ErrorCode::capacity);
  REQUIRE(error_of([&] { context.generate(random_ids(17)); }).code() == ErrorCode::capacity);
  REQUIRE(error_of([&] { context.generate(prompt, {.max_new_tokens = ~std::size_t{0}}); }).code() ==
          ErrorCode::capacity);
  REQUIRE(context.size() == 0);

  SamplingOptions no_eos;
  no_eos.logit_bias = {{2, -1000.0f}};
  REQUIRE(context.generate(prompt, {.max_new_tokens = 6, .sampling = no_eos}).run().ids.size() ==
          6);
  context.rewind(0);
  REQUIRE(context.generate(prompt, {.sampling = no_eos}).run().ids.size() == 6);
  REQUIRE(error_of([&] { context.generate(""); }).code() == ErrorCode::capacity);
}

TEST_CASE("truncation keeps BOS and the last tokens that fit") {
  const Model model = tiny_model();
  const Ids prompt = joined({1}, random_ids(20));
  const GenerateOptions options{.max_new_tokens = 6, .overflow = Overflow::truncate};
  Ids kept = {1};
  kept.insert(kept.end(), prompt.end() - 9, prompt.end());
  Context context(model, {.n_ctx = 16});
  Generation generation = context.generate(prompt, options);
  REQUIRE(generation.n_prompt() == 10);
  REQUIRE(held(context) == kept);
  REQUIRE(generation.run().ids == model.generate(kept, {.max_new_tokens = 6}).run().ids);

  Context without_bos(model, {.n_ctx = 16});
  const Ids plain = random_ids(20);
  without_bos.generate(plain, options);
  REQUIRE(held(without_bos) == Ids(plain.end() - 10, plain.end()));

  Context fits(model, {.n_ctx = 32});
  fits.generate(prompt, options);
  REQUIRE(held(fits) == prompt);

  // What is held already counts, and is dropped in the same way.
  Context continued(model, {.n_ctx = 16});
  continued.eval(Ids(prompt.begin(), prompt.begin() + 15));
  continued.generate(Ids(prompt.begin() + 15, prompt.end()), options).run();
  REQUIRE(Ids(continued.tokens().begin(), continued.tokens().begin() + 10) == kept);

  const GenerateOptions too_many{.max_new_tokens = 16, .overflow = Overflow::truncate};
  REQUIRE(error_of([&] { Context(model, {.n_ctx = 16}).generate(prompt, too_many); }).code() ==
          ErrorCode::capacity);
  const GenerateOptions unset{.overflow = Overflow::truncate};
  REQUIRE(error_of([&] { Context(model, {.n_ctx = 16}).generate(prompt, unset); }).code() ==
          ErrorCode::capacity);
}

TEST_CASE("bad options are errors and leave the context as it was") {
  const Model model = tiny_model();
  Context context(model);
  context.eval(random_ids(3));
  const auto code = [&](const GenerateOptions& options) {
    return error_of([&] { context.generate("a", options); }).code();
  };
  REQUIRE(code({.sampling = SamplingOptions{.temperature = -1}}) == ErrorCode::invalid_argument);
  REQUIRE(code({.stop = {""}}) == ErrorCode::invalid_argument);
  REQUIRE(error_of([&] { context.generate(Ids{1, 99999}); }).code() == ErrorCode::invalid_argument);
  REQUIRE(held(context) == random_ids(3));
}

TEST_CASE("a chat computes only what is new") {
  const Model model = tiny_model();
  const std::vector<ChatMessage> first = {{Role::user, "hello"}};
  const GenerateOptions options{.max_new_tokens = 8};
  Context context(model);
  const Completion reply = context.chat(first, options).run();

  const std::vector<ChatMessage> second = {
      {Role::user, "hello"}, {Role::assistant, "abc"}, {Role::user, "more"}};
  std::size_t n_computed = 0;
  GenerateOptions counting = options;
  counting.on_prompt = [&](const PromptProgress& progress) {
    n_computed = progress.total;
    return true;
  };
  Generation again = context.chat(second, counting);
  const std::size_t n_prompt = again.n_prompt();
  const Completion continued = again.run();
  REQUIRE(n_computed < n_prompt);
  Context fresh(model);
  REQUIRE(fresh.chat(second, options).run().ids == continued.ids);
  REQUIRE(fresh.size() == context.size());

  REQUIRE(error_of([&] { context.chat({}, options); }).code() == ErrorCode::invalid_argument);
}

TEST_CASE("a reply is a text of its own, a prefix is gone on from") {
  const Model model = tiny_model();
  SamplingOptions sampling;
  sampling.logit_bias = {{TinyTokenizer::kFirstPiece + 1, 1000.0f}};  // "▁the"
  const GenerateOptions options{.max_new_tokens = 1, .sampling = sampling};
  const std::vector<ChatMessage> asked = {{Role::user, "hello"}};
  REQUIRE(model.chat(asked, options).run().text == "the");
  const std::vector<ChatMessage> begun = {{Role::user, "hello"}, {Role::assistant, "so"}};
  REQUIRE(model.chat(begun, options).run().text == " the");
}

TEST_CASE("a model without a tokenizer works with ids alone") {
  const Model model =
      make_model(std::make_shared<const RandomCheckpoint>(tiny_config()), /*with_tokenizer=*/false);
  const Ids prompt = joined({1}, random_ids(4));
  const Completion completion = model.generate(prompt, {.max_new_tokens = 5}).run();
  REQUIRE(completion.ids == tiny_model().generate(prompt, {.max_new_tokens = 5}).run().ids);
  REQUIRE(completion.text.empty());
  REQUIRE(!model.has_tokenizer());
  const std::vector<ChatMessage> messages = {{Role::user, "hello"}};
  REQUIRE(error_of([&] { model.tokenizer(); }).code() == ErrorCode::unsupported);
  REQUIRE(error_of([&] { model.generate("a"); }).code() == ErrorCode::unsupported);
  REQUIRE(error_of([&] { model.chat(messages); }).code() == ErrorCode::unsupported);
  REQUIRE(error_of([&] { model.generate(prompt, {.stop = {"x"}}); }).code() ==
          ErrorCode::unsupported);
}

TEST_CASE("a tokenizer of another vocabulary is an error") {
  Config config = tiny_config();
  config.vocab += 1;
  const Error error =
      error_of([&] { make_model(std::make_shared<const RandomCheckpoint>(config)); });
  REQUIRE(error.code() == ErrorCode::invalid_argument);
  REQUIRE(std::string(error.what()).find(std::to_string(config.vocab)) != std::string::npos);
}

TEST_CASE("generation_config.json's defaults hold where nothing else is asked for") {
  GenerationDefaults defaults;
  defaults.temperature = 0.6;
  defaults.top_k = 30;
  defaults.top_p = 0.9;
  defaults.min_p = 0.02;
  defaults.repetition_penalty = 1.2;
  defaults.max_new_tokens = 5;
  const SamplingOptions greedy = tiny_model(defaults).default_sampling();
  REQUIRE(greedy.temperature == 0);
  REQUIRE(greedy.repetition_penalty == 1.2);

  defaults.do_sample = true;
  const Model model = tiny_model(defaults);
  const SamplingOptions sampling = model.default_sampling();
  REQUIRE(sampling.temperature == 0.6);
  REQUIRE(sampling.top_k == 30);
  REQUIRE(sampling.top_p == 0.9);
  REQUIRE(sampling.min_p == 0.02);
  REQUIRE(sampling.repetition_penalty == 1.2);

  const Completion completion = model.generate("a").run();
  REQUIRE(completion.ids.size() == 5);
  REQUIRE(completion.ids ==
          model.generate("a", {.max_new_tokens = 5, .sampling = sampling}).run().ids);
  // A default gives way to a small context, a request doesn't.
  const ContextOptions small{.n_ctx = 6};
  REQUIRE(model.generate("a", {}, small).run().ids.size() == 3);
  REQUIRE(error_of([&] { model.generate("a", {.max_new_tokens = 5}, small); }).code() ==
          ErrorCode::capacity);

  GenerationDefaults sampling_only;
  sampling_only.do_sample = true;
  REQUIRE(tiny_model(sampling_only).default_sampling().temperature == 1);
}
