#include <string>

#include "io/hf_index.hpp"
#include "support/errors.hpp"

using namespace mixtral;
using detail::parse_hf_index;
using test::require_error;

TEST_CASE("an index maps tensors to files") {
  const auto map = parse_hf_index(
      R"({"metadata":{"total_size":10,"total_parameters":5},"weight_map":{"a":"x.st","b":"y.st"}})",
      "index");
  REQUIRE(map == std::map<std::string, std::string>{{"a", "x.st"}, {"b", "y.st"}});
  REQUIRE(parse_hf_index(R"({"weight_map":{"a":"..x..st"}})", "index").size() == 1);
}

TEST_CASE("an index that is malformed or points elsewhere is an error") {
  const auto refuses = [](const std::string& json, std::initializer_list<std::string> parts) {
    require_error(ErrorCode::format, {"\"the index\""}, [&] { parse_hf_index(json, "the index"); });
    require_error(ErrorCode::format, parts, [&] { parse_hf_index(json, "the index"); });
  };
  refuses("", {"JSON"});
  refuses("[]", {"object"});
  refuses("{}", {"\"weight_map\""});
  refuses(R"({"weight_map":null})", {"\"weight_map\""});
  refuses(R"({"weight_map":[]})", {"\"weight_map\"", "array"});
  refuses(R"({"weight_map":{}})", {"\"weight_map\"", "at least one"});
  refuses(R"({"weight_map":{"a":1}})", {"\"weight_map.a\"", "file name", "found 1"});
  refuses(R"({"weight_map":{"a":"x","a":"y"}})", {"duplicate key \"a\""});
  for (const std::string file : {"", ".", "..", "/etc/passwd", "../x.safetensors", "a/../../x",
                                 "sub/x.safetensors", "x/", "x\\u0000.safetensors"}) {
    refuses(R"({"weight_map":{"tensor":")" + file + "\"}}",
            {"\"weight_map.tensor\"", "same directory"});
  }
}
