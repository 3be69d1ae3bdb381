// basin sample NAME: draws samples into a file.

#include <algorithm>
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
#include "client/cli/ensemble_arguments.h"
#include "client/cli/model_arguments.h"
#include "client/cli/progress.h"
#include "client/cli/resume_file.h"
#include "client/cli/summary_text.h"
#include "client/cli/transition_arguments.h"
#include "client/npy.h"

namespace basin::client {
namespace {

struct SampleArguments {
  ModelArguments model;
  TransitionArguments transition;
  EnsembleArguments ensemble;
  int64_t chains = 64;
  std::optional<int64_t> steps;
  int64_t warmup = 0;
  int64_t keep_every = 0;
  double beta = 1;
  std::string init;
  std::optional<double> restart_probability;
  std::optional<uint64_t> seed;
  int priority = 0;
  std::string out;
  std::string save_tuned;
  std::string log_weights_out;
  std::string save_resume;
  std::string resume;
};

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

// What a request that goes on with an earlier one may say too.
void FillLength(const SampleArguments& args, v1::SampleRequest& request) {
  if (args.steps) request.set_steps(*args.steps);
  request.set_keep_every(args.keep_every);
  request.set_priority(args.priority);
  if (!args.save_resume.empty()) {
    request.mutable_output()->set_resume_token(true);
  }
}

absl::StatusOr<v1::SampleRequest> MakeRequest(const v1::ModelRef& ref,
                                              const v1::Model& model,
                                              const SampleArguments& args) {
  v1::SampleRequest request;
  FillLength(args, request);
  *request.mutable_model() = ref;
  request.set_chains(args.chains);
  request.set_warmup(args.warmup);
  auto transition = MakeTransition(args.transition, model.default_transition());
  if (!transition.ok()) return transition.status();
  if (transition->kind_case() != v1::Transition::KIND_NOT_SET) {
    *request.mutable_transition() = *std::move(transition);
  }
  request.set_inverse_temperature(args.beta);
  if (args.seed) request.set_seed(*args.seed);
  absl::Status status = FillInit(model, args, request);
  if (status.ok()) status = FillEnsemble(model, args.ensemble, request);
  if (status.ok()) status = FillConditions(args.model, request);
  if (!status.ok()) return status;
  return request;
}

// The request of --resume. All but its length is in the token.
absl::StatusOr<v1::SampleRequest> MakeResumed(const v1::Model& model,
                                              std::string token,
                                              const SampleArguments& args) {
  v1::SampleRequest request;
  FillLength(args, request);
  const absl::Status status = FillEnsemble(model, args.ensemble, request);
  if (!status.ok()) return status;
  request.set_resume_token(std::move(token));
  return request;
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
    return WriteStateGrid(args.out, LastStates(result.states), model);
  }
  return WriteNpy(args.out, args.keep_every > 0 ? result.states
                                                : LastStates(result.states));
}

absl::Status Missing(const char* option, const char* what) {
  return absl::FailedPreconditionError(
      absl::StrCat(option, ": the answer has no ", what));
}

// Writes what was asked for beside the states.
absl::Status WriteRest(const SampleArguments& args,
                       const SampleResult& result) {
  absl::Status status;
  const auto write = [&](const std::string& path, const char* option,
                         const char* what, bool there, auto run) {
    if (path.empty()) return;
    const absl::Status written = there ? run(path) : Missing(option, what);
    if (written.ok()) absl::PrintF("wrote        %s\n", path);
    status.Update(written);
  };
  write(args.save_tuned, "--save_tuned",
        "tuned variances: nothing was tuned, or only the step size",
        !result.tuned_variance.values.empty(), [&](const std::string& path) {
          return WriteNpy(path, result.tuned_variance);
        });
  write(args.log_weights_out, "--log_weights_out",
        "weights; they come with --weights importance or population",
        !result.log_weights.values.empty(), [&](const std::string& path) {
          return WriteNpy(path, result.log_weights);
        });
  write(args.save_resume, "--save_resume",
        "resume token: a chain diverged, or the request was cut short",
        !result.resume_token.empty(), [&](const std::string& path) {
          return WriteResumeFile(path, {args.model.model, result.resume_token});
        });
  return status;
}

// Finds out before a long run what could not be written after it.
absl::Status CheckOutputs(const SampleArguments& args, const v1::Model& model) {
  if (absl::EndsWithIgnoreCase(args.out, ".png")) {
    const absl::StatusOr<int> channels = ImageChannels(model);
    if (!channels.ok()) return channels.status();
  }
  for (const std::string& out :
       {args.out, args.save_tuned, args.save_resume, args.log_weights_out}) {
    const std::filesystem::path folder =
        std::filesystem::path(out).parent_path();
    std::error_code ignored;
    if (!folder.empty() && !std::filesystem::is_directory(folder, ignored)) {
      return absl::NotFoundError(absl::StrCat(
          "cannot write ", out, ": there is no folder ", folder.string()));
    }
  }
  return absl::OkStatus();
}

// Whether no chain is left.
bool AllDiverged(const SampleArguments& args, const SampleResult& result) {
  const std::vector<int64_t>& shape = result.energies.shape;
  return result.summary.divergences() ==
         (shape.size() == 2 ? shape[1] : args.chains);
}

absl::Status RunSample(const Session& session, SampleArguments args) {
  ResumeFile resumed;
  if (!args.resume.empty()) {
    auto file = ReadResumeFile(args.resume);
    if (!file.ok()) return file.status();
    resumed = *std::move(file);
    args.model.model = resumed.model;
  }
  const std::unique_ptr<Client> client = session.Connect();
  const auto ref = ParseModelOrComposition(args.model);
  if (!ref.ok()) return ref.status();
  const auto model = client->GetModel(FirstModel(*ref), session.call_options());
  if (!model.ok()) return model.status();
  const absl::Status writable = CheckOutputs(args, *model);
  if (!writable.ok()) return writable;
  const auto request = resumed.token.empty()
                           ? MakeRequest(*ref, *model, args)
                           : MakeResumed(*model, resumed.token, args);
  if (!request.ok()) return request.status();
  const auto result = SampleWithBar(*client, *request, session.call_options());
  if (!result.ok()) return result.status();
  absl::PrintF("%s", SummaryText(*result));
  PrintWarnings(result->summary);
  if (AllDiverged(args, *result)) {
    return absl::OutOfRangeError(absl::StrCat(
        "all ", result->summary.divergences(), " chains diverged; ", args.out,
        " is not written. Try a smaller --step_size, or --lower and --upper"));
  }
  const absl::Status written = WriteStates(args, *model, *result);
  if (!written.ok()) return written;
  absl::PrintF("wrote        %s\n", args.out);
  return WriteRest(args, *result);
}

void AddLengthOptions(CLI::App& sample, SampleArguments& args) {
  constexpr const char* kGroup = "Length";
  sample.add_option("--chains", args.chains, "number of chains")
      ->check(&CheckPositiveInteger)
      ->capture_default_str()
      ->group(kGroup);
  sample
      .add_option("--steps", args.steps,
                  "transitions of each chain after warm-up. Default: the "
                  "model's")
      ->group(kGroup);
  sample
      .add_option("--warmup", args.warmup,
                  "transitions before them, whose states are discarded. "
                  "Default: 0; 500 to tune in; the levels of --anneal")
      ->group(kGroup);
  sample
      .add_option("--keep_every", args.keep_every,
                  "keep every k-th state: needed for R-hat and ESS; 0 = only "
                  "the last")
      ->capture_default_str()
      ->group(kGroup);
}

void AddStartOptions(CLI::App& sample, SampleArguments& args) {
  constexpr const char* kGroup = "Start";
  sample
      .add_option("--init", args.init,
                  "noise, replay, or FILE.npy with [chains, ...] states. "
                  "Default: replay if the buffer holds states, else noise")
      ->group(kGroup);
  sample
      .add_option("--restart_probability", args.restart_probability,
                  "--init replay: share of chains that start from noise "
                  "all the same. Default: the model's")
      ->group(kGroup);
  sample
      .add_option("--seed", args.seed,
                  "same seed, same bytes. Default: drawn by the server")
      ->group(kGroup);
  sample
      .add_option("--resume", args.resume,
                  "FILE of --save_resume: go on where that run ended, instead "
                  "of NAME. N steps and then M give the bytes of N + M. Only "
                  "--steps, --keep_every, --stop_*, --priority and outputs "
                  "may stand beside it; all else is that run's")
      ->type_name("FILE")
      ->group(kGroup);
}

void AddOutputOptions(CLI::App& sample, SampleArguments& args) {
  constexpr const char* kGroup = "Output";
  sample
      .add_option("--out", args.out,
                  "FILE.npy: float32, [chains, ...] or with --keep_every "
                  "[k, chains, ...]; FILE.png: a grid of the last states")
      ->check(FileNameEndsWith(".npy", ".png"))
      ->required()
      ->group(kGroup);
  sample
      .add_option("--save_tuned", args.save_tuned,
                  "FILE.npy: the variances that tuning came to, for --metric")
      ->check(FileNameEndsWith(".npy"))
      ->group(kGroup);
  sample
      .add_option("--log_weights_out", args.log_weights_out,
                  "FILE.npy: float64 [chains], of --weights")
      ->check(FileNameEndsWith(".npy"))
      ->group(kGroup);
  sample
      .add_option("--save_resume", args.save_resume,
                  "FILE to go on from later, with --resume")
      ->type_name("FILE")
      ->group(kGroup);
  sample.add_option("--priority", args.priority, "1 (first) to 9. Default: 5")
      ->group(kGroup);
}

// Throws if an option is given that may not stand beside --resume.
void CheckBesideResume(const CLI::App& sample) {
  const std::string allowed[] = {"--resume",     "--steps",
                                 "--keep_every", "--stop_rhat",
                                 "--stop_ess",   "--out",
                                 "--priority",   "--save_resume",
                                 "--save_tuned", "--log_weights_out"};
  for (const CLI::Option* option : sample.get_options()) {
    const bool may_stand = std::any_of(
        std::begin(allowed), std::end(allowed),
        [&](const std::string& name) { return option->check_name(name); });
    if (option->count() > 0 && !may_stand) {
      throw CLI::ExcludesError("--resume", option->get_name());
    }
  }
}

constexpr const char* kDescription =
    "draws samples of p(x) = exp(-beta E(x)) / Z into a file. Without more "
    "than NAME and --out, the model's own transition, steps and start are "
    "taken. The answer says what the chains target: exact, biased, or a "
    "recipe; deploy/docs/sampling.md is the guide.";

}  // namespace

void AddSampleCommand(CLI::App& app, Session& session, Action& action) {
  CLI::App* sample = app.add_subcommand("sample", kDescription);
  const auto args = std::make_shared<SampleArguments>();
  AddModelArguments(*sample, args->model);
  AddLengthOptions(*sample, *args);
  AddTransitionArguments(*sample, args->transition);
  sample
      ->add_option("--beta", args->beta,
                   "inverse temperature of p(x) = exp(-beta E(x)) / Z")
      ->capture_default_str()
      ->group("Transition");
  AddStartOptions(*sample, *args);
  AddEnsembleArguments(*sample, args->ensemble);
  AddOutputOptions(*sample, *args);
  sample->get_option("NAME")->required(false);
  sample->callback([&session, &action, args, sample] {
    if (!args->resume.empty()) {
      CheckBesideResume(*sample);
    } else if (args->model.model.empty()) {
      throw CLI::RequiredError("NAME");
    }
    action = [&session, args] { return RunSample(session, *args); };
  });
}

}  // namespace basin::client
