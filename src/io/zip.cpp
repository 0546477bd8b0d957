#include "io/zip.hpp"

#include <algorithm>
#include <bit>
#include <cstdint>
#include <cstring>
#include <optional>
#include <unordered_set>

#include "core/message.hpp"
#include "mixtral/core/error.hpp"

static_assert(std::endian::native == std::endian::little, "records are read in place");

namespace mixtral::detail {
namespace {

constexpr std::uint32_t kLocalHeader = 0x04034b50;
constexpr std::uint32_t kCentralHeader = 0x02014b50;
constexpr std::uint32_t kEnd = 0x06054b50;
constexpr std::uint32_t kZip64Locator = 0x07064b50;
constexpr std::uint32_t kZip64End = 0x06064b50;

constexpr std::size_t kLocalHeaderBytes = 30;
constexpr std::size_t kCentralHeaderBytes = 46;
constexpr std::size_t kEndBytes = 22;
constexpr std::size_t kZip64LocatorBytes = 20;
constexpr std::size_t kZip64EndBytes = 56;
constexpr std::size_t kMaxComment = 0xffff;

// A field with this value has its true value in a ZIP64 record.
constexpr std::uint32_t kIn64 = 0xffffffff;
constexpr std::uint16_t kIn64Short = 0xffff;

constexpr std::uint16_t kZip64Extra = 1;
constexpr std::uint16_t kEncrypted = 1 | 1 << 6 | 1 << 13;  // bits of the flags
constexpr std::uint16_t kSizesFollow = 1 << 3;              // the local header doesn't know them

[[noreturn]] void fail(std::string_view file, std::size_t offset, const std::string& message,
                       ErrorCode code = ErrorCode::format) {
  throw Error(code, quote(file) + ": byte " + std::to_string(offset) + ": " + message);
}

/// A record of the archive whose bytes are known to be there.
class Record {
 public:
  Record(std::span<const std::byte> archive, std::size_t offset, std::size_t size,
         std::string_view file, const char* what)
      : offset_(offset) {
    if (offset > archive.size() || size > archive.size() - offset) {
      fail(file, offset, std::string("expected ") + what + " of " + std::to_string(size) +
                             " bytes, found the end of the file at byte " +
                             std::to_string(archive.size()));
    }
    bytes_ = archive.subspan(offset, size);
  }

  std::size_t offset() const noexcept { return offset_; }
  std::size_t end() const noexcept { return offset_ + bytes_.size(); }

  template <class T>
  T at(std::size_t position) const noexcept {
    T value;
    std::memcpy(&value, bytes_.data() + position, sizeof value);
    return value;
  }

  std::string_view text() const noexcept {
    return {reinterpret_cast<const char*>(bytes_.data()), bytes_.size()};
  }
  std::size_t size() const noexcept { return bytes_.size(); }

 private:
  std::span<const std::byte> bytes_;
  std::size_t offset_;
};

/// Where the list of files is.
struct Directory {
  std::size_t offset, bytes, n_entries;
};

/// What the central directory says of a file, and how far its content's record reaches.
struct Central {
  std::size_t local_offset, size;
  std::string_view name;
  std::uint16_t flags;
};

class ZipReader {
 public:
  ZipReader(std::span<const std::byte> archive, std::string_view file)
      : archive_(archive), file_(file) {}

  std::vector<ZipEntry> list() {
    const Directory directory = find_directory();
    std::vector<ZipEntry> entries;
    std::vector<Range> ranges;
    std::unordered_set<std::string_view> names;
    std::size_t offset = directory.offset;
    for (std::size_t i = 0; i < directory.n_entries; ++i) {
      const Central central = read_central(offset);  // moves on
      if (!names.insert(central.name).second) {
        fail(file_, central.local_offset, "a second file of the name " + quote(central.name));
      }
      entries.push_back(read_local(central, directory.offset));
      ranges.push_back({central.local_offset, entries.back().offset + central.size});
    }
    if (offset != directory.offset + directory.bytes) {
      fail(file_, offset, "expected the end of the list of files at byte " +
                              std::to_string(directory.offset + directory.bytes));
    }
    check_overlaps(std::move(ranges));
    return entries;
  }

 private:
  struct Range {
    std::size_t begin, end;
  };

