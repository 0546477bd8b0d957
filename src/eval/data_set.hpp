// The files of a data set, as they are published.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "eval/row.hpp"
#include "eval/task.hpp"

namespace mixtral::eval {

/// One split.
struct Split {
  std::string name;  // its file or files, for messages
  Rows rows;

  Document document(const Task& task, std::size_t row) const;
};

/// What a task, or one subject of mmlu, is made of.
struct TaskData {
  std::string subject;  // of mmlu; empty for other tasks
  Split eval;
  Split shots;  // no rows when there are none
};

/// Finds and reads the splits of `task` in `path`, by the names of the files and folders on the Hugging
/// Face hub ("test-00000-of-00001.parquet", "train.jsonl") and in the data sets' own archives
/// ("hellaswag_val.jsonl", "dev/anatomy_dev.csv"). A file is the split that is evaluated; examples come
/// from the folder that it is in. Several entries for mmlu, in alphabetical order, else one.
/// Throws Error(io) when there is no such split, Error(format) for malformed files, and
/// Error(invalid_argument) for a type of file that isn't parquet, jsonl or csv.
std::vector<TaskData> load_task_data(const Task& task, const std::filesystem::path& path);

}  // namespace mixtral::eval
