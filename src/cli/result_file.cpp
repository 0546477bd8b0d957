#include "result_file.hpp"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <string_view>
#include <system_error>
#include <utility>

#include "mixtral/core/error.hpp"

namespace mixtral::cli {
namespace {

constexpr std::size_t kLinesPerSync = 64;
constexpr std::chrono::seconds kTimePerSync{2};

std::string quoted(const std::filesystem::path& path) { return '"' + path.string() + '"'; }

}  // namespace

ResultFile::ResultFile(std::filesystem::path path)
    : path_(std::move(path)),
      descriptor_(::open(path_.c_str(), O_RDWR | O_CREAT | O_APPEND | O_CLOEXEC, 0666)),
      last_sync_(std::chrono::steady_clock::now()) {
  if (descriptor_ < 0) fail("open the file");
  try {
    require_regular();
    lock();
    read();
  } catch (...) {
    ::close(descriptor_);
    throw;
  }
}

ResultFile::~ResultFile() { ::close(descriptor_); }

void ResultFile::fail(const char* action) const {
  const int code = errno;
  throw Error(ErrorCode::io,
              quoted(path_) + ": can't " + action + ": " + std::generic_category().message(code));
}

void ResultFile::require_regular() const {
  struct stat status {};
  if (::fstat(descriptor_, &status) != 0) fail("look at the file");
  if (!S_ISREG(status.st_mode)) throw Error(ErrorCode::io, quoted(path_) + ": expected a regular file");
}

void ResultFile::lock() {
  if (::flock(descriptor_, LOCK_EX | LOCK_NB) == 0) return;
  if (errno != EWOULDBLOCK) fail("lock the file");
  throw Error(ErrorCode::io, quoted(path_) + ": another process is writing to it");
}

void ResultFile::read() {
  const std::string text = read_input(std::filesystem::absolute(path_).string());
  const std::size_t end = text.rfind('\n') + 1;  // 0 where there is none
  for (std::size_t begin = 0, number = 1; begin < end; ++number) {
    const std::size_t next = text.find('\n', begin) + 1;
    const Json result = Json::parse(text.begin() + begin, text.begin() + next, nullptr, false);
    if (!result.is_object() || !result.contains("custom_id") || !result.contains("line") ||
        !result["line"].is_number_unsigned()) {
      throw Error(ErrorCode::format, quoted(path_) + ": line " + std::to_string(number) +
                                         ": expected a result of `mixtral batch`, found something else");
    }
    answered_[result["line"].get<std::size_t>()] = result["custom_id"];
    begin = next;
  }
  if (end < text.size() && ::ftruncate(descriptor_, static_cast<off_t>(end)) != 0) fail("cut the file");
}

const Json* ResultFile::find(std::size_t line) const {
  const auto found = answered_.find(line);
  return found == answered_.end() ? nullptr : &found->second;
}

void ResultFile::append(const Json& result) {
  const std::string text = result.dump(-1, ' ', false, Json::error_handler_t::replace) + "\n";
  for (std::string_view rest = text; !rest.empty();) {
    const ssize_t count = ::write(descriptor_, rest.data(), rest.size());
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) fail("write the file");
    rest.remove_prefix(static_cast<std::size_t>(count));
  }
  ++n_unsynced_;
  const bool is_due = std::chrono::steady_clock::now() - last_sync_ > kTimePerSync;
  if (n_unsynced_ >= kLinesPerSync || is_due) sync();
}

void ResultFile::sync() {
  if (n_unsynced_ > 0 && ::fsync(descriptor_) != 0 && errno != EINVAL) fail("write the file to the disk");
  n_unsynced_ = 0;
  last_sync_ = std::chrono::steady_clock::now();
}

}  // namespace mixtral::cli
