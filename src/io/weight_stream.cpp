#include "io/weight_stream.hpp"

#include <algorithm>
#include <cstring>

#include "io/row_reader.hpp"
#include "mixtral/core/error.hpp"
#include "mixtral/quant/convert.hpp"

namespace mixtral::detail {
namespace {

std::size_t bytes_of_rows(WeightView view, std::size_t n_rows) noexcept {
  view.rows = n_rows;
  return view.bytes();
}

/// Room for one worker's tile on its way.
class Scratch {
 public:
  explicit Scratch(const std::vector<WeightJob>& jobs)
      : source_rows_(kTileRows * most(jobs, [](const WeightJob& job) { return job.source.row_bytes(); })),
        target_rows_(kTileRows * most(jobs, [](const WeightJob& job) { return job.target.row_bytes(); })),
        values_(most(jobs, [](const WeightJob& job) { return job.source.cols; })) {}

  /// Writes rows [first, first + count) of the target, a whole tile or what is left.
  void convert(const WeightJob& job, const RowReader& source, std::size_t first, std::size_t count,
               std::byte* out) {
    const WeightView& target = job.target;
    if (source.view().dtype == target.dtype && source.view().layout == Layout::tiled &&
        target.layout == Layout::tiled) {
      std::memcpy(out, source.view().row(first), bytes_of_rows(target, count));
      return;
    }
    const std::byte* rows = source.read(first, count, source_rows_.data());
    if (source.view().dtype != target.dtype) rows = round(job, rows, count);
    if (target.layout == Layout::tiled) {
      quant::tile_rows(target.dtype, rows, count, target.cols, out);
    } else {
      std::memcpy(out, rows, count * target.row_bytes());
    }
  }

 private:
  template <class SizeOf>
  static std::size_t most(const std::vector<WeightJob>& jobs, SizeOf size_of) {
    std::size_t size = 0;
    for (const WeightJob& job : jobs) size = std::max(size, size_of(job));
    return size;
  }

  const std::byte* round(const WeightJob& job, const std::byte* rows, std::size_t count) {
    const std::span<float> values = values_.span().first(job.source.cols);
    for (std::size_t i = 0; i < count; ++i) {
      quant::dequantise(job.source.dtype, rows + i * job.source.row_bytes(), values);
      quant::quantise(job.target.dtype, values, target_rows_.data() + i * job.target.row_bytes());
    }
    return target_rows_.data();
  }

  AlignedBuffer<std::byte> source_rows_, target_rows_;
  AlignedBuffer<float> values_;  // one row
};

/// Makes the weights a batch of tiles at a time, while the batch before is being written.
class WeightStream {
 public:
  WeightStream(const Checkpoint& source, const std::vector<WeightJob>& jobs, RotaryOrder order,
               const WeightSink& sink, const ConvertOptions& options, Executor& executor)
      : source_(source),
        jobs_(jobs),
        order_(order),
        sink_(sink),
        options_(options),
        executor_(executor) {
    std::size_t tile_bytes = 0;
    for (const WeightJob& job : jobs_) {
      tile_bytes = std::max(tile_bytes, kTileRows * job.target.row_bytes());
      progress_.total += job.target.bytes();
    }
    for (auto& buffer : buffers_) buffer = AlignedBuffer<std::byte>(tiles_per_batch() * tile_bytes);
    for (std::size_t i = 0; i < executor.n_threads(); ++i) scratch_.emplace_back(jobs_);
  }

  void run() {
    for (std::size_t next = 0; next < jobs_.size();) {
      for (const LoadedTensor& tensor : load_some(next)) stream(jobs_[next++], tensor.view);
    }
    sink_(batch_);
    report(batch_.size());
  }

 private:
  static constexpr std::size_t kMaxDecoded = 8;  // tensors; less than a layer

  /// The tensor of job `first` or, where tensors have to be decoded, several: one thread decodes each.
  std::vector<LoadedTensor> load_some(std::size_t first) {
    const std::size_t most = std::min({executor_.n_threads(), kMaxDecoded, jobs_.size() - first});
    const auto is_decoded = [&](std::size_t i) { return jobs_[first + i].source.data == nullptr; };
    std::size_t count = 1;
    while (count < most && is_decoded(count - 1) && is_decoded(count)) ++count;
    source_.check_unchanged();
    std::vector<LoadedTensor> tensors(count);
    executor_.run(count, [&](std::size_t task, std::size_t) {
      tensors[task] = source_.load(jobs_[first + task].key);
    });
    return tensors;
  }

  void stream(const WeightJob& job, const WeightView& view) {
    const RowReader reader(source_, job.key, view, order_);
    const std::size_t step = tiles_per_batch() * kTileRows;
    for (std::size_t first = 0; first < job.target.rows; first += step) {
      make_batch(job, reader, first, std::min(step, job.target.rows - first));
    }
  }

  static constexpr std::size_t kTilesPerThread = 4;  // so that they all finish at about the same time

  std::size_t tiles_per_batch() const noexcept { return kTilesPerThread * executor_.n_threads(); }

  void make_batch(const WeightJob& job, const RowReader& reader, std::size_t first, std::size_t count) {
    source_.check_unchanged();
    const std::size_t tile_bytes = kTileRows * job.target.row_bytes();
    const std::size_t n_tiles = (count + kTileRows - 1) / kTileRows;
    std::byte* const out = buffers_[next_buffer_].data();
    executor_.run(1 + n_tiles, [&](std::size_t task, std::size_t worker) {
      if (task == 0) return sink_(batch_);
      const std::size_t tile = task - 1;
      const std::size_t begin = tile * kTileRows;
      scratch_[worker].convert(job, reader, first + begin, std::min(kTileRows, count - begin),
                               out + tile * tile_bytes);
    });
    report(batch_.size());
    batch_ = {out, bytes_of_rows(job.target, count)};
    next_buffer_ = 1 - next_buffer_;
  }

  void report(std::size_t bytes) {
    progress_.done += bytes;
    if (options_.on_progress && !options_.on_progress(progress_)) {
      throw Error(ErrorCode::cancelled, "the conversion was cancelled");
    }
  }

  const Checkpoint& source_;
  const std::vector<WeightJob>& jobs_;
  RotaryOrder order_;
  const WeightSink& sink_;
  const ConvertOptions& options_;
  Executor& executor_;
  ConvertProgress progress_{0, 0};
  std::vector<Scratch> scratch_;  // of each worker
  AlignedBuffer<std::byte> buffers_[2];
  std::size_t next_buffer_ = 0;
  std::span<const std::byte> batch_;  // made, but not written yet
};

}  // namespace

void stream_weights(const Checkpoint& source, const std::vector<WeightJob>& jobs, RotaryOrder order,
                    const WeightSink& sink, const ConvertOptions& options, Executor& executor) {
  WeightStream(source, jobs, order, sink, options, executor).run();
}

}  // namespace mixtral::detail
