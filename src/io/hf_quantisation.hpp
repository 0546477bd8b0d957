// quantization_config of a Hugging Face checkpoint: how its matrices are stored.
#pragma once

#include <cstddef>
#include <optional>
#include <string_view>

namespace mixtral::detail {

struct HfQuantisation {
  enum class Method {
    awq,   ///< words of 4-bit codes along the outputs, in AWQ's order
    gptq,  ///< words of codes along the inputs
    fp8,   ///< F8_E4M3 with scales
  };
  struct Block {
    std::size_t rows, cols;
  };

  Method method;
  unsigned bits = 8;
  std::size_t group_size = 0;          ///< inputs that share scale and zero; 0: all
  unsigned zero_offset = 0;            ///< that is added to stored zeros
  std::optional<Block> block = {};     ///< of fp8: weights that share a scale
};

/// What config.json says of it; nothing when the weights are plain. `name` stands for the file in messages.
/// Throws Error(format) for wrong types, and Error(unsupported) for methods and parameters that aren't
/// implemented, with a way out.
std::optional<HfQuantisation> parse_hf_quantisation(std::string_view config_json,
                                                    std::string_view name);

}  // namespace mixtral::detail
