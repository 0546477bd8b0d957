#include "eval/prompts.hpp"

#include <numeric>
#include <utility>

#include "mixtral/core/error.hpp"

namespace mixtral::eval {
namespace {

constexpr std::uint32_t kSeed = 1234;   // of today's harness
constexpr std::uint32_t kSeedV1 = 42;

void require_shots(const TaskData& data, const Task& task, std::size_t n_needed) {
  const Split& shots = data.shots;
  if (shots.rows.size() >= n_needed) return;
  throw Error(ErrorCode::invalid_argument,
              std::string(task.name) + (data.subject.empty() ? "" : " " + data.subject) +
                  ": expected " + std::to_string(n_needed) + " examples in the split \"" +
                  std::string(task.shot_split) + "\", found " +
                  std::to_string(shots.rows.size()) +
                  (shots.name.empty() ? " (there is no such file)" : " in " + shots.name));
}

std::vector<std::size_t> indices(std::size_t count) {
  std::vector<std::size_t> all(count);
  std::iota(all.begin(), all.end(), 0);
  return all;
}

}  // namespace

QuestionSource::QuestionSource(const Task& task, const TaskData& data, Rules rules,
                               std::size_t n_shots)
    : task_(task),
      data_(data),
      rules_(rules),
      n_shots_(n_shots),
      random_(rules == Rules::current ? kSeed : kSeedV1),
      order_(indices(data.eval.rows.size())) {
  if (n_shots > 0 && task.shot_split.empty()) {
    throw Error(ErrorCode::invalid_argument,
                std::string(task.name) + ": expected no examples (its prompt has six of its own)");
  }
  if (n_shots > 0) {
    const bool excludes = task.excludes_itself && rules == Rules::current;
    require_shots(data, task, n_shots + (excludes ? 1 : 0));
  }
  if (rules == Rules::leaderboard_v1) random_.shuffle(std::span(order_));
}

Question QuestionSource::next() {
  const std::size_t id = next_++;
  const std::size_t row = order_[id];
  Question question{id, row, data_.eval.document(task_, row), ""};
  if (!data_.subject.empty()) question.preamble = mmlu_description(data_.subject);
  for (const std::size_t shot : choose_shots(row)) {
    const Document example = data_.shots.document(task_, shot);
    const Candidate& gold = example.candidates[example.gold];
    question.preamble += gold.context + " " + gold.answer + "\n\n";
  }
  return question;
}

std::vector<std::size_t> QuestionSource::choose_shots(std::size_t row) {
  if (n_shots_ == 0) return {};
  if (task_.takes_first_shots) return indices(n_shots_);
  if (task_.excludes_itself && rules_ == Rules::current) {
    return sample_without(data_.eval.rows[row]);
  }
  return random_.sample(data_.shots.rows.size(), n_shots_);
}

/// The harness draws one more than it needs and drops the question itself; when it meets that more
/// than once, it draws again from all the others.
std::vector<std::size_t> QuestionSource::sample_without(const Row& excluded) {
  const Rows& rows = data_.shots.rows;
  std::vector<std::size_t> chosen;
  for (const std::size_t index : random_.sample(rows.size(), n_shots_ + 1)) {
    if (chosen.size() < n_shots_ && rows[index] != excluded) chosen.push_back(index);
  }
  if (chosen.size() == n_shots_) return chosen;

  std::vector<std::size_t> others;
  for (std::size_t i = 0; i < rows.size(); ++i) {
    if (rows[i] != excluded) others.push_back(i);
  }
  if (others.size() < n_shots_) require_shots(data_, task_, rows.size() + 1);
  chosen.clear();
  for (const std::size_t index : random_.sample(others.size(), n_shots_)) {
    chosen.push_back(others[index]);
  }
  return chosen;
}

}  // namespace mixtral::eval
