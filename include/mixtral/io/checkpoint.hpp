// One interface over every checkpoint format: tensors by their role in the model.
#pragma once

#include <cstddef>
#include <filesystem>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "mixtral/core/config.hpp"
#include "mixtral/core/tensor.hpp"

namespace mixtral {

/// The role of a weight matrix, with its shape. Vectors are matrices of one row.
enum class TensorRole {
  embedding,       ///< [vocab, hidden]
  final_norm,      ///< [1, hidden]
  lm_head,         ///< [vocab, hidden]; the embedding itself when tied
  attention_norm,  ///< [1, hidden]
  query,           ///< [n_heads * head_dim, hidden], rows in the checkpoint's RotaryOrder
  key,             ///< [n_kv_heads * head_dim, hidden], likewise
  value,           ///< [n_kv_heads * head_dim, hidden]
  output,          ///< [hidden, n_heads * head_dim]
  ffn_norm,        ///< [1, hidden]
  router,          ///< [n_experts, hidden]
  expert_gate,     ///< w1 [ffn, hidden]
  expert_up,       ///< w3 [ffn, hidden]
  expert_down,     ///< w2 [hidden, ffn]
};

struct TensorKey {
  TensorRole role;
  std::size_t layer = 0;   ///< ignored by embedding, final_norm, lm_head
  std::size_t expert = 0;  ///< ignored by all but the expert roles
};

/// "expert_down": the role as recipes and native files call it.
std::string_view name_of(TensorRole role) noexcept;

/// "layers.3.expert_down.5": the role after its layer and before its expert, where it has them.
std::string name_of(const TensorKey& key);

/// Calls visit(TensorKey) for every tensor of a model, in the order in which a token meets them; for
/// the lm_head also when it is tied.
template <class Visit>
void visit_tensors(const Config& config, Visit visit) {
  using enum TensorRole;
  visit(TensorKey{embedding});
  for (std::size_t layer = 0; layer < config.n_layers; ++layer) {
    for (const TensorRole role : {attention_norm, query, key, value, output, ffn_norm, router}) {
      visit(TensorKey{role, layer});
    }
    for (std::size_t expert = 0; expert < config.n_experts; ++expert) {
      for (const TensorRole role : {expert_gate, expert_up, expert_down}) {
        visit(TensorKey{role, layer, expert});
      }
    }
  }
  visit(TensorKey{final_norm});
  visit(TensorKey{lm_head});
}

/// What a model has beside its weights: its configuration, its tokenizer and what describes them.
inline constexpr std::string_view kModelFiles[] = {
    "config.json",     "generation_config.json", "tokenizer.model",
    "tokenizer.json",  "tokenizer_config.json",  "special_tokens_map.json",
};

/// The most bytes that one of them may have.
inline constexpr std::size_t kMaxModelFileBytes = std::size_t{1} << 26;

/// How the files hold a tensor, for people.
struct StoredTensor {
  std::string name;       ///< in the file; that of the whole where the tensor is a part of it
  std::string type;       ///< as the format calls it, such as "Q4_K" or "AWQ 4-bit"
  std::size_t bytes = 0;  ///< that it takes there
};

/// A tensor with its bytes.
struct LoadedTensor {
  WeightView view;
  std::shared_ptr<const void> memory = {};  ///< holds the bytes; null when they lie in the mapped file
};

/// An open checkpoint, complete and checked: every tensor of the config exists with its shape.
/// Immutable; safe to use from any number of threads.
class Checkpoint {
 public:
  virtual ~Checkpoint() = default;

  virtual const Config& config() const noexcept = 0;
  virtual const GenerationDefaults& generation_defaults() const noexcept = 0;

  /// The tensor's type, shape and layout, and its bytes in the mapped file, valid for the life of the
  /// checkpoint; null for a tensor that is stored in another form than this one, which `load` decodes.
  virtual WeightView tensor(TensorKey key) const = 0;

  /// The tensor with its bytes, decoded if need be. Throws Error(out_of_memory).
  virtual LoadedTensor load(TensorKey key) const { return {tensor(key)}; }

  virtual StoredTensor stored(TensorKey key) const {
    const WeightView view = tensor(key);
    return {name_of(key), std::string(name_of(view.dtype)), view.bytes()};
  }

  virtual RotaryOrder rotary_order() const noexcept { return RotaryOrder::half_split; }

  /// What else the files say about the model, as pairs of key and value, for people.
  virtual std::vector<std::pair<std::string, std::string>> metadata() const { return {}; }

  /// The content of the file of this name (one of kModelFiles) that came with the weights; nothing
  /// when there is none. Throws Error(io) when it can't be read, Error(format) when it is too large.
  virtual std::optional<std::string> file(std::string_view /*name*/) const { return std::nullopt; }

  /// Bytes of all tensors as `tensor` describes them.
  virtual std::size_t weight_bytes() const noexcept = 0;

  /// Throws Error(io) when a mapped file has become shorter than its mapping: reading on would
  /// raise SIGBUS. Costs one fstat per file.
  virtual void check_unchanged() const = 0;
};

struct LoadProgress {
  std::size_t done;   ///< files (shards) opened and checked so far
  std::size_t total;  ///< files in all
};

/// Called between steps of a load; returning false stops it with Error(cancelled).
using LoadCallback = std::function<bool(const LoadProgress&)>;

/// Opens a Hugging Face directory, a GGUF file (of a split model any of its files, or a directory that has no
/// other model) or a native file (see native_checkpoint.hpp). The content tells the format. Maps the weights;
/// reads none of them. Throws Error naming the file, and the tensor or key, at fault.
std::unique_ptr<Checkpoint> open_checkpoint(const std::filesystem::path& path,
                                            const LoadCallback& on_progress = {});

}  // namespace mixtral
