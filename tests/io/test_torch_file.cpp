#include "io/torch_file.hpp"

#include <string>

#include "io/support/files.hpp"
#include "io/support/zip_maker.hpp"
#include "support/errors.hpp"

using namespace mixtral;
using test::append_number;
using test::require_error;

namespace {

std::string number(std::int64_t value) {
  std::string code = "\x8a\x08";
  append_number(code, value);
  return code;
}

std::string tuple(const std::vector<std::int64_t>& values) {
  std::string code = "(";
  for (const std::int64_t value : values) code += number(value);
  return code + "t";
}

struct Tensor {
  std::vector<std::int64_t> shape = {2, 3}, strides = {3, 1};
  std::int64_t first = 0, storage_elements = 6;
  std::string storage_class = "FloatStorage", storage_key = "0";
};

/// data.pkl of {"w": the tensor}.
std::string pickle(const Tensor& tensor) {
  const auto text = [](const std::string& value) { return "U" + std::string(1, char(value.size())) + value; };
  return "\x80\x02}" + text("w") + "ctorch._utils\n_rebuild_tensor_v2\n((" + text("storage") + "ctorch\n" +
         tensor.storage_class + "\n" + text(tensor.storage_key) + text("cpu") +
         number(tensor.storage_elements) + "tQ" + number(tensor.first) + tuple(tensor.shape) +
         tuple(tensor.strides) + "\x89)tRs.";
}

std::string archive(const Tensor& tensor, std::size_t storage_bytes = 24,
                    const std::string& byte_order = "little") {
  std::string bytes;
  for (std::size_t i = 0; i < storage_bytes; ++i) bytes += static_cast<char>(i);
  return test::make_zip({{"m/data.pkl", pickle(tensor)},
                         {"m/byteorder", byte_order},
                         {"m/data/0", bytes},
                         {"m/version", "3\n"}})
      .bytes;
}

std::vector<detail::FileTensor> parse(const std::string& file) {
  return detail::parse_torch_file(test::as_bytes(file), "x.pt");
}

void require_bad(const Tensor& tensor, std::initializer_list<std::string> parts,
                 ErrorCode code = ErrorCode::format) {
  require_error(code, parts, [&] { parse(archive(tensor)); });
}

}  // namespace

TEST_CASE("a tensor of a file of torch") {
  const std::string file = archive({});
  const auto tensors = parse(file);
  REQUIRE(tensors.size() == 1);
  REQUIRE(tensors[0].name == "w");
  REQUIRE(tensors[0].type == "float32");
  REQUIRE(tensors[0].dtype == DType::f32);
  REQUIRE(tensors[0].shape == std::vector<std::size_t>{2, 3});
  REQUIRE(tensors[0].strides.empty());
  REQUIRE(tensors[0].bytes.size() == 24);
  REQUIRE(tensors[0].bytes[5] == std::byte{5});
}

TEST_CASE("tensors that lie otherwise in their storage") {
  const std::string transposed = archive({.strides = {1, 2}});
  REQUIRE(parse(transposed)[0].strides == std::vector<std::size_t>{1, 2});
  REQUIRE(parse(transposed)[0].bytes.size() == 24);
  const std::string part = archive({.shape = {2, 2}, .first = 1});
  REQUIRE(parse(part)[0].strides == std::vector<std::size_t>{3, 1});
  REQUIRE(parse(part)[0].bytes.size() == 20);
  REQUIRE(parse(part)[0].bytes[0] == std::byte{4});
  // Strides of dimensions of one don't count.
  const std::string row = archive({.shape = {1, 6}, .strides = {99, 1}});
  REQUIRE(parse(row)[0].strides.empty());
  const std::string empty = archive({.shape = {0, 3}, .first = 6});
  REQUIRE(parse(empty)[0].bytes.empty());
  const std::string doubles = archive(
      {.shape = {3}, .strides = {1}, .storage_elements = 3, .storage_class = "DoubleStorage"});
  REQUIRE_FALSE(parse(doubles)[0].dtype);
}

TEST_CASE("tensors outside their storage") {
  const std::int64_t huge = std::int64_t{1} << 62;
  require_bad({.first = 1}, {"x.pt", "\"w\"", "beyond the 6 elements"});
  require_bad({.strides = {4, 1}}, {"beyond the 6 elements"});
  require_bad({.shape = {1}, .strides = {1}, .first = huge}, {"beyond the 6 elements"});
  require_bad({.shape = {2, 2}, .strides = {huge, huge}}, {"beyond the 6 elements"});
  require_bad({.shape = {3, 1}, .strides = {huge, 1}}, {"beyond the 6 elements"});
  require_bad({.shape = {huge, huge}, .strides = {1, 1}}, {"more elements"});
  require_bad({.shape = {4, 3}, .strides = {0, 1}}, {"more elements"});
  require_bad({.strides = {-3, 1}}, {"expected a size, found -3"});
  require_bad({.first = -1}, {"expected a size, found -1"});
  require_bad({.storage_elements = 7}, {"7 elements of 4 bytes", "24 bytes"});
  require_bad({.storage_elements = huge}, {"elements of 4 bytes", "24 bytes"});
  require_bad({.storage_class = "HalfStorage"}, {"6 elements of 2 bytes", "24 bytes"});
  require_bad({.storage_key = "../../data"}, {"its storage", "is missing"});
  require_bad({.storage_class = "QInt8Storage"}, {"torch.QInt8Storage"}, ErrorCode::unsupported);
}

TEST_CASE("archives that torch doesn't write") {
  require_error(ErrorCode::unsupported, {"byteorder", "big"}, [] { parse(archive({}, 24, "big")); });
  require_error(ErrorCode::format, {"data.pkl", "none"}, [] { parse(test::make_zip({{"a", "b"}}).bytes); });
  require_error(ErrorCode::format, {"data.pkl", "none"},
                [] { parse(test::make_zip({{"a/b/data.pkl", pickle({})}}).bytes); });
  require_error(ErrorCode::format, {"data.pkl", "several"}, [] {
    parse(test::make_zip({{"a/data.pkl", pickle({})}, {"b/data.pkl", pickle({})}}).bytes);
  });
  require_error(ErrorCode::unsupported, {"x.pt", "ZIP archive", "torch.load"},
                [] { parse("\x80\x02\x8a\x0al\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19."); });
}
