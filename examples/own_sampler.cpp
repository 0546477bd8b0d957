// Chooses the tokens itself: a text without the letter e. own_sampler MODEL [PROMPT]
#include <iostream>
#include <span>
#include <string_view>

#include <mixtral/mixtral.hpp>

namespace {

/// The likeliest token that `allowed` lets pass.
template <class Allowed>
mixtral::TokenId best_token(std::span<const float> logits, Allowed allowed) {
  mixtral::TokenId best = -1;
  for (mixtral::TokenId id = 0; id < static_cast<mixtral::TokenId>(logits.size()); ++id) {
    if ((best < 0 || logits[id] > logits[best]) && allowed(id)) best = id;
  }
  return best;
}

}  // namespace

int main(int argc, char** argv) try {
  const mixtral::Model model = mixtral::load(argc > 1 ? argv[1] : ".");
  const mixtral::Tokenizer& tokenizer = model.tokenizer();
  const auto allowed = [&](mixtral::TokenId id) {
    return tokenizer.kind(id) == mixtral::TokenKind::normal &&
           tokenizer.piece(id).find_first_of("eE") == std::string_view::npos;
  };

  mixtral::Context context(model);
  mixtral::StreamingDecoder decoder(model.shared_tokenizer(),
                                    mixtral::StreamingDecoder::Start::continuation);
  std::span<const float> logits = context.eval(model.tokenize(argc > 2 ? argv[2] : "A cat"));
  for (int i = 0; i < 60; ++i) {
    const mixtral::TokenId id = best_token(logits, allowed);
    std::cout << decoder.push(id) << std::flush;
    logits = context.eval({&id, 1});
  }
  std::cout << decoder.finish() << '\n';
} catch (const std::exception& error) {
  std::cerr << error.what() << '\n';
  return 1;
}
