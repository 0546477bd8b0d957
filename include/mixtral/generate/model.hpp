// A model ready for use: network, tokenizer and defaults in one handle.
#pragma once

#include <filesystem>
#include <memory>
#include <span>
#include <string_view>
#include <vector>

#include "mixtral/generate/generation.hpp"
#include "mixtral/generate/options.hpp"
#include "mixtral/io/checkpoint.hpp"
#include "mixtral/model/mixtral.hpp"
#include "mixtral/text/chat_format.hpp"
#include "mixtral/text/tokenizer.hpp"

namespace mixtral {

struct LoadOptions {
  ComputeOptions compute = {};
  LoadCallback on_progress = {};
};

/// A handle of an immutable bundle: copies share it and are cheap; any number of threads may use
/// it.
class Model {
 public:
  /// `tokenizer` may be null: such a model reads and writes ids only.
  /// Throws Error(invalid_argument) when its vocabulary isn't the network's.
  Model(std::shared_ptr<const Mixtral> network, std::shared_ptr<const Tokenizer> tokenizer);

  const Mixtral& network() const noexcept;
  const Config& config() const noexcept { return network().config(); }

  bool has_tokenizer() const noexcept;
  /// Throws Error(unsupported) when there is none.
  const Tokenizer& tokenizer() const;
  std::shared_ptr<const Tokenizer> shared_tokenizer() const;

  /// BOS and the ids of `text`. Throws Error(unsupported) without a tokenizer.
  std::vector<TokenId> tokenize(std::string_view text) const;

  /// The instruct format that the vocabulary is made for; v1 without a tokenizer.
  ChatVersion chat_version() const noexcept;

  /// What generation_config.json asks for: greedy unless it says do_sample, then temperature 1 and
  /// what else it states. Its repetition_penalty holds either way.
  SamplingOptions default_sampling() const;

  /// Generates in a context of its own, see Context for what the arguments mean.
  Generation generate(std::string_view prompt, const GenerateOptions& options = {},
                      const ContextOptions& context = {}) const;
  Generation generate(std::span<const TokenId> prompt, const GenerateOptions& options = {},
                      const ContextOptions& context = {}) const;
  Generation chat(std::span<const ChatMessage> messages, const GenerateOptions& options = {},
                  const ContextOptions& context = {}) const;

 private:
  struct Bundle;
  std::shared_ptr<const Bundle> bundle_;
};

/// Opens a checkpoint and, where there is one, its tokenizer: tokenizer.model, else tokenizer.json.
/// Maps the weights; reads none of them. Throws Error naming the file, and the tensor or key, at
/// fault, and what was expected and found.
Model load(const std::filesystem::path& path, const LoadOptions& options = {});

/// The tokenizer alone, of a directory (which needs no weights) or a native file. Throws Error naming
/// the file and the fault, and Error(io) when there is none.
std::shared_ptr<const Tokenizer> load_tokenizer(const std::filesystem::path& path);

}  // namespace mixtral
