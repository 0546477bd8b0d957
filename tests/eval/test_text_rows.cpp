#include "eval/text_rows.hpp"
#include "support/catch.hpp"
#include "support/errors.hpp"

using namespace mixtral;
using namespace mixtral::eval;
using test::require_error;

TEST_CASE("JSON lines: one object per line, empty lines don't count") {
  const Rows rows = read_jsonl("{\"a\": 1}\r\n\n  \n{\"b\": [\"\\n\"]}", "x.jsonl");
  REQUIRE(rows.size() == 2);
  CHECK(rows[0]["a"] == 1);
  CHECK(rows[1]["b"][0] == "\n");
  CHECK(read_jsonl("", "x").empty());
}

TEST_CASE("JSON lines: errors name the line") {
  require_error(ErrorCode::format, {"\"x.jsonl\"", "line 2", "JSON"},
                [] { read_jsonl("{}\n{\n", "x.jsonl"); });
  require_error(ErrorCode::format, {"line 1", "object"}, [] { read_jsonl("[1]\n", "x.jsonl"); });
}

TEST_CASE("CSV: fields, quotes and line breaks as Python's csv module reads them") {
  using Lines = std::vector<std::vector<std::string>>;
  CHECK(read_csv("a,b\r\nc,\n", "x") == Lines{{"a", "b"}, {"c", ""}});
  CHECK(read_csv("\"a,\"\"b\"\"\n\",c\n\n d", "x") == Lines{{"a,\"b\"\n", "c"}, {" d"}});
  CHECK(read_csv("x\"y\",\"a\"b", "x") == Lines{{"x\"y\"", "ab"}});
  CHECK(read_csv("", "x").empty());
  require_error(ErrorCode::format, {"line 2", "quote"}, [] { read_csv("a\n\"b\nc", "x"); });
}
