#include "client/cli/transition_arguments.h"

#include <cmath>
#include <cstdint>
#include <functional>
#include <vector>

#include <absl/status/status.h>
#include <absl/strings/str_cat.h>
#include <absl/strings/str_format.h>
#include <absl/strings/str_join.h>

#include "client/cli/model_arguments.h"
#include "client/cli/transition_guide.h"

namespace basin::client {
namespace {

using ::google::protobuf::Descriptor;
using ::google::protobuf::FieldDescriptor;
using ::google::protobuf::Message;
using ::google::protobuf::Reflection;

struct Parameter {
  const char* name;
  const char* type;
  const char* help;
};

const Parameter kParameters[] = {
    {"step_size", "FLOAT",
     "ula, mala: epsilon of x - epsilon grad U + sqrt(2 epsilon) xi, squared "
     "units of x; hmc, underdamped*: the time step; random_walk, "
     "delayed_acceptance: sigma of x + sigma xi; discrete_langevin: greater = "
     "more sites change; igebm, jem, minimize: factor of the gradient. "
     "Default: the model's; without one it is tuned where it can be"},
    {"leaps", "INT",
     "hmc: leapfrog steps, one gradient each, default 16; "
     "underdamped_metropolis: the same between decisions, default 1; "
     "delayed_acceptance: steps in the cheap energy, default 4"},
    {"jitter", "FLOAT",
     "hmc: share of the length that is random, 0 to 1. Default: 0; 0.5 keeps "
     "a period of the motion from matching the length"},
    {"friction", "FLOAT",
     "underdamped*: how fast momenta are forgotten, per unit of time. "
     "Default: 1"},
    {"momentum", "FLOAT",
     "minimize: share of the last move that is added, 0 to below 1. Default: "
     "0"},
    {"sites", "INT",
     "site_metropolis, site_heat_bath: sites tried in a step. Default: 1"},
    {"noise_std", "FLOAT",
     "igebm, jem: standard deviation of the noise, units of x"},
    {"gradient_clip", "FLOAT",
     "igebm: bound of each element of the gradient; 0 = none"},
};

const FieldDescriptor* FindKind(const std::string& name) {
  return v1::Transition::descriptor()->FindFieldByName(
      name == "langevin" ? "ula" : name);
}

// The kind that is set; null if none is.
const FieldDescriptor* KindOf(const v1::Transition& transition) {
  return v1::Transition::descriptor()->FindFieldByNumber(
      transition.kind_case());
}

std::vector<std::string> ParameterNames(const Descriptor& kind) {
  std::vector<std::string> names;
  for (int i = 0; i < kind.field_count(); ++i) {
    names.push_back(absl::StrCat("--", kind.field(i)->name()));
  }
  return names;
}

absl::Status SetParameter(const std::string& name, double value,
                          Message& kind) {
  const Descriptor& type = *kind.GetDescriptor();
  const FieldDescriptor* field = type.FindFieldByName(name);
  if (field == nullptr) {
    const std::vector<std::string> names = ParameterNames(type);
    return absl::InvalidArgumentError(absl::StrCat(
        "--", name, " is no parameter of ", type.name(), ", which has ",
        names.empty() ? "none" : absl::StrJoin(names, ", "),
        "; --transition names another one"));
  }
  const Reflection& reflection = *kind.GetReflection();
  if (field->cpp_type() == FieldDescriptor::CPPTYPE_DOUBLE) {
    reflection.SetDouble(&kind, field, value);
    return absl::OkStatus();
  }
  if (value != std::floor(value) || std::abs(value) > 1e15) {
    return absl::InvalidArgumentError(
        absl::StrCat("--", name, ": expected a whole number, got ", value));
  }
  reflection.SetInt64(&kind, field, static_cast<int64_t>(value));
  return absl::OkStatus();
}

absl::Status SetSurrogate(const std::string& model,
                          v1::Transition& transition) {
  if (!transition.has_delayed_acceptance()) {
    return absl::InvalidArgumentError(
        "--surrogate belongs to --transition delayed_acceptance");
  }
  ModelArguments args;
  args.model = model;
  const auto ref = ParseModelOrComposition(args);
  if (!ref.ok()) return ref.status();
  *transition.mutable_delayed_acceptance()->mutable_surrogate() = *ref;
  return absl::OkStatus();
}

// "2.5", "16", or the name of a model.
std::string ValueText(const Message& kind, const FieldDescriptor& field) {
  const Reflection& reflection = *kind.GetReflection();
  switch (field.cpp_type()) {
    case FieldDescriptor::CPPTYPE_DOUBLE:
      return absl::StrFormat("%.6g", reflection.GetDouble(kind, &field));
    case FieldDescriptor::CPPTYPE_INT64:
      return absl::StrCat(reflection.GetInt64(kind, &field));
    default:
      return reflection.GetMessage(kind, &field).ShortDebugString();
  }
}

}  // namespace

void AddTransitionArguments(CLI::App& command, TransitionArguments& args) {
  std::vector<std::string> names = {"langevin"};
  for (const TransitionGuide& guide : TransitionGuides()) {
    names.emplace_back(guide.name);
  }
  command
      .add_option("--transition", args.name,
                  absl::StrCat(TransitionLines(),
                               "Default: the model's. `basin transitions NAME` "
                               "tells all of one"))
      // The list is in the help already.
      ->check(CLI::IsMember(names).description(""))
      ->type_name("NAME")
      ->group("Transition");
  for (const Parameter& parameter : kParameters) {
    const std::string name = parameter.name;
    command
        .add_option_function<double>(
            absl::StrCat("--", name),
            [&args, name](const double& value) {
              args.parameters[name] = value;
            },
            parameter.help)
        ->type_name(parameter.type)
        ->group("Transition");
  }
  command
      .add_option("--surrogate", args.surrogate,
                  "delayed_acceptance: the model that is the cheap energy")
      ->type_name("MODEL")
      ->group("Transition");
}

absl::StatusOr<v1::Transition> MakeTransition(
    const TransitionArguments& args, const v1::Transition& model_default) {
  v1::Transition transition;
  if (args.name.empty() && args.parameters.empty() && args.surrogate.empty()) {
    return transition;
  }
  const FieldDescriptor* field =
      args.name.empty() ? KindOf(model_default) : FindKind(args.name);
  if (field == nullptr) {
    return absl::InvalidArgumentError(
        args.name.empty()
            ? absl::StrCat("--transition is missing, and the model has no "
                           "default that its parameters could belong to")
            : absl::StrCat("--transition: there is no ", args.name));
  }
  Message& kind =
      *transition.GetReflection()->MutableMessage(&transition, field);
  for (const auto& [name, value] : args.parameters) {
    const absl::Status status = SetParameter(name, value, kind);
    if (!status.ok()) return status;
  }
  if (!args.surrogate.empty()) {
    const absl::Status status = SetSurrogate(args.surrogate, transition);
    if (!status.ok()) return status;
  }
  return transition;
}

std::string DescribeTransition(const v1::Transition& transition) {
  const FieldDescriptor* field = KindOf(transition);
  if (field == nullptr) return "none";
  const Message& kind =
      transition.GetReflection()->GetMessage(transition, field);
  std::string text = field->name();
  const Descriptor& type = *kind.GetDescriptor();
  for (int i = 0; i < type.field_count(); ++i) {
    if (!kind.GetReflection()->HasField(kind, type.field(i))) continue;
    absl::StrAppend(&text, " ", type.field(i)->name(), "=",
                    ValueText(kind, *type.field(i)));
  }
  return text;
}

}  // namespace basin::client
