#include "eval/parquet_pages.hpp"

#include <algorithm>
#include <bit>
#include <cstring>
#include <utility>
#include <vector>

#include "core/utf8.hpp"
#include "eval/parquet_levels.hpp"
#include "eval/thrift.hpp"
#include "mixtral/core/error.hpp"

namespace mixtral::eval {
namespace {

enum PageType { kDataPage = 0, kDictionaryPage = 2, kDataPageV2 = 3 };
enum Encoding { kPlain = 0, kPlainDictionary = 2, kRle = 3, kRleDictionary = 8 };

/// A page's header; of the sizes, v1 and v2 and dictionary pages use different ones.
struct PageHeader {
  std::int64_t type = -1;
  std::size_t uncompressed_size = 0;
  std::size_t compressed_size = 0;
  std::size_t n_values = 0;
  std::int64_t encoding = kPlain;
  std::int64_t level_encoding = kRle;
  std::size_t definition_size = 0;  // v2
  std::size_t repetition_size = 0;  // v2
  bool is_compressed = true;        // v2
};

void read_data_header(ThriftReader& reader, ThriftType type, PageHeader& header) {
  reader.structure(type, [&](std::int64_t id, ThriftType field) {
    if (id == 1) {
      header.n_values = reader.size(field);
    } else if (id == 2) {
      header.encoding = reader.integer(field);
    } else if (id == 3 || id == 4) {
      const std::int64_t encoding = reader.integer(field);
      if (encoding != kRle) header.level_encoding = encoding;
    } else {
      return false;
    }
    return true;
  });
}

void read_dictionary_header(ThriftReader& reader, ThriftType type, PageHeader& header) {
  reader.structure(type, [&](std::int64_t id, ThriftType field) {
    if (id == 1) {
      header.n_values = reader.size(field);
    } else if (id == 2) {
      header.encoding = reader.integer(field);
    } else {
      return false;
    }
    return true;
  });
}

void read_data_header_v2(ThriftReader& reader, ThriftType type, PageHeader& header) {
  reader.structure(type, [&](std::int64_t id, ThriftType field) {
    if (id == 1) {
      header.n_values = reader.size(field);
    } else if (id == 4) {
      header.encoding = reader.integer(field);
    } else if (id == 5) {
      header.definition_size = reader.size(field);
    } else if (id == 6) {
      header.repetition_size = reader.size(field);
    } else if (id == 7) {
      header.is_compressed = reader.boolean(field);
    } else {
      return false;
    }
    return true;
  });
}

PageHeader read_page_header(ThriftReader& reader) {
  PageHeader header;
  reader.fields([&](std::int64_t id, ThriftType field) {
    if (id == 1) {
      header.type = reader.integer(field);
    } else if (id == 2) {
      header.uncompressed_size = reader.size(field);
    } else if (id == 3) {
      header.compressed_size = reader.size(field);
    } else if (id == 5) {
      read_data_header(reader, field, header);
    } else if (id == 7) {
      read_dictionary_header(reader, field, header);
    } else if (id == 8) {
      read_data_header_v2(reader, field, header);
    } else {
      return false;
    }
    return true;
  });
  return header;
}

template <class T>
T little_endian(std::span<const std::byte> bytes) {
  T value;
  std::memcpy(&value, bytes.data(), sizeof(T));  // as everywhere in this project
  return value;
}

class ChunkReader {
 public:
  ChunkReader(const ParquetColumn& column, const ParquetChunk& chunk, ParquetBudget& budget,
              const std::string& name)
      : column_(column), chunk_(chunk), budget_(budget), name_(name) {}

  void read(const std::function<void(ParquetEntry&&)>& on_entry) {
    std::span<const std::byte> rest = chunk_.pages;
    std::size_t n_read = 0;
    while (n_read < chunk_.n_values) {
      ThriftReader reader(rest, name_);
      const PageHeader header = read_page_header(reader);
      rest = rest.subspan(reader.position());
      const auto stored = take(rest, header.compressed_size);
      if (header.type == kDictionaryPage) {
        read_dictionary(header, stored);
      } else if (header.type == kDataPage || header.type == kDataPageV2) {
        if (header.n_values > chunk_.n_values - n_read) fail("expected fewer values in its pages");
        read_page(header, stored, on_entry);
        n_read += header.n_values;
      }  // else an index page, which nothing needs
    }
  }

