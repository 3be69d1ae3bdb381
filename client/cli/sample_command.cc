// basin sample NAME: draws samples into a file.

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <system_error>
#include <utility>

#include <absl/strings/match.h>
#include <absl/strings/str_cat.h>
#include <absl/strings/str_format.h>

#include "client/cli/command.h"
#include "client/cli/model_arguments.h"
#include "client/cli/progress.h"
#include "client/npy.h"
#include "client/png_grid.h"

namespace basin::client {
namespace {

struct SampleArguments {
  ModelArguments model;
  int64_t chains = 64;
  int64_t steps = 0;
  int64_t warmup = 0;
  int64_t keep_every = 0;
  std::string transition;
  std::optional<double> step_size;
  std::optional<double> noise_std;
  std::optional<double> gradient_clip;
  double beta = 1;
  std::string init;
  std::optional<double> restart_probability;
  std::optional<uint64_t> seed;
  std::optional<double> lower;
  std::optional<double> upper;
  int priority = 0;
  std::string out;
};

// Which names --transition takes; "langevin" is ULA's other name.
const char* const kTransitionHelp =
    "ula (= langevin): unadjusted Langevin, biased\n"
    "mala: Metropolis-adjusted Langevin, exact\n"
    "random_walk: random-walk Metropolis, exact\n"
    "igebm, jem: published recipes of noisy descent\n"
    "default: the model's";

template <typename Message>
void SetStepSize(const SampleArguments& args, Message& transition) {
  if (args.step_size) transition.set_step_size(*args.step_size);
}

v1::Transition MakeTransition(const SampleArguments& args) {
  v1::Transition transition;
  const std::string& name = args.transition;
  if (name == "ula" || name == "langevin") {
    SetStepSize(args, *transition.mutable_ula());
  } else if (name == "mala") {
    SetStepSize(args, *transition.mutable_mala());
  } else if (name == "random_walk") {
    SetStepSize(args, *transition.mutable_random_walk());
  } else if (name == "igebm") {
    v1::Transition::Igebm& igebm = *transition.mutable_igebm();
    SetStepSize(args, igebm);
    if (args.noise_std) igebm.set_noise_std(*args.noise_std);
    if (args.gradient_clip) igebm.set_gradient_clip(*args.gradient_clip);
  } else {
    v1::Transition::Jem& jem = *transition.mutable_jem();
    SetStepSize(args, jem);
    if (args.noise_std) jem.set_noise_std(*args.noise_std);
  }
  return transition;
}

// Parameters without --transition belong to the model's default transition.
absl::Status FillTransition(const v1::Model& model, SampleArguments& args) {
  if (!args.transition.empty()) return absl::OkStatus();
  if (!args.step_size && !args.noise_std && !args.gradient_clip) {
    return absl::OkStatus();
  }
  switch (model.default_transition().kind_case()) {
    case v1::Transition::kUla:
      args.transition = "ula";
      break;
    case v1::Transition::kMala:
      args.transition = "mala";
      break;
    case v1::Transition::kRandomWalk:
      args.transition = "random_walk";
      break;
    case v1::Transition::kIgebm:
      args.transition = "igebm";
      break;
    case v1::Transition::kJem:
      args.transition = "jem";
      break;
    case v1::Transition::KIND_NOT_SET:
      return absl::InvalidArgumentError(
          "--step_size needs --transition: the model has no default");
  }
  return absl::OkStatus();
}

absl::Status FillInit(const v1::Model& model, const SampleArguments& args,
                      v1::SampleRequest& request) {
  if (args.init.empty()) return absl::OkStatus();
  if (args.init == "noise") {
    request.mutable_noise();
  } else if (args.init == "replay") {
    v1::SampleRequest::ReplayInit& replay = *request.mutable_replay();
    if (args.restart_probability) {
      replay.set_restart_probability(*args.restart_probability);
    }
  } else {
    auto states = ReadInputs(args.init, model);
    if (!states.ok()) return states.status();
    *request.mutable_states() = *std::move(states);
  }
  return absl::OkStatus();
}

absl::StatusOr<v1::SampleRequest> MakeRequest(const v1::Model& model,
                                              SampleArguments args) {
  v1::SampleRequest request;
  auto ref = ParseModelOrComposition(args.model);
  if (!ref.ok()) return ref.status();
  *request.mutable_model() = *ref;
  request.set_chains(args.chains);
  request.set_steps(args.steps);
  request.set_warmup(args.warmup);
  request.set_keep_every(args.keep_every);
  absl::Status status = FillTransition(model, args);
  if (!status.ok()) return status;
  if (!args.transition.empty()) {
    *request.mutable_transition() = MakeTransition(args);
  }
  request.set_inverse_temperature(args.beta);
  status = FillInit(model, args, request);
  if (!status.ok()) return status;
  if (args.seed) request.set_seed(*args.seed);
  if (args.lower) request.mutable_box()->set_lower(*args.lower);
  if (args.upper) request.mutable_box()->set_upper(*args.upper);
  request.set_priority(args.priority);
  if (args.model.label) request.set_label(*args.model.label);
  auto context = ReadContext(args.model);
  if (!context.ok()) return context.status();
  for (auto& [name, tensor] : *context) {
    (*request.mutable_context())[name] = std::move(tensor);
  }
  return request;
}

void ShowEvent(const v1::SampleEvent& event, ProgressBar& bar) {
  if (!event.has_progress()) return;
  const v1::SampleEvent::Progress& progress = event.progress();
  std::string note;
  if (progress.has_mean_energy()) {
    note = absl::StrFormat("energy %.4g", progress.mean_energy());
  }
  if (progress.has_acceptance()) {
    absl::StrAppendFormat(&note, "  acceptance %.3f", progress.acceptance());
  }
  bar.Update(progress.chain_steps_done(), progress.chain_steps_total(), note);
}

std::string TargetText(const v1::Target& target) {
  if (target.kind() == v1::Target::EXACT) return "exact";
  if (target.kind() == v1::Target::BIASED) {
    return absl::StrFormat("biased, order %d in the step size", target.order());
  }
  return absl::StrFormat("a recipe, effective temperature %.3g",
                         target.effective_temperature());
}

void PrintSummary(const SampleResult& result) {
  const v1::SampleEvent::Summary& summary = result.summary;
  const v1::SampleEvent::Accepted& accepted = result.accepted;
  absl::PrintF("transition   %s (%s)\n",
               DescribeTransition(accepted.transition()),
               TargetText(accepted.target()));
  if (summary.has_mean_energy()) {
    absl::PrintF("mean energy  %.6g\n", summary.mean_energy());
  }
  if (summary.has_acceptance()) {
    absl::PrintF("acceptance   %.3f\n", summary.acceptance());
  }
  if (summary.has_rhat()) absl::PrintF("R-hat        %.4f\n", summary.rhat());
  if (summary.has_ess()) absl::PrintF("ESS          %.1f\n", summary.ess());
  const double seconds = summary.timings().running_seconds();
  absl::PrintF(
      "chain-steps  %d in %.2f s%s (queued %.3f s)\n", summary.chain_steps(),
      seconds,
      seconds > 0
          ? absl::StrCat(", ", HumanNumber(summary.chain_steps() / seconds),
                         " steps/s")
          : "",
      summary.timings().queued_seconds());
  absl::PrintF("seed         %d\n", accepted.seed());
  if (summary.truncated()) absl::PrintF("truncated    by the deadline\n");
  for (const std::string& warning : summary.warnings()) {
    absl::FPrintF(stderr, "warning: %s\n", warning);
  }
}

// The states of the last kept step, [chains, D...].
Array LastStates(const Array& states) {
  Array last;
  last.shape.assign(states.shape.begin() + 1, states.shape.end());
  last.values.assign(states.values.end() - NumElements(last.shape),
                     states.values.end());
  return last;
}

absl::Status WriteStates(const SampleArguments& args, const v1::Model& model,
                         const SampleResult& result) {
  if (result.states.values.empty()) {
    return absl::UnavailableError("the server sent no states: ended too early");
  }
  if (absl::EndsWithIgnoreCase(args.out, ".png")) {
    const bool box = model.has_domain();
    return WritePngGrid(
        args.out, LastStates(result.states),
        box ? static_cast<float>(model.domain().lower()) : 0.0F,
        box ? static_cast<float>(model.domain().upper()) : 1.0F);
  }
  return WriteNpy(args.out, args.keep_every > 0 ? result.states
                                                : LastStates(result.states));
}

// Finds out before a long run what could not be written after it.
absl::Status CheckOutput(const std::string& out, const v1::Model& model) {
  if (absl::EndsWithIgnoreCase(out, ".png")) {
    const absl::StatusOr<int> channels = ImageChannels(model);
    if (!channels.ok()) return channels.status();
  }
  const std::filesystem::path folder = std::filesystem::path(out).parent_path();
  std::error_code ignored;
  if (!folder.empty() && !std::filesystem::is_directory(folder, ignored)) {
    return absl::NotFoundError(absl::StrCat(
        "cannot write ", out, ": there is no folder ", folder.string()));
  }
  return absl::OkStatus();
}

absl::Status RunSample(const Session& session, const SampleArguments& args) {
  const std::unique_ptr<Client> client = session.Connect();
  const auto ref = ParseModelOrComposition(args.model);
  if (!ref.ok()) return ref.status();
  const auto model = client->GetModel(FirstModel(*ref), session.call_options());
  if (!model.ok()) return model.status();
  const absl::Status writable = CheckOutput(args.out, *model);
  if (!writable.ok()) return writable;
  const auto request = MakeRequest(*model, args);
  if (!request.ok()) return request.status();
  ProgressBar bar("steps");
  const auto result = client->Sample(
      *request, [&](const v1::SampleEvent& event) { ShowEvent(event, bar); },
      session.call_options());
  bar.Finish();
  if (!result.ok()) return result.status();
  PrintSummary(*result);
  if (result->summary.divergences() == args.chains) {
    return absl::OutOfRangeError(absl::StrCat(
        "all ", args.chains, " chains diverged; ", args.out,
        " is not written. Try a smaller --step_size, or --lower and --upper"));
  }
  const absl::Status written = WriteStates(args, *model, *result);
  if (written.ok()) absl::PrintF("wrote        %s\n", args.out);
  return written;
}

void AddTransitionOptions(CLI::App& sample, SampleArguments& args) {
  sample.add_option("--transition", args.transition, kTransitionHelp)
      ->check(CLI::IsMember(
          {"ula", "langevin", "mala", "random_walk", "igebm", "jem"}));
  sample.add_option("--step_size", args.step_size,
                    "ula, mala: epsilon of x - epsilon grad U + sqrt(2 "
                    "epsilon) xi; random_walk: sigma of x + sigma xi; igebm, "
                    "jem: factor of the gradient. Default: the model's");
  sample.add_option("--noise_std", args.noise_std,
                    "igebm, jem: standard deviation of the noise, units of x");
  sample.add_option("--gradient_clip", args.gradient_clip,
                    "igebm: bound of each element of the gradient; 0 = none");
  sample
      .add_option("--beta", args.beta,
                  "inverse temperature of p(x) = exp(-beta E(x)) / Z")
      ->capture_default_str();
}

void AddStartOptions(CLI::App& sample, SampleArguments& args) {
  sample.add_option("--init", args.init,
                    "noise, replay, or FILE.npy with [chains, ...] states. "
                    "Default: replay if the buffer holds states, else noise");
  sample.add_option("--restart_probability", args.restart_probability,
                    "--init replay: share of chains that start from noise "
                    "all the same. Default: the model's");
  sample.add_option("--seed", args.seed,
                    "same seed, same bytes. Default: drawn by the server");
  sample.add_option("--lower", args.lower,
                    "lower bound of every coordinate. Default: the model's");
  sample.add_option("--upper", args.upper,
                    "upper bound of every coordinate. Default: the model's");
}

}  // namespace

void AddSampleCommand(CLI::App& app, Session& session, Action& action) {
  CLI::App* sample = app.add_subcommand(
      "sample", "draws samples of p(x) = exp(-beta E(x)) / Z into a file");
  const auto args = std::make_shared<SampleArguments>();
  AddModelArguments(*sample, args->model);
  sample->add_option("--chains", args->chains, "number of chains")
      ->check(CLI::PositiveNumber)
      ->capture_default_str();
  sample->add_option("--steps", args->steps,
                     "transitions of each chain after warm-up. Default: the "
                     "model's");
  sample
      ->add_option("--warmup", args->warmup,
                   "transitions before them, whose states are discarded")
      ->capture_default_str();
  sample
      ->add_option("--keep_every", args->keep_every,
                   "keep every k-th state; 0 = only the last")
      ->capture_default_str();
  AddTransitionOptions(*sample, *args);
  AddStartOptions(*sample, *args);
  sample->add_option("--priority", args->priority,
                     "1 (first) to 9. Default: 5");
  sample
      ->add_option("--out", args->out,
                   "FILE.npy: float32, [chains, ...] or with --keep_every "
                   "[k, chains, ...]; FILE.png: a grid of the last states")
      ->check(FileNameEndsWith(".npy", ".png"))
      ->required();
  sample->callback([&session, &action, args] {
    action = [&session, args] { return RunSample(session, *args); };
  });
}

}  // namespace basin::client
