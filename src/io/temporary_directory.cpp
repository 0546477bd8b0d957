#include "io/temporary_directory.hpp"

#include <unistd.h>

#include <atomic>
#include <string>
#include <system_error>

#include "core/message.hpp"
#include "mixtral/core/error.hpp"

namespace mixtral::detail {
namespace {

namespace fs = std::filesystem;

/// "a/b/" -> "a/b": only a path with a last component has siblings.
fs::path without_trailing_slash(const fs::path& path) {
  return path.has_filename() ? path : path.parent_path();
}

fs::path sibling_of(const fs::path& target) {
  static std::atomic<unsigned> counter{0};
  fs::path path = target;
  path += ".tmp-" + std::to_string(::getpid()) + "-" + std::to_string(counter++);
  return path;
}

void check_is_free(const fs::path& target) {
  std::error_code error;
  if (fs::symlink_status(target, error).type() != fs::file_type::not_found) {
    throw Error(ErrorCode::invalid_argument,
                quote(target) + ": expected a new directory, found that the name is taken" +
                    (error ? " (" + error.message() + ")" : ""));
  }
}

}  // namespace

TemporaryDirectory::TemporaryDirectory(const fs::path& target)
    : target_(without_trailing_slash(target)), path_(sibling_of(target_)) {
  check_is_free(target_);
  std::error_code error;
  if (!fs::create_directory(path_, error)) {
    throw Error(ErrorCode::io, quote(target_) + ": can't make the directory: " + error.message());
  }
}

TemporaryDirectory::~TemporaryDirectory() {
  std::error_code ignored;
  if (!committed_) fs::remove_all(path_, ignored);
}

void TemporaryDirectory::commit() {
  check_is_free(target_);
  std::error_code error;
  fs::rename(path_, target_, error);
  if (error) {
    throw Error(ErrorCode::io, quote(target_) + ": can't name the directory: " + error.message());
  }
  committed_ = true;
}

}  // namespace mixtral::detail
