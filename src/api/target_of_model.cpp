#include <algorithm>

#include "api/target.hpp"

namespace mixtral::api {
namespace {

constexpr std::size_t kDefaultContext = 4096;  // as ContextOptions has it

}  // namespace

Target Target::of(const Model& model, std::size_t n_ctx) {
  const std::size_t most = model.config().max_position;
  return {.tokenizer = model.has_tokenizer() ? model.shared_tokenizer() : nullptr,
          .chat_version = model.chat_version(),
          .vocab = model.config().vocab,
          .n_ctx = n_ctx > 0 ? n_ctx : std::min(kDefaultContext, most),
          .sampling = model.default_sampling(),
          .max_new_tokens = model.network().checkpoint().generation_defaults().max_new_tokens,
          .eos_ids = model.config().eos_ids};
}

}  // namespace mixtral::api
