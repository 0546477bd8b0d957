#include "io.hpp"

#include <array>
#include <cerrno>
#include <charconv>
#include <cstdio>
#include <memory>
#include <system_error>

#include "mixtral/core/error.hpp"
#include "signals.hpp"

namespace mixtral::cli {
namespace {

std::string reason(int code) { return std::generic_category().message(code); }

std::string read_all(std::FILE* file, const std::string& name) {
  std::string text;
  std::array<char, 65536> buffer;
  while (const std::size_t count = std::fread(buffer.data(), 1, buffer.size(), file)) {
    text.append(buffer.data(), count);
  }
  check_interrupt();
  if (std::ferror(file) != 0)
    throw Error(ErrorCode::io, name + ": can't read it: " + reason(errno));
  return text;
}

std::string quoted(const std::string& path) { return '"' + path + '"'; }

TokenId parse_id(std::string_view entry) {
  TokenId id = 0;
  const char* end = entry.data() + entry.size();
  const auto [stop, error] = std::from_chars(entry.data(), end, id);
  if (error != std::errc() || stop != end || id < 0) {
    throw Error(ErrorCode::invalid_argument,
                "--ids: expected token ids such as 1,2,3, found \"" + std::string(entry) + "\"");
  }
  return id;
}

/// Three significant digits and the unit among `units`, each 1000 times the one before.
template <std::size_t N>
std::string with_unit(double value, const std::array<const char*, N>& units) {
  std::size_t unit = 0;
  while (value >= 999.5 && unit + 1 < N) {
    value /= 1000;
    ++unit;
  }
  const int decimals = unit == 0 || value >= 99.95 ? 0 : value >= 9.995 ? 1 : 2;
  std::array<char, 32> text;
  std::snprintf(text.data(), text.size(), "%.*f %s", decimals, value, units[unit]);
  return text.data();
}

}  // namespace

std::string read_input(const std::string& path) {
  if (path == "-") return read_all(stdin, "standard input");
  struct Close {
    void operator()(std::FILE* file) const noexcept { std::fclose(file); }
  };
  const std::unique_ptr<std::FILE, Close> file(std::fopen(path.c_str(), "rb"));
  if (file == nullptr)
    throw Error(ErrorCode::io, quoted(path) + ": can't open it: " + reason(errno));
  return read_all(file.get(), quoted(path));
}

std::string_view without_final_newline(std::string_view text) noexcept {
  if (text.ends_with('\n')) text.remove_suffix(1);
  if (text.ends_with('\r')) text.remove_suffix(1);
  return text;
}

std::string_view trimmed(std::string_view text) noexcept {
  constexpr std::string_view kSpaces = " \t\r\n";
  const std::size_t first = text.find_first_not_of(kSpaces);
  if (first == std::string_view::npos) return {};
  return text.substr(first, text.find_last_not_of(kSpaces) - first + 1);
}

std::vector<TokenId> parse_ids(std::string_view text) {
  std::vector<TokenId> ids;
  std::string_view rest = trimmed(text);
  for (;;) {
    const std::size_t comma = rest.find(',');
    ids.push_back(parse_id(trimmed(rest.substr(0, comma))));
    if (comma == std::string_view::npos) return ids;
    rest.remove_prefix(comma + 1);
  }
}

std::string format_ids(std::span<const TokenId> ids) {
  std::string text;
  for (const TokenId id : ids) text += (text.empty() ? "" : ",") + std::to_string(id);
  return text;
}

void print(std::string_view text) {
  if (std::fwrite(text.data(), 1, text.size(), stdout) != text.size() || std::fflush(stdout) != 0) {
    throw Error(ErrorCode::io, "standard output: can't write: " + reason(errno));
  }
}

void print_json(const Json& json) {
  print(json.dump(2, ' ', false, Json::error_handler_t::replace) + "\n");
}

std::string format_bytes(double bytes) {
  return with_unit(bytes, std::array{"B", "kB", "MB", "GB", "TB"});
}

std::string format_count(double count) {
  std::string text = with_unit(count, std::array{"", "K", "M", "B", "T"});
  if (text.ends_with(' ')) text.pop_back();
  return text;
}

}  // namespace mixtral::cli
