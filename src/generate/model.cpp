#include "mixtral/generate/model.hpp"

#include <string>
#include <system_error>
#include <utility>

#include "core/message.hpp"
#include "io/file_status.hpp"
#include "io/gguf_checkpoint.hpp"
#include "io/mistral_checkpoint.hpp"
#include "mixtral/core/error.hpp"
#include "mixtral/generate/context.hpp"

namespace mixtral {
namespace {

void require_same_vocabulary(const Tokenizer& tokenizer, const Config& config,
                             const std::string& name) {
  if (tokenizer.vocab_size() != config.vocab) {
    throw Error(ErrorCode::invalid_argument,
                name + ": expected a tokenizer of the model's " + std::to_string(config.vocab) +
                    " tokens, found one of " + std::to_string(tokenizer.vocab_size()));
  }
}

/// The tokenizer that came with the weights; null when none did.
std::shared_ptr<const Tokenizer> tokenizer_of(const Checkpoint& checkpoint,
                                              const std::filesystem::path& path) {
  if (const auto file = checkpoint.file("tokenizer.model")) {
    return parse_sentencepiece(std::as_bytes(std::span(*file)), (path / "tokenizer.model").native());
  }
  if (const auto file = checkpoint.file("tokenizer.json")) {
    return parse_tokenizer_json(std::as_bytes(std::span(*file)), (path / "tokenizer.json").native());
  }
  return nullptr;
}

}  // namespace

struct Model::Bundle {
  std::shared_ptr<const Mixtral> network;
  std::shared_ptr<const Tokenizer> tokenizer;
  ChatVersion chat_version;
};

Model::Model(std::shared_ptr<const Mixtral> network, std::shared_ptr<const Tokenizer> tokenizer) {
  if (!network) throw Error(ErrorCode::invalid_argument, "model: expected a network, found null");
  if (tokenizer) require_same_vocabulary(*tokenizer, network->config(), "model");
  const ChatVersion chat_version = tokenizer ? detect_chat_version(*tokenizer) : ChatVersion::v1;
  bundle_ = std::make_shared<const Bundle>(
      Bundle{std::move(network), std::move(tokenizer), chat_version});
}

const Mixtral& Model::network() const noexcept { return *bundle_->network; }

bool Model::has_tokenizer() const noexcept { return bundle_->tokenizer != nullptr; }

const Tokenizer& Model::tokenizer() const { return *shared_tokenizer(); }

std::shared_ptr<const Tokenizer> Model::shared_tokenizer() const {
  if (!has_tokenizer()) {
    throw Error(ErrorCode::unsupported,
                "the model has no tokenizer (tokenizer.model or tokenizer.json), only ids work");
  }
  return bundle_->tokenizer;
}

std::vector<TokenId> Model::tokenize(std::string_view text) const {
  std::vector<TokenId> ids = tokenizer().encode(text);
  ids.insert(ids.begin(), tokenizer().bos_id());
  return ids;
}

ChatVersion Model::chat_version() const noexcept { return bundle_->chat_version; }

SamplingOptions Model::default_sampling() const {
  const GenerationDefaults& defaults = network().checkpoint().generation_defaults();
  SamplingOptions sampling{.repetition_penalty = defaults.repetition_penalty.value_or(1)};
  if (!defaults.do_sample.value_or(false)) return sampling;
  sampling.temperature = defaults.temperature.value_or(1);
  sampling.top_k = defaults.top_k.value_or(0);
  sampling.top_p = defaults.top_p.value_or(1);
  sampling.min_p = defaults.min_p.value_or(0);
  return sampling;
}

Generation Model::generate(std::string_view prompt, const GenerateOptions& options,
                           const ContextOptions& context) const {
  return Context(*this, context).generate(prompt, options);
}

Generation Model::generate(std::span<const TokenId> prompt, const GenerateOptions& options,
                           const ContextOptions& context) const {
  return Context(*this, context).generate(prompt, options);
}

Generation Model::chat(std::span<const ChatMessage> messages, const GenerateOptions& options,
                       const ContextOptions& context) const {
  return Context(*this, context).chat(messages, options);
}

Model load(const std::filesystem::path& path, const LoadOptions& options) {
  auto network =
      std::make_shared<const Mixtral>(open_checkpoint(path, options.on_progress), options.compute);
  auto tokenizer = tokenizer_of(network->checkpoint(), path);
  if (tokenizer) require_same_vocabulary(*tokenizer, network->config(), detail::quote(path));
  return Model(std::move(network), std::move(tokenizer));
}

std::shared_ptr<const Tokenizer> load_tokenizer(const std::filesystem::path& path) {
  std::error_code error;
  const bool is_directory = std::filesystem::is_directory(path, error);
  if (is_directory && detail::is_mistral_checkpoint(path)) {
    if (const auto file = path / detail::mistral_tokenizer_name(path); detail::is_there(file)) {
      const std::string model = read_text_file(file, kMaxModelFileBytes);
      return parse_sentencepiece(std::as_bytes(std::span(model)), file.native());
    }
  }
  const auto has = [&](const char* name) { return std::filesystem::exists(path / name, error); };
  if (is_directory &&
      (has("tokenizer.model") || has("tokenizer.json") || !detail::find_gguf_model(path))) {
    return open_tokenizer(path);  // needs no weights
  }
  if (auto tokenizer = tokenizer_of(*open_checkpoint(path), path)) return tokenizer;
  throw Error(ErrorCode::io, detail::quote(path) + ": there is no tokenizer in this model");
}

}  // namespace mixtral
