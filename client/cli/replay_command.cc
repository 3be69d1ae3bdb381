// basin replay stats|draw|insert|clear|snapshot NAME.

#include <memory>
#include <optional>
#include <string>

#include <absl/strings/match.h>
#include <absl/strings/str_cat.h>
#include <absl/strings/str_format.h>

#include "client/cli/command.h"
#include "client/npy.h"

namespace basin::client {
namespace {

struct ReplayArguments {
  std::string model;
  int64_t count = 64;
  std::string path;
  std::optional<int64_t> label;
};

absl::Status PrintStats(const Session& session, const v1::ModelRef& model) {
  const auto stats =
      session.Connect()->ReplayStats(model, session.call_options());
  if (!stats.ok()) return stats.status();
  absl::PrintF("version      %d\n", stats->model_version());
  absl::PrintF("states       %d of %d, %s\n", stats->size(), stats->capacity(),
               HumanBytes(stats->bytes()));
  for (const auto& [label, size] : stats->label_sizes()) {
    absl::PrintF("  label %-4d %d\n", label, size);
  }
  absl::PrintF("inserted     %d\n", stats->inserts());
  absl::PrintF("written back %d\n", stats->write_backs());
  absl::PrintF("drawn        %d, of which %d started afresh\n", stats->draws(),
               stats->restarts());
  absl::PrintF("mean age     %.1f s\n", stats->mean_age_seconds());
  if (stats->has_snapshot_age_seconds()) {
    absl::PrintF("snapshot     %.1f s ago\n", stats->snapshot_age_seconds());
  }
  absl::PrintF("torn slots   %d\n", stats->torn_slots());
  return absl::OkStatus();
}

absl::Status Draw(const Session& session, const v1::ModelRef& model,
                  const ReplayArguments& arguments) {
  const std::unique_ptr<Client> client = session.Connect();
  v1::ReplayDrawRequest request;
  *request.mutable_model() = model;
  request.set_count(arguments.count);
  if (arguments.label) request.set_label(*arguments.label);
  const auto states = client->ReplayDraw(request, session.call_options());
  if (!states.ok()) return states.status();
  absl::Status written;
  if (absl::EndsWithIgnoreCase(arguments.path, ".png")) {
    const auto info = client->GetModel(model.name(), session.call_options());
    if (!info.ok()) return info.status();
    written = WriteStateGrid(arguments.path, *states, *info);
  } else {
    written = WriteNpy(arguments.path, *states);
  }
  if (written.ok()) {
    absl::PrintF("wrote %d states to %s\n", states->shape[0], arguments.path);
  }
  return written;
}

absl::Status Insert(const Session& session, const v1::ModelRef& model,
                    const ReplayArguments& arguments) {
  const std::unique_ptr<Client> client = session.Connect();
  const auto info = client->GetModel(model.name(), session.call_options());
  if (!info.ok()) return info.status();
  const auto states = ReadInputs(arguments.path, *info);
  if (!states.ok()) return states.status();
  const auto inserted = client->ReplayInsert(model, *states, arguments.label,
                                             session.call_options());
  if (!inserted.ok()) return inserted.status();
  absl::PrintF("inserted %d states\n", *inserted);
  return absl::OkStatus();
}

absl::Status Clear(const Session& session, const v1::ModelRef& model) {
  const auto removed =
      session.Connect()->ReplayClear(model, session.call_options());
  if (!removed.ok()) return removed.status();
  absl::PrintF("removed %d states\n", *removed);
  return absl::OkStatus();
}

absl::Status Snapshot(const Session& session, const v1::ModelRef& model) {
  const auto states =
      session.Connect()->ReplaySnapshot(model, session.call_options());
  if (!states.ok()) return states.status();
  absl::PrintF("%d states are durable\n", *states);
  return absl::OkStatus();
}

}  // namespace

void AddReplayCommand(CLI::App& app, Session& session, Action& action) {
  CLI::App* replay =
      app.add_subcommand("replay", "the replay buffer of a model");
  replay->require_subcommand(1);
  const auto arguments = std::make_shared<ReplayArguments>();
  const auto add = [&](const char* name, const char* help, auto run) {
    CLI::App* sub = replay->add_subcommand(name, help);
    sub->add_option("NAME", arguments->model, "the model, NAME or NAME:VERSION")
        ->required();
    sub->callback([&session, &action, arguments, run] {
      action = [&session, arguments, run]() -> absl::Status {
        const auto model = ParseModel(arguments->model);
        if (!model.ok()) return model.status();
        return run(session, *model, *arguments);
      };
    });
    return sub;
  };
  add("stats", "how full it is, and what went in and out",
      [](const Session& s, const v1::ModelRef& model, const ReplayArguments&) {
        return PrintStats(s, model);
      });
  CLI::App* draw = add("draw", "draws states into a file", &Draw);
  const auto add_label = [&](CLI::App* sub) {
    sub->add_option("--label", arguments->label,
                    "classifiers: states of p(x | y) for this y. Default: of "
                    "p(x)");
  };
  draw->add_option("--count", arguments->count, "how many states")
      ->check(&CheckPositiveInteger)
      ->capture_default_str();
  add_label(draw);
  draw->add_option("--out", arguments->path, "FILE.npy or FILE.png")
      ->check(FileNameEndsWith(".npy", ".png"))
      ->required();
  CLI::App* insert =
      add("insert", "adds states; they are durable when it returns", &Insert);
  insert
      ->add_option("--input", arguments->path,
                   "FILE.npy, FILE.png or a folder of them")
      ->required();
  add_label(insert);
  add("clear", "removes all states, of every label",
      [](const Session& s, const v1::ModelRef& model, const ReplayArguments&) {
        return Clear(s, model);
      });
  add("snapshot", "makes all states durable now",
      [](const Session& s, const v1::ModelRef& model, const ReplayArguments&) {
        return Snapshot(s, model);
      });
}

}  // namespace basin::client
