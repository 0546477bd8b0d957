#include "eval/data_set.hpp"

#include <algorithm>
#include <map>
#include <set>
#include <utility>

#include "core/message.hpp"
#include "eval/parquet.hpp"
#include "eval/text_rows.hpp"
#include "mixtral/core/error.hpp"
#include "mixtral/io/mapped_file.hpp"

namespace mixtral::eval {
namespace {

namespace fs = std::filesystem;
using detail::quote;
using Paths = std::vector<fs::path>;

constexpr std::size_t kMaxTextBytes = std::size_t{1} << 30;

/// Rows of mmlu's csv files: a question, four answers, and the letter of the right one.
Rows mmlu_rows(const std::vector<std::vector<std::string>>& lines, const std::string& subject,
               const fs::path& path) {
  Rows rows;
  for (const auto& line : lines) {
    const std::size_t answer = line.size() == 6 && line[5].size() == 1
                                   ? std::string_view("ABCD").find(line[5])
                                   : std::string_view::npos;
    if (answer == std::string_view::npos) {
      throw Error(ErrorCode::format, quote(path) + ": row " + std::to_string(rows.size() + 1) +
                                         ": expected a question, four answers and a letter");
    }
    rows.push_back({{"question", line[0]},
                    {"subject", subject},
                    {"choices", {line[1], line[2], line[3], line[4]}},
                    {"answer", answer}});
  }
  return rows;
}

Rows read_rows(const fs::path& path) {
  const fs::path extension = path.extension();
  if (extension == ".parquet") {
    const MappedFile file(path);
    return read_parquet(file.bytes(), path.native());
  }
  if (extension == ".jsonl") return read_jsonl(read_text_file(path, kMaxTextBytes), path.native());
  if (extension == ".csv") {
    const std::string stem = path.stem().string();
    return mmlu_rows(read_csv(read_text_file(path, kMaxTextBytes), path.native()),
                     stem.substr(0, stem.rfind('_')), path);
  }
  throw Error(ErrorCode::invalid_argument,
              quote(path) + ": expected a file named .parquet, .jsonl or .csv");
}

Split read_split(const Paths& paths) {
  Split split;
  for (const fs::path& path : paths) {
    Rows rows = read_rows(path);
    split.name += (split.name.empty() ? "" : ", ") + quote(path);
    std::move(rows.begin(), rows.end(), std::back_inserter(split.rows));
  }
  return split;
}

/// The words of a file's name, such as "hellaswag", "val".
std::set<std::string> words_of(const fs::path& path) {
  std::set<std::string> words;
  std::string word;
  for (const char c : path.stem().string() + ".") {
    if (c != '.' && c != '-' && c != '_') {
      word += c;
    } else if (!word.empty()) {
      words.insert(std::exchange(word, {}));
    }
  }
  return words;
}

Paths entries(const fs::path& directory) {
  std::error_code error;
  fs::directory_iterator entry(directory, error);
  if (error) {
    throw Error(ErrorCode::io, quote(directory) + ": can't list it: " + error.message());
  }
  Paths paths;
  for (; entry != fs::directory_iterator(); ++entry) paths.push_back(entry->path());
  std::sort(paths.begin(), paths.end());
  return paths;
}

bool is_data_file(const fs::path& path) {
  static const std::set<fs::path> kExtensions = {".parquet", ".jsonl", ".csv"};
  return kExtensions.contains(path.extension()) && fs::is_regular_file(path);
}

/// Files of one split. Where WinoGrande's archive has a training set in five sizes, the largest.
Paths split_files(const fs::path& directory, std::string_view split, const Task& task) {
  static const std::map<std::string_view, std::set<std::string>> kNames = {
      {"train", {"train"}}, {"test", {"test"}}, {"validation", {"validation", "valid", "val", "dev"}},
      {"dev", {"dev"}}};
  Paths files, largest;
  for (const fs::path& path : entries(directory)) {
    if (!is_data_file(path)) continue;
    std::set<std::string> words = words_of(path);
    for (const std::string& name : kNames.at(split)) {
      if (!words.contains(name)) continue;
      files.push_back(path);
      if (task.name == "winogrande" && words.contains("xl")) largest.push_back(path);
    }
  }
  if (!largest.empty()) files = largest;
  for (const fs::path& file : files) {
    if (file.extension() == files[0].extension()) continue;
    throw Error(ErrorCode::invalid_argument,
                quote(directory) + ": expected the split \"" + std::string(split) +
                    "\" once, found " + quote(files[0]) + " and " + quote(file));
  }
  return files;
}

Split require_split(const fs::path& directory, const Task& task) {
  const Paths files = split_files(directory, task.eval_split, task);
  if (!files.empty()) return read_split(files);
  throw Error(ErrorCode::io, quote(directory) + ": expected a file of the split \"" +
                                 std::string(task.eval_split) +
                                 "\", such as " + std::string(task.eval_split) +
                                 ".jsonl or " + std::string(task.eval_split) +
                                 "-00000-of-00001.parquet");
}

Split shot_split(const fs::path& directory, const Task& task) {
  if (task.shot_split.empty()) return {};
  return read_split(split_files(directory, task.shot_split, task));
}

TaskData load_one(const Task& task, const fs::path& path) {
  if (!fs::is_directory(path)) return {"", read_split({path}), shot_split(path.parent_path(), task)};
  const fs::path nested = path / task.folder;
  const fs::path directory = fs::is_directory(nested) ? nested : path;
  return {"", require_split(directory, task), shot_split(directory, task)};
}

std::map<std::string, Split> by_subject(Split split, const std::string& fallback) {
  std::map<std::string, Split> subjects;
  for (Row& row : split.rows) {
    const auto found = row.find("subject");
    const bool is_named = found != row.end() && found->is_string();
    Split& subject = subjects[is_named ? found->get<std::string>() : fallback];
    subject.name = split.name;
    subject.rows.push_back(std::move(row));
  }
  return subjects;
}

/// Folders, each with the splits of one subject, or a folder with those of all.
void add_subjects(const Task& task, const fs::path& directory, std::vector<TaskData>& data) {
  const std::string name = directory.filename().string();
  auto shots = by_subject(shot_split(directory, task), name);
  for (auto& [subject, split] : by_subject(require_split(directory, task), name)) {
    data.push_back({subject, std::move(split), std::move(shots[subject])});
  }
}

/// The archive of mmlu's authors: folders test and dev, with a csv file for each subject.
std::vector<TaskData> load_mmlu_archive(const fs::path& directory) {
  constexpr std::string_view kSuffix = "_test.csv";
  std::vector<TaskData> data;
  for (const fs::path& path : entries(directory / "test")) {
    const std::string file = path.filename().string();
    if (!file.ends_with(kSuffix)) continue;
    const std::string subject = file.substr(0, file.size() - kSuffix.size());
    const fs::path shots = directory / "dev" / (subject + "_dev.csv");
    data.push_back({subject, read_split({path}),
                    fs::exists(shots) ? read_split({shots}) : Split{}});
  }
  return data;
}

std::vector<TaskData> load_mmlu(const Task& task, const fs::path& path) {
  if (fs::is_directory(path / "test")) return load_mmlu_archive(path);
  std::vector<TaskData> data;
  if (!split_files(path, task.eval_split, task).empty()) {
    add_subjects(task, path, data);
    return data;
  }
  for (const fs::path& folder : entries(path)) {
    // On the hub, these two repeat the subjects and hold other questions to train on.
    if (!fs::is_directory(folder) || folder.filename() == "all" ||
        folder.filename() == "auxiliary_train" || folder.filename().native().starts_with(".")) {
      continue;
    }
    add_subjects(task, folder, data);
  }
  return data;
}

}  // namespace

Document Split::document(const Task& task, std::size_t row) const {
  const std::string where = name + ": row " + std::to_string(row + 1);
  return task.document(Fields(rows[row], where));
}

std::vector<TaskData> load_task_data(const Task& task, const fs::path& path) {
  if (!fs::exists(path)) throw Error(ErrorCode::io, quote(path) + ": no such file or directory");
  std::vector<TaskData> data;
  if (task.name == "mmlu") {
    data = load_mmlu(task, path);
    std::sort(data.begin(), data.end(),
              [](const TaskData& a, const TaskData& b) { return a.subject < b.subject; });
  } else {
    data.push_back(load_one(task, path));
  }
  if (data.empty()) {
    throw Error(ErrorCode::io, quote(path) + ": expected folders of subjects, or test and dev");
  }
  for (const TaskData& one : data) {
    if (one.eval.rows.empty()) throw Error(ErrorCode::format, one.eval.name + ": expected rows");
  }
  return data;
}

}  // namespace mixtral::eval
