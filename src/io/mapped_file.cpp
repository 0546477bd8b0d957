#include "mixtral/io/mapped_file.hpp"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <limits>
#include <system_error>
#include <utility>

#include "core/message.hpp"
#include "mixtral/core/error.hpp"
#include "mixtral/core/huge_pages.hpp"

namespace mixtral {
namespace {

using detail::quote;

[[noreturn]] void throw_errno(const std::filesystem::path& path, const char* action, int code) {
  throw Error(code == ENOMEM ? ErrorCode::out_of_memory : ErrorCode::io,
              quote(path) + ": can't " + action + ": " + std::generic_category().message(code));
}

/// Closes a descriptor unless it is released.
class Descriptor {
 public:
  explicit Descriptor(int value) : value_(value) {}
  ~Descriptor() {
    if (value_ >= 0) ::close(value_);
  }
  Descriptor(const Descriptor&) = delete;
  Descriptor& operator=(const Descriptor&) = delete;
  int get() const noexcept { return value_; }
  int release() noexcept { return std::exchange(value_, -1); }

 private:
  int value_;
};

struct OpenFile {
  Descriptor descriptor;
  std::size_t size;
};

std::size_t size_of_regular_file(int descriptor, const std::filesystem::path& path) {
  struct stat info {};
  if (::fstat(descriptor, &info) != 0) throw_errno(path, "read the file's size", errno);
  if (!S_ISREG(info.st_mode)) {
    throw Error(ErrorCode::io, quote(path) + ": expected a regular file, found " +
                                   (S_ISDIR(info.st_mode) ? "a directory" : "a special file"));
  }
  return static_cast<std::size_t>(info.st_size);
}

OpenFile open_regular_file(const std::filesystem::path& path) {
  // O_NONBLOCK: opening a FIFO must not wait for a writer.
  Descriptor descriptor(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK));
  if (descriptor.get() < 0) throw_errno(path, "open the file", errno);
  const std::size_t size = size_of_regular_file(descriptor.get(), path);
  if (size == 0) throw Error(ErrorCode::io, quote(path) + ": the file is empty");
  return {Descriptor(descriptor.release()), size};
}

}  // namespace

MappedFile::MappedFile(std::filesystem::path path) : path_(std::move(path)) {
  OpenFile file = open_regular_file(path_);
  void* address = ::mmap(nullptr, file.size, PROT_READ, MAP_SHARED, file.descriptor.get(), 0);
  if (address == MAP_FAILED) throw_errno(path_, "map the file", errno);
  advise_huge_pages(address, file.size);  // has what isn't in memory yet read in such pages, too
  bytes_ = {static_cast<const std::byte*>(address), file.size};
  descriptor_ = file.descriptor.release();
}

MappedFile::~MappedFile() {
  if (descriptor_ < 0) return;
  ::munmap(const_cast<std::byte*>(bytes_.data()), bytes_.size());
  ::close(descriptor_);
}

MappedFile::MappedFile(MappedFile&& other) noexcept
    : path_(std::move(other.path_)),
      descriptor_(std::exchange(other.descriptor_, -1)),
      bytes_(std::exchange(other.bytes_, {})) {}

MappedFile& MappedFile::operator=(MappedFile&& other) noexcept {
  std::swap(path_, other.path_);
  std::swap(descriptor_, other.descriptor_);
  std::swap(bytes_, other.bytes_);
  return *this;
}

void MappedFile::check_unchanged() const {
  const std::size_t size = size_of_regular_file(descriptor_, path_);
  if (size < bytes_.size()) {
    throw Error(ErrorCode::io, quote(path_) + ": the file has changed while in use: expected " +
                                   std::to_string(bytes_.size()) + " bytes, found " +
                                   std::to_string(size));
  }
}

std::string read_text_file(const std::filesystem::path& path, std::size_t max_bytes) {
  const OpenFile file = open_regular_file(path);
  if (file.size > max_bytes) {
    throw Error(ErrorCode::format, quote(path) + ": expected at most " +
                                       std::to_string(max_bytes) + " bytes, found " +
                                       std::to_string(file.size));
  }
  std::string text(file.size, '\0');
  std::size_t filled = 0;
  while (filled < text.size()) {
    const ssize_t count =
        ::read(file.descriptor.get(), text.data() + filled, text.size() - filled);
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) throw_errno(path, "read the file", errno);
    if (count == 0) break;
    filled += static_cast<std::size_t>(count);
  }
  text.resize(filled);
  return text;
}

}  // namespace mixtral
