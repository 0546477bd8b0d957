// The files of tests/eval/data.
#pragma once

#include <filesystem>
#include <nlohmann/json.hpp>
#include <string>

#include "mixtral/io/mapped_file.hpp"

inline const std::filesystem::path kEvalData = MIXTRAL_EVAL_DATA_DIR;

/// What Python and the harness computed, see make_goldens.py.
inline const nlohmann::ordered_json& goldens() {
  static const auto json = nlohmann::ordered_json::parse(
      mixtral::read_text_file(kEvalData / "goldens.json", std::size_t{1} << 26));
  return json;
}
