#include <sys/stat.h>
#include <unistd.h>

#include <atomic>
#include <cstring>
#include <string>
#include <thread>
#include <vector>

#include "io/support/file_size_limit.hpp"
#include "io/support/files.hpp"
#include "io/temporary_directory.hpp"
#include "mixtral/core/huge_pages.hpp"
#include "mixtral/io/output_file.hpp"
#include "mixtral/io/safetensors.hpp"
#include "mixtral/io/safetensors_writer.hpp"
#include "support/errors.hpp"
#include "support/temp_dir.hpp"

using namespace mixtral;
using test::as_bytes;
using test::require_error;
namespace fs = std::filesystem;

TEST_CASE("an output file appears when it is committed, and replaces the old one") {
  const test::TempDir dir;
  test::write_file(dir / "a", "old");
  {
    OutputFile file(dir / "a");
    file.append("new ");
    file.append("text");
    REQUIRE(test::read_file(dir / "a") == "old");
    OutputFile moved(std::move(file));
    moved.commit();
  }
  REQUIRE(test::read_file(dir / "a") == "new text");
  REQUIRE(test::count_entries(dir.path()) == 1);

  struct stat info {};
  REQUIRE(stat((dir / "a").c_str(), &info) == 0);
  const mode_t mask = umask(0);
  umask(mask);
  REQUIRE((info.st_mode & 0777) == (0666 & ~mask));
}

TEST_CASE("pieces of an output file need not end where huge pages do") {
  const test::TempDir dir;
  std::string expected;
  OutputFile file(dir / "a");
  const auto append = [&](std::size_t bytes) {
    std::string piece(bytes, '\0');
    for (std::size_t i = 0; i < bytes; ++i) piece[i] = static_cast<char>((expected.size() + i) * 7 / 5);
    file.append(piece);
    expected += piece;
  };
  for (const std::size_t bytes : {std::size_t{5}, kHugePage - 5, kHugePage, std::size_t{1}, 3 * kHugePage,
                                  std::size_t{0}, kHugePage / 2, kHugePage + 1, 2 * kHugePage}) {
    append(bytes);
  }
  file.commit();
  REQUIRE((test::read_file(dir / "a") == expected));
}

TEST_CASE("an output file that isn't committed leaves nothing") {
  const test::TempDir dir;
  const std::size_t descriptors = test::count_descriptors();
  { OutputFile(dir / "a").append("text"); }
  REQUIRE(test::count_entries(dir.path()) == 0);
  REQUIRE(test::count_descriptors() == descriptors);
}

TEST_CASE("names that a killed process left behind don't stand in the way") {
  const test::TempDir dir;
  const std::string temporary = (dir / "a").string() + ".tmp-" + std::to_string(getpid()) + "-";
  for (int i = 0; i < 200; ++i) test::write_file(temporary + std::to_string(i), "stale");
  OutputFile file(dir / "a");
  file.append("text");
  file.commit();
  REQUIRE(test::read_file(dir / "a") == "text");
}

TEST_CASE("directories that killed conversions left are removed, and no others") {
  const test::TempDir dir;
  const detail::TemporaryDirectory living(dir / "out");
  for (const char* name : {"out.tmp-123-0", "out.tmp-4000000-17"}) {
    fs::create_directories(dir / name);
    test::write_file(dir / name / "model.safetensors", "half");
  }
  const char* kOthers[] = {"out.tmp-",    "out.tmp-1",     "out.tmp-1-", "out.tmp-1-2x",
                           "out.tmp-a-2", "other.tmp-1-2", "out"};
  for (const char* name : kOthers) fs::create_directory(dir / name);
  fs::remove(dir / "out");
  fs::create_symlink(dir / "out.tmp-a-2", dir / "out.tmp-5-5");  // a link is none of ours
  detail::TemporaryDirectory next(dir / "out");
  REQUIRE_FALSE(fs::exists(dir / "out.tmp-123-0"));
  REQUIRE_FALSE(fs::exists(dir / "out.tmp-4000000-17"));
  REQUIRE(fs::exists(living.path()));
  REQUIRE(fs::exists(dir / "out.tmp-5-5"));
  for (const char* name : kOthers) REQUIRE(fs::exists(dir / name) == (name != std::string_view("out")));
  next.commit();
  REQUIRE(fs::is_directory(dir / "out"));
}

TEST_CASE("directories that are being made for one name leave each other alone") {
  const test::TempDir dir;
  std::atomic<int> lost{0};
  const auto make_some = [&] {
    for (int i = 0; i < 500; ++i) {
      const detail::TemporaryDirectory made(dir / "out");
      std::this_thread::yield();
      if (!fs::exists(made.path())) ++lost;
    }
  };
  std::jthread other(make_some);
  make_some();
  other.join();
  REQUIRE(lost == 0);
  REQUIRE(fs::is_empty(dir.path()));
}

