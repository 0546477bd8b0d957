// Small models on disk, and what their weights are worth.
#pragma once

#include <cstddef>
#include <cstring>
#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

#include "mixtral/core/executor.hpp"
#include "mixtral/io/checkpoint.hpp"
#include "mixtral/io/convert.hpp"
#include "mixtral/io/synthetic.hpp"
#include "mixtral/quant/convert.hpp"

namespace mixtral::test {

/// 2 layers of 3 experts. 50 rows of the vocabulary are no whole number of tiles.
inline Config small_config(std::size_t hidden, std::size_t ffn) {
  Config config;
  config.n_layers = 2;
  config.hidden = hidden;
  config.ffn = ffn;
  config.n_heads = 2;
  config.n_kv_heads = 1;
  config.head_dim = hidden / 2;
  config.n_experts = 3;
  config.top_k = 2;
  config.vocab = 50;
  config.max_position = 64;
  config.rope_theta = 1e4;
  config.rms_norm_eps = 1e-5;
  return config;
}

/// A directory of random weights.
inline void write_model(const std::filesystem::path& directory, const Config& config,
                        DType dtype = DType::bf16) {
  SerialExecutor serial;
  SyntheticOptions options;
  options.dtype = dtype;
  write_synthetic_checkpoint(directory, config, options, serial);
}

/// Packs `from` by the recipe of that name.
inline ConvertReport pack(const std::filesystem::path& from, const std::filesystem::path& to,
                          std::string_view recipe) {
  SerialExecutor serial;
  const auto source = open_checkpoint(from);
  return convert_checkpoint(*source, to, named_recipe(recipe, source->config()), {}, serial);
}

/// The rows of a matrix in its type, one after the other; of a tiled one, also those that pad it.
inline std::vector<std::byte> rows_of(const WeightView& view) {
  std::vector<std::byte> rows(view.bytes());
  if (view.layout == Layout::tiled) {
    quant::untile_rows(view.dtype, view.data, rows.size() / view.row_bytes(), view.cols, rows.data());
  } else {
    std::memcpy(rows.data(), view.data, rows.size());
  }
  return rows;
}

/// What rows_of must give once `source`, which has a plain type, is packed as `dtype`: padding apart.
inline std::vector<std::byte> expected_rows(const WeightView& source, DType dtype) {
  std::vector<float> values(source.rows * source.cols);
  for (std::size_t i = 0; i < values.size(); ++i) {
    const std::byte* at = source.data + i * size_of(source.dtype);
    if (source.dtype == DType::f32) {
      std::memcpy(&values[i], at, sizeof(float));
    } else {
      std::uint16_t bits;
      std::memcpy(&bits, at, sizeof bits);
      values[i] = source.dtype == DType::f16 ? to_float(F16{bits}) : to_float(BF16{bits});
    }
  }
  std::vector<std::byte> rows(bytes_of(dtype, values.size()));
  quant::quantise(dtype, values, rows.data());
  return rows;
}

}  // namespace mixtral::test
