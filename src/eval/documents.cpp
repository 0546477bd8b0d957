#include "eval/documents.hpp"

#include <algorithm>
#include <string>
#include <utility>

#include "eval/python_text.hpp"
#include "eval/truthfulqa_primer.hpp"

namespace mixtral::eval {
namespace {

/// The same context for every answer.
Document with_context(const std::string& context, std::vector<std::string> answers) {
  Document document;
  for (std::string& answer : answers) document.candidates.push_back({context, std::move(answer)});
  return document;
}

/// `gold` as an index of a candidate; `key` is its column.
void set_gold(Document& document, std::int64_t gold, const Fields& row, const char* key) {
  const std::size_t count = document.candidates.size();
  if (gold < 0 || static_cast<std::size_t>(gold) >= count) {
    row.fail(key, "the index of one of " + std::to_string(count) + " answers");
  }
  document.gold = static_cast<std::size_t>(gold);
}

/// Without "[...]" within a line, the marks of the WikiHow part of HellaSwag.
std::string without_brackets(std::string_view text) {
  std::string out;
  while (!text.empty()) {
    const std::size_t close = text.front() == '[' ? text.find_first_of("]\n") : text.npos;
    if (close != text.npos && text[close] == ']') {
      text.remove_prefix(close + 1);
    } else {
      out += text.front();
      text.remove_prefix(1);
    }
  }
  return out;
}

std::string cleaned(std::string_view text) {
  const std::string titled = replace_all(strip(text), " [title]", ". ");
  return replace_all(without_brackets(titled), "  ", " ");
}

}  // namespace

Document arc_document(const Fields& row) {
  const Fields choices = row.structure("choices");
  const auto labels = choices.texts("label");
  Document document =
      with_context("Question: " + row.text("question") + "\nAnswer:", choices.texts("text"));
  const auto found = std::find(labels.begin(), labels.end(), row.text("answerKey"));
  if (found == labels.end()) row.fail("answerKey", "one of the labels");
  set_gold(document, found - labels.begin(), row, "answerKey");
  return document;
}

Document hellaswag_document(const Fields& row) {
  const std::string context = row.text("ctx_a") + " " + capitalize(row.text("ctx_b"));
  auto endings = row.texts("endings");
  for (std::string& ending : endings) ending = cleaned(ending);
  Document document =
      with_context(cleaned(row.text("activity_label") + ": " + context), std::move(endings));
  set_gold(document, row.integer("label"), row, "label");
  return document;
}

Document mmlu_document(const Fields& row) {
  static const std::vector<std::string> kLetters = {"A", "B", "C", "D"};
  const auto choices = row.texts("choices");
  if (choices.size() != kLetters.size()) row.fail("choices", "four texts");
  std::string context(strip(row.text("question")));
  for (std::size_t i = 0; i < kLetters.size(); ++i) {
    context += "\n" + kLetters[i] + ". " + choices[i];
  }
  Document document = with_context(context + "\nAnswer:", kLetters);
  set_gold(document, row.integer("answer"), row, "answer");
  return document;
}

Document truthfulqa_document(const Fields& row) {
  const Fields targets = row.structure("mc2_targets");
  Document document =
      with_context(std::string(kTruthfulQaPrimer) + "\n\nQ: " + row.text("question") + "\nA:",
                   targets.texts("choices"));
  for (const std::int64_t label : targets.integers("labels")) document.is_true.push_back(label == 1);
  if (document.is_true.empty() || document.is_true.size() != document.candidates.size()) {
    row.fail("mc2_targets", "choices and as many labels");
  }
  return document;
}

Document winogrande_document(const Fields& row) {
  const std::string& sentence = row.text("sentence");
  const std::size_t blank = sentence.find('_');
  if (blank == sentence.npos) row.fail("sentence", "a text with a _");
  const std::string before = sentence.substr(0, blank);
  const std::string after(strip(std::string_view(sentence).substr(blank + 1)));
  Document document;
  for (const char* option : {"option1", "option2"}) {
    document.candidates.push_back({before + row.text(option), after});
  }
  set_gold(document, row.integer("answer") - 1, row, "answer");
  return document;
}

Document gsm8k_document(const Fields& row) {
  return with_context("Question: " + row.text("question") + "\nAnswer:", {row.text("answer")});
}

}  // namespace mixtral::eval
