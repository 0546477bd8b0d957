#include "bench_report.hpp"

#include <algorithm>
#include <array>
#include <cstdio>

namespace mixtral::cli {
namespace {

std::optional<double> median(std::vector<double> values) {
  if (values.empty()) return std::nullopt;
  std::sort(values.begin(), values.end());
  const std::size_t half = values.size() / 2;
  return values.size() % 2 == 1 ? values[half] : (values[half - 1] + values[half]) / 2;
}

/// `value` in units of `unit`; null where either is missing.
Json ratio(std::optional<double> value, std::optional<double> unit) {
  return value && unit ? Json(*value / *unit) : Json();
}

template <class T>
Json or_null(std::optional<T> value) {
  return value ? Json(*value) : Json();
}

const std::vector<double>& roof_of(const Measurements& all, roofs::Arithmetic arithmetic) {
  switch (arithmetic) {
    case roofs::Arithmetic::f32:
      return all.f32;
    case roofs::Arithmetic::bf16:
      return all.bf16;
    case roofs::Arithmetic::int8:
      break;
  }
  return all.int8;
}

Json describe(const BenchTest& test, const std::vector<BenchSample>& samples,
              std::optional<double> read_roof, std::optional<double> arithmetic_roof) {
  std::vector<double> rates;
  for (const BenchSample& sample : samples) rates.push_back(sample.tokens / sample.seconds);
  const double rate = *median(rates);
  const BenchSample& first = samples.front();
  const double bytes = first.bytes / first.tokens;  // the same in every sample
  const double operations = first.operations / first.tokens;
  return {{"test", test.name()},
          {"n_tokens", test.n_tokens},
          {"depth", test.depth},
          {"batch", test.batch},
          {"tokens_per_second", rate},
          {"samples", rates},
          {"bytes_per_token", bytes},
          {"gb_per_second", rate * bytes / 1e9},
          {"read_roof_ratio", ratio(rate * bytes, read_roof)},
          {"operations_per_token", operations},
          {"gops", rate * operations / 1e9},
          {"arithmetic_roof_ratio", ratio(rate * operations, arithmetic_roof)}};
}

/// "-" for null.
std::string format(const char* pattern, const Json& number, double scale = 1) {
  if (number.is_null()) return "-";
  std::array<char, 32> text;
  std::snprintf(text.data(), text.size(), pattern, scale * number.get<double>());
  return text.data();
}

std::string percent(const Json& ratio) { return format("%.0f %%", ratio, 100); }

}  // namespace

Json describe(const Measurements& all, const std::vector<BenchTest>& tests,
              roofs::Arithmetic arithmetic) {
  const std::optional<double> read = median(all.read);
  Json results = Json::array();
  for (std::size_t i = 0; i < tests.size(); ++i) {
    results.push_back(describe(tests[i], all.samples[i], read, median(roof_of(all, arithmetic))));
  }
  return {{"results", results},
          {"roofs",
           {{"read_gb_per_second", ratio(read, 1e9)},
            {"f32_gops", ratio(median(all.f32), 1e9)},
            {"bf16_gops", ratio(median(all.bf16), 1e9)},
            {"int8_gops", ratio(median(all.int8), 1e9)},
            {"arithmetic", roofs::name_of(arithmetic)}}},
          {"load",
           {{"cold_seconds", or_null(all.load.cold)}, {"warm_seconds", all.load.warm}}},
          {"peak_memory_bytes", or_null(all.peak_memory)},
          {"private_memory_bytes", or_null(all.private_memory)}};
}

std::string table_of(const Json& report) {
  std::array<char, 256> line;
  std::snprintf(line.data(), line.size(), "%-16s %12s %12s %9s %7s %10s %7s\n", "test", "tokens/s",
                "per token", "GB/s", "of roof", "GOP/s", "of roof");
  std::string text = line.data();
  for (const Json& result : report["results"]) {
    std::snprintf(line.data(), line.size(), "%-16s %12.2f %12s %9.2f %7s %10.1f %7s\n",
                  result["test"].get<std::string>().c_str(),
                  result["tokens_per_second"].get<double>(),
                  format_bytes(result["bytes_per_token"].get<double>()).c_str(),
                  result["gb_per_second"].get<double>(), percent(result["read_roof_ratio"]).c_str(),
                  result["gops"].get<double>(), percent(result["arithmetic_roof_ratio"]).c_str());
    text += line.data();
  }
  return text;
}

std::string summary_of(const Json& report) {
  const Json& roofs = report["roofs"];
  std::string text = "roofs: read " + format("%.1f GB/s", roofs["read_gb_per_second"]);
  for (const char* arithmetic : {"int8", "bf16", "f32"}) {
    const Json& roof = roofs[std::string(arithmetic) + "_gops"];
    if (roof.is_null()) continue;
    text += ", " + std::string(arithmetic) + format(" %.0f GOP/s", roof);
    if (roofs["arithmetic"] == arithmetic) text += " (of this model)";
  }
  text += "\n" + std::to_string(report["n_threads"].get<std::size_t>()) + " threads, " +
          report["isa"].get<std::string>() + ", " + report["gemm"].get<std::string>() +
          ", precision " + report["precision"].get<std::string>();
  text += "\nloaded to the first logits in " +
          format("%.3f s warm", report["load"]["warm_seconds"]);
  const Json& cold = report["load"]["cold_seconds"];
  if (!cold.is_null()) text += format(", %.3f s cold", cold);
  for (const char* kind : {"peak", "private"}) {
    const Json& memory = report[std::string(kind) + "_memory_bytes"];
    if (memory.is_null()) continue;
    text += ", " + std::string(kind) + " memory " + format_bytes(memory.get<double>());
  }
  return text + "\n";
}

}  // namespace mixtral::cli
