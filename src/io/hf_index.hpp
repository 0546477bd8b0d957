// model.safetensors.index.json: which shard holds which tensor.
#pragma once

#include <map>
#include <string>
#include <string_view>

namespace mixtral::detail {

/// Tensor name -> file name. Every file name is a plain name, without a folder.
/// Throws Error(format); `name` stands for the index in messages.
std::map<std::string, std::string> parse_hf_index(std::string_view json, std::string_view name);

}  // namespace mixtral::detail
