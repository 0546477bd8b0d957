#include "mixtral/io/convert.hpp"

#include <span>
#include <string>
#include <utility>

#include "io/conversion.hpp"
#include "io/native_format.hpp"
#include "io/native_writer.hpp"
#include "io/weight_stream.hpp"

namespace mixtral {
namespace {

std::vector<detail::NativeContents::File> files_of(const Checkpoint& source) {
  std::vector<detail::NativeContents::File> files;
  for (const std::string_view name : kModelFiles) {
    if (auto text = source.file(name)) files.push_back({std::string(name), *std::move(text)});
  }
  return files;
}

}  // namespace

ConvertReport convert_checkpoint(const Checkpoint& source, const std::filesystem::path& path,
                                 const Recipe& recipe, const ConvertOptions& options,
                                 Executor& executor) {
  detail::check_target(path);
  ConvertReport report;
  detail::NativeContents contents{to_json(recipe), files_of(source), {}};
  std::vector<detail::WeightJob> jobs;
  for (const TensorType& tensor : apply_recipe(recipe, source.config())) {
    const WeightView target = detail::native_view(tensor.key.role, tensor.type, source.config());
    contents.weights.push_back({name_of(tensor.key), target});
    jobs.push_back({tensor.key, source.tensor(tensor.key), target});
    detail::count(tensor, target, report);
  }
  detail::NativeWriter writer(path, contents);
  detail::stream_weights(
      source, jobs, RotaryOrder::half_split,
      [&writer](std::span<const std::byte> bytes) { writer.append(bytes); }, options, executor);
  writer.commit();
  return report;
}

}  // namespace mixtral
