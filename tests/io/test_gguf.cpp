// The GGUF container: what a file means, and files that mean harm.
#include <cstring>
#include <limits>
#include <memory>
#include <string>

#include "io/gguf.hpp"
#include "io/support/files.hpp"
#include "io/support/gguf.hpp"
#include "support/errors.hpp"

using namespace mixtral;
using detail::GgufHeader;
using detail::GgufType;
using test::GgufBytes;
using test::require_error;

namespace {

constexpr std::uint64_t kHuge = std::numeric_limits<std::uint64_t>::max();
constexpr std::uint32_t kF32 = 0, kQ8_0 = 8;

/// In an exact heap copy: a sanitizer sees a read beyond the end.
class Parsed {
 public:
  explicit Parsed(const std::string& file)
      : bytes_(new std::byte[file.size()]), header_(parse(file)) {}

  const GgufHeader* operator->() const noexcept { return &header_; }

 private:
  GgufHeader parse(const std::string& file) {
    std::memcpy(bytes_.get(), file.data(), file.size());
    return detail::parse_gguf({bytes_.get(), file.size()}, "file.gguf");
  }

  std::unique_ptr<std::byte[]> bytes_;
  GgufHeader header_;
};

void require_refused(std::initializer_list<std::string> parts, const GgufBytes& file,
                     ErrorCode code = ErrorCode::format) {
  require_error(code, {"file.gguf"}, [&] { Parsed{file.bytes()}; });
  require_error(code, parts, [&] { Parsed{file.bytes()}; });
}

/// A file with one key of this type and value.
GgufBytes one_value(GgufType type, std::string_view value) {
  return GgufBytes().header(0, 1).string("k").u32(static_cast<std::uint32_t>(type)).raw(value);
}

std::string merged() { return test::read_file(std::string(MIXTRAL_IO_DATA_DIR) + "/gguf/merged.gguf"); }

}  // namespace

TEST_CASE("a file of the gguf package: metadata and tensors") {
  const Parsed file(merged());
  REQUIRE(file->version == 3);
  const auto& metadata = file->metadata;
  REQUIRE(metadata.string("general.architecture") == "llama");
  REQUIRE(metadata.size("llama.embedding_length") == 32);
  REQUIRE(metadata.number("llama.rope.freq_base") == 1e6);
  REQUIRE(metadata.number("llama.attention.layer_norm_rms_epsilon") == 1e-5);  // an f32 there
  REQUIRE(metadata.boolean("tokenizer.ggml.add_bos_token") == true);
  REQUIRE(metadata.strings("tokenizer.ggml.tokens")->at(1) == "<s>");
  REQUIRE(metadata.numbers("tokenizer.ggml.token_type")->at(1) == 3);
  REQUIRE_FALSE(metadata.size("no.such.key"));
  REQUIRE(describe(metadata.values().at("tokenizer.ggml.scores")) == "270 x f32");
  REQUIRE(describe(metadata.values().at("general.name")) == "small");
  REQUIRE(describe(metadata.values().at("llama.rope.freq_base")) == "1e+06");
  REQUIRE(file->tensors.size() == 13);
  const auto& tensor = file->tensors.back();
  REQUIRE(tensor.name == "blk.0.ffn_down_exps.weight");
  REQUIRE(tensor.shape == std::vector<std::size_t>{3, 32, 64});
  REQUIRE(tensor.type->name == "F32");
}

TEST_CASE("version 2 is read like version 3, others are refused") {
  std::string file = merged();
  file[4] = 2;
  REQUIRE(Parsed(file)->tensors.size() == 13);
  require_refused({"byte 4", "version 2 or 3", "found 1"}, GgufBytes().header(0, 0, 1),
                  ErrorCode::unsupported);
  require_refused({"found 4"}, GgufBytes().header(0, 0, 4), ErrorCode::unsupported);
  require_refused({"big-endian"}, GgufBytes().header(0, 0, 3u << 24), ErrorCode::unsupported);
}

TEST_CASE("a GGUF file cut off anywhere is an error that says where") {
  const std::string whole = merged();
  for (std::size_t length = 0; length < whole.size(); length += length < 8000 ? 1 : 997) {
    INFO(length << " bytes");
    require_error(ErrorCode::format, {"file.gguf", "byte "}, [&] { Parsed{whole.substr(0, length)}; });
  }
}

