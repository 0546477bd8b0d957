#include "mixtral/model/mixtral.hpp"

#include <algorithm>
#include <string>
#include <utility>
#include <vector>

#include "kernels/gemm_select.hpp"
#include "mixtral/core/error.hpp"
#include "mixtral/layers/decoder_block.hpp"
#include "mixtral/layers/embedding.hpp"
#include "model/workspace.hpp"

namespace mixtral {
namespace {

const Config& validated(const Config& config) {
  validate(config);
  return config;
}

/// Takes the weights of a checkpoint and holds those that had to be decoded.
class WeightLoader {
 public:
  explicit WeightLoader(const Checkpoint& checkpoint) : checkpoint_(checkpoint) {}

  /// A row or matrix that is read element by element.
  WeightView plain(TensorKey key) {
    const WeightView weight = load(key);
    if (is_quantised(weight.dtype) || weight.layout != Layout::row_major) {
      throw Error(ErrorCode::unsupported,
                  "norms and routers have to be f32, f16 or bf16 in rows, found " +
                      std::string(name_of(weight.dtype)));
    }
    return weight;
  }

  WeightView load(TensorKey key) {
    LoadedTensor tensor = checkpoint_.load(key);
    if (tensor.memory) memory_.push_back(std::move(tensor.memory));
    return tensor.view;
  }

