// Options that several commands share.
#pragma once

#include <CLI/CLI.hpp>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <limits>
#include <optional>
#include <string>

#include "mixtral/generate/model.hpp"
#include "mixtral/generate/options.hpp"

namespace mixtral::cli {

/// Accepts decimal whole numbers in [min, max].
CLI::Validator whole_number(std::size_t min,
                            std::size_t max = std::numeric_limits<std::size_t>::max());

/// Where the model is and how it computes, as the command line says.
struct ModelOptions {
  std::string path;
  std::size_t n_threads = 0;
  std::size_t n_ctx = 0;
  std::string precision = "auto";
  std::string gemm, isa, cache_type;  // empty: the library's choice

  ComputeOptions compute() const;
  ContextOptions context() const;
  DType cache_dtype() const;
};

/// MODEL alone, for what needs no network.
void add_model_path(CLI::App& command, std::string& path);

/// --threads.
void add_threads_option(CLI::App& command, std::size_t& n_threads);

/// MODEL, --threads, --precision, --gemm, --isa and --cache-type.
void add_model_options(CLI::App& command, ModelOptions& options);

/// --ctx; `otherwise` says what holds without it.
void add_context_option(CLI::App& command, ModelOptions& options, const std::string& otherwise);

/// Opens the model, showing progress.
Model load_model(const ModelOptions& options);

/// What `path` means: a native file or a directory, or the directory of a file that is a part of a model.
std::filesystem::path model_path(const std::filesystem::path& path);

/// How tokens are chosen, as the command line says; what it leaves out is the model's own default.
struct SamplingFlags {
  std::optional<double> temperature, top_p, min_p;
  std::optional<double> repeat_penalty, presence_penalty, frequency_penalty;
  std::optional<std::size_t> top_k;
  std::optional<std::uint64_t> seed;

  SamplingOptions over(SamplingOptions defaults) const;
};

/// --temperature, --top-k, --top-p, --min-p, the penalties and --seed.
void add_sampling_options(CLI::App& command, SamplingFlags& flags);

}  // namespace mixtral::cli
