// One row of a data set.
#pragma once

#include <nlohmann/json.hpp>
#include <vector>

namespace mixtral::eval {

/// A JSON object whose keys are the columns, in the order of the file.
using Row = nlohmann::ordered_json;
using Rows = std::vector<Row>;

}  // namespace mixtral::eval
