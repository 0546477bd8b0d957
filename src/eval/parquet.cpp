#include "eval/parquet.hpp"

#include <algorithm>
#include <string>
#include <utility>
#include <vector>

#include "core/message.hpp"
#include "eval/parquet_pages.hpp"
#include "eval/parquet_schema.hpp"
#include "mixtral/core/error.hpp"

namespace mixtral::eval {
namespace {

constexpr std::size_t kMaxBytes = std::size_t{1} << 29;  // of rows in memory, about

/// Puts the entries of one column into rows that other columns fill, too (as Dremel describes it).
class RowFiller {
 public:
  RowFiller(const ParquetColumn& column, std::span<Row> rows, const std::string& name)
      : column_(column), rows_(rows), name_(name), indices_(column.max_repetition + 1) {}

  void add(ParquetEntry&& entry) {
    advance(entry.repetition);
    Row* place = &rows_[n_begun_ - 1];
    std::uint32_t definition = 0, repetition = 0;
    for (const ParquetStep& step : column_.path) {
      if (!step.name.empty()) place = &(*place)[step.name];
      if (step.repeated && place->is_null()) *place = Row::array();
      if ((step.optional || step.repeated) && ++definition > entry.definition) return;
      if (step.repeated) place = element(*place, ++repetition);
    }
    *place = std::move(entry.value);
  }

  void finish() const {
    if (n_begun_ != rows_.size()) fail("expected as many rows as the group has");
  }

 private:
  [[noreturn]] void fail(const std::string& message) const {
    throw Error(ErrorCode::format, name_ + ": " + message);
  }

  /// Goes on to the next row, or to the next element of the list at depth `repetition`.
  void advance(std::uint32_t repetition) {
    if (repetition == 0) {
      if (n_begun_ == rows_.size()) fail("expected fewer rows");
      ++n_begun_;
    } else if (n_begun_ == 0) {
      fail("expected a row to begin before its lists");
    } else {
      ++indices_[repetition];
    }
    std::fill(indices_.begin() + repetition + 1, indices_.end(), 0);
  }

  Row* element(Row& list, std::uint32_t repetition) const {
    const std::size_t index = indices_[repetition];
    if (index > list.size()) fail("expected lists without gaps");
    if (index == list.size()) list.push_back(nullptr);
    return &list[index];
  }

  const ParquetColumn& column_;
  std::span<Row> rows_;
  const std::string& name_;
  std::size_t n_begun_ = 0;
  std::vector<std::size_t> indices_;  // in the list at each depth
};

}  // namespace

Rows read_parquet(std::span<const std::byte> bytes, std::string_view name) {
  const ParquetFile file = parse_parquet_footer(bytes, name);
  ParquetBudget budget(kMaxBytes);
  Rows rows;
  for (const ParquetRowGroup& group : file.row_groups) {
    const std::size_t begin = rows.size();
    if (group.n_rows > kMaxBytes / sizeof(Row)) {
      throw Error(ErrorCode::unsupported, detail::quote(name) + ": expected fewer rows");
    }
    budget.take(group.n_rows * sizeof(Row), detail::quote(name));
    rows.resize(begin + group.n_rows, Row::object());
    for (std::size_t i = 0; i < file.columns.size(); ++i) {
      const ParquetColumn& column = file.columns[i];
      const std::string where = detail::quote(name) + ": column " + detail::quote(column.name);
      RowFiller filler(column, std::span(rows).subspan(begin), where);
      read_parquet_chunk(column, group.chunks[i], budget, where,
                         [&](ParquetEntry&& entry) { filler.add(std::move(entry)); });
      filler.finish();
    }
  }
  return rows;
}

}  // namespace mixtral::eval
