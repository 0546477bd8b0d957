// Finding splits by the names of files.
#include <filesystem>
#include <fstream>

#include "eval/data_set.hpp"
#include "eval_data.hpp"
#include "support/catch.hpp"
#include "support/errors.hpp"
#include "support/temp_dir.hpp"

using namespace mixtral;
using namespace mixtral::eval;
using test::require_error;

namespace {

std::vector<TaskData> load(const char* task, const std::filesystem::path& path) {
  return load_task_data(find_task(task), path);
}

void write(const std::filesystem::path& path, const std::string& text) {
  std::filesystem::create_directories(path.parent_path());
  std::ofstream(path) << text;
}

constexpr const char* kLine = "{\"question\": \"q\", \"answer\": \"#### 1\"}\n";

}  // namespace

TEST_CASE("Data sets: the same rows from parquet and from lines of JSON") {
  for (const auto& [task, parquet, lines] :
       {std::tuple{"winogrande", "winogrande", "winogrande_jsonl"},
        std::tuple{"gsm8k", "gsm8k", "gsm8k_jsonl"}}) {
    const auto a = load(task, kEvalData / parquet), b = load(task, kEvalData / lines);
    REQUIRE(a.size() == 1);
    CHECK(a[0].eval.rows == b[0].eval.rows);
    CHECK(a[0].shots.rows == b[0].shots.rows);  // of winogrande's training sets, the largest
    CHECK(a[0].shots.rows.size() == 30);
  }
}

TEST_CASE("Data sets: mmlu's subjects from folders of parquet and from its archive of csv") {
  const auto a = load("mmlu", kEvalData / "mmlu"), b = load("mmlu", kEvalData / "mmlu_csv");
  REQUIRE(a.size() == 5);
  REQUIRE(b.size() == 5);
  for (std::size_t i = 0; i < a.size(); ++i) {
    CHECK(a[i].subject == b[i].subject);
    CHECK(a[i].eval.rows == b[i].eval.rows);
    CHECK(a[i].shots.rows == b[i].shots.rows);
  }
  CHECK(a[0].subject == "anatomy");
  const auto one = load("mmlu", kEvalData / "mmlu" / "virology");
  REQUIRE(one.size() == 1);
  CHECK(one[0].subject == "virology");
}

TEST_CASE("Data sets: a folder, the data set's folder, or the file that is evaluated") {
  const auto whole = load("arc_challenge", kEvalData / "arc");
  const auto folder = load("arc_challenge", kEvalData / "arc" / "ARC-Challenge");
  const auto file =
      load("arc_challenge", kEvalData / "arc" / "ARC-Challenge" / "test-00000-of-00001.parquet");
  for (const auto& data : {folder, file}) {
    CHECK(data[0].eval.rows == whole[0].eval.rows);
    CHECK(data[0].shots.rows == whole[0].shots.rows);
  }
  const auto validation = load(
      "arc_challenge", kEvalData / "arc" / "ARC-Challenge" / "validation-00000-of-00001.parquet");
  CHECK(validation[0].eval.rows.size() == 3);
}

TEST_CASE("Data sets: shards are joined in order") {
  const test::TempDir directory;
  write(directory.path() / "test-00001-of-00002.jsonl", "{\"n\": 2}\n");
  write(directory.path() / "test-00000-of-00002.jsonl", "{\"n\": 1}\n");
  const auto data = load("gsm8k", directory.path());
  REQUIRE(data[0].eval.rows.size() == 2);
  CHECK(data[0].eval.rows[0]["n"] == 1);
  CHECK(data[0].shots.rows.empty());
}

TEST_CASE("Data sets: errors say what was expected") {
  const test::TempDir directory;
  const auto& path = directory.path();
  require_error(ErrorCode::io, {"\"test\"", "test.jsonl"}, [&] { load("gsm8k", path); });
  require_error(ErrorCode::io, {"missing"}, [&] { load("gsm8k", path / "missing"); });
  require_error(ErrorCode::io, {"subjects"}, [&] { load("mmlu", path); });
  write(path / "test.txt", kLine);
  require_error(ErrorCode::invalid_argument, {".parquet"}, [&] { load("gsm8k", path / "test.txt"); });
  write(path / "test.jsonl", "\n");
  require_error(ErrorCode::io, {"empty"}, [&] { write(path / "no.jsonl", ""); load("gsm8k", path / "no.jsonl"); });
  require_error(ErrorCode::format, {"expected rows"}, [&] { load("gsm8k", path); });
  write(path / "test.csv", "");
  require_error(ErrorCode::invalid_argument, {"once"}, [&] { load("gsm8k", path); });
  require_error(ErrorCode::invalid_argument, {"arc_challenge", "\"arc\""}, [] { find_task("arc"); });
}

TEST_CASE("Data sets: rows that don't fit the task are errors that name row and column") {
  const auto fails = [](const char* task, const char* row, const char* column) {
    CAPTURE(task, row);
    const Split split{"\"f\"", {Row::object(), Row::parse(row)}};
    require_error(ErrorCode::format, {"\"f\": row 2: column \"" + std::string(column) + "\""},
                  [&] { split.document(find_task(task), 1); });
  };
  fails("gsm8k", R"({"question": "q"})", "answer");
  fails("gsm8k", R"({"question": 1, "answer": "a"})", "question");
  fails("arc_challenge", R"({"question": "q", "choices": [], "answerKey": "A"})", "choices");
  fails("arc_challenge",
        R"({"question": "q", "choices": {"text": ["a"], "label": ["A"]}, "answerKey": "B"})",
        "answerKey");
  fails("arc_challenge",
        R"({"question": "q", "choices": {"text": [], "label": ["A"]}, "answerKey": "A"})",
        "answerKey");
  fails("mmlu", R"({"question": "q", "choices": ["a"], "answer": 0})", "choices");
  fails("mmlu", R"({"question": "q", "choices": ["a", "b", "c", "d"], "answer": 4})", "answer");
  fails("winogrande", R"({"sentence": "s", "option1": "a", "option2": "b", "answer": "1"})",
        "sentence");
  fails("winogrande", R"({"sentence": "_", "option1": "a", "option2": "b", "answer": ""})",
        "answer");
  fails("hellaswag",
        R"({"activity_label": "x", "ctx_a": "a", "ctx_b": "b", "endings": ["e", 1], "label": "0"})",
        "endings");
  fails("truthfulqa_mc2",
        R"({"question": "q", "mc2_targets": {"choices": ["a"], "labels": [1, 0]}})", "mc2_targets");
}
