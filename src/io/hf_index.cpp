#include "io/hf_index.hpp"

#include "core/json.hpp"
#include "core/message.hpp"
#include "mixtral/core/error.hpp"

namespace mixtral::detail {
namespace {

/// Names a file of the index's own folder and nothing else.
bool is_plain_name(std::string_view name) {
  return !name.empty() && name != "." && name != ".." &&
         name.find_first_of(std::string_view("/\0", 2)) == std::string_view::npos;
}

}  // namespace

std::map<std::string, std::string> parse_hf_index(std::string_view text, std::string_view name) {
  const nlohmann::json document = parse_json_object(text, name);
  const JsonObject object(document, std::string(name));
  const auto weight_map = object.object("weight_map");
  if (!weight_map) object.fail("weight_map", "an object that maps tensors to files", nullptr);
  std::map<std::string, std::string> files;
  for (const auto& [tensor, file] : weight_map->value().items()) {
    if (!file.is_string()) weight_map->fail(tensor.c_str(), "a file name", file);
    const auto& file_name = file.get_ref<const std::string&>();
    if (!is_plain_name(file_name)) {
      weight_map->fail(tensor.c_str(), "a file in the same directory", file);
    }
    files.emplace(tensor, file_name);
  }
  if (files.empty()) object.fail("weight_map", "at least one tensor", weight_map->value());
  return files;
}

}  // namespace mixtral::detail
