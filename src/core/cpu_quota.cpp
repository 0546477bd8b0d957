#include "core/cpu_quota.hpp"

#include <algorithm>
#include <fstream>
#include <sstream>
#include <string>

namespace mixtral::detail {
namespace {

namespace fs = std::filesystem;

using Quota = std::optional<double>;

Quota smaller(Quota a, Quota b) { return a && b ? std::min(*a, *b) : (a ? a : b); }

Quota ratio(double quota, double period) {
  return quota > 0 && period > 0 ? Quota(quota / period) : std::nullopt;
}

/// Version 2: "QUOTA PERIOD" in microseconds, or "max PERIOD".
Quota read_v2(const fs::path& group) {
  double quota = 0, period = 0;
  std::ifstream(group / "cpu.max") >> quota >> period;
  return ratio(quota, period);
}

/// Version 1: two files; a quota of -1 is no limit.
Quota read_v1(const fs::path& group) {
  double quota = 0, period = 0;
  std::ifstream(group / "cpu.cfs_quota_us") >> quota;
  std::ifstream(group / "cpu.cfs_period_us") >> period;
  return ratio(quota, period);
}

/// The tightest quota of `group` and its parents. In a container the path may be that of the host,
/// absent under the mount; the container's own limit is then at the mount itself.
template <class Read>
Quota tightest(const fs::path& mount, fs::path group, Read read) {
  Quota result;
  for (group = group.relative_path(); !group.empty(); group = group.parent_path()) {
    result = smaller(result, read(mount / group));
  }
  return smaller(result, read(mount));
}

bool lists_cpu(const std::string& controllers) {
  std::istringstream list(controllers);
  for (std::string name; std::getline(list, name, ',');) {
    if (name == "cpu") return true;
  }
  return false;
}

}  // namespace

std::optional<double> cpu_quota(const fs::path& self_cgroup, const fs::path& mount) {
  Quota result;
  std::ifstream lines(self_cgroup);
  std::string hierarchy, controllers, group;  // "HIERARCHY:CONTROLLERS:GROUP"
  while (std::getline(lines, hierarchy, ':') && std::getline(lines, controllers, ':') &&
         std::getline(lines, group)) {
    if (controllers.empty()) {
      result = smaller(result, tightest(mount, group, read_v2));
      result = smaller(result, tightest(mount / "unified", group, read_v2));
    } else if (lists_cpu(controllers)) {
      result = smaller(result, tightest(mount / controllers, group, read_v1));
      result = smaller(result, tightest(mount / "cpu", group, read_v1));
    }
  }
  return result;
}

}  // namespace mixtral::detail
