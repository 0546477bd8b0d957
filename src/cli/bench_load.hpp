// How long it takes to open a model and compute its first logits.
#pragma once

#include <optional>

#include "options.hpp"

namespace mixtral::cli {

struct LoadTimes {
  std::optional<double> cold;  ///< seconds with nothing of the files in memory
  double warm;                 ///< seconds with all that is read in the page cache
};

/// Loads the model and evaluates one token: twice, the second time is `warm`. Where `cold` is
/// wanted, drops the files from the page cache before the first: unset when they don't go, as on
/// file systems in memory and while another process has them mapped.
LoadTimes time_load(const ModelOptions& options, bool cold);

}  // namespace mixtral::cli
