#include <sys/stat.h>
#include <unistd.h>

#include <string>
#include <utility>

#include "io/support/files.hpp"
#include "mixtral/io/mapped_file.hpp"
#include "support/errors.hpp"
#include "support/temp_dir.hpp"

using namespace mixtral;
using test::require_error;

TEST_CASE("a mapped file shows the bytes of the file, also after a move") {
  const test::TempDir dir;
  test::write_file(dir / "a", "some bytes");
  MappedFile first(dir / "a");
  MappedFile file(std::move(first));
  MappedFile other(std::move(file));
  test::write_file(dir / "b", "xy");
  MappedFile assigned(dir / "b");
  assigned = std::move(other);
  REQUIRE(std::string_view(reinterpret_cast<const char*>(assigned.bytes().data()),
                           assigned.bytes().size()) == "some bytes");
  REQUIRE(assigned.path() == dir / "a");
  REQUIRE_NOTHROW(assigned.check_unchanged());
}

TEST_CASE("mapping what is no readable file is an error that names it") {
  const test::TempDir dir;
  require_error(ErrorCode::io, {"absent", "No such file"}, [&] { MappedFile(dir / "absent"); });
  require_error(ErrorCode::io, {dir.path().string(), "directory"}, [&] { MappedFile(dir.path()); });
  test::write_file(dir / "empty", "");
  require_error(ErrorCode::io, {"empty\"", "empty"}, [&] { MappedFile(dir / "empty"); });
  REQUIRE(mkfifo((dir / "fifo").c_str(), 0600) == 0);
  require_error(ErrorCode::io, {"fifo", "regular file"}, [&] { MappedFile(dir / "fifo"); });
  require_error(ErrorCode::io, {"fifo", "regular file"}, [&] { read_text_file(dir / "fifo", 10); });
}

TEST_CASE("a file without read permission is an error") {
  const test::TempDir dir;
  chmod(dir.path().c_str(), 0755);
  test::write_file(dir / "secret", "x");
  chmod((dir / "secret").c_str(), 0);
  const bool is_root = geteuid() == 0;
  constexpr uid_t kNobody = 65534;
  if (is_root) REQUIRE(seteuid(kNobody) == 0);  // root may read everything
  std::string message;
  try {
    MappedFile file(dir / "secret");
  } catch (const Error& error) {
    message = error.what();
  }
  if (is_root) REQUIRE(seteuid(0) == 0);
  REQUIRE(message.find("Permission denied") != std::string::npos);
}

TEST_CASE("a file that has shrunk is noticed") {
  const test::TempDir dir;
  test::write_file(dir / "a", std::string(10000, 'x'));
  const MappedFile file(dir / "a");
  REQUIRE(truncate((dir / "a").c_str(), 20000) == 0);
  REQUIRE_NOTHROW(file.check_unchanged());
  REQUIRE(truncate((dir / "a").c_str(), 9999) == 0);
  require_error(ErrorCode::io, {"/a\"", "10000", "9999"}, [&] { file.check_unchanged(); });
}

TEST_CASE("a file that was replaced or removed leaves its mapping intact") {
  const test::TempDir dir;
  test::write_file(dir / "a", "old");
  const MappedFile file(dir / "a");
  test::write_file(dir / "b", "n");
  std::filesystem::rename(dir / "b", dir / "a");
  REQUIRE_NOTHROW(file.check_unchanged());
  REQUIRE(file.bytes()[0] == std::byte{'o'});
}

TEST_CASE("text files are read whole, and large ones refused") {
  const test::TempDir dir;
  test::write_file(dir / "a", std::string("a\0b\n", 4));
  REQUIRE(read_text_file(dir / "a", 4) == std::string("a\0b\n", 4));
  require_error(ErrorCode::format, {"/a\"", "at most 3", "found 4"},
                [&] { read_text_file(dir / "a", 3); });
}

TEST_CASE("failures and destructors close their descriptors") {
  const test::TempDir dir;
  test::write_file(dir / "a", "x");
  test::write_file(dir / "empty", "");
  const std::size_t before = test::count_descriptors();
  for (int i = 0; i < 10; ++i) {
    MappedFile file(dir / "a");
    REQUIRE_THROWS_AS(MappedFile(dir / "empty"), Error);
    REQUIRE_THROWS_AS(MappedFile(dir.path()), Error);
  }
  REQUIRE(test::count_descriptors() == before);
}
