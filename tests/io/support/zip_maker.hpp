// ZIP archives put together by hand, so that tests can spoil them.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <string>
#include <utility>
#include <vector>

namespace mixtral::test {

template <class T>
void append_number(std::string& out, T value) {
  out.append(reinterpret_cast<const char*>(&value), sizeof value);
}

/// An archive and where its records begin.
struct Zip {
  std::string bytes;
  std::vector<std::size_t> local, central;  // of each file
  std::size_t zip64_end = 0, zip64_locator = 0, end = 0;

  template <class T>
  Zip& patch(std::size_t offset, T value) {
    std::memcpy(bytes.data() + offset, &value, sizeof value);
    return *this;
  }
};

/// Stores `files` as names and contents. With `zip64` all sizes and offsets are where 64 bits fit, as
/// torch.save has them for large files.
inline Zip make_zip(const std::vector<std::pair<std::string, std::string>>& files, bool zip64 = false) {
  Zip zip;
  std::string& out = zip.bytes;
  const auto begin_record = [&](std::vector<std::size_t>& offsets, std::uint32_t signature) {
    offsets.push_back(out.size());
    append_number(out, signature);
  };
  const auto append_zip64 = [&](std::initializer_list<std::uint64_t> values) {
    append_number<std::uint16_t>(out, 1);
    append_number(out, static_cast<std::uint16_t>(8 * values.size()));
    for (const std::uint64_t value : values) append_number(out, value);
  };
  const auto shown = [&](std::size_t value) { return zip64 ? 0xffffffffu : static_cast<std::uint32_t>(value); };
  for (const auto& [name, content] : files) {
    begin_record(zip.local, 0x04034b50);
    out.append(4, '\0');   // version, flags
    out.append(10, '\0');  // method, time, date, checksum
    append_number(out, shown(content.size()));
    append_number(out, shown(content.size()));
    append_number(out, static_cast<std::uint16_t>(name.size()));
    append_number<std::uint16_t>(out, zip64 ? 20 : 0);
    out += name;
    if (zip64) append_zip64({content.size(), content.size()});
    out += content;
  }
  const std::size_t directory = out.size();
  for (std::size_t i = 0; i < files.size(); ++i) {
    const auto& [name, content] = files[i];
    begin_record(zip.central, 0x02014b50);
    out.append(6, '\0');   // versions, flags
    out.append(10, '\0');  // method, time, date, checksum
    append_number(out, shown(content.size()));
    append_number(out, shown(content.size()));
    append_number(out, static_cast<std::uint16_t>(name.size()));
    append_number<std::uint16_t>(out, zip64 ? 28 : 0);
    out.append(10, '\0');  // comment, disk, attributes
    append_number(out, shown(zip.local[i]));
    out += name;
    if (zip64) append_zip64({content.size(), content.size(), zip.local[i]});
  }
  const std::size_t directory_bytes = out.size() - directory;
  if (zip64) {
    zip.zip64_end = out.size();
    append_number<std::uint32_t>(out, 0x06064b50);
    append_number<std::uint64_t>(out, 44);
    out.append(12, '\0');  // versions, disks
    append_number<std::uint64_t>(out, files.size());
    append_number<std::uint64_t>(out, files.size());
    append_number<std::uint64_t>(out, directory_bytes);
    append_number<std::uint64_t>(out, directory);
    zip.zip64_locator = out.size();
    append_number<std::uint32_t>(out, 0x07064b50);
    append_number<std::uint32_t>(out, 0);
    append_number<std::uint64_t>(out, zip.zip64_end);
    append_number<std::uint32_t>(out, 1);
  }
  zip.end = out.size();
  append_number<std::uint32_t>(out, 0x06054b50);
  append_number<std::uint32_t>(out, 0);  // disks
  append_number(out, static_cast<std::uint16_t>(zip64 ? 0xffff : files.size()));
  append_number(out, static_cast<std::uint16_t>(zip64 ? 0xffff : files.size()));
  append_number(out, shown(directory_bytes));
  append_number(out, shown(directory));
  append_number<std::uint16_t>(out, 0);  // comment
  return zip;
}

}  // namespace mixtral::test
