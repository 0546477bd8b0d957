#include "mixtral/io/output_file.hpp"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <cstdio>
#include <string>
#include <system_error>
#include <utility>

#include "core/message.hpp"
#include "mixtral/core/error.hpp"
#include "mixtral/core/huge_pages.hpp"

namespace mixtral {
namespace {

[[noreturn]] void throw_errno(const std::filesystem::path& path, const char* action) {
  const int code = errno;
  throw Error(ErrorCode::io, detail::quote(path) + ": can't " + action + ": " +
                                 std::generic_category().message(code));
}

/// A name in the directory of `path` that no other writer of this or another living process uses.
std::filesystem::path temporary_name(const std::filesystem::path& path) {
  static std::atomic<unsigned> counter{0};
  std::filesystem::path name = path;
  name += ".tmp-" + std::to_string(::getpid()) + "-" + std::to_string(counter++);
  return name;
}

/// Makes a rename in `directory` survive a power failure, where the file system can.
void sync_directory(const std::filesystem::path& directory) {
  const int descriptor = ::open(directory.empty() ? "." : directory.c_str(), O_RDONLY | O_CLOEXEC);
  if (descriptor < 0) return;
  ::fsync(descriptor);
  ::close(descriptor);
}

}  // namespace

OutputFile::OutputFile(std::filesystem::path path) : path_(std::move(path)) {
  do {  // a killed process with our number may have left a file of this name
    temporary_ = temporary_name(path_);
    descriptor_ = ::open(temporary_.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
  } while (descriptor_ < 0 && errno == EEXIST);
  if (descriptor_ < 0) throw_errno(path_, "create the file");
}

OutputFile::~OutputFile() {
  if (descriptor_ < 0) return;
  ::close(descriptor_);
  ::unlink(temporary_.c_str());
}

OutputFile::OutputFile(OutputFile&& other) noexcept
    : path_(std::move(other.path_)),
      temporary_(std::move(other.temporary_)),
      descriptor_(std::exchange(other.descriptor_, -1)),
      pending_(std::move(other.pending_)) {}

void OutputFile::append(std::span<const std::byte> bytes) {
  while (!bytes.empty()) {
    const std::size_t whole = bytes.size() / kHugePage * kHugePage;
    if (pending_.empty() && whole > 0) {
      write(bytes.first(whole));
      bytes = bytes.subspan(whole);
      continue;
    }
    const auto head = bytes.first(std::min(bytes.size(), kHugePage - pending_.size()));
    pending_.reserve(kHugePage);
    pending_.insert(pending_.end(), head.begin(), head.end());
    bytes = bytes.subspan(head.size());
    if (pending_.size() == kHugePage) flush();
  }
}

void OutputFile::flush() {
  std::vector<std::byte> bytes = std::exchange(pending_, {});  // after a failure they are gone
  write(bytes);
  bytes.clear();
  pending_ = std::move(bytes);  // for its room
}

void OutputFile::write(std::span<const std::byte> bytes) {
  while (!bytes.empty()) {
    const ssize_t count = ::write(descriptor_, bytes.data(), bytes.size());
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) throw_errno(path_, "write the file");
    bytes = bytes.subspan(static_cast<std::size_t>(count));
  }
}

void OutputFile::commit() {
  flush();
  if (::fsync(descriptor_) != 0) throw_errno(path_, "write the file to the disk");
  if (std::rename(temporary_.c_str(), path_.c_str()) != 0) throw_errno(path_, "name the file");
  ::close(std::exchange(descriptor_, -1));
  sync_directory(path_.parent_path());
}

}  // namespace mixtral