 private:
  const Checkpoint& checkpoint_;
  std::vector<std::shared_ptr<const void>> memory_;
};

DecoderBlock make_block(WeightLoader& weights, const Checkpoint& checkpoint, std::size_t layer,
                        const KernelTable& kernels) {
  const Config& config = checkpoint.config();
  const auto eps = static_cast<float>(config.rms_norm_eps);
  const auto weight = [&](TensorRole role, std::size_t expert = 0) {
    return weights.load({role, layer, expert});
  };
  const auto norm = [&](TensorRole role) {
    return RmsNorm(weights.plain({role, layer}), eps, kernels);
  };
  std::vector<Expert> experts;
  for (std::size_t e = 0; e < config.n_experts; ++e) {
    experts.push_back({.gate = weight(TensorRole::expert_gate, e),
                       .up = weight(TensorRole::expert_up, e),
                       .down = weight(TensorRole::expert_down, e)});
  }
  return DecoderBlock(
      norm(TensorRole::attention_norm),
      Attention(Linear(weight(TensorRole::query)), Linear(weight(TensorRole::key)),
                Linear(weight(TensorRole::value)), Linear(weight(TensorRole::output)),
                {config.n_heads, config.n_kv_heads, config.head_dim, config.sliding_window,
                 checkpoint.rotary_order()}),
      norm(TensorRole::ffn_norm),
      Moe(Router(weights.plain({TensorRole::router, layer})), std::move(experts), config.top_k));
}

std::size_t n_logits(const BatchItem& item) noexcept {
  return std::min(item.logits.n_last, item.tokens.size());
}

[[noreturn]] void fail(ErrorCode code, const std::string& what, std::size_t expected,
                       std::size_t found) {
  throw Error(code, what + ": at most " + std::to_string(expected) + ", found " +
                        std::to_string(found));
}

void check_item(const BatchItem& item, const Config& config, std::size_t n_ctx) {
  if (item.cache == nullptr || item.tokens.empty()) {
    throw Error(ErrorCode::invalid_argument, "a batch item needs a cache and at least one token");
  }
  for (const TokenId token : item.tokens) {
    if (token < 0 || static_cast<std::size_t>(token) >= config.vocab) {
      throw Error(ErrorCode::invalid_argument, "token id " + std::to_string(token) +
                                                   " is outside the vocabulary 0.." +
                                                   std::to_string(config.vocab - 1));
    }
  }
  const KvCache& cache = *item.cache;
  if (!cache.fits(config)) {
    throw Error(ErrorCode::invalid_argument, "a cache of the batch was made for another model");
  }
  if (cache.capacity() > n_ctx) {
    fail(ErrorCode::capacity, "positions of a cache in this workspace", n_ctx, cache.capacity());
  }
  if (item.tokens.size() > cache.capacity() - cache.size()) {
    throw Error(ErrorCode::capacity,
                "the context is full: " + std::to_string(item.tokens.size()) +
                    " more tokens after " + std::to_string(cache.size()) + " exceed its " +
                    std::to_string(cache.capacity()) + " positions");
  }
}

void check_batch(std::span<const BatchItem> batch, const Config& config,
                 const Workspace::Buffers& buffers, const Executor& executor) {
  if (buffers.config != config) {
    throw Error(ErrorCode::invalid_argument, "the workspace was made for another model");
  }
  std::size_t tokens = 0;
  std::size_t logits = 0;
  for (std::size_t i = 0; i < batch.size(); ++i) {
    check_item(batch[i], config, buffers.n_ctx);
    for (std::size_t j = 0; j < i; ++j) {
      if (batch[j].cache == batch[i].cache) {
        throw Error(ErrorCode::invalid_argument, "two items of a batch share one cache");
      }
    }
    tokens += batch[i].tokens.size();
    logits += n_logits(batch[i]);
  }
  if (tokens > buffers.max_tokens) {
    fail(ErrorCode::capacity, "tokens of a batch in this workspace", buffers.max_tokens, tokens);
  }
  if (logits > buffers.max_logits) {
    fail(ErrorCode::capacity, "rows of logits in this workspace", buffers.max_logits, logits);
  }
  if (executor.n_threads() > buffers.n_threads) {
    fail(ErrorCode::capacity, "threads in this workspace", buffers.n_threads, executor.n_threads());
  }
}

}  // namespace

struct Mixtral::Impl {
  Impl(std::shared_ptr<const Checkpoint> checkpoint_, const ComputeOptions& options)
      : checkpoint(std::move(checkpoint_)),
        config(validated(checkpoint->config())),
        precision(options.precision),
        isa(select_isa(options.isa)),
        kernels(kernel_table(isa)),
        gemm_kind(detail::select_gemm(options.gemm)),
        gemm(detail::make_gemm(gemm_kind, kernels)),
        weights(*checkpoint),
        embedding(weights.load({TensorRole::embedding})),
        rotary(config.head_dim, config.rope_theta),
        final_norm(weights.plain({TensorRole::final_norm}),
                   static_cast<float>(config.rms_norm_eps), kernels),
        lm_head(weights.load({TensorRole::lm_head})) {
    for (std::size_t layer = 0; layer < config.n_layers; ++layer) {
      blocks.push_back(make_block(weights, *checkpoint, layer, kernels));
    }
  }

  Compute compute_on(Executor& executor) const noexcept {
    return {kernels, executor, gemm.get(), precision == Precision::automatic};
  }

  /// Residual rows of the batch's tokens, their places and rotary angles.
  MatrixView<float> embed(std::span<const BatchItem> batch, Workspace::Buffers& buffers) const {
    buffers.places.clear();
    buffers.wanted.clear();
    for (const BatchItem& item : batch) {
      for (std::size_t i = 0; i < item.tokens.size(); ++i) {
        const std::size_t row = buffers.places.size();
        const std::size_t position = item.cache->size() + i;
        buffers.places.push_back({item.cache, position});
        embedding.forward_row(item.tokens[i], kernels,
                              buffers.residual.data() + row * config.hidden);
        const std::size_t half = rotary.half();
        rotary.angles(position, buffers.block.attention.cos.span().subspan(row * half, half),
                      buffers.block.attention.sin.span().subspan(row * half, half));
        if (i + n_logits(item) >= item.tokens.size()) buffers.wanted.push_back(row);
      }
    }
    return {buffers.residual.data(), buffers.places.size(), config.hidden};
  }