 private:
  [[noreturn]] void fail(const std::string& message) const {
    throw Error(ErrorCode::format, name_ + ": " + message);
  }

  std::span<const std::byte> take(std::span<const std::byte>& bytes, std::size_t size) const {
    if (size > bytes.size()) fail("expected more bytes in its pages");
    const auto taken = bytes.first(size);
    bytes = bytes.subspan(size);
    return taken;
  }

  std::vector<std::byte> unpack(std::span<const std::byte> stored, std::size_t size,
                                Codec codec) const {
    budget_.take(size, name_);
    return decompress(codec, stored, size, name_);
  }

  void read_dictionary(const PageHeader& header, std::span<const std::byte> stored) {
    if (header.encoding != kPlain && header.encoding != kPlainDictionary) unsupported(header);
    const auto content = unpack(stored, header.uncompressed_size, chunk_.codec);
    dictionary_ = plain_values(content, header.n_values);
  }

  [[noreturn]] void unsupported(const PageHeader& header) const {
    throw Error(ErrorCode::unsupported,
                name_ + ": expected plain values or a dictionary, found encoding number " +
                    std::to_string(header.encoding));
  }

  void read_page(const PageHeader& header, std::span<const std::byte> stored,
                 const std::function<void(ParquetEntry&&)>& on_entry) {
    if (header.level_encoding != kRle) {
      throw Error(ErrorCode::unsupported, name_ + ": expected levels as run lengths, found number " +
                                              std::to_string(header.level_encoding));
    }
    budget_.take(checked_bytes(header.n_values, sizeof(ParquetEntry)), name_);

    std::span<const std::byte> repetition_bytes, definition_bytes, value_bytes;
    std::vector<std::byte> content;
    if (header.type == kDataPage) {
      content = unpack(stored, header.uncompressed_size, chunk_.codec);
      value_bytes = content;
      if (column_.max_repetition > 0) repetition_bytes = take_levels(value_bytes);
      if (column_.max_definition > 0) definition_bytes = take_levels(value_bytes);
    } else {
      const std::size_t n_stored = stored.size();
      repetition_bytes = take(stored, header.repetition_size);
      definition_bytes = take(stored, header.definition_size);
      const std::size_t n_levels = n_stored - stored.size();
      if (n_levels > header.uncompressed_size) fail("expected a page larger than its levels");
      content = unpack(stored, header.uncompressed_size - n_levels,
                       header.is_compressed ? chunk_.codec : Codec::none);
      value_bytes = content;
    }

    const auto repetitions = levels(repetition_bytes, column_.max_repetition, header.n_values);
    const auto definitions = levels(definition_bytes, column_.max_definition, header.n_values);
    const auto n_present = static_cast<std::size_t>(
        std::count(definitions.begin(), definitions.end(), column_.max_definition));
    std::vector<Row> values = page_values(header, value_bytes, n_present);
    auto next = values.begin();
    for (std::size_t i = 0; i < header.n_values; ++i) {
      const bool is_present = definitions[i] == column_.max_definition;
      on_entry({repetitions[i], definitions[i], is_present ? std::move(*next++) : Row()});
    }
  }

  std::size_t checked_bytes(std::size_t count, std::size_t size) const {
    std::size_t n_bytes = 0;
    if (__builtin_mul_overflow(count, size, &n_bytes)) fail("expected fewer values");
    return n_bytes;
  }

  /// In pages of version 1, levels have their size before them.
  std::span<const std::byte> take_levels(std::span<const std::byte>& bytes) const {
    const auto size = little_endian<std::uint32_t>(take(bytes, sizeof(std::uint32_t)));
    return take(bytes, size);
  }

