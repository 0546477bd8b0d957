#include <cstring>
#include <map>
#include <memory>
#include <string>

#include "io/support/files.hpp"
#include "mixtral/io/safetensors.hpp"
#include "support/errors.hpp"
#include "support/temp_dir.hpp"

using namespace mixtral;
using test::require_error;
using test::safetensors_file;

namespace {

const std::string kDataDir = MIXTRAL_IO_DATA_DIR;

SafetensorsHeader parse(const std::string& file) {
  // An exact heap copy: a sanitizer sees a read beyond the end.
  const std::unique_ptr<std::byte[]> copy(new std::byte[file.size()]);
  std::memcpy(copy.get(), file.data(), file.size());
  return parse_safetensors_header({copy.get(), file.size()}, file.size(), "file.st");
}

/// A file with one tensor "t" of the given fields.
std::string one_tensor(const std::string& fields, std::size_t n_data) {
  return safetensors_file("{\"t\":{" + fields + "}}", n_data);
}

void require_format_error(std::initializer_list<std::string> parts, const std::string& file) {
  require_error(ErrorCode::format, {"file.st"}, [&] { parse(file); });
  require_error(ErrorCode::format, parts, [&] { parse(file); });
}

}  // namespace

TEST_CASE("a file of the reference writer: every dtype, an empty tensor and a scalar") {
  const SafetensorsFile file(kDataDir + "/dtypes.safetensors");
  REQUIRE(file.header().metadata ==
          std::map<std::string, std::string>{{"made by", "make_data.py"}});
  const std::map<std::string, std::string> expected = {
      {"bool", "BOOL"},     {"uint8", "U8"},  {"int8", "I8"},        {"int16", "I16"},
      {"uint16", "U16"},    {"int32", "I32"}, {"uint32", "U32"},     {"int64", "I64"},
      {"uint64", "U64"},    {"float64", "F64"}, {"float8_e4m3fn", "F8_E4M3"},
      {"float8_e5m2", "F8_E5M2"}, {"scalar", "F32"}, {"empty", "F32"}};
  REQUIRE(file.header().tensors.size() == expected.size());
  std::size_t total = 0;
  for (const SafetensorsEntry& entry : file.header().tensors) {
    REQUIRE(entry.dtype == expected.at(entry.name));
    REQUIRE(file.data(entry).size() == entry.bytes);
    total += entry.bytes;
    if (entry.name == "scalar") {
      REQUIRE(entry.shape.empty());
      float value = 0;
      REQUIRE(entry.bytes == sizeof value);
      std::memcpy(&value, file.data(entry).data(), sizeof value);
      REQUIRE(value == 1.5f);
    } else if (entry.name == "empty") {
      REQUIRE(entry.shape == std::vector<std::size_t>{3, 0});
    } else {
      REQUIRE(entry.shape == std::vector<std::size_t>{2, 3});
    }
  }
  REQUIRE(file.header().tensors.back().offset + file.header().tensors.back().bytes ==
          file.file().bytes().size());
  REQUIRE(total == 6 * (8 + 8 + 8 + 4 + 4 + 2 + 2 + 1 + 1 + 1 + 1 + 1) + 4);
}

TEST_CASE("sizes of all dtypes, also of parts of a byte") {
  const std::vector<std::size_t> eight = {2, 4};
  const std::map<std::string, std::size_t> bits = {
      {"BOOL", 8},    {"F4", 4},           {"F6_E2M3", 6},     {"F6_E3M2", 6}, {"U8", 8},
      {"I8", 8},      {"F8_E5M2", 8},      {"F8_E4M3", 8},     {"F8_E8M0", 8}, {"F8_E4M3FNUZ", 8},
      {"F8_E5M2FNUZ", 8}, {"I16", 16},     {"U16", 16},        {"F16", 16},    {"BF16", 16},
      {"I32", 32},    {"U32", 32},         {"F32", 32},        {"C64", 64},    {"F64", 64},
      {"I64", 64},    {"U64", 64}};
  for (const auto& [name, size] : bits) REQUIRE(safetensors_bytes(name, eight) == size);
  const std::vector<std::size_t> one = {1}, scalar = {}, huge = {1u << 31, 1u << 31, 2};
  REQUIRE_FALSE(safetensors_bytes("F4", one));
  REQUIRE(safetensors_bytes("F64", scalar) == 8);
  REQUIRE_FALSE(safetensors_bytes("U8", huge));
  REQUIRE_FALSE(safetensors_bytes("F128", one));
  REQUIRE(to_dtype("BF16") == DType::bf16);
  REQUIRE(to_dtype("F16") == DType::f16);
  REQUIRE(to_dtype("F32") == DType::f32);
  REQUIRE_FALSE(to_dtype("F64"));
}

