// How the rows of each data set become questions.
#pragma once

#include "eval/fields.hpp"
#include "eval/task.hpp"

namespace mixtral::eval {

Document arc_document(const Fields& row);
Document hellaswag_document(const Fields& row);
Document mmlu_document(const Fields& row);
Document truthfulqa_document(const Fields& row);
Document winogrande_document(const Fields& row);
Document gsm8k_document(const Fields& row);

}  // namespace mixtral::eval
