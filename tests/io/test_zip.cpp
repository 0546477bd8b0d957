#include "io/zip.hpp"

#include <string>

#include "io/support/files.hpp"
#include "io/support/zip_maker.hpp"
#include "support/errors.hpp"

using namespace mixtral;
using detail::list_zip;
using test::make_zip;
using test::require_error;
using test::Zip;

namespace {

const std::vector<std::pair<std::string, std::string>> kFiles = {
    {"a/one", "first"}, {"a/two", ""}, {"../three", "the third"}};

std::string text_of(const detail::ZipEntry& entry) {
  return {reinterpret_cast<const char*>(entry.bytes.data()), entry.bytes.size()};
}

void require_bad(const Zip& zip, std::initializer_list<std::string> parts,
                 ErrorCode code = ErrorCode::format) {
  require_error(code, parts, [&] { list_zip(test::as_bytes(zip.bytes), "x.zip"); });
}

}  // namespace

TEST_CASE("the files of an archive") {
  for (const bool zip64 : {false, true}) {
    const Zip zip = make_zip(kFiles, zip64);
    REQUIRE(detail::is_zip(test::as_bytes(zip.bytes)));
    const auto entries = list_zip(test::as_bytes(zip.bytes), "x.zip");
    REQUIRE(entries.size() == kFiles.size());
    for (std::size_t i = 0; i < entries.size(); ++i) {
      REQUIRE(entries[i].name == kFiles[i].first);
      REQUIRE(text_of(entries[i]) == kFiles[i].second);
      REQUIRE(zip.bytes.substr(entries[i].offset, entries[i].bytes.size()) == kFiles[i].second);
    }
  }
  REQUIRE(list_zip(test::as_bytes(make_zip({}).bytes), "x.zip").empty());
}

TEST_CASE("a comment, sizes behind the content and padding are no hindrance") {
  Zip zip = make_zip(kFiles);
  zip.patch<std::uint16_t>(zip.end + 20, 7).bytes += "comment";
  zip.patch<std::uint16_t>(zip.local[0] + 6, 8).patch<std::uint32_t>(zip.local[0] + 18, 0);
  REQUIRE(text_of(list_zip(test::as_bytes(zip.bytes), "x.zip")[0]) == "first");
}

TEST_CASE("archives that are cut off") {
  const Zip zip = make_zip(kFiles, true);
  for (std::size_t size = 0; size < zip.bytes.size(); ++size) {
    require_bad({zip.bytes.substr(0, size), {}, {}}, {"x.zip"});
  }
}

TEST_CASE("archives whose records contradict each other") {
  const Zip good = make_zip(kFiles);
  const auto patched = [&]<class T>(std::size_t offset, T value) { return Zip(good).patch(offset, value); };
  SECTION("sizes") {
    require_bad(patched(good.central[0] + 24, std::uint32_t{6}), {"6 bytes", "stored in 5"});
    require_bad(patched(good.local[0] + 22, std::uint32_t{6}), {"a/one", "the list says 5", "6"});
    const Zip longer = patched(good.central[2] + 24, 0xfffffff0u).patch(good.central[2] + 20, 0xfffffff0u);
    require_bad(Zip(longer).patch(good.local[2] + 22, 0xfffffff0u).patch(good.local[2] + 18, 0xfffffff0u),
                {"three", "4294967280 bytes before the list"});
  }
  SECTION("names") {
    require_bad(patched(good.local[0] + 30, 'b'), {"a/one", "b/one"});
    require_bad(make_zip({{"same", "1"}, {"same", "2"}}), {"second file", "same"});
  }
  SECTION("places") {
    require_bad(patched(good.central[1] + 42, static_cast<std::uint32_t>(good.local[0])),
                {"calls this file \"a/two\""});
    require_bad(patched(good.central[1] + 42, 0x7fffffffu), {"a file's header", "end of the file"});
    require_bad(patched(good.central[1] + 42, 1u), {"expected the header of \"a/two\""});
    require_bad(patched(good.end + 16, 0x7fffffffu), {"can't lie before"});
    require_bad(patched(good.end + 16, 0u), {"byte 0: expected a file's entry in the list"});
    require_bad(patched(good.end + 10, std::uint16_t{0x7fff}), {"32767 files"});
    require_bad(patched(good.end + 10, std::uint16_t{2}), {"expected the end of the list"});
  }
  SECTION("methods") {
    require_bad(patched(good.central[0] + 10, std::uint16_t{8}), {"a/one", "compression method 8"},
                ErrorCode::unsupported);
    require_bad(patched(good.local[0] + 8, std::uint16_t{8}), {"a/one", "other than the list says"});
    require_bad(patched(good.central[0] + 8, std::uint16_t{1}), {"a/one", "encrypted"},
                ErrorCode::unsupported);
    require_bad(patched(good.end + 4, std::uint16_t{1}), {"one of several"}, ErrorCode::unsupported);
  }
}

TEST_CASE("files that overlap") {
  // The second one's whole record is the first one's content.
  const Zip inner = make_zip({{"inner", "data"}});
  Zip zip = make_zip({{"outer", inner.bytes.substr(0, inner.central[0])}, {"inner", "data"}});
  zip.patch(zip.central[1] + 42, static_cast<std::uint32_t>(zip.local[0] + 35));
  require_bad(zip, {"two files", "overlap"});
}

TEST_CASE("bad ZIP64 records") {
  const Zip good = make_zip(kFiles, true);
  const auto patched = [&]<class T>(std::size_t offset, T value) { return Zip(good).patch(offset, value); };
  const std::size_t extra = good.central[0] + 46 + kFiles[0].first.size();
  require_bad(patched(good.zip64_locator + 8, ~std::uint64_t{0}), {"a ZIP64 end record", "end of the file"});
  require_bad(patched(good.zip64_locator + 8, std::uint64_t{4}), {"expected a ZIP64 end record"});
  require_bad(patched(good.zip64_end + 48, ~std::uint64_t{0}), {"can't lie before"});
  require_bad(patched(good.zip64_end + 40, ~std::uint64_t{0}), {"can't lie before"});
  require_bad(patched(good.zip64_end + 32, ~std::uint64_t{0}), {"can't lie before"});
  require_bad(patched(good.end + 10, std::uint16_t{1}), {"contradicts"});
  require_bad(patched(extra + 4, ~std::uint64_t{0}), {"can't be stored"});
  require_bad(patched(extra, std::uint16_t{2}), {"ZIP64 field is missing"});
  require_bad(patched(extra + 2, std::uint16_t{16}), {"ZIP64 field is missing"});
  require_bad(patched(extra + 2, std::uint16_t{60}), {"cut off"});
  require_bad(patched(extra + 20, ~std::uint64_t{0}), {"a file's header"});
}
