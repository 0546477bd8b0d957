#include "io/file_status.hpp"

#include <string>
#include <system_error>

#include "core/message.hpp"
#include "mixtral/core/error.hpp"

namespace mixtral::detail {

namespace fs = std::filesystem;

bool is_there(const fs::path& path) {
  std::error_code error;
  const fs::file_status status = fs::status(path, error);
  if (status.type() == fs::file_type::none) {
    throw Error(ErrorCode::io, quote(path) + ": can't look it up: " + error.message());
  }
  return fs::exists(status);
}

void check_disk_space(const fs::path& directory, std::size_t needed) {
  std::error_code error;
  const fs::space_info space = fs::space(directory.empty() ? "." : directory, error);
  if (!error && space.available < needed) {
    throw Error(ErrorCode::io, quote(directory) + ": expected " + std::to_string(needed) +
                                   " bytes of free disk space, found " +
                                   std::to_string(space.available));
  }
}

}  // namespace mixtral::detail