  Record record(std::size_t offset, std::size_t size, const char* what) const {
    return {archive_, offset, size, file_, what};
  }

  /// The record that ends the archive: the last one whose comment reaches to the end.
  std::size_t find_end() const {
    const std::size_t size = archive_.size();
    for (std::size_t comment = 0; comment <= kMaxComment && kEndBytes + comment <= size; ++comment) {
      const Record end = record(size - kEndBytes - comment, kEndBytes, "an end record");
      if (end.at<std::uint32_t>(0) == kEnd && end.at<std::uint16_t>(20) == comment) {
        return end.offset();
      }
    }
    fail(file_, size, "not a whole ZIP archive: its end record is missing; the file may be cut off");
  }

  Directory find_directory() const {
    const Record end = record(find_end(), kEndBytes, "an end record");
    const auto n_entries = end.at<std::uint16_t>(10);
    const auto bytes = end.at<std::uint32_t>(12);
    const auto offset = end.at<std::uint32_t>(16);
    if (end.at<std::uint16_t>(4) != 0 && end.at<std::uint16_t>(4) != kIn64Short) {
      fail(file_, end.offset(), "expected an archive in one file, found one of several",
           ErrorCode::unsupported);
    }
    Directory directory{offset, bytes, n_entries};
    std::size_t limit = end.offset();
    if (const auto zip64 = find_zip64(end.offset())) {
      directory = {zip64->at<std::uint64_t>(48), zip64->at<std::uint64_t>(40),
                   zip64->at<std::uint64_t>(32)};
      const bool same = (n_entries == directory.n_entries || n_entries == kIn64Short) &&
                        (bytes == directory.bytes || bytes == kIn64) &&
                        (offset == directory.offset || offset == kIn64);
      if (!same) fail(file_, zip64->offset(), "the ZIP64 end record contradicts the end record");
      limit = zip64->offset();
    }
    if (directory.offset > limit || directory.bytes > limit - directory.offset ||
        directory.n_entries > directory.bytes / kCentralHeaderBytes) {
      fail(file_, end.offset(),
           "a list of " + std::to_string(directory.n_entries) + " files at byte " +
               std::to_string(directory.offset) + " in " + std::to_string(directory.bytes) +
               " bytes can't lie before byte " + std::to_string(limit));
    }
    return directory;
  }

  std::optional<Record> find_zip64(std::size_t end_offset) const {
    if (end_offset < kZip64LocatorBytes) return std::nullopt;
    const Record locator =
        record(end_offset - kZip64LocatorBytes, kZip64LocatorBytes, "a ZIP64 locator");
    if (locator.at<std::uint32_t>(0) != kZip64Locator) return std::nullopt;
    const Record end = record(locator.at<std::uint64_t>(8), kZip64EndBytes, "a ZIP64 end record");
    if (end.at<std::uint32_t>(0) != kZip64End || end.end() > locator.offset()) {
      fail(file_, end.offset(), "expected a ZIP64 end record, found none");
    }
    return end;
  }

  /// Reads the record at `offset` and moves that behind it.
  Central read_central(std::size_t& offset) const {
    const Record fixed = record(offset, kCentralHeaderBytes, "a file's entry in the list");
    if (fixed.at<std::uint32_t>(0) != kCentralHeader) {
      fail(file_, offset, "expected a file's entry in the list, found something else");
    }
    const auto name_bytes = fixed.at<std::uint16_t>(28);
    const auto extra_bytes = fixed.at<std::uint16_t>(30);
    const Record name = record(fixed.end(), name_bytes, "a name");
    const Record extra = record(name.end(), extra_bytes, "an extra field");
    const auto flags = fixed.at<std::uint16_t>(8);
    if ((flags & kEncrypted) != 0) {
      fail(file_, offset, quote(name.text()) + " is encrypted", ErrorCode::unsupported);
    }
    if (const auto method = fixed.at<std::uint16_t>(10); method != 0) {
      fail(file_, offset, quote(name.text()) + ": expected stored bytes, found compression method " +
                              std::to_string(method),
           ErrorCode::unsupported);
    }
    std::uint64_t unpacked = fixed.at<std::uint32_t>(24);
    std::uint64_t packed = fixed.at<std::uint32_t>(20);
    std::uint64_t local = fixed.at<std::uint32_t>(42);
    read_zip64_extra(extra, {&unpacked, &packed, &local});
    if (unpacked != packed) {
      fail(file_, offset, quote(name.text()) + ": " + std::to_string(unpacked) +
                              " bytes can't be stored in " + std::to_string(packed));
    }
    offset = record(extra.end(), fixed.at<std::uint16_t>(32), "a comment").end();
    return {local, unpacked, name.text(), flags};
  }

