#include "io/hf_quantisation.hpp"

#include <algorithm>
#include <string>

#include "core/json.hpp"

namespace mixtral::detail {
namespace {

using Method = HfQuantisation::Method;
using nlohmann::json;

constexpr std::size_t kMaxGroup = std::size_t{1} << 30;

std::string lower_case(std::string text) {
  std::transform(text.begin(), text.end(), text.begin(),
                 [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; });
  return text;
}

/// -1 stands for one group of all inputs.
std::size_t read_group_size(const JsonObject& config) {
  const json* value = config.find("group_size");
  if (value != nullptr && *value == -1) return 0;
  const auto size = config.size("group_size", 1, kMaxGroup);
  if (!size) config.fail("group_size", "a whole number, or -1 for whole rows", nullptr);
  return *size;
}

HfQuantisation read_awq(const JsonObject& config) {
  if (const std::string version = lower_case(config.string("version").value_or("gemm"));
      version != "gemm") {
    config.unsupported("version",
                       "\"gemm\" (a checkpoint in another packing has to be quantised anew from the "
                       "original weights)",
                       version);
  }
  if (const auto bits = config.size("bits", 1, 32).value_or(4); bits != 4) {
    config.unsupported("bits", "4", bits);
  }
  if (!config.boolean("zero_point").value_or(true)) {
    config.unsupported("zero_point", "true", false);
  }
  return {.method = Method::awq, .bits = 4, .group_size = read_group_size(config)};
}

HfQuantisation read_gptq(const JsonObject& config) {
  const auto bits = config.size("bits", 1, 32);
  if (!bits) config.fail("bits", "a whole number", nullptr);
  if (*bits != 2 && *bits != 3 && *bits != 4 && *bits != 8) {
    config.unsupported("bits", "2, 3, 4 or 8", *bits);
  }
  const std::string format = config.string("checkpoint_format").value_or("gptq");
  if (format != "gptq" && format != "gptq_v2") {
    config.unsupported("checkpoint_format",
                       "\"gptq\" or \"gptq_v2\" (others are made from one of these for a kernel: convert "
                       "that)",
                       format);
  }
  if (config.boolean("is_marlin_format").value_or(false)) {
    config.unsupported("is_marlin_format", "false", true);
  }
  if (const json* dynamic = config.find("dynamic"); dynamic != nullptr && !dynamic->empty()) {
    config.unsupported("dynamic", "the same parameters for all matrices", *dynamic);
  }
  return {.method = Method::gptq,
          .bits = static_cast<unsigned>(*bits),
          .group_size = read_group_size(config),
          .zero_offset = format == "gptq" ? 1u : 0u};
}

/// [128, 128]
std::optional<HfQuantisation::Block> read_block(const JsonObject& config, const char* key) {
  const json* value = config.find(key);
  if (value == nullptr) return std::nullopt;
  const auto is_size = [](const json& size) {
    return size.is_number_unsigned() && size.get<std::size_t>() >= 1 &&
           size.get<std::size_t>() <= kMaxGroup;
  };
  if (!value->is_array() || value->size() != 2 || !is_size((*value)[0]) || !is_size((*value)[1])) {
    config.fail(key, "two sizes", *value);
  }
  return HfQuantisation::Block{(*value)[0].get<std::size_t>(), (*value)[1].get<std::size_t>()};
}

HfQuantisation read_fp8(const JsonObject& config) {
  if (const auto format = config.string("fmt"); format && *format != "e4m3") {
    config.unsupported("fmt", "\"e4m3\"", *format);
  }
  return {.method = Method::fp8, .block = read_block(config, "weight_block_size")};
}

HfQuantisation read_compressed_tensors(const JsonObject& config) {
  const std::string format = config.string("format").value_or("");
  if (format != "float-quantized" && format != "naive-quantized") {
    config.unsupported("format",
                       "\"float-quantized\" (others have to be decompressed with transformers first)",
                       format);
  }
  HfQuantisation result{.method = Method::fp8};
  const auto groups = config.object("config_groups");
  if (!groups) return result;
  for (const auto& [name, value] : groups->value().items()) {
    const auto group = groups->object(name.c_str());
    const auto weights = group ? group->object("weights") : std::nullopt;
    if (!weights) continue;
    if (const auto type = weights->string("type"); type && *type != "float") {
      weights->unsupported("type", "\"float\"", *type);
    }
    if (const auto bits = weights->size("num_bits", 1, 64); bits && *bits != 8) {
      weights->unsupported("num_bits", "8", *bits);
    }
    if (const json* block = weights->find("block_structure"); block != nullptr && block->is_array()) {
      result.block = read_block(*weights, "block_structure");
    }
  }
  return result;
}

HfQuantisation read_method(const JsonObject& config) {
  const std::string method = config.string("quant_method").value_or("");
  if (method == "awq") return read_awq(config);
  if (method == "gptq") return read_gptq(config);
  if (method == "fp8") return read_fp8(config);
  if (method == "compressed-tensors") return read_compressed_tensors(config);
  std::string expected = "\"awq\", \"gptq\", \"fp8\" or \"compressed-tensors\"";
  if (method.starts_with("bitsandbytes")) {
    expected += " (bitsandbytes quantises while it loads: take the original model, or save this one with "
                "transformers after model.dequantize())";
  }
  config.unsupported("quant_method", expected, method);
}

}  // namespace

std::optional<HfQuantisation> parse_hf_quantisation(std::string_view text, std::string_view name) {
  const json document = parse_json_object(text, name);
  const JsonObject config(document, std::string(name));
  for (const char* key : {"quantization_config", "compression_config"}) {
    if (const auto quantisation = config.object(key)) return read_method(*quantisation);
  }
  return std::nullopt;
}

}  // namespace mixtral::detail
