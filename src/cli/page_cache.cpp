#include "page_cache.hpp"

#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <string>
#include <system_error>
#include <vector>

#include "mixtral/core/error.hpp"
#include "mixtral/io/mapped_file.hpp"

namespace mixtral::cli {
namespace {

bool is_in_memory(const MappedFile& file) {
  const std::size_t page = static_cast<std::size_t>(::sysconf(_SC_PAGESIZE));
  const std::span<const std::byte> bytes = file.bytes();
  std::vector<unsigned char> pages((bytes.size() + page - 1) / page);
  // Takes no pointer to const, and doesn't write.
  ::mincore(const_cast<std::byte*>(bytes.data()), bytes.size(), pages.data());
  return std::any_of(pages.begin(), pages.end(), [](unsigned char p) { return (p & 1) != 0; });
}

}  // namespace

bool drop_from_page_cache(const std::filesystem::path& path) {
  const int file = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (file < 0) {
    throw Error(ErrorCode::io, "\"" + path.string() +
                                   "\": can't open: " + std::generic_category().message(errno));
  }
  ::fdatasync(file);  // pages that aren't written yet would stay
  ::posix_fadvise(file, 0, 0, POSIX_FADV_DONTNEED);
  ::close(file);
  return !is_in_memory(MappedFile(path));
}

}  // namespace mixtral::cli
