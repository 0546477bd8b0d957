// Counts for GET /metrics, in Prometheus' text format.
#pragma once

#include <array>
#include <cstdint>
#include <map>
#include <mutex>
#include <string>
#include <utility>

#include "mixtral/generate/batch.hpp"
#include "server/http.hpp"

namespace mixtral::server {

/// Any number of threads may use it.
class Metrics {
 public:
  void observe(const std::string& path, int status, const Record& record);

  std::string to_text(const BatchStats& batch, std::size_t n_connections) const;

 private:
  class Histogram {
   public:
    void add(double seconds) noexcept;
    void append_to(std::string& out, const std::string& name, const std::string& help) const;

   private:
    static constexpr std::array kBounds = {0.01, 0.03, 0.1, 0.3, 1.0, 3.0, 10.0, 30.0, 100.0, 300.0};
    std::array<std::uint64_t, kBounds.size() + 1> counts_ = {};
    double sum_ = 0;
  };

  mutable std::mutex mutex_;
  std::map<std::pair<std::string, int>, std::uint64_t> n_requests_;  // by path and status
  std::uint64_t n_prompt_ = 0, n_new_ = 0;
  Histogram seconds_, first_token_;
};

}  // namespace mixtral::server
