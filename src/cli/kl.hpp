// How far a model's predictions are from those of a reference model.
#pragma once

#include <cstddef>
#include <span>
#include <vector>

#include "io.hpp"
#include "mixtral/core/tensor.hpp"
#include "mixtral/generate/context.hpp"
#include "mixtral/generate/model.hpp"
#include "options.hpp"
#include "tally.hpp"

namespace mixtral::cli {

/// Compares rows of logits, one for each token.
class KlTally {
 public:
  /// Adds what a reference and a model, both [vocab], say before the token `next`.
  void add(std::span<const float> reference, std::span<const float> model, TokenId next);

  /// Of KL(reference || model), in nats.
  double mean() const noexcept { return kl_.mean(); }
  double standard_error() const noexcept { return kl_.standard_error(); }
  /// The value below which 99 % of the tokens lie, interpolated as NumPy does.
  double percentile_99() const;

  /// Share of the tokens at which both think the same token likeliest; ties go to the lower id.
  double agreement() const noexcept;

  /// Mean of the reference's -ln p(next).
  double reference_nll() const noexcept { return reference_nll_.mean(); }

 private:
  Tally kl_, reference_nll_;
  std::vector<double> values_;
  std::size_t n_agreements_ = 0;
};

/// A reference model that reads what a model reads.
class KlBase {
 public:
  /// Opens the model at `path` and computes it in f32, on the threads that `options` says. Throws
  /// Error(invalid_argument) when its vocabulary isn't that of `model`.
  KlBase(const std::string& path, const ModelOptions& options, const Model& model,
         std::size_t n_ctx);

  /// Begins a new sequence with `ids`, whose logits don't matter.
  void begin(std::span<const TokenId> ids);

  /// Appends `ids`, after which the model says `logits` and the tokens `next` come.
  void compare(std::span<const TokenId> ids, MatrixView<const float> logits,
               std::span<const TokenId> next);

  /// The figures of a model whose mean of -ln p is `nll` on the same tokens.
  Json result(double nll) const;

 private:
  Context context_;
  KlTally tally_;
};

}  // namespace mixtral::cli
