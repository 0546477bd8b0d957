#include "eval/parquet_schema.hpp"

#include <cstring>
#include <optional>
#include <set>
#include <utility>

#include "core/message.hpp"
#include "eval/thrift.hpp"
#include "mixtral/core/error.hpp"

namespace mixtral::eval {
namespace {

using detail::quote;

constexpr std::string_view kMagic = "PAR1";
constexpr std::size_t kMaxDepth = 16;
constexpr int kListType = 3;  // ConvertedType.LIST

enum class Repetition { required = 0, optional = 1, repeated = 2 };

/// A node of the schema, as it is stored: depth first.
struct Element {
  std::string name;
  Repetition repetition = Repetition::required;
  std::optional<std::int64_t> type;  // unset: a structure
  std::size_t n_children = 0;
  bool is_list = false;
};

struct ColumnMeta {
  Codec codec = Codec::none;
  std::size_t n_values = 0;
  std::size_t data_offset = 0;
  std::size_t dictionary_offset = 0;  // 0: none
  std::size_t compressed_size = 0;
  bool elsewhere = false;  // in another file
};

struct RowGroupMeta {
  std::size_t n_rows = 0;
  std::vector<ColumnMeta> columns;
};

struct Footer {
  std::vector<Element> schema;
  std::vector<RowGroupMeta> row_groups;
};

Element read_element(ThriftReader& reader, ThriftType type) {
  Element element;
  reader.structure(type, [&](std::int64_t id, ThriftType field) {
    if (id == 1) {
      element.type = reader.integer(field);
    } else if (id == 3) {
      element.repetition = static_cast<Repetition>(reader.integer(field, 0, 2));
    } else if (id == 4) {
      element.name = reader.text(field);
    } else if (id == 5) {
      element.n_children = reader.size(field);
    } else if (id == 6) {
      element.is_list = reader.integer(field) == kListType;
    } else {
      return false;
    }
    return true;
  });
  return element;
}

ColumnMeta read_column_meta(ThriftReader& reader, ThriftType type) {
  ColumnMeta meta;
  reader.structure(type, [&](std::int64_t id, ThriftType field) {
    if (id == 4) {
      meta.codec = static_cast<Codec>(reader.integer(field, 0, 255));
    } else if (id == 5) {
      meta.n_values = reader.size(field);
    } else if (id == 7) {
      meta.compressed_size = reader.size(field);
    } else if (id == 9) {
      meta.data_offset = reader.size(field);
    } else if (id == 11) {
      meta.dictionary_offset = reader.size(field);
    } else {
      return false;
    }
    return true;
  });
  return meta;
}

ColumnMeta read_chunk(ThriftReader& reader, ThriftType type) {
  ColumnMeta meta;
  bool elsewhere = false;
  reader.structure(type, [&](std::int64_t id, ThriftType field) {
    if (id == 1) {
      elsewhere = !reader.text(field).empty();
    } else if (id == 3) {
      meta = read_column_meta(reader, field);
    } else {
      return false;
    }
    return true;
  });
  meta.elsewhere = elsewhere;
  return meta;
}

RowGroupMeta read_row_group(ThriftReader& reader, ThriftType type) {
  RowGroupMeta group;
  reader.structure(type, [&](std::int64_t id, ThriftType field) {
    if (id == 1) {
      reader.list(field, [&](ThriftType element) {
        group.columns.push_back(read_chunk(reader, element));
      });
    } else if (id == 3) {
      group.n_rows = reader.size(field);
    } else {
      return false;
    }
    return true;
  });
  return group;
}

Footer read_footer(std::span<const std::byte> bytes, std::string_view name) {
  Footer footer;
  ThriftReader reader(bytes, name);
  reader.fields([&](std::int64_t id, ThriftType field) {
    if (id == 2) {
      reader.list(field, [&](ThriftType element) {
        footer.schema.push_back(read_element(reader, element));
      });
    } else if (id == 4) {
      reader.list(field, [&](ThriftType element) {
        footer.row_groups.push_back(read_row_group(reader, element));
      });
    } else {
      return false;
    }
    return true;
  });
  return footer;
}

bool has_magic(std::span<const std::byte> bytes) {
  return std::memcmp(bytes.data(), kMagic.data(), kMagic.size()) == 0;
}

/// The bytes of the footer, between the row groups and its own size.
std::span<const std::byte> footer_bytes(std::span<const std::byte> file, std::string_view name) {
  const std::size_t n_end = sizeof(std::uint32_t) + kMagic.size();
  if (file.size() < kMagic.size() + n_end || !has_magic(file) ||
      !has_magic(file.last(kMagic.size()))) {
    throw Error(ErrorCode::format, quote(name) + ": expected a Parquet file, with PAR1 at both ends");
  }
  std::uint32_t size = 0;
  for (std::size_t i = 0; i < 4; ++i) {
    size |= std::to_integer<std::uint32_t>(file[file.size() - n_end + i]) << (8 * i);
  }
  if (size > file.size() - n_end - kMagic.size()) {
    throw Error(ErrorCode::format, quote(name) + ": expected a footer within the file, found " +
                                       std::to_string(size) + " bytes");
  }
  return file.subspan(file.size() - n_end - size, size);
}

/// Walks the schema and collects its leaves.
class ColumnBuilder {
 public:
  ColumnBuilder(const std::vector<Element>& schema, std::string_view name)
      : schema_(schema), name_(name) {}

