#include "client/cli/model_arguments.h"

#include <utility>

#include <absl/status/status.h>
#include <absl/strings/ascii.h>
#include <absl/strings/match.h>
#include <absl/strings/numbers.h>
#include <absl/strings/str_cat.h>
#include <absl/strings/str_split.h>
#include <absl/strings/string_view.h>

#include "client/npy.h"

namespace basin::client {
namespace {

absl::Status Unreadable(absl::string_view text) {
  return absl::InvalidArgumentError(
      absl::StrCat("model '", text,
                   "': expected NAME, NAME:VERSION, or a composition of them: "
                   "\"product(a, 0.5*b)\", \"mixture(0.3*a, 0.7*b)\" or "
                   "\"difference(a, 0.5*b)\""));
}

// "0.5*b:2".
absl::Status ParseTerm(absl::string_view text, v1::ModelRef::Term& term) {
  const size_t star = text.find('*');
  if (star != absl::string_view::npos) {
    double weight = 0;
    if (!absl::SimpleAtod(text.substr(0, star), &weight)) {
      return Unreadable(text);
    }
    term.set_weight(weight);
    text.remove_prefix(star + 1);
  }
  const auto ref = ParseModel(std::string(absl::StripAsciiWhitespace(text)));
  if (!ref.ok()) return ref.status();
  if (ref->name().empty()) return Unreadable(text);
  term.set_model(ref->name());
  term.set_version(ref->version());
  return absl::OkStatus();
}

v1::ModelRef::Terms* TermsOf(absl::string_view kind, v1::ModelRef& ref) {
  if (kind == "product") return ref.mutable_product();
  if (kind == "mixture") return ref.mutable_mixture();
  if (kind == "difference") return ref.mutable_difference();
  return nullptr;
}

const v1::ModelRef::Terms& TermsOf(const v1::ModelRef& ref) {
  if (ref.has_mixture()) return ref.mixture();
  return ref.has_difference() ? ref.difference() : ref.product();
}

}  // namespace

void AddModelArguments(CLI::App& command, ModelArguments& args) {
  command
      .add_option("NAME", args.model,
                  "the model, NAME or NAME:VERSION, or a composition: "
                  "\"product(a, 0.5*b)\", \"mixture(0.3*a, 0.7*b)\", "
                  "\"difference(a, 0.5*b)\"")
      ->required();
  command.add_option("--temperature", args.temperature,
                     "what a composition's energy is divided by. Default: 1");
  command.add_option("--label", args.label,
                     "classifiers: the class y of E(x, y). Default: none, "
                     "E(x)");
  command.add_option("--context", args.context,
                     "INPUT=FILE.npy, for each other input of the model: one "
                     "row for all, or one for each");
}

absl::StatusOr<v1::ModelRef> ParseModelOrComposition(
    const ModelArguments& args) {
  const absl::string_view text = absl::StripAsciiWhitespace(args.model);
  const size_t open = text.find('(');
  if (open == absl::string_view::npos) {
    if (args.temperature.has_value()) {
      return absl::InvalidArgumentError(
          "--temperature belongs to a composition; for one model use --beta");
    }
    return ParseModel(std::string(text));
  }
  v1::ModelRef ref;
  v1::ModelRef::Terms* terms =
      TermsOf(absl::StripAsciiWhitespace(text.substr(0, open)), ref);
  if (terms == nullptr || !absl::EndsWith(text, ")")) return Unreadable(text);
  const absl::string_view list = text.substr(open + 1, text.size() - open - 2);
  for (const absl::string_view term : absl::StrSplit(list, ',')) {
    const absl::Status status = ParseTerm(term, *terms->add_terms());
    if (!status.ok()) return status;
  }
  if (args.temperature.has_value()) ref.set_temperature(*args.temperature);
  return ref;
}

std::string FirstModel(const v1::ModelRef& ref) {
  const v1::ModelRef::Terms& terms = TermsOf(ref);
  return terms.terms().empty() ? ref.name() : terms.terms(0).model();
}

absl::StatusOr<std::map<std::string, v1::Tensor>> ReadContext(
    const ModelArguments& args) {
  std::map<std::string, v1::Tensor> context;
  for (const std::string& text : args.context) {
    const size_t equals = text.find('=');
    if (equals == std::string::npos || equals == 0) {
      return absl::InvalidArgumentError(
          absl::StrCat("--context ", text, ": expected INPUT=FILE.npy"));
    }
    auto tensor = ReadNpy(text.substr(equals + 1));
    if (!tensor.ok()) return tensor.status();
    context[text.substr(0, equals)] = *std::move(tensor);
  }
  return context;
}

absl::Status FillConditions(const ModelArguments& args,
                            v1::SampleRequest& request) {
  if (args.label) request.set_label(*args.label);
  auto context = ReadContext(args);
  if (!context.ok()) return context.status();
  for (auto& [name, tensor] : *context) {
    (*request.mutable_context())[name] = std::move(tensor);
  }
  return absl::OkStatus();
}

}  // namespace basin::client
