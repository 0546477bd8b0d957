// Typed access to the columns of a row.
#pragma once

#include <string>
#include <vector>

#include "eval/row.hpp"

namespace mixtral::eval {

/// Every member throws Error(format), naming the row and the column, when the column is missing or
/// holds something else.
class Fields {
 public:
  /// `where` says which row it is, such as "\"test.jsonl\": row 3". Both must outlive this object.
  Fields(const Row& row, const std::string& where) : row_(row), where_(where) {}

  const std::string& text(const char* key) const;
  std::vector<std::string> texts(const char* key) const;
  std::vector<std::int64_t> integers(const char* key) const;

  /// A whole number, which may be written as a text, as labels are in some data sets.
  std::int64_t integer(const char* key) const;

  Fields structure(const char* key) const;

  [[noreturn]] void fail(const char* key, const std::string& expected) const;

 private:
  const Row& at(const char* key, const std::string& expected) const;
  const Row& array(const char* key, const std::string& expected) const;

  const Row& row_;
  const std::string& where_;
};

}  // namespace mixtral::eval
