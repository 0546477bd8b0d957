// Files that pyarrow wrote, and files that are damaged.
#include <algorithm>
#include <cstring>
#include <vector>

#include "eval/parquet.hpp"
#include "eval/parquet_levels.hpp"
#include "eval/text_rows.hpp"
#include "eval_data.hpp"
#include "support/catch.hpp"
#include "support/errors.hpp"

using namespace mixtral;
using namespace mixtral::eval;
using test::require_error;

namespace {

std::vector<std::byte> content(const std::string& name) {
  const MappedFile file(kEvalData / "parquet" / name);
  return {file.bytes().begin(), file.bytes().end()};
}

Rows expected_rows() {
  return read_jsonl(read_text_file(kEvalData / "parquet" / "expected.jsonl", 1 << 20), "expected");
}

}  // namespace

TEST_CASE("Parquet: every codec, page version and encoding gives the same rows") {
  const Rows expected = expected_rows();
  REQUIRE(expected.size() == 60);
  for (const std::string codec : {"none", "snappy", "gzip", "zstd"}) {
    for (const std::string version : {"v1", "v2"}) {
      for (const std::string encoding : {"dictionary", "plain"}) {
        const std::string name = codec + "_" + version + "_" + encoding + ".parquet";
        CAPTURE(name);
        const Rows rows = read_parquet(content(name), name);
        REQUIRE(rows.size() == expected.size());
        for (std::size_t i = 0; i < rows.size(); ++i) {
          CAPTURE(i);
          CHECK(rows[i] == expected[i]);
        }
      }
    }
  }
}

TEST_CASE("Parquet: what isn't read is an error that says so") {
  for (const std::string name : {"brotli", "lz4", "delta"}) {
    const std::string file = "unsupported_" + name + ".parquet";
    require_error(ErrorCode::unsupported, {file}, [&] { read_parquet(content(file), file); });
  }
}

TEST_CASE("Parquet: cut or changed files are errors, never anything else") {
  const auto whole = content("zstd_v2_dictionary.parquet");
  for (std::size_t size = 0; size < whole.size(); size += 7) {
    const auto cut = std::span(whole).first(size);
    require_error(ErrorCode::format, {"\"cut\""}, [&] { read_parquet(cut, "cut"); });
  }
  for (std::size_t i = 0; i < whole.size(); ++i) {
    auto changed = content("none_v1_plain.parquet");
    if (i >= changed.size()) break;
    changed[i] ^= std::byte{0x15};
    try {
      read_parquet(changed, "changed");
    } catch (const Error& error) {
      CHECK((error.code() == ErrorCode::format || error.code() == ErrorCode::unsupported));
    }
  }
}

TEST_CASE("Parquet: levels in runs and in packed groups") {
  // The example of the format's description: 0 to 7 in three bits.
  const std::vector<std::byte> packed = {std::byte{3}, std::byte{0x88}, std::byte{0xC6},
                                         std::byte{0xFA}};
  CHECK(decode_levels(packed, 3, 8, "") == std::vector<std::uint32_t>{0, 1, 2, 3, 4, 5, 6, 7});
  const std::vector<std::byte> run = {std::byte{10}, std::byte{0x34}, std::byte{0x12}};
  CHECK(decode_levels(run, 16, 3, "") == std::vector<std::uint32_t>(3, 0x1234));
  require_error(ErrorCode::format, {"levels"}, [&] { decode_levels(run, 16, 6, ""); });
  require_error(ErrorCode::format, {"levels"}, [&] { decode_levels(packed, 4, 8, ""); });
}
