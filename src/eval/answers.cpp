#include "eval/answers.hpp"

#include <algorithm>

namespace mixtral::eval {
namespace {

constexpr std::string_view kMark = "#### ";
constexpr std::string_view kDigits = "0123456789";

/// Characters at the beginning of `text` that are among `allowed`.
std::size_t run(std::string_view text, std::string_view allowed) {
  return std::min(text.find_first_not_of(allowed), text.size());
}

/// Length of the number at the beginning of `text`, 0 when there is none.
std::size_t flexible_length(std::string_view text) {
  const std::size_t sign = text.starts_with('-') ? 1 : 0;
  const std::size_t loose = run(text.substr(sign), "$0123456789.,");
  if (loose >= 2) return sign + loose;
  const std::size_t digits = run(text.substr(sign), kDigits);
  return digits > 0 ? sign + digits : 0;
}

std::string normalised(std::string_view answer) {
  std::string text(answer);
  text.erase(std::remove_if(text.begin(), text.end(), [](char c) { return c == ',' || c == '$'; }),
             text.end());
  const std::size_t mark = text.rfind(kMark);
  if (mark != std::string::npos) text.erase(0, mark + kMark.size());
  // Python's `$` also matches before a line break at the end.
  const std::size_t end = text.ends_with('\n') && text.size() >= 2 && text[text.size() - 2] == '.'
                              ? text.size() - 1
                              : text.size();
  if (end > 0 && text[end - 1] == '.') text.erase(end - 1, 1);
  return text;
}

}  // namespace

std::string_view strict_match(std::string_view text) {
  for (std::size_t mark; (mark = text.find(kMark)) != std::string_view::npos;) {
    text.remove_prefix(mark + kMark.size());
    const std::size_t sign = text.starts_with('-') ? 1 : 0;
    const std::size_t digits = run(text.substr(sign), "0123456789.,");
    if (digits > 0) return text.substr(0, sign + digits);
  }
  return kNoAnswer;
}

std::string_view flexible_extract(std::string_view text) {
  std::string_view last = kNoAnswer;
  while (!text.empty()) {
    const std::size_t length = flexible_length(text);
    if (length > 0) last = text.substr(0, length);
    text.remove_prefix(std::max<std::size_t>(length, 1));
  }
  return last;
}

bool is_exact_match(std::string_view answer, std::string_view gold) {
  return normalised(answer) == normalised(gold);
}

}  // namespace mixtral::eval
