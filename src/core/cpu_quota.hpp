// How many CPUs the control groups of this process allow it.
#pragma once

#include <filesystem>
#include <optional>

namespace mixtral::detail {

/// The smallest CPU quota, in CPUs, over the control groups (version 1 or 2) that `self_cgroup`
/// lists and their parents, as mounted under `mount`. Empty when nothing limits the process.
std::optional<double> cpu_quota(const std::filesystem::path& self_cgroup = "/proc/self/cgroup",
                                const std::filesystem::path& mount = "/sys/fs/cgroup");

}  // namespace mixtral::detail
