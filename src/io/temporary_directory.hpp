// A directory that appears under its name only when it is complete.
#pragma once

#include <filesystem>

namespace mixtral::detail {

/// A new, empty directory beside `target`, removed with all it holds unless `commit` renames it. Those for the
/// same target that killed processes left are removed, too.
class TemporaryDirectory {
 public:
  /// Throws Error(invalid_argument) when something of the name `target` exists, Error(io) when the
  /// directory can't be made.
  explicit TemporaryDirectory(const std::filesystem::path& target);
  ~TemporaryDirectory();
  TemporaryDirectory(const TemporaryDirectory&) = delete;
  TemporaryDirectory& operator=(const TemporaryDirectory&) = delete;

  const std::filesystem::path& path() const noexcept { return path_; }

  /// Gives the directory its name. Throws as the constructor does.
  void commit();

 private:
  /// False when another process took the directory for abandoned before the lock was held.
  bool create();

  std::filesystem::path target_, path_;
  int lock_ = -1;  // descriptor of the directory; its lock tells that it isn't abandoned
  bool committed_ = false;
};

}  // namespace mixtral::detail
