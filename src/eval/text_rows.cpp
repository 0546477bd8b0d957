#include "eval/text_rows.hpp"

#include <algorithm>
#include <utility>

#include "core/message.hpp"
#include "mixtral/core/error.hpp"

namespace mixtral::eval {
namespace {

[[noreturn]] void fail(std::string_view name, std::size_t line, const std::string& message) {
  throw Error(ErrorCode::format,
              detail::quote(name) + ": line " + std::to_string(line) + ": " + message);
}

Row parse_line(std::string_view line, std::string_view name, std::size_t number) {
  try {
    Row row = Row::parse(line);
    if (!row.is_object()) fail(name, number, "expected a JSON object");
    return row;
  } catch (const nlohmann::json::exception&) {
    fail(name, number, "not valid JSON");
  }
}

/// Reads fields and rows; `text` is consumed.
class CsvReader {
 public:
  CsvReader(std::string_view text, std::string_view name) : text_(text), name_(name) {}

  std::vector<std::vector<std::string>> read() {
    std::vector<std::vector<std::string>> rows;
    while (position_ < text_.size()) {
      auto row = read_row();
      if (row.size() > 1 || !row[0].empty()) rows.push_back(std::move(row));
    }
    return rows;
  }

 private:
  std::vector<std::string> read_row() {
    std::vector<std::string> row;
    do {
      row.push_back(read_field());
    } while (accept(','));
    accept('\r');
    accept('\n');
    ++line_;
    return row;
  }

  std::string read_field() {
    std::string field;
    if (accept('"')) field = read_quoted();
    while (position_ < text_.size() && std::string_view(",\r\n").find(text_[position_]) ==
                                           std::string_view::npos) {
      field += text_[position_++];
    }
    return field;
  }

  std::string read_quoted() {
    const std::size_t first_line = line_;
    std::string field;
    while (position_ < text_.size()) {
      const char next = text_[position_++];
      if (next == '"' && !accept('"')) return field;
      line_ += next == '\n' ? 1 : 0;
      field += next;
    }
    fail(name_, first_line, "expected a closing quote");
  }

  bool accept(char expected) {
    if (position_ == text_.size() || text_[position_] != expected) return false;
    ++position_;
    return true;
  }

  std::string_view text_;
  std::string_view name_;
  std::size_t position_ = 0;
  std::size_t line_ = 1;
};

}  // namespace

Rows read_jsonl(std::string_view text, std::string_view name) {
  Rows rows;
  for (std::size_t number = 1; !text.empty(); ++number) {
    const std::size_t end = std::min(text.find('\n'), text.size());
    const std::string_view line = text.substr(0, end);
    if (line.find_first_not_of(" \t\r") != std::string_view::npos) {
      rows.push_back(parse_line(line, name, number));
    }
    text.remove_prefix(std::min(end + 1, text.size()));
  }
  return rows;
}

std::vector<std::vector<std::string>> read_csv(std::string_view text, std::string_view name) {
  return CsvReader(text, name).read();
}

}  // namespace mixtral::eval
