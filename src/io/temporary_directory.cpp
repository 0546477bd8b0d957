#include "io/temporary_directory.hpp"

#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

#include <atomic>
#include <string>
#include <string_view>
#include <system_error>
#include <utility>
#include <vector>

#include "core/message.hpp"
#include "mixtral/core/error.hpp"

namespace mixtral::detail {
namespace {

namespace fs = std::filesystem;

/// "a/b/" -> "a/b": only a path with a last component has siblings.
fs::path without_trailing_slash(const fs::path& path) {
  return path.has_filename() ? path : path.parent_path();
}

constexpr std::string_view kSuffix = ".tmp-";

fs::path sibling_of(const fs::path& target) {
  static std::atomic<unsigned> counter{0};
  fs::path path = target;
  path += std::string(kSuffix) + std::to_string(::getpid()) + "-" + std::to_string(counter++);
  return path;
}

/// Whether `path` exists, or can't be looked at for the reason in `error`.
bool is_there(const fs::path& path, std::error_code& error) {
  return fs::symlink_status(path, error).type() != fs::file_type::not_found;
}

void check_is_free(const fs::path& target) {
  std::error_code error;
  if (is_there(target, error)) {
    throw Error(ErrorCode::invalid_argument,
                quote(target) + ": expected a new directory, found that the name is taken" +
                    (error ? " (" + error.message() + ")" : ""));
  }
}

/// A descriptor of the directory that holds a lock on it; -1 when it can't be had. `options`: LOCK_NB not to wait
/// while another has it, or 0.
int lock(const fs::path& directory, int options) {
  const int descriptor = ::open(directory.c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
  if (descriptor >= 0 && ::flock(descriptor, LOCK_EX | options) == 0) return descriptor;
  if (descriptor >= 0) ::close(descriptor);
  return -1;
}

/// Whether `name` is that of a directory which `sibling_of` named.
bool is_sibling(std::string_view name, std::string_view target) {
  if (!name.starts_with(target) || !name.substr(target.size()).starts_with(kSuffix)) return false;
  name.remove_prefix(target.size() + kSuffix.size());
  const std::size_t dash = name.find('-');
  const auto is_number = [](std::string_view text) {
    return !text.empty() && text.find_first_not_of("0123456789") == text.npos;
  };
  return dash != name.npos && is_number(name.substr(0, dash)) && is_number(name.substr(dash + 1));
}

/// What killed processes left: nobody holds the lock, which ends with its process. Best effort.
void remove_abandoned(const fs::path& target) {
  const fs::path parent = target.has_parent_path() ? target.parent_path() : ".";
  std::error_code error;
  std::vector<fs::path> found;
  for (fs::directory_iterator entry(parent, error), last; !error && entry != last; entry.increment(error)) {
    if (is_sibling(entry->path().filename().native(), target.filename().native())) found.push_back(entry->path());
  }
  for (const fs::path& path : found) {
    const int descriptor = lock(path, LOCK_NB);
    if (descriptor < 0) continue;
    fs::remove_all(path, error);
    ::close(descriptor);
  }
}

}  // namespace

TemporaryDirectory::TemporaryDirectory(const fs::path& target)
    : target_(without_trailing_slash(target)) {
  check_is_free(target_);
  remove_abandoned(target_);
  while (!create()) {
  }
}

bool TemporaryDirectory::create() {
  path_ = sibling_of(target_);
  std::error_code error;
  if (!fs::create_directory(path_, error)) {
    throw Error(ErrorCode::io, quote(target_) + ": can't make the directory: " + error.message());
  }
  lock_ = lock(path_, 0);
  if (is_there(path_, error)) return true;
  if (lock_ >= 0) ::close(std::exchange(lock_, -1));
  return false;
}

TemporaryDirectory::~TemporaryDirectory() {
  std::error_code ignored;
  if (!committed_) fs::remove_all(path_, ignored);
  if (lock_ >= 0) ::close(lock_);
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