  /// Replaces those of `fields` that are too large for 32 bits, in their order.
  void read_zip64_extra(const Record& extra, std::initializer_list<std::uint64_t*> fields) const {
    std::size_t at = 0, size = 0;  // of the ZIP64 block
    for (std::size_t next = 0; size == 0 && next + 4 <= extra.size();) {
      const auto bytes = extra.at<std::uint16_t>(next + 2);
      if (bytes > extra.size() - next - 4) fail(file_, extra.offset(), "an extra field is cut off");
      if (extra.at<std::uint16_t>(next) == kZip64Extra) at = next + 4, size = bytes;
      next += 4 + bytes;
    }
    for (std::uint64_t* field : fields) {
      if (*field != kIn64) continue;
      if (size < sizeof *field) {
        fail(file_, extra.offset(), "a ZIP64 field is missing that the entry refers to");
      }
      *field = extra.at<std::uint64_t>(at);
      at += sizeof *field;
      size -= sizeof *field;
    }
  }

  /// The content, whose record must lie before `limit` and say what the list says.
  ZipEntry read_local(const Central& central, std::size_t limit) const {
    const Record fixed = record(central.local_offset, kLocalHeaderBytes, "a file's header");
    if (fixed.at<std::uint32_t>(0) != kLocalHeader) {
      fail(file_, fixed.offset(), "expected the header of " + quote(central.name) + ", found none");
    }
    const Record name = record(fixed.end(), fixed.at<std::uint16_t>(26), "a name");
    const Record extra = record(name.end(), fixed.at<std::uint16_t>(28), "an extra field");
    if (name.text() != central.name) {
      fail(file_, fixed.offset(), "the list calls this file " + quote(central.name) +
                                      ", its header " + quote(name.text()));
    }
    if (fixed.at<std::uint16_t>(8) != 0) {
      fail(file_, fixed.offset(), quote(central.name) + ": compressed, other than the list says");
    }
    std::uint64_t unpacked = fixed.at<std::uint32_t>(22);
    std::uint64_t packed = fixed.at<std::uint32_t>(18);
    if ((fixed.at<std::uint16_t>(6) & kSizesFollow) == 0) {
      read_zip64_extra(extra, {&unpacked, &packed});
      if (unpacked != central.size || packed != central.size) {
        fail(file_, fixed.offset(), quote(central.name) + ": the list says " +
                                        std::to_string(central.size) + " bytes, its header " +
                                        std::to_string(unpacked));
      }
    }
    if (extra.end() > limit || central.size > limit - extra.end()) {
      fail(file_, extra.end(), quote(central.name) + ": expected " + std::to_string(central.size) +
                                   " bytes before the list of files at byte " +
                                   std::to_string(limit));
    }
    return {central.name, extra.end(), archive_.subspan(extra.end(), central.size)};
  }

  void check_overlaps(std::vector<Range> ranges) const {
    std::sort(ranges.begin(), ranges.end(),
              [](const Range& a, const Range& b) { return a.begin < b.begin; });
    for (std::size_t i = 1; i < ranges.size(); ++i) {
      if (ranges[i].begin < ranges[i - 1].end) {
        fail(file_, ranges[i].begin, "two files of the archive overlap here");
      }
    }
  }

  std::span<const std::byte> archive_;
  std::string_view file_;
};

}  // namespace

bool is_zip(std::span<const std::byte> bytes) noexcept {
  std::uint32_t signature = 0;
  if (bytes.size() < sizeof signature) return false;
  std::memcpy(&signature, bytes.data(), sizeof signature);
  return signature == kLocalHeader;
}

std::vector<ZipEntry> list_zip(std::span<const std::byte> archive, std::string_view name) {
  return ZipReader(archive, name).list();
}

}  // namespace mixtral::detail