TEST_CASE("tensors are given in the order of their bytes, with offsets into the file") {
  const std::string header =
      R"({"b":{"data_offsets":[4,8],"shape":[2],"dtype":"F16"},)"
      R"("a":{"dtype":"F32","shape":[1,1],"data_offsets":[0,4]},"__metadata__":{"k":"v"}}   )";
  const SafetensorsHeader parsed = parse(safetensors_file(header, 8));
  REQUIRE(parsed.tensors.size() == 2);
  REQUIRE(parsed.tensors[0].name == "a");
  REQUIRE(parsed.tensors[0].offset == 8 + header.size());
  REQUIRE(parsed.tensors[1].name == "b");
  REQUIRE(parsed.tensors[1].offset == 8 + header.size() + 4);
  REQUIRE(parsed.metadata.at("k") == "v");
  REQUIRE(parse(safetensors_file("{}", 0)).tensors.empty());
}

TEST_CASE("the length of the header is checked") {
  require_format_error({"at least 8 bytes", "found 7"}, std::string(7, '\0'));
  require_format_error({"at least 8 bytes", "found 0"}, "");
  require_format_error({"no JSON object"}, std::string(8, '\0'));
  require_format_error({"at most 100000000", "18446744073709551615"}, std::string(16, '\xff'));
  std::string cut = safetensors_file("{}", 0);
  cut[0] = 3;
  require_format_error({"cut off", "3 bytes", "found 2"}, cut);
  std::string large = safetensors_file("{}", 100);
  large[3] = 5;  // 5 * 2^24 bytes
  require_format_error({"cut off"}, large);
}

TEST_CASE("the header must be the JSON that the format describes") {
  const std::string good = R"("dtype":"F32","shape":[1],"data_offsets":[0,4])";
  REQUIRE(parse(one_tensor(good, 4)).tensors.size() == 1);
  require_format_error({"no JSON object"}, safetensors_file(" {}", 0));
  require_format_error({"no JSON object"}, safetensors_file("[]", 0));
  require_format_error({"not valid JSON", "byte"}, safetensors_file("{\"a\":", 0));
  require_format_error({"not valid JSON"}, safetensors_file("{}x", 0));
  require_format_error({"not valid JSON"}, safetensors_file("{}{}", 0));
  require_format_error({"not valid JSON"}, safetensors_file(std::string("{}\0", 3), 0));
  require_format_error({"not valid JSON"}, safetensors_file("{\"\xff\":1}", 0));
  require_format_error({"not valid JSON"}, safetensors_file(R"({"\ud800":1})", 0));
  require_format_error({"\"t\"", "expected an object", "a number"}, safetensors_file("{\"t\":1}", 0));
  require_format_error({"\"t\"", "expected an object", "null"}, safetensors_file("{\"t\":null}", 0));
  require_format_error({"\"t\"", "expected an object"}, safetensors_file("{\"t\":[]}", 0));
  require_format_error({"\"t\"", "found fewer"}, one_tensor("", 0));
  require_format_error({"\"t\"", "found fewer"}, one_tensor(R"("dtype":"F32","shape":[1])", 4));
  require_format_error({"\"t\"", "key \"other\""}, one_tensor(good + R"(,"other":1)", 4));
  require_format_error({"\"t\"", "duplicate key \"shape\""}, one_tensor(good + R"(,"shape":[1])", 4));
  require_format_error({"duplicate tensor name \"t\""},
                       safetensors_file("{\"t\":{" + good + "},\"t\":{" + good + "}}", 4));
  require_format_error(
      {"duplicate key \"__metadata__\""},
      safetensors_file(R"({"__metadata__":{},"__metadata__":{}})", 0));
  require_format_error({"__metadata__", "duplicate key \"a\""},
                       safetensors_file(R"({"__metadata__":{"a":"1","a":"2"}})", 0));
  require_format_error({"__metadata__", "strings", "\"a\""},
                       safetensors_file(R"({"__metadata__":{"a":1}})", 0));
  require_format_error({"__metadata__", "strings"},
                       safetensors_file(R"({"__metadata__":{"a":{}}})", 0));
  require_format_error({"__metadata__", "an object"},
                       safetensors_file(R"({"__metadata__":"a"})", 0));
}

TEST_CASE("dtype, shape and offsets are checked") {
  require_format_error({"\"t\"", "unknown dtype \"BF17\""},
                       one_tensor(R"("dtype":"BF17","shape":[1],"data_offsets":[0,4])", 4));
  require_format_error({"\"t\"", "dtype: expected a string"},
                       one_tensor(R"("dtype":7,"shape":[1],"data_offsets":[0,4])", 4));
  for (const std::string shape : {"1", "null", "{}", "\"1\"", "[-1]", "[1.0]", "[1e0]", "[true]",
                                  "[[1]]", "[\"1\"]", "[18446744073709551616]"}) {
    require_format_error({"\"t\"", "shape: expected"},
                         one_tensor(R"("dtype":"F32","data_offsets":[0,4],"shape":)" + shape, 4));
  }
  for (const std::string offsets : {"4", "[]", "[0]", "[0,4,8]", "[0,-4]", "[0,4.0]", "[0,[4]]"}) {
    require_format_error({"\"t\"", "data_offsets: expected"},
                         one_tensor(R"("dtype":"F32","shape":[1],"data_offsets":)" + offsets, 4));
  }
  require_format_error({"\"t\"", "end 0 is before the begin 4"},
                       one_tensor(R"("dtype":"F32","shape":[1],"data_offsets":[4,0])", 4));
  std::string many = "[1";
  for (int i = 0; i < 1000; ++i) many += ",1";
  require_format_error({"\"t\"", "dimensions"},
                       one_tensor(R"("dtype":"F32","data_offsets":[0,4],"shape":)" + many + "]", 4));
}

