// What the writer and the reader of native files agree on; docs/model_files.md has it in prose.
#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>

#include "mixtral/core/config.hpp"
#include "mixtral/core/dtype.hpp"
#include "mixtral/core/tensor.hpp"
#include "mixtral/io/checkpoint.hpp"

namespace mixtral::detail {

inline constexpr std::size_t kNativeVersion = 1;

/// Weights begin at multiples of this: what direct I/O asks for.
inline constexpr std::size_t kNativeAlignment = 4096;

/// Keys of the header's metadata, besides one for each weight tensor.
inline constexpr const char* kFormatKey = "format";
inline constexpr const char* kVersionKey = "format_version";
inline constexpr const char* kRecipeKey = "recipe";

inline constexpr std::string_view kFormatName = "mixtral";
inline constexpr std::string_view kFilePrefix = "file/";
inline constexpr std::string_view kChecksumsName = "checksums";

/// True for what stays f32 whatever the recipe: the norms and the router.
bool is_always_f32(TensorRole role) noexcept;

/// How a tensor lies in a native file; `data` is null. `dtype`'s blocks divide the tensor's width.
WeightView native_view(TensorRole role, DType dtype, const Config& config) noexcept;

/// "q4_k 4096x14336 tiled": the type, rows, columns and layout, as the metadata state them.
std::string describe(const WeightView& view);

/// Bytes that the tensor takes in the file, the zeros after it included; nothing when that overflows.
std::optional<std::size_t> native_bytes(const WeightView& view) noexcept;

}  // namespace mixtral::detail
