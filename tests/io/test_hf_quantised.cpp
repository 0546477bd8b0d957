#include <algorithm>
#include <cmath>
#include <cstring>
#include <functional>
#include <map>
#include <string>

#include "io/fp8_matrix.hpp"
#include "io/hf_quantisation.hpp"
#include "io/hf_tensors.hpp"
#include "io/support/checkpoints.hpp"
#include "io/support/files.hpp"
#include "io/support/models.hpp"
#include "mixtral/io/native_checkpoint.hpp"
#include "mixtral/io/safetensors.hpp"
#include "mixtral/io/safetensors_writer.hpp"
#include "support/errors.hpp"
#include "support/temp_dir.hpp"

using namespace mixtral;
using test::kCheckpoints;
using test::replace;
using test::require_error;
namespace fs = std::filesystem;

namespace {

const char* const kNames[] = {"awq",   "gptq3", "gptq4", "gptq4_sym",  "gptq4_v2",
                              "gptq8", "fp8",   "fp8_blocks", "fp8_rows"};

const std::string kQuery = "model.layers.0.self_attn.q_proj.";
const std::string kDown = "model.layers.0.block_sparse_moe.experts.1.w2.";

using Bytes = std::vector<std::byte>;

struct Part {
  std::string dtype;
  std::vector<std::size_t> shape;
  Bytes bytes;
};

/// A copy of a golden whose tensors a test may change.
struct Quantised : test::TempDir {
  explicit Quantised(const char* name) {
    fs::copy(kCheckpoints / name, path(), fs::copy_options::recursive);
  }

  void edit_config(const std::string& what, const std::string& by) const {
    test::write_file(*this / "config.json", replace(test::read_file(*this / "config.json"), what, by));
  }

  void edit(const std::function<void(std::map<std::string, Part>&)>& change) const {
    std::map<std::string, Part> parts;
    {
      const SafetensorsFile file(*this / "model.safetensors");
      for (const SafetensorsEntry& entry : file.header().tensors) {
        const auto data = file.data(entry);
        parts[entry.name] = {std::string(entry.dtype), entry.shape, Bytes(data.begin(), data.end())};
      }
    }
    change(parts);
    std::vector<SafetensorsDeclaration> declarations;
    for (const auto& [name, part] : parts) declarations.push_back({name, part.dtype, part.shape});
    SafetensorsWriter writer(*this / "model.safetensors", declarations);
    for (const auto& [name, part] : parts) writer.append(part.bytes);
    writer.commit();
  }

  /// With the tensor `name` of another shape and as many bytes as that takes.
  void reshape(const std::string& name, const std::vector<std::size_t>& shape,
               const std::string& dtype) const {
    edit([&](auto& parts) {
      parts.at(name) = {dtype, shape, Bytes(*safetensors_bytes(dtype, shape))};
    });
  }