TEST_CASE("tensors must fill the file without hole, overlap or overflow") {
  const auto f32 = [](const std::string& name, int begin, int end) {
    return "\"" + name + R"(":{"dtype":"F32","shape":[)" + std::to_string((end - begin) / 4) +
           R"(],"data_offsets":[)" + std::to_string(begin) + "," + std::to_string(end) + "]}";
  };
  require_format_error({"\"b\"", "hole", "byte 4", "found 8"},
                       safetensors_file("{" + f32("a", 0, 4) + "," + f32("b", 8, 12) + "}", 12));
  require_format_error({"\"a\"", "hole", "byte 0", "found 4"},
                       safetensors_file("{" + f32("a", 4, 8) + "}", 8));
  require_format_error({"\"b\"", "overlaps", "byte 8", "found 4"},
                       safetensors_file("{" + f32("a", 0, 8) + "," + f32("b", 4, 12) + "}", 12));
  require_format_error({"overlaps"},
                       safetensors_file("{" + f32("a", 0, 4) + "," + f32("b", 0, 4) + "}", 4));
  require_format_error({"\"a\"", "only 7"}, safetensors_file("{" + f32("a", 0, 8) + "}", 7));
  require_format_error({"expected 8 bytes of data", "found 9"},
                       safetensors_file("{" + f32("a", 0, 8) + "}", 9));
  require_format_error({"\"t\"", "[1] of F32 needs 4 bytes", "found 8"},
                       one_tensor(R"("dtype":"F32","shape":[1],"data_offsets":[0,8])", 8));
  require_format_error({"\"t\"", "[4294967296, 4294967296] of F32", "can't be"},
                       one_tensor(R"("dtype":"F32","shape":[4294967296,4294967296],)"
                                  R"("data_offsets":[0,0])", 0));
  require_format_error({"\"t\"", "can't be"},
                       one_tensor(R"("dtype":"U8","shape":[9223372036854775808,2],)"
                                  R"("data_offsets":[0,0])", 0));
  require_format_error({"\"t\"", "[3] of F4", "can't be"},
                       one_tensor(R"("dtype":"F4","shape":[3],"data_offsets":[0,1])", 1));
  require_format_error({"\"t\""}, one_tensor(R"("dtype":"U8","shape":[18446744073709551615],)"
                                             R"("data_offsets":[0,18446744073709551615])", 8));
}

TEST_CASE("deep JSON is refused at once") {
  constexpr std::size_t kDepth = 100000;
  require_format_error({"expected"}, safetensors_file("{\"t\":" + std::string(kDepth, '['), 0));
  require_format_error({"expected"},
                       one_tensor(R"("shape":)" + std::string(kDepth, '['), 0));
  std::string nested;
  for (std::size_t i = 0; i < kDepth; ++i) nested += "{\"a\":";
  require_format_error({"file.st"}, safetensors_file(nested, 0));
}

TEST_CASE("messages stay readable when names are hostile") {
  const std::string name(100000, 'x');
  try {
    parse(safetensors_file("{\"" + name + "\\n\\u0000\":1}", 0));
    FAIL("no error");
  } catch (const Error& error) {
    REQUIRE(std::strlen(error.what()) < 500);
  }
  require_format_error({"\"a\\x0a%s\\x1b\""}, safetensors_file(R"({"a\n%s\u001b":1})", 0));
}

TEST_CASE("a file cut off after any byte is an error") {
  const std::string file = test::read_file(kDataDir + "/dtypes.safetensors");
  for (std::size_t size = 0; size < file.size(); ++size) {
    REQUIRE_THROWS_AS(parse(file.substr(0, size)), Error);
  }
  REQUIRE_NOTHROW(parse(file));
  REQUIRE_THROWS_AS(parse(file + "x"), Error);

  const test::TempDir dir;
  test::write_file(dir / "cut.safetensors", file.substr(0, 500));
  require_error(ErrorCode::format, {"cut.safetensors", "cut off"},
                [&] { SafetensorsFile(dir / "cut.safetensors"); });
}

TEST_CASE("a file with any byte changed is an error or a valid file") {
  const std::string original = test::read_file(kDataDir + "/dtypes.safetensors");
  for (std::size_t i = 0; i < original.size(); ++i) {
    for (const char change : {'\x01', '\x80', '\xff'}) {
      std::string file = original;
      file[i] = static_cast<char>(file[i] ^ change);
      try {
        for (const SafetensorsEntry& entry : parse(file).tensors) {
          REQUIRE(entry.offset + entry.bytes <= file.size());
        }
      } catch (const Error& error) {
        REQUIRE(error.code() == ErrorCode::format);
      }
    }
  }
}