  /// The last layer: of tokens whose logits aren't wanted only the keys and values matter. Returns the others' rows.
  MatrixView<float> finish_layers(MatrixView<float> residual, const Compute& compute,
                                  Workspace::Buffers& buffers) const {
    const std::size_t layer = blocks.size() - 1;
    const std::size_t n_wanted = buffers.wanted.size();
    if (n_wanted < residual.rows) {
      blocks[layer].store(buffers.places, layer, compute, buffers.block, residual);
      for (std::size_t i = 0; i < n_wanted; ++i) buffers.move_token(buffers.wanted[i], i);
      residual.rows = n_wanted;
    }
    const std::span places = std::span(buffers.places).first(n_wanted);
    if (n_wanted > 0) blocks[layer].forward(places, layer, compute, buffers.block, residual);
    return residual;
  }

  MatrixView<const float> project(MatrixView<float> residual, const Compute& compute,
                                  Workspace::Buffers& buffers) const {
    const std::size_t n_rows = residual.rows;
    const MatrixView<float> logits(buffers.logits.data(), n_rows, config.vocab);
    if (n_rows == 0) return logits;
    const WeightView weight = lm_head.weight();
    const ActivationView input = buffers.final_input.view(compute.activation_form({&weight, 1}),
                                                          n_rows, config.hidden);
    compute.executor.run(n_rows, [&](std::size_t i, std::size_t) {
      float* row = residual.row(i).data();
      final_norm.forward_row(row, kernels, row);
      input.set_row(i, row, kernels);
    });
    lm_head.forward(input, compute, logits);
    return logits;
  }

  std::shared_ptr<const Checkpoint> checkpoint;
  const Config& config;
  Precision precision;
  Isa isa;
  const KernelTable& kernels;
  GemmKind gemm_kind;
  std::unique_ptr<GemmBackend> gemm;
  WeightLoader weights;
  Embedding embedding;
  Rotary rotary;
  std::vector<DecoderBlock> blocks;  // [n_layers]
  RmsNorm final_norm;
  Linear lm_head;
};

Mixtral::Mixtral(std::shared_ptr<const Checkpoint> checkpoint, const ComputeOptions& options)
    : impl_(std::make_unique<Impl>(std::move(checkpoint), options)) {}

Mixtral::~Mixtral() = default;

const Config& Mixtral::config() const noexcept { return impl_->config; }
const Checkpoint& Mixtral::checkpoint() const noexcept { return *impl_->checkpoint; }
Isa Mixtral::isa() const noexcept { return impl_->isa; }
GemmKind Mixtral::gemm() const noexcept { return impl_->gemm_kind; }
Precision Mixtral::precision() const noexcept { return impl_->precision; }

MatrixView<const float> Mixtral::forward(std::span<const BatchItem> batch, Workspace& workspace,
                                         Executor& executor, ForwardObserver* observer) const {
  Workspace::Buffers& buffers = workspace.buffers();
  check_batch(batch, config(), buffers, executor);
  impl_->checkpoint->check_unchanged();

  const Compute compute = impl_->compute_on(executor);
  MatrixView<float> residual = impl_->embed(batch, buffers);
  if (observer != nullptr) observer->on_hidden(0, residual);
  const std::size_t n_layers = impl_->blocks.size();
  for (std::size_t layer = 0; layer < n_layers; ++layer) {
    if (layer + 1 < n_layers) {
      impl_->blocks[layer].forward(buffers.places, layer, compute, buffers.block, residual);
    } else {
      residual = impl_->finish_layers(residual, compute, buffers);
    }
    if (observer != nullptr) {
      MoeScratch& moe = buffers.block.moe;
      observer->on_router(layer, {moe.experts.data(), residual.rows, config().top_k},
                          {moe.weights.data(), residual.rows, config().top_k});
      observer->on_hidden(layer + 1, residual);
    }
  }
  const MatrixView<const float> logits = impl_->project(residual, compute, buffers);
  for (const BatchItem& item : batch) item.cache->advance(item.tokens.size());
  return logits;
}

}  // namespace mixtral