  void fails(ErrorCode code, std::initializer_list<std::string> parts) const {
    require_error(code, parts, [&] { open_checkpoint(path()); });
  }
};

/// Blocks of 24 rows of scales as blocks of 8.
void refine(Part& scales, const Part& weight) {
  const std::size_t rows = (weight.shape[0] + 7) / 8, row_bytes = scales.shape[1] * sizeof(float);
  Bytes finer;
  for (std::size_t row = 0; row < rows; ++row) {
    const auto from = scales.bytes.begin() + static_cast<std::ptrdiff_t>(row / 3 * row_bytes);
    finer.insert(finer.end(), from, from + static_cast<std::ptrdiff_t>(row_bytes));
  }
  scales.shape[0] = rows;
  scales.bytes = std::move(finer);
}

/// One scale as that of `n` rows.
Part repeated(const Part& scale, std::size_t n) {
  Part rows{scale.dtype, {n, 1}, {}};
  for (std::size_t i = 0; i < n; ++i) rows.bytes.insert(rows.bytes.end(), scale.bytes.begin(), scale.bytes.end());
  return rows;
}

/// Puts `part` below what `stack` holds.
void append(Part& stack, const Part& part) {
  stack.dtype = part.dtype;
  if (stack.shape.empty()) stack.shape = {0, part.shape[1]};
  stack.shape[0] += part.shape[0];
  stack.bytes.insert(stack.bytes.end(), part.bytes.begin(), part.bytes.end());
}

/// The 2 experts of layer 0 as transformers 5 holds them in memory; `end` is that of their names or of their
/// scales'.
void fuse(std::map<std::string, Part>& parts, const std::string& end) {
  const std::string old = "model.layers.0.block_sparse_moe.experts.", prefix = "model.layers.0.mlp.experts.";
  for (const auto& [stack, matrices] :
       {std::pair("gate_up_proj", std::vector{"w1", "w3"}), std::pair("down_proj", std::vector{"w2"})}) {
    Part all;
    for (const char* expert : {"0", "1"}) {
      for (const char* matrix : matrices) {
        const auto part = parts.extract(old + expert + "." + matrix + ".weight" + end);
        const std::size_t rows = matrix == std::string("w2") ? 32 : 64;
        append(all, part.mapped().shape.empty() ? repeated(part.mapped(), rows) : part.mapped());
        parts.erase(old + expert + "." + matrix + ".input_scale");
      }
    }
    all.shape = {2, all.shape[0] / 2, all.shape[1]};
    parts[prefix + stack + end] = all;
  }
}

std::vector<std::byte> bytes_of(const LoadedTensor& tensor) {
  return {tensor.view.data, tensor.view.data + tensor.view.bytes()};
}

std::optional<detail::HfQuantisation> parse(const std::string& quantisation) {
  return detail::parse_hf_quantisation("{\"quantization_config\":{" + quantisation + "}}", "config.json");
}

void require_unsupported(const std::string& quantisation, std::initializer_list<std::string> parts) {
  require_error(ErrorCode::unsupported, parts, [&] { parse(quantisation); });
}

}  // namespace

TEST_CASE("quantised matrices decode to the bits of the tools that made them") {
  for (const char* name : kNames) {
    INFO(name);
    const auto checkpoint = open_checkpoint(kCheckpoints / name);
    const SafetensorsFile expected(kCheckpoints / name / "decoded.safetensors");
    std::size_t n_decoded = 0, bytes = 0;
    visit_tensors(checkpoint->config(), [&](const TensorKey& key) {
      const std::string tensor_name = detail::hf_name_of(key);
      INFO(tensor_name);
      const LoadedTensor tensor = checkpoint->load(key);
      const auto& entries = expected.header().tensors;
      const auto entry = std::find_if(entries.begin(), entries.end(),
                                      [&](const auto& e) { return e.name == tensor_name; });
      REQUIRE(entry != entries.end());
      REQUIRE(to_dtype(entry->dtype) == tensor.view.dtype);
      const auto data = expected.data(*entry);
      REQUIRE(bytes_of(tensor) == Bytes(data.begin(), data.end()));
      const WeightView view = checkpoint->tensor(key);
      REQUIRE(view.dtype == tensor.view.dtype);
      REQUIRE((view.data == nullptr) == (tensor.memory != nullptr));
      if (tensor.memory) ++n_decoded;
      bytes += view.bytes();
    });
    REQUIRE(n_decoded == 10);
    REQUIRE(checkpoint->weight_bytes() == bytes);
  }
}

TEST_CASE("how quantised matrices are stored") {
  const TensorKey down{TensorRole::expert_down, 0, 1};
  const auto awq = open_checkpoint(kCheckpoints / "awq")->stored(down);
  REQUIRE(awq.name == kDown + "qweight");
  REQUIRE(awq.type == "AWQ 4-bit");
  REQUIRE(awq.bytes == 32 * 64 / 2 + 4 * 32 / 2 + 4 * 32 * 2);
  REQUIRE(open_checkpoint(kCheckpoints / "gptq3")->stored(down).type == "GPTQ 3-bit");
  const auto fp8 = open_checkpoint(kCheckpoints / "fp8")->stored(down);
  REQUIRE(fp8.name == kDown + "weight");
  REQUIRE(fp8.type == "F8_E4M3");
  REQUIRE(fp8.bytes == 32 * 64 + 4);
}

