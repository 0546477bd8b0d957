#include "mixtral/generate/stop_matcher.hpp"

#include <algorithm>
#include <utility>

#include "core/utf8.hpp"
#include "mixtral/core/error.hpp"

namespace mixtral {
namespace {

std::vector<std::size_t> borders_of(std::string_view text) {
  std::vector<std::size_t> borders(text.size());
  for (std::size_t i = 1; i < text.size(); ++i) {
    std::size_t border = borders[i - 1];
    while (border > 0 && text[i] != text[border]) border = borders[border - 1];
    borders[i] = text[i] == text[border] ? border + 1 : 0;
  }
  return borders;
}

void require_usable(const std::string& stop_string) {
  if (stop_string.empty()) {
    throw Error(ErrorCode::invalid_argument, "stop string: expected text, found an empty string");
  }
  if (!detail::is_valid_utf8(stop_string)) {
    throw Error(ErrorCode::invalid_argument, "stop string: expected valid UTF-8, found bad bytes");
  }
}

}  // namespace

StopMatcher::StopMatcher(std::span<const std::string> stop_strings) {
  for (const std::string& text : stop_strings) {
    require_usable(text);
    patterns_.push_back({text, borders_of(text)});
  }
}

bool StopMatcher::Pattern::advance(char byte) noexcept {
  while (n_matched > 0 && text[n_matched] != byte) n_matched = borders[n_matched - 1];
  if (text[n_matched] == byte) ++n_matched;
  return n_matched == text.size();
}

std::string_view StopMatcher::push(std::string_view text) {
  released_.clear();
  if (match_) return released_;
  for (char byte : text) {
    held_ += byte;
    if (advance(byte)) break;
  }
  release(match_ ? patterns_[*match_].text.size() : longest_partial_match());
  return released_;
}

bool StopMatcher::advance(char byte) noexcept {
  for (std::size_t i = 0; i < patterns_.size(); ++i) {
    const bool is_complete = patterns_[i].advance(byte);
    if (is_complete && (!match_ || patterns_[i].text.size() > patterns_[*match_].text.size())) {
      match_ = i;
    }
  }
  return match_.has_value();
}

std::size_t StopMatcher::longest_partial_match() const noexcept {
  std::size_t longest = 0;
  for (const Pattern& pattern : patterns_) longest = std::max(longest, pattern.n_matched);
  return longest;
}

void StopMatcher::release(std::size_t n_kept) {
  released_.assign(held_, 0, held_.size() - n_kept);
  held_.erase(0, released_.size());
}

std::string_view StopMatcher::finish() {
  if (match_) held_.clear();
  release(0);
  return released_;
}

}  // namespace mixtral
