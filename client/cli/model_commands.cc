// basin models, basin model, basin status.

#include <cstdio>
#include <memory>
#include <string>

#include <absl/strings/str_cat.h>
#include <absl/strings/str_format.h>
#include <absl/strings/str_join.h>

#include "client/cli/command.h"
#include "client/cli/transition_arguments.h"

namespace basin::client {
namespace {

std::string ShapeOf(const v1::Model& model) {
  return ShapeToString({model.shape().begin(), model.shape().end()});
}

std::string DomainOf(const v1::Model& model) {
  if (model.domain_kind() != "continuous") return model.domain_kind();
  if (!model.has_domain()) return "unbounded";
  return absl::StrFormat("[%g, %g]", model.domain().lower(),
                         model.domain().upper());
}

// "label int64 [], -1 to 9, default -1".
std::string InputText(const v1::NamedInput& input) {
  std::string text =
      absl::StrCat(input.name(), " ", input.dtype(), " ",
                   ShapeToString({input.shape().begin(), input.shape().end()}));
  if (input.has_range()) {
    absl::StrAppendFormat(&text, ", %g to %g", input.range().lower(),
                          input.range().upper());
  }
  if (input.has_default_value()) {
    absl::StrAppendFormat(&text, ", default %g", input.default_value());
  }
  return text;
}

void PrintField(const char* name, const std::string& value) {
  absl::PrintF("%-20s %s\n", name, value);
}

void PrintReadyModel(const v1::Model& model) {
  PrintField("family", model.family());
  PrintField("input", absl::StrCat(model.input(), " ", ShapeOf(model)));
  PrintField("domain", DomainOf(model));
  for (const v1::NamedInput& state : model.states()) {
    PrintField("state input", InputText(state));
  }
  for (const v1::NamedInput& context : model.context()) {
    PrintField("context input", InputText(context));
  }
  if (model.classes() > 0) PrintField("classes", absl::StrCat(model.classes()));
  if (model.has_log_z()) {
    PrintField("ln Z", absl::StrFormat("%.9g, standard error %.3g",
                                       model.log_z().value(),
                                       model.log_z().standard_error()));
  }
  if (model.uint8_scale() != 0) {
    PrintField("uint8 inputs",
               absl::StrFormat("times %g", model.uint8_scale()));
  }
  PrintField("initial law", model.initial());
  PrintField("transitions", absl::StrJoin(model.transitions(), ", "));
  PrintField("default transition",
             model.has_default_transition()
                 ? DescribeTransition(model.default_transition())
                 : "none: --transition names one");
  PrintField("default steps", absl::StrCat(model.default_steps()));
  if (model.replay().capacity() > 0) {
    PrintField("replay buffer",
               absl::StrFormat("%d states, restart probability %g, %s, %s",
                               model.replay().capacity(),
                               model.replay().restart_probability(),
                               model.replay().write_policy(),
                               model.replay().read_policy()));
  }
  PrintField("parameters", HumanNumber(model.parameters()));
  if (!model.operators().empty()) {
    PrintField("operators", absl::StrJoin(model.operators(), ", "));
  }
  PrintField("memory", HumanBytes(model.memory_bytes()));
  PrintField("precision", model.precision_note().empty()
                              ? model.precision()
                              : absl::StrCat(model.precision(), " (",
                                             model.precision_note(), ")"));
  PrintField("device", model.device());
  PrintField("tile rows", absl::StrJoin(model.tile_rows(), ", "));
  PrintField("chains at most", absl::StrCat(model.max_chains()));
}

void PrintModel(const v1::Model& model) {
  PrintField("name", model.name());
  for (const v1::ModelVersion& version : model.versions()) {
    std::string text = absl::StrCat(version.version(), " ",
                                    v1::ModelState_Name(version.state()));
    if (version.serving()) text += " (serving)";
    if (!version.reason().empty())
      absl::StrAppend(&text, ": ", version.reason());
    PrintField("version", text);
  }
  if (model.serving_version() != 0) PrintReadyModel(model);
}

// The beginning of a long reason, for a table.
std::string Shorten(const std::string& reason) {
  constexpr size_t kMost = 60;
  if (reason.size() <= kMost) return reason;
  return absl::StrCat(reason.substr(0, kMost), "... (see basin model NAME)");
}

absl::Status ListModels(const Session& session) {
  const auto response = session.Connect()->ListModels(session.call_options());
  if (!response.ok()) return response.status();
  absl::PrintF("%-20s %7s  %-9s %-16s %-12s %s\n", "NAME", "VERSION", "STATE",
               "SHAPE", "DOMAIN", "MEMORY");
  for (const v1::Model& model : response->models()) {
    for (const v1::ModelVersion& version : model.versions()) {
      const bool serving = version.serving();
      absl::PrintF("%-20s %7d  %-9s %-16s %-12s %s\n", model.name(),
                   version.version(), v1::ModelState_Name(version.state()),
                   serving ? ShapeOf(model) : "-",
                   serving ? DomainOf(model) : "-",
                   serving ? HumanBytes(model.memory_bytes())
                           : Shorten(version.reason()));
    }
  }
  return absl::OkStatus();
}

absl::Status ShowModel(const Session& session, const std::string& name) {
  const auto model = session.Connect()->GetModel(name, session.call_options());
  if (!model.ok()) return model.status();
  PrintModel(*model);
  return absl::OkStatus();
}

absl::Status LoadModel(const Session& session, const std::string& name) {
  const auto ref = ParseModel(name);
  if (!ref.ok()) return ref.status();
  const auto model = session.Connect()->LoadModel(*ref, session.call_options());
  if (!model.ok()) return model.status();
  PrintModel(*model);
  return absl::OkStatus();
}

absl::Status UnloadModel(const Session& session, const std::string& name) {
  const auto ref = ParseModel(name);
  if (!ref.ok()) return ref.status();
  return session.Connect()->UnloadModel(*ref, session.call_options());
}

absl::Status ShowStatus(const Session& session, double wait_seconds) {
  const std::unique_ptr<Client> client = session.Connect();
  if (wait_seconds > 0) {
    const absl::Status waited =
        client->WaitUntilServing(absl::Seconds(wait_seconds));
    if (!waited.ok()) {
      return absl::Status(waited.code(),
                          absl::StrFormat("%s does not serve after %g seconds",
                                          session.address, wait_seconds));
    }
  }
  const auto status = client->Status(session.call_options());
  if (!status.ok()) return status.status();
  PrintField("server", absl::StrCat("basin ", status->version(),
                                    status->draining() ? " (draining)" : ""));
  PrintField("uptime", absl::StrFormat("%.0f s", status->uptime_seconds()));
  PrintField("device", absl::StrCat(status->device_kind(), " ", status->isa(),
                                    ", ", status->device_name()));
  PrintField("workers", absl::StrCat(status->workers()));
  PrintField("requests", absl::StrCat(status->jobs()));
  PrintField("rows", absl::StrCat(status->rows_running(), " running, ",
                                  status->rows_ready(), " ready, limit ",
                                  status->limits().max_rows()));
  PrintField("work", absl::StrFormat("%.1f s of one worker, limit %g s",
                                     status->estimated_work_seconds(),
                                     status->limits().max_work_seconds()));
  PrintField("memory of requests",
             absl::StrCat(HumanBytes(status->bytes()), ", limit ",
                          HumanBytes(status->limits().max_bytes())));
  return absl::OkStatus();
}

}  // namespace

void AddModelCommands(CLI::App& app, Session& session, Action& action) {
  CLI::App* models = app.add_subcommand("models", "lists what is served");
  models->callback([&] { action = [&] { return ListModels(session); }; });

  const auto name = std::make_shared<std::string>();
  const auto add = [&](const char* command, const char* help, auto run) {
    CLI::App* sub = app.add_subcommand(command, help);
    sub->add_option("NAME", *name, "the model")->required();
    sub->callback([&session, &action, name, run] {
      action = [&session, name, run] { return run(session, *name); };
    });
  };
  add("model", "shows all that is known of a model", &ShowModel);
  add("load", "loads a model, NAME or NAME:VERSION, from the repository",
      &LoadModel);
  add("unload", "unloads a model, NAME or NAME:VERSION", &UnloadModel);
}

void AddStatusCommand(CLI::App& app, Session& session, Action& action) {
  CLI::App* status = app.add_subcommand("status", "load, queue and limits");
  const auto wait = std::make_shared<double>(0);
  status
      ->add_option("--wait", *wait,
                   "seconds to wait until the server serves; 0 = not")
      ->capture_default_str();
  status->callback(
      [&, wait] { action = [&, wait] { return ShowStatus(session, *wait); }; });
}

}  // namespace basin::client