TEST_CASE("values of every type of metadata") {
  REQUIRE(Parsed(one_value(GgufType::u8, "\xff").bytes())->metadata.size("k") == 255);
  REQUIRE(Parsed(one_value(GgufType::i8, "\xff").bytes())->metadata.number("k") == -1);
  REQUIRE(Parsed(one_value(GgufType::boolean, "\x02").bytes())->metadata.boolean("k") == true);
  const auto number = [](GgufType type, auto value) {
    return *Parsed(one_value(type, GgufBytes().number(value).bytes()).bytes())->metadata.number("k");
  };
  REQUIRE(number(GgufType::u16, std::uint16_t{65535}) == 65535);
  REQUIRE(number(GgufType::i16, std::int16_t{-2}) == -2);
  REQUIRE(number(GgufType::u32, std::uint32_t{1u << 31}) == 2147483648.0);
  REQUIRE(number(GgufType::i32, std::int32_t{-3}) == -3);
  REQUIRE(number(GgufType::f32, 0.1f) == 0.1);
  REQUIRE(number(GgufType::u64, std::uint64_t{1} << 40) == 1099511627776.0);
  REQUIRE(number(GgufType::i64, std::int64_t{-4}) == -4);
  REQUIRE(number(GgufType::f64, 1.5) == 1.5);
}

TEST_CASE("a value of another type than wanted names its key") {
  const auto require_mismatch = [](GgufType type, std::string_view value, auto read) {
    const Parsed file(one_value(type, value).bytes());
    require_error(ErrorCode::format, {"file.gguf", "key \"k\""}, [&] { read(file->metadata); });
  };
  using Metadata = detail::GgufMetadata;
  const std::string text = GgufBytes().string("x").bytes();
  const std::string array = GgufBytes().u32(8).u64(1).string("x").bytes();
  require_mismatch(GgufType::string, text, [](const Metadata& m) { m.number("k"); });
  require_mismatch(GgufType::string, text, [](const Metadata& m) { m.boolean("k"); });
  require_mismatch(GgufType::string, text, [](const Metadata& m) { m.strings("k"); });
  require_mismatch(GgufType::string, text, [](const Metadata& m) { m.numbers("k"); });
  require_mismatch(GgufType::array, array, [](const Metadata& m) { m.string("k"); });
  require_mismatch(GgufType::array, array, [](const Metadata& m) { m.numbers("k"); });
  require_mismatch(GgufType::array, array, [](const Metadata& m) { m.number("k"); });
  require_mismatch(GgufType::i8, "\xff", [](const Metadata& m) { m.size("k"); });
  require_mismatch(GgufType::f32, GgufBytes().number(1.5f).bytes(), [](const Metadata& m) { m.size("k"); });
  require_mismatch(GgufType::f32, GgufBytes().number(std::numeric_limits<float>::quiet_NaN()).bytes(),
                   [](const Metadata& m) { m.size("k"); });
}

TEST_CASE("not a GGUF file") {
  require_refused({"byte 0"}, GgufBytes());
  require_refused({"byte 0", "GGUF"}, GgufBytes().raw("GGML").u32(3).zeros(16));
}

TEST_CASE("counts and lengths that the file can't have") {
  require_refused({"cut off", "key 0"}, GgufBytes().header(0, kHuge));
  require_refused({"cut off", "tensor 0"}, GgufBytes().header(kHuge, 0));
  require_refused({"byte 32", "cut off"}, GgufBytes().header(0, 1).u64(kHuge).raw("key"));
  require_refused({"key \"k\"", "cut off"}, one_value(GgufType::string, GgufBytes().u64(kHuge).bytes()));
  require_refused({"key \"k\"", "cut off"},
                  one_value(GgufType::string, GgufBytes().u64(kHuge - 7).raw("text").bytes()));
  require_refused({"cut off"}, GgufBytes().header(1, 0).u64(kHuge - 3).raw("name"));
}