TEST_CASE("an output file that can't be made or written is an error") {
  const test::TempDir dir;
  require_error(ErrorCode::io, {"absent/a", "No such file"}, [&] { OutputFile(dir / "absent/a"); });
  std::filesystem::create_directory(dir / "taken");
  test::write_file(dir / "taken/x", "");
  require_error(ErrorCode::io, {"taken", "can't name"}, [&] { OutputFile(dir / "taken").commit(); });
  require_error(ErrorCode::io, {"/big\"", "can't write"}, [&] {
    const test::FileSizeLimit limit(1000);
    OutputFile file(dir / "big");
    for (int i = 0; i < 3; ++i) file.append(std::string(600, 'x'));
    file.commit();
  });
  require_error(ErrorCode::io, {"/big\"", "can't write"}, [&] {
    const test::FileSizeLimit limit(1000);
    OutputFile file(dir / "big");
    file.append(std::string(3 * kHugePage, 'x'));
  });
  REQUIRE(test::count_entries(dir.path()) == 1);
}

TEST_CASE("what the writer writes, the reader reads") {
  const test::TempDir dir;
  const std::string a = "abcdefgh", b = "0123456789ab";
  {
    SafetensorsWriter writer(dir / "x.safetensors",
                             {{"first \"quoted\" \xe2\x96\x81", "BF16", {2, 2}},
                              {"nothing", "F32", {0, 5}},
                              {"a second", "U8", {12}},
                              {"scalar", "F64", {}}},
                             {{"by", "a test"}});
    writer.append(as_bytes(a + b.substr(0, 5)));  // pieces need not end where tensors do
    writer.append(as_bytes(b.substr(5)));
    const double value = 0.25;
    writer.append(std::as_bytes(std::span(&value, 1)));
    REQUIRE_FALSE(std::filesystem::exists(dir / "x.safetensors"));
    writer.commit();
  }
  const SafetensorsFile file(dir / "x.safetensors");
  REQUIRE(file.header().metadata == std::map<std::string, std::string>{{"by", "a test"}});
  std::map<std::string, SafetensorsEntry> entries;
  for (const SafetensorsEntry& entry : file.header().tensors) entries[entry.name] = entry;
  REQUIRE(entries.size() == 4);
  const auto text = [&](const std::string& name) {
    const auto data = file.data(entries.at(name));
    return std::string(reinterpret_cast<const char*>(data.data()), data.size());
  };
  REQUIRE(text("first \"quoted\" \xe2\x96\x81") == a);
  REQUIRE(entries.at("first \"quoted\" \xe2\x96\x81").dtype == "BF16");
  REQUIRE(entries.at("first \"quoted\" \xe2\x96\x81").offset % 64 == 0);
  REQUIRE(text("nothing").empty());
  REQUIRE(entries.at("nothing").shape == std::vector<std::size_t>{0, 5});
  REQUIRE(text("a second") == b);
  REQUIRE(entries.at("scalar").shape.empty());
  double value = 0;
  std::memcpy(&value, file.data(entries.at("scalar")).data(), sizeof value);
  REQUIRE(value == 0.25);
}

TEST_CASE("the writer refuses what can't be a safetensors file, and leaves nothing") {
  const test::TempDir dir;
  const std::filesystem::path path = dir / "x.safetensors";
  const auto invalid = ErrorCode::invalid_argument;
  require_error(invalid, {"\"a\"", "twice"}, [&] {
    SafetensorsWriter(path, {{"a", "U8", {1}}, {"a", "U8", {1}}});
  });
  require_error(invalid, {"__metadata__"}, [&] { SafetensorsWriter(path, {{"__metadata__", "U8", {1}}}); });
  require_error(invalid, {"\"a\"", "\"X8\""}, [&] { SafetensorsWriter(path, {{"a", "X8", {1}}}); });
  constexpr std::size_t kHuge = std::size_t{1} << 60;
  require_error(invalid, {"\"b\"", "U8"}, [&] {
    SafetensorsWriter(path, {{"a", "U8", {kHuge, 1}}, {"b", "U8", {kHuge, 16}}});
  });
  require_error(invalid, {"at most 1", "found 2"}, [&] {
    SafetensorsWriter(path, {{"a", "U8", {1}}}).append(as_bytes("xy"));
  });
  require_error(invalid, {"2 bytes", "missing"}, [&] {
    SafetensorsWriter writer(path, {{"a", "U8", {3}}});
    writer.append(as_bytes("x"));
    writer.commit();
  });
  require_error(ErrorCode::io, {"can't write"}, [&] {
    const test::FileSizeLimit limit(1000);
    SafetensorsWriter writer(path, {{"a", "U8", {5000}}});
    writer.append(as_bytes(std::string(5000, 'x')));
    writer.commit();
  });
  REQUIRE(test::count_entries(dir.path()) == 0);
}