TEST_CASE("a quantised checkpoint becomes a native file") {
  const test::TempDir dir;
  for (const char* name : {"awq", "gptq4", "fp8_blocks"}) {
    INFO(name);
    const fs::path packed = dir / name;
    test::pack(kCheckpoints / name, packed, "f32");
    test::require_same_weights(*open_checkpoint(kCheckpoints / name), NativeCheckpoint(packed));
  }
}

TEST_CASE("FP8 experts of transformers 5, stacked in one tensor, decode like those on their own") {
  for (const char* name : {"fp8", "fp8_blocks", "fp8_rows"}) {
    INFO(name);
    const Quantised fused(name);
    const bool in_blocks = name == std::string("fp8_blocks");
    // Blocks of 24 rows as blocks of 8: gate and up rows, 64 each, have whole ones.
    if (in_blocks) fused.edit_config("24,\n      24", "8,\n      24");
    fused.edit([&](auto& parts) {
      if (in_blocks) {
        for (auto& [tensor, part] : parts) {
          if (tensor.ends_with("_scale_inv")) refine(part, parts.at(tensor.substr(0, tensor.rfind("_scale_inv"))));
        }
      }
      fuse(parts, "");
      fuse(parts, in_blocks ? "_scale_inv" : "_scale");
      parts["model.layers.0.mlp.gate.weight"] = parts.extract("model.layers.0.block_sparse_moe.gate.weight").mapped();
    });
    const auto expected = open_checkpoint(kCheckpoints / name), actual = open_checkpoint(fused.path());
    test::require_same_weights(*actual, *expected);
    const StoredTensor up = actual->stored({TensorRole::expert_up, 0, 1});
    REQUIRE(up.name == "model.layers.0.mlp.experts.gate_up_proj");
    REQUIRE(up.type == "F8_E4M3");
    fused.reshape("model.layers.0.mlp.experts.down_proj" + std::string(in_blocks ? "_scale_inv" : "_scale"), {3, 1, 1},
                  "F32");
    fused.fails(ErrorCode::format, {"down_proj", "matrices", "[3, 1, 1]"});
  }
}

TEST_CASE("a part of an FP8 matrix that begins inside a block") {
  std::vector<std::byte> codes(5 * 2, std::byte{0x38});  // 1
  const float scales[] = {1, 2, 3, 4};                   // of rows 0 .. 3 and 4 .. 7, of each column
  const auto decoded = detail::decode({.rows = 5,
                                       .cols = 2,
                                       .codes = codes.data(),
                                       .scales = reinterpret_cast<const std::byte*>(scales),
                                       .scale_type = DType::f32,
                                       .block_rows = 4,
                                       .block_cols = 1,
                                       .first_row = 2});
  std::vector<float> values(10);
  quant::dequantise(DType::bf16, decoded.view.data, values);
  REQUIRE(values == std::vector<float>{1, 2, 1, 2, 3, 4, 3, 4, 3, 4});
}

TEST_CASE("every E4M3 number") {
  using detail::e4m3_to_float;
  REQUIRE(e4m3_to_float(0x00) == 0);
  REQUIRE(std::signbit(e4m3_to_float(0x80)));
  REQUIRE(e4m3_to_float(0x01) == 0x1p-9f);
  REQUIRE(e4m3_to_float(0x07) == 7 * 0x1p-9f);
  REQUIRE(e4m3_to_float(0x08) == 0x1p-6f);
  REQUIRE(e4m3_to_float(0x38) == 1);
  REQUIRE(e4m3_to_float(0xbc) == -1.5f);
  REQUIRE(e4m3_to_float(0x7e) == 448);
  REQUIRE(std::isnan(e4m3_to_float(0x7f)));
  REQUIRE(std::isnan(e4m3_to_float(0xff)));
  for (unsigned i = 1; i < 0x7f; ++i) {
    REQUIRE(e4m3_to_float(static_cast<std::uint8_t>(i)) > e4m3_to_float(static_cast<std::uint8_t>(i - 1)));
    REQUIRE(e4m3_to_float(static_cast<std::uint8_t>(i | 0x80)) == -e4m3_to_float(static_cast<std::uint8_t>(i)));
  }
}

