#include <unistd.h>

#include <filesystem>
#include <fstream>

#include "mixtral/core/error.hpp"
#include "support/catch.hpp"
#include "tokenizer_files.hpp"

using mixtral::Error;
using mixtral::ErrorCode;
using namespace mixtral_test;
namespace fs = std::filesystem;

namespace {

class TemporaryDirectory {
 public:
  TemporaryDirectory()
      : path_(fs::temp_directory_path() / ("mixtral-tokenizer-" + std::to_string(getpid()))) {
    fs::remove_all(path_);
    fs::create_directory(path_);
  }
  ~TemporaryDirectory() { fs::remove_all(path_); }
  TemporaryDirectory(const TemporaryDirectory&) = delete;
  TemporaryDirectory& operator=(const TemporaryDirectory&) = delete;

  const fs::path& path() const { return path_; }
  void write(const char* name, const std::string& content) const {
    std::ofstream(path_ / name, std::ios::binary) << content;
  }

 private:
  fs::path path_;
};

void check_refused(const fs::path& directory, ErrorCode code, const std::string& message_part) {
  try {
    mixtral::open_tokenizer(directory);
    FAIL("opened, but expected: " << message_part);
  } catch (const Error& error) {
    INFO(error.what());
    CHECK(error.code() == code);
    CHECK(std::string(error.what()).find(message_part) != std::string::npos);
  }
}

}  // namespace

TEST_CASE("a directory's tokenizer.model comes before its tokenizer.json") {
  const TemporaryDirectory directory;
  directory.write("tokenizer.json", tokenizer_json(special_pieces()).dump());
  CHECK(mixtral::open_tokenizer(directory.path())->vocab_size() == special_pieces().size());
  directory.write("tokenizer.model", small_model_bytes());
  CHECK(mixtral::open_tokenizer(directory.path())->vocab_size() == 700);
}

TEST_CASE("what can't be opened is named") {
  const TemporaryDirectory directory;
  check_refused(directory.path(), ErrorCode::io, "neither tokenizer.model nor tokenizer.json");
  check_refused(directory.path() / "absent", ErrorCode::io, "absent");
  directory.write("tokenizer.json", "{}");
  check_refused(directory.path(), ErrorCode::format, "tokenizer.json");
  directory.write("tokenizer.model", "");
  check_refused(directory.path(), ErrorCode::unsupported, "tokenizer.model");
  fs::remove(directory.path() / "tokenizer.model");
  fs::create_directory(directory.path() / "tokenizer.model");
  check_refused(directory.path(), ErrorCode::io, "tokenizer.model");
}

TEST_CASE("a file of an absurd size is refused before it is read") {
  const TemporaryDirectory directory;
  directory.write("tokenizer.model", "");
  fs::resize_file(directory.path() / "tokenizer.model", std::uintmax_t{1} << 40);
  check_refused(directory.path(), ErrorCode::format, "tokenizer.model");
}
