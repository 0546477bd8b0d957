// The subjects of MMLU and the categories that its authors put them into.
#include <algorithm>
#include <array>
#include <string>

#include "eval/task.hpp"

namespace mixtral::eval {
namespace {

struct Category {
  std::string_view name;
  std::array<std::string_view, 19> subjects;  // empty where there are fewer
};

constexpr std::array<Category, 4> kCategories = {{
    {"stem",
     {"abstract_algebra", "anatomy", "astronomy", "college_biology", "college_chemistry",
      "college_computer_science", "college_mathematics", "college_physics", "computer_security",
      "conceptual_physics", "electrical_engineering", "elementary_mathematics",
      "high_school_biology", "high_school_chemistry", "high_school_computer_science",
      "high_school_mathematics", "high_school_physics", "high_school_statistics",
      "machine_learning"}},
    {"other",
     {"business_ethics", "clinical_knowledge", "college_medicine", "global_facts",
      "human_aging", "management", "marketing", "medical_genetics", "miscellaneous",
      "nutrition", "professional_accounting", "professional_medicine", "virology"}},
    {"social_sciences",
     {"econometrics", "high_school_geography", "high_school_government_and_politics",
      "high_school_macroeconomics", "high_school_microeconomics", "high_school_psychology",
      "human_sexuality", "professional_psychology", "public_relations", "security_studies",
      "sociology", "us_foreign_policy"}},
    {"humanities",
     {"formal_logic", "high_school_european_history", "high_school_us_history",
      "high_school_world_history", "international_law", "jurisprudence", "logical_fallacies",
      "moral_disputes", "moral_scenarios", "philosophy", "prehistory", "professional_law",
      "world_religions"}},
}};

}  // namespace

std::string mmlu_description(std::string_view subject) {
  std::string words(subject);
  std::replace(words.begin(), words.end(), '_', ' ');
  return "The following are multiple choice questions (with answers) about " + words + ".\n\n";
}

std::string_view mmlu_category(std::string_view subject) {
  for (const Category& category : kCategories) {
    const auto& subjects = category.subjects;
    if (std::find(subjects.begin(), subjects.end(), subject) != subjects.end()) {
      return category.name;
    }
  }
  return "";
}

}  // namespace mixtral::eval
