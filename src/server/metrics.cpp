#include "server/metrics.hpp"

#include <algorithm>
#include <nlohmann/json.hpp>

namespace mixtral::server {
namespace {

std::string number_text(double value) { return nlohmann::json(value).dump(); }

void append_head(std::string& out, const std::string& name, const char* type, const std::string& help) {
  out += "# HELP " + name + " " + help + "\n# TYPE " + name + " " + type + "\n";
}

void append(std::string& out, const std::string& name, const char* type, const std::string& help,
            std::uint64_t value) {
  append_head(out, name, type, help);
  out += name + " " + std::to_string(value) + "\n";
}

}  // namespace

void Metrics::Histogram::add(double seconds) noexcept {
  const auto bound = std::lower_bound(kBounds.begin(), kBounds.end(), seconds);
  ++counts_[static_cast<std::size_t>(bound - kBounds.begin())];
  sum_ += seconds;
}

void Metrics::Histogram::append_to(std::string& out, const std::string& name,
                                   const std::string& help) const {
  append_head(out, name, "histogram", help);
  std::uint64_t n = 0;
  for (std::size_t i = 0; i < counts_.size(); ++i) {
    n += counts_[i];
    const std::string bound = i < kBounds.size() ? number_text(kBounds[i]) : "+Inf";
    out += name + "_bucket{le=\"" + bound + "\"} " + std::to_string(n) + "\n";
  }
  out += name + "_sum " + number_text(sum_) + "\n" + name + "_count " + std::to_string(n) + "\n";
}

void Metrics::observe(const std::string& path, int status, const Record& record) {
  const std::lock_guard lock(mutex_);
  ++n_requests_[{path, status}];
  n_prompt_ += record.n_prompt;
  n_new_ += record.n_new;
  if (record.n_prompt == 0) return;
  seconds_.add(seconds_since(record.start));
  if (record.first_token) first_token_.add(*record.first_token);
}

std::string Metrics::to_text(const BatchStats& batch, std::size_t n_connections) const {
  std::string out;
  const std::lock_guard lock(mutex_);
  append_head(out, "mixtral_requests_total", "counter", "Requests by path and status.");
  for (const auto& [key, n] : n_requests_) {
    out += "mixtral_requests_total{path=\"" + key.first + "\",status=\"" + std::to_string(key.second) +
           "\"} " + std::to_string(n) + "\n";
  }
  append(out, "mixtral_prompt_tokens_total", "counter", "Tokens of the prompts of requests.", n_prompt_);
  append(out, "mixtral_generated_tokens_total", "counter", "Tokens generated.", n_new_);
  append(out, "mixtral_prompt_tokens_computed_total", "counter", "Tokens of prompts that were computed.",
         batch.n_prompt_computed);
  append(out, "mixtral_prompt_tokens_reused_total", "counter",
         "Tokens of prompts that the prefix cache saved.", batch.n_prompt_reused);
  append(out, "mixtral_sequences_running", "gauge", "Texts being generated.", batch.n_running);
  append(out, "mixtral_sequences_waiting", "gauge", "Texts waiting for their turn.", batch.n_waiting);
  append(out, "mixtral_cache_bytes", "gauge", "Keys and values of running texts.", batch.cache_bytes);
  append(out, "mixtral_prefix_cache_bytes", "gauge", "Keys and values kept of finished texts.",
         batch.prefix_bytes);
  append(out, "mixtral_connections", "gauge", "Open connections.", n_connections);
  seconds_.append_to(out, "mixtral_request_seconds", "Time from request to reply, of texts.");
  first_token_.append_to(out, "mixtral_first_token_seconds", "Time from request to the first token.");
  return out;
}

}  // namespace mixtral::server