TEST_CASE("arrays that the file can't have") {
  const auto array = [](GgufType type, std::uint64_t count, std::string_view content = "") {
    return one_value(GgufType::array,
                     GgufBytes().number(type).u64(count).raw(content).bytes());
  };
  require_refused({"key \"k\"", "overflows"}, array(GgufType::u64, (kHuge >> 3) + 2, "12345678"));
  require_refused({"key \"k\"", "overflows"}, array(GgufType::u32, (std::uint64_t{1} << 62) + 1, "1234"));
  require_refused({"key \"k\"", "cut off"}, array(GgufType::u8, kHuge));
  require_refused({"key \"k\"", "cut off"}, array(GgufType::u8, 3, "12"));
  require_refused({"key \"k\"", "cut off"}, array(GgufType::string, kHuge, GgufBytes().string("a").bytes()));
  require_refused({"key \"k\"", "arrays of arrays"}, array(GgufType::array, 1));
  require_refused({"elements of key \"k\"", "13"}, array(static_cast<GgufType>(13), 1));
  require_refused({"key \"k\"", "4294967295"}, one_value(static_cast<GgufType>(0xffffffff), ""));
}

TEST_CASE("keys that are empty or occur twice") {
  require_refused({"byte 24", "key 0 is empty"}, GgufBytes().header(0, 1).string("").u32(0).raw("x"));
  require_refused({"key \"a\"", "twice"},
                  GgufBytes().header(0, 2).string("a").u32(0).raw("x").string("a").u32(0).raw("x"));
}

TEST_CASE("tensors that can't be") {
  const auto one = [](std::uint64_t cols, std::uint64_t rows, std::uint32_t type, std::uint64_t offset) {
    return GgufBytes().header(1, 0).tensor("t", cols, rows, type, offset).align(32).zeros(256);
  };
  REQUIRE(Parsed(one(8, 8, kF32, 0).bytes())->tensors[0].bytes == 256);
  require_refused({"tensor \"t\"", "overflows"}, one(kHuge, 2, kF32, 0));
  require_refused({"tensor \"t\"", "overflows"}, one(std::uint64_t{1} << 32, std::uint64_t{1} << 32, kF32, 0));
  require_refused({"tensor \"t\"", "overflows"}, one(std::uint64_t{1} << 31, std::uint64_t{1} << 31, kF32, 0));
  require_refused({"tensor \"t\"", "no elements"}, one(0, 8, kF32, 0));
  require_refused({"tensor \"t\"", "blocks of 32"}, one(33, 2, kQ8_0, 0));
  require_refused({"tensor \"t\"", "found 32"}, one(8, 8, kF32, 32));
  require_refused({"tensor \"t\"", "expected it at byte 0"}, one(8, 8, kF32, kHuge));
  require_refused({"tensor \"t\"", "cut off"}, one(8, 9, kF32, 0));
  require_refused({"tensor \"t\"", "no type has the number 4"}, one(8, 8, 4, 0), ErrorCode::unsupported);
  require_refused({"tensor \"t\"", "ik_llama.cpp"}, one(256, 1, 137, 0), ErrorCode::unsupported);
  require_refused({"tensor \"t\"", "dimensions, found 5"}, GgufBytes().header(1, 0).string("t").u32(5).zeros(64));
  require_refused({"tensor \"t\"", "dimensions, found 0"}, GgufBytes().header(1, 0).string("t").u32(0).zeros(64));
}

TEST_CASE("tensors that overlap, leave holes or share a name") {
  const auto two = [](std::string_view name, std::uint64_t offset) {
    return GgufBytes().header(2, 0).tensor("a", 3, 1, kF32, 0).tensor(name, 3, 1, kF32, offset).align(32).zeros(96);
  };
  REQUIRE(Parsed(two("b", 32).bytes())->tensors[1].bytes == 12);
  require_refused({"tensor \"b\"", "expected it at byte 32", "found 0"}, two("b", 0));
  require_refused({"tensor \"b\"", "found 12"}, two("b", 12));
  require_refused({"tensor \"b\"", "found 64"}, two("b", 64));
  require_refused({"tensor \"a\"", "twice"}, two("a", 32));
}

TEST_CASE("the alignment is a power of two") {
  const auto aligned = [](std::uint32_t alignment, std::size_t offset) {
    return GgufBytes().header(2, 1).string("general.alignment").u32(4).u32(alignment)
        .tensor("a", 3, 1, kF32, 0).tensor("b", 3, 1, kF32, offset).align(64).zeros(128);
  };
  REQUIRE(Parsed(aligned(64, 64).bytes())->tensors[1].offset % 64 == 0);
  require_refused({"general.alignment", "found 0"}, aligned(0, 16));
  require_refused({"general.alignment", "found 24"}, aligned(24, 24));
  require_refused({"cut off"}, aligned(1u << 31, 1u << 31));
  require_refused({"general.alignment"},
                  GgufBytes().header(0, 1).string("general.alignment").u32(8).string("32"));
}