  std::vector<ParquetColumn> build() {
    const Element& root = next();
    add_children(root.n_children, {}, "", 0);
    if (position_ != schema_.size()) fail("expected a schema that is one tree");
    return std::move(columns_);
  }

 private:
  [[noreturn]] void fail(const std::string& message) const {
    throw Error(ErrorCode::format, quote(name_) + ": " + message);
  }

  const Element& next() {
    if (position_ == schema_.size()) fail("expected more nodes in the schema");
    return schema_[position_++];
  }

  void add_children(std::size_t count, const std::vector<ParquetStep>& path,
                    const std::string& prefix, std::size_t depth) {
    if (depth > kMaxDepth) fail("expected a schema that is less deep");
    std::set<std::string> names;
    for (std::size_t i = 0; i < count; ++i) {
      const Element& child = next();
      if (child.name.empty()) fail("expected columns that have names");
      if (!names.insert(child.name).second) fail("duplicate column " + quote(child.name));
      auto child_path = path;
      child_path.push_back(step(child, child.name));
      add_node(child, std::move(child_path), prefix + child.name, depth);
    }
  }

  static ParquetStep step(const Element& element, std::string name) {
    return {std::move(name), element.repetition == Repetition::optional,
            element.repetition == Repetition::repeated};
  }

  /// `path` ends with `node`.
  void add_node(const Element& node, std::vector<ParquetStep> path, const std::string& name,
                std::size_t depth) {
    if (node.n_children == 0) return add_leaf(node, std::move(path), name);
    if (node.is_list) return add_list(node, std::move(path), name, depth);
    add_children(node.n_children, path, name + ".", depth + 1);
  }

  /// A list is a node with one repeated child. That is the element itself, unless it has exactly one
  /// child, which then is the element.
  void add_list(const Element& node, std::vector<ParquetStep> path, const std::string& name,
                std::size_t depth) {
    const Element& repeated = next();
    if (node.n_children != 1 || repeated.repetition != Repetition::repeated) {
      fail("column " + quote(name) + ": expected a list with one repeated child");
    }
    path.push_back(step(repeated, ""));
    const std::string repeated_name = name + "." + repeated.name;
    if (repeated.n_children != 1) {
      return add_node(repeated, std::move(path), repeated_name, depth + 1);
    }
    if (depth >= kMaxDepth) fail("expected a schema that is less deep");
    const Element& element = next();
    path.push_back(step(element, ""));
    add_node(element, std::move(path), repeated_name + "." + element.name, depth + 2);
  }

  void add_leaf(const Element& node, std::vector<ParquetStep> path, const std::string& name) {
    const std::int64_t type = node.type.value_or(-1);
    if (type < 0 || type > 6 || type == 3) {
      throw Error(ErrorCode::unsupported,
                  quote(name_) + ": column " + quote(name) +
                      ": expected truth values, numbers or texts, found type " +
                      std::to_string(type));
    }
    ParquetColumn column{name, std::move(path), static_cast<ParquetType>(type)};
    for (const ParquetStep& node_step : column.path) {
      column.max_definition += node_step.optional || node_step.repeated ? 1 : 0;
      column.max_repetition += node_step.repeated ? 1 : 0;
    }
    columns_.push_back(std::move(column));
  }

  const std::vector<Element>& schema_;
  std::string_view name_;
  std::size_t position_ = 0;
  std::vector<ParquetColumn> columns_;
};

ParquetChunk locate(const ColumnMeta& meta, std::span<const std::byte> file,
                    const std::string& where) {
  if (meta.elsewhere) {
    throw Error(ErrorCode::unsupported, where + ": expected its data in the same file");
  }
  const bool has_dictionary =
      meta.dictionary_offset != 0 && meta.dictionary_offset < meta.data_offset;
  const std::size_t begin = has_dictionary ? meta.dictionary_offset : meta.data_offset;
  if (begin > file.size() || meta.compressed_size > file.size() - begin) {
    throw Error(ErrorCode::format, where + ": expected its data within the file");
  }
  return {meta.codec, meta.n_values, file.subspan(begin, meta.compressed_size)};
}

}  // namespace

ParquetFile parse_parquet_footer(std::span<const std::byte> bytes, std::string_view name) {
  const Footer footer = read_footer(footer_bytes(bytes, name), quote(name) + ": footer");
  ParquetFile file{ColumnBuilder(footer.schema, name).build(), {}};
  for (const RowGroupMeta& meta : footer.row_groups) {
    if (meta.columns.size() != file.columns.size()) {
      throw Error(ErrorCode::format, quote(name) + ": expected row groups of " +
                                         std::to_string(file.columns.size()) +
                                         " columns, found " + std::to_string(meta.columns.size()));
    }
    ParquetRowGroup group{meta.n_rows, {}};
    for (std::size_t i = 0; i < file.columns.size(); ++i) {
      const std::string where = quote(name) + ": column " + quote(file.columns[i].name);
      group.chunks.push_back(locate(meta.columns[i], bytes, where));
    }
    file.row_groups.push_back(std::move(group));
  }
  return file;
}

}  // namespace mixtral::eval