  std::vector<std::uint32_t> levels(std::span<const std::byte> bytes, std::uint32_t max,
                                    std::size_t count) const {
    if (max == 0) return std::vector<std::uint32_t>(count, 0);
    auto found = decode_levels(bytes, static_cast<unsigned>(std::bit_width(max)), count, name_);
    if (std::any_of(found.begin(), found.end(), [&](auto level) { return level > max; })) {
      fail("expected levels of at most " + std::to_string(max));
    }
    return found;
  }

  std::vector<Row> page_values(const PageHeader& header, std::span<const std::byte> bytes,
                               std::size_t count) const {
    if (header.encoding == kPlain) return plain_values(bytes, count);
    if (header.encoding == kRle && column_.type == ParquetType::boolean) {
      return run_length_booleans(bytes, count);
    }
    if (header.encoding != kPlainDictionary && header.encoding != kRleDictionary) {
      unsupported(header);
    }
    return dictionary_values(bytes, count);
  }

  std::vector<Row> dictionary_values(std::span<const std::byte> bytes, std::size_t count) const {
    std::vector<Row> values;
    if (count == 0) return values;
    const auto bit_width = std::to_integer<unsigned>(take(bytes, 1)[0]);
    if (bit_width > 32) fail("expected indices of at most 32 bits");
    values.reserve(count);
    for (const std::uint32_t index : decode_levels(bytes, bit_width, count, name_)) {
      if (index >= dictionary_.size()) fail("expected indices within the dictionary");
      const Row& value = dictionary_[index];
      if (value.is_string()) budget_.take(value.get_ref<const std::string&>().size(), name_);
      values.push_back(value);
    }
    return values;
  }

  std::vector<Row> run_length_booleans(std::span<const std::byte> bytes, std::size_t count) const {
    std::vector<Row> values;
    if (count == 0) return values;
    const auto content = take_levels(bytes);
    for (const std::uint32_t bit : decode_levels(content, 1, count, name_)) {
      values.emplace_back(bit != 0);
    }
    return values;
  }

  std::vector<Row> plain_values(std::span<const std::byte> bytes, std::size_t count) const {
    budget_.take(checked_bytes(count, sizeof(Row)), name_);
    std::vector<Row> values;
    values.reserve(count);
    for (std::size_t i = 0; i < count; ++i) {
      switch (column_.type) {
        case ParquetType::boolean:
          if (i / 8 >= bytes.size()) fail("expected more bytes in its pages");
          values.emplace_back(((std::to_integer<unsigned>(bytes[i / 8]) >> (i % 8)) & 1) != 0);
          break;
        case ParquetType::int32:
          values.emplace_back(little_endian<std::int32_t>(take(bytes, 4)));
          break;
        case ParquetType::int64:
          values.emplace_back(little_endian<std::int64_t>(take(bytes, 8)));
          break;
        case ParquetType::real32:
          values.emplace_back(little_endian<float>(take(bytes, 4)));
          break;
        case ParquetType::real64:
          values.emplace_back(little_endian<double>(take(bytes, 8)));
          break;
        case ParquetType::bytes:
          values.emplace_back(text(take(bytes, little_endian<std::uint32_t>(take(bytes, 4)))));
          break;
      }
    }
    return values;
  }

  std::string text(std::span<const std::byte> bytes) const {
    budget_.take(bytes.size(), name_);
    std::string value(reinterpret_cast<const char*>(bytes.data()), bytes.size());
    if (!detail::is_valid_utf8(value)) fail("expected texts in UTF-8");
    return value;
  }

  const ParquetColumn& column_;
  const ParquetChunk& chunk_;
  ParquetBudget& budget_;
  const std::string& name_;
  std::vector<Row> dictionary_;
};

}  // namespace

void ParquetBudget::take(std::size_t n_bytes, const std::string& name) {
  if (n_bytes > n_left_) {
    throw Error(ErrorCode::unsupported, name + ": expected a file that takes less memory");
  }
  n_left_ -= n_bytes;
}

void read_parquet_chunk(const ParquetColumn& column, const ParquetChunk& chunk,
                        ParquetBudget& budget, const std::string& name,
                        const std::function<void(ParquetEntry&&)>& on_entry) {
  ChunkReader(column, chunk, budget, name).read(on_entry);
}

}  // namespace mixtral::eval