TEST_CASE("quantization_config") {
  using Method = detail::HfQuantisation::Method;
  REQUIRE_FALSE(detail::parse_hf_quantisation("{}", "c"));
  REQUIRE_FALSE(detail::parse_hf_quantisation(R"({"quantization_config":null})", "c"));
  const auto awq = parse(R"("quant_method":"awq","bits":4,"group_size":128,"version":"GEMM","zero_point":true)");
  REQUIRE(awq->method == Method::awq);
  REQUIRE(awq->bits == 4);
  REQUIRE(awq->group_size == 128);
  REQUIRE(awq->zero_offset == 0);
  const auto gptq = parse(R"("quant_method":"gptq","bits":8,"group_size":-1,"desc_act":true,"sym":false)");
  REQUIRE(gptq->method == Method::gptq);
  REQUIRE(gptq->bits == 8);
  REQUIRE(gptq->group_size == 0);
  REQUIRE(gptq->zero_offset == 1);
  const auto v2 = parse(R"("quant_method":"gptq","bits":4,"group_size":32,"checkpoint_format":"gptq_v2")");
  REQUIRE(v2->zero_offset == 0);
  const auto fp8 = parse(R"("quant_method":"fp8","weight_block_size":[128,64])");
  REQUIRE(fp8->block->rows == 128);
  REQUIRE(fp8->block->cols == 64);
  REQUIRE(detail::parse_hf_quantisation(
              R"({"compression_config":{"quant_method":"compressed-tensors","format":"float-quantized"}})", "c")
              ->method == Method::fp8);
}

TEST_CASE("other methods are refused with a way out") {
  require_unsupported(R"("quant_method":"bitsandbytes","load_in_4bit":true)",
                      {"config.json", "quant_method", "bitsandbytes", "original model", "dequantize()"});
  require_unsupported(R"("quant_method":"awq","group_size":128,"version":"gemv")",
                      {"version", "gemm", "gemv", "quantised anew"});
  require_unsupported(R"("quant_method":"gptq","bits":4,"group_size":128,"checkpoint_format":"marlin")",
                      {"checkpoint_format", "marlin", "convert"});
  require_unsupported(R"("quant_method":"gptq","bits":5,"group_size":128)", {"bits", "5"});
  require_unsupported(R"("quant_method":"awq","bits":8,"group_size":128)", {"bits", "8"});
  require_unsupported(R"("quant_method":"awq","zero_point":false,"group_size":128)", {"zero_point"});
  require_unsupported(R"("quant_method":"gptq","bits":4,"group_size":8,"dynamic":{"x":{"bits":8}})", {"dynamic"});
  require_unsupported(R"("quant_method":"fp8","fmt":"e5m2")", {"fmt", "e5m2"});
  require_unsupported(R"("quant_method":"compressed-tensors","format":"pack-quantized")",
                      {"format", "pack-quantized", "decompressed"});
  require_unsupported(R"("quant_method":"hqq")", {"quant_method", "\"awq\"", "hqq"});
  require_error(ErrorCode::format, {"group_size"}, [] { parse(R"("quant_method":"awq","group_size":0)"); });
  require_error(ErrorCode::format, {"group_size"}, [] { parse(R"("quant_method":"awq")"); });
  require_error(ErrorCode::format, {"bits"}, [] { parse(R"("quant_method":"gptq","group_size":1)"); });
  require_error(ErrorCode::format, {"weight_block_size"},
                [] { parse(R"("quant_method":"fp8","weight_block_size":[128,0])"); });
}

TEST_CASE("parts of quantised matrices with the wrong shape or type") {
  for (const char* part : {"qweight", "qzeros", "scales"}) {
    for (const char* name : {"awq", "gptq4"}) {
      INFO(name << " " << part);
      const Quantised wrong(name);
      wrong.reshape(kQuery + part, {7, 9}, std::string(part) == "scales" ? "F16" : "I32");
      wrong.fails(ErrorCode::format, {"model.safetensors", kQuery + part, "expected shape", "[7, 9]"});
      const Quantised missing(name);
      missing.edit([&](auto& parts) { parts.erase(kQuery + part); });
      missing.fails(ErrorCode::format, {kQuery});
    }
  }
  const Quantised floats("gptq4");
  floats.reshape(kQuery + "qweight", {4, 32}, "F32");
  floats.fails(ErrorCode::format, {kQuery + "qweight", "I32", "F32"});
  const Quantised integers("gptq4");
  integers.reshape(kQuery + "scales", {2, 32}, "I16");
  integers.fails(ErrorCode::unsupported, {kQuery + "scales", "F16", "I16"});
  const Quantised group("gptq4");
  group.edit_config("\"group_size\": 16", "\"group_size\": 32");
  group.fails(ErrorCode::format, {"qzeros", "expected shape [1, 4]", "[2, 4]"});
  const Quantised odd("gptq3");
  odd.edit_config("\"intermediate_size\": 64", "\"intermediate_size\": 72");
  odd.fails(ErrorCode::format, {"w1.qweight", "72 numbers of 3 bits"});
}

TEST_CASE("a scale in bf16 makes a GPTQ matrix decode to f32") {
  const Quantised model("gptq4");
  model.reshape(kQuery + "scales", {2, 32}, "BF16");
  REQUIRE(open_checkpoint(model.path())->tensor({TensorRole::query}).dtype == DType::f32);
  REQUIRE(open_checkpoint(model.path())->load({TensorRole::query}).view.dtype == DType::f32);
}

TEST_CASE("groups that don't exist") {
  for (const std::int32_t group : {2, -1, 1 << 30}) {
    const Quantised model("gptq4");
    model.edit([&](auto& parts) {
      std::memcpy(parts.at(kQuery + "g_idx").bytes.data() + 4 * 5, &group, sizeof group);
    });
    const auto checkpoint = open_checkpoint(model.path());
    require_error(ErrorCode::format, {"model.safetensors", kQuery + "g_idx", "input 5", std::to_string(group)},
                  [&] { checkpoint->load({TensorRole::query}); });
  }
  const Quantised without("gptq8");  // one group: nothing changes
  without.edit([](auto& parts) { parts.erase(kQuery + "g_idx"); });
  REQUIRE(bytes_of(open_checkpoint(without.path())->load({TensorRole::query})) ==
          bytes_of(open_checkpoint(kCheckpoints / "gptq8")->load({TensorRole::query})));
}

TEST_CASE("biases of zero are tolerated, others aren't") {
  const Quantised model("gptq4");
  model.edit([](auto& parts) { parts[kQuery + "bias"] = {"F16", {32}, Bytes(64)}; });
  open_checkpoint(model.path());
  model.edit([](auto& parts) { parts[kQuery + "bias"].bytes[9] = std::byte{1}; });
  model.fails(ErrorCode::unsupported, {kQuery + "bias", "zeros"});
}

TEST_CASE("scales of FP8 matrices") {
  const std::string scale = kQuery + "weight_scale";
  const Quantised one("fp8");
  for (const std::vector<std::size_t>& shape : {std::vector<std::size_t>{1}, {1, 1}, {32}, {32, 1}}) {
    one.reshape(scale, shape, "F32");
    open_checkpoint(one.path());
  }
  one.reshape(scale, {2, 2}, "F32");
  one.fails(ErrorCode::format, {scale, "one for each of 32 rows", "[2, 2]"});
  one.reshape(scale, {1}, "I8");
  one.fails(ErrorCode::unsupported, {scale, "I8"});
  const Quantised missing("fp8");
  missing.edit([&](auto& parts) { parts.erase(scale); });
  missing.fails(ErrorCode::unsupported, {kQuery + "weight", "F8_E4M3"});
  const Quantised blocks("fp8_blocks");
  blocks.edit_config("\"weight_block_size\": [\n      24", "\"weight_block_size\": [\n      16");
  blocks.fails(ErrorCode::format, {"w1.weight_scale_inv", "[3, 2]"});
  const Quantised cache("fp8");
  cache.edit([](auto& parts) { parts["model.layers.0.self_attn.k_scale"] = {"F32", {}, Bytes(4)}; });
  open_checkpoint(cache.path());
}
