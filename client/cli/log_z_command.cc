// basin log_z NAME: estimates the logarithm of the normalising constant.

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <utility>

#include <absl/strings/str_cat.h>
#include <absl/strings/str_format.h>

#include "client/cli/command.h"
#include "client/cli/ensemble_arguments.h"
#include "client/cli/model_arguments.h"
#include "client/cli/progress.h"
#include "client/cli/summary_text.h"
#include "client/cli/transition_arguments.h"
#include "client/npy.h"

namespace basin::client {
namespace {

struct LogZArguments {
  ModelArguments model;
  TransitionArguments transition;
  int64_t chains = 64;
  int64_t levels = 1000;
  int64_t steps_per_level = 1;
  std::optional<double> power;
  std::string weights = "importance";
  std::optional<int64_t> islands;
  double beta = 1;
  std::optional<uint64_t> seed;
  int priority = 0;
  std::string log_weights_out;
  std::string reverse_from;  // FILE.npy
  std::string base;          // NAME or NAME:VERSION
  std::string base_samples;  // FILE.npy
};

// Starts a chain from each of the states in the file.
absl::Status StartFrom(const std::string& path, const v1::Model& model,
                       v1::SampleRequest& request) {
  auto states = ReadInputs(path, model);
  if (!states.ok()) return states.status();
  request.set_chains(states->shape(0));
  *request.mutable_states() = *std::move(states);
  return absl::OkStatus();
}

absl::Status FillBase(const v1::Model& model, const LogZArguments& args,
                      v1::SampleRequest& request) {
  if (args.base.empty()) return absl::OkStatus();
  const auto base = ParseModel(args.base);
  if (!base.ok()) return base.status();
  *request.mutable_annealing()->mutable_base() = *base;
  return StartFrom(args.base_samples, model, request);
}

absl::StatusOr<v1::SampleRequest> MakeRequest(const v1::ModelRef& ref,
                                              const v1::Model& model,
                                              const LogZArguments& args) {
  v1::SampleRequest request;
  *request.mutable_model() = ref;
  request.set_chains(args.chains);
  request.set_steps(1);
  request.set_warmup(args.levels * args.steps_per_level);
  request.mutable_noise();
  request.mutable_output()->set_states(false);
  request.set_inverse_temperature(args.beta);
  request.set_priority(args.priority);
  if (args.seed) request.set_seed(*args.seed);
  auto transition = MakeTransition(args.transition, model.default_transition());
  if (!transition.ok()) return transition.status();
  if (transition->kind_case() != v1::Transition::KIND_NOT_SET) {
    *request.mutable_transition() = *std::move(transition);
  }
  v1::SampleRequest::Annealing& annealing = *request.mutable_annealing();
  annealing.set_levels(args.levels);
  if (args.power) annealing.set_power(*args.power);
  annealing.set_weights(ParseWeights(args.weights));
  if (args.islands) annealing.set_islands(*args.islands);
  absl::Status status = FillConditions(args.model, request);
  if (status.ok()) status = FillBase(model, args, request);
  if (!status.ok()) return status;
  return request;
}

// What lets the model report log-likelihoods, if this is its own ln Z.
void PrintForConfig(const v1::ModelRef& ref, const v1::SampleRequest& request,
                    const SampleResult& result) {
  const v1::SampleEvent::LogZ& log_z = result.summary.log_z();
  const bool of_model = !ref.name().empty() && ref.temperature() == 0 &&
                        request.inverse_temperature() == 1 &&
                        !request.has_label() && request.context().empty() &&
                        !log_z.ratio();
  if (!of_model || !log_z.reliable()) return;
  absl::PrintF(
      "config.pbtxt log_z { value: %.9g standard_error: %.3g version: %d }\n",
      log_z.value(), log_z.standard_error(), result.accepted.model_version());
}

// The same path from its end back.
absl::StatusOr<SampleResult> RunReverse(Client& client, const Session& session,
                                        const v1::Model& model,
                                        const LogZArguments& args,
                                        v1::SampleRequest request) {
  const absl::Status status = StartFrom(args.reverse_from, model, request);
  if (!status.ok()) return status;
  v1::SampleRequest::Annealing& annealing = *request.mutable_annealing();
  annealing.set_direction(v1::SampleRequest::Annealing::REVERSE);
  annealing.set_weights(v1::SampleRequest::Annealing::IMPORTANCE);
  annealing.clear_islands();
  return SampleWithBar(client, request, session.call_options());
}

absl::Status RunLogZ(const Session& session, const LogZArguments& args) {
  const std::unique_ptr<Client> client = session.Connect();
  const auto ref = ParseModelOrComposition(args.model);
  if (!ref.ok()) return ref.status();
  const auto model = client->GetModel(FirstModel(*ref), session.call_options());
  if (!model.ok()) return model.status();
  const auto request = MakeRequest(*ref, *model, args);
  if (!request.ok()) return request.status();
  // First the one that asks more of its model.
  std::optional<SampleResult> reverse;
  if (!args.reverse_from.empty()) {
    auto run = RunReverse(*client, session, *model, args, *request);
    if (!run.ok()) {
      return absl::Status(
          run.status().code(),
          absl::StrCat("--reverse_from: ", run.status().message()));
    }
    reverse = *std::move(run);
  }
  const auto result = SampleWithBar(*client, *request, session.call_options());
  if (!result.ok()) return result.status();
  absl::PrintF("%s", SummaryText(*result));
  PrintForConfig(*ref, *request, *result);
  PrintWarnings(result->summary);
  if (reverse.has_value()) {
    absl::PrintF(
        "%s%s", LogZText(reverse->summary.log_z()),
        BracketText(result->summary.log_z(), reverse->summary.log_z()));
    PrintWarnings(reverse->summary);
  }
  if (args.log_weights_out.empty()) return absl::OkStatus();
  const absl::Status written =
      WriteNpy(args.log_weights_out, result->log_weights);
  if (written.ok()) absl::PrintF("wrote        %s\n", args.log_weights_out);
  return written;
}

constexpr const char* kDescription =
    "estimates ln Z, Z = the integral or sum of exp(-beta E(x)), by annealed "
    "importance sampling (Neal 2001): chains start from the initial law, go "
    "through --levels energies from there to the model's, and each ends with "
    "a weight whose mean is Z. Too few levels show as few effective "
    "weights. Needs an exact transition.";

// Where the path begins, and from which end it is gone.
void AddPathArguments(CLI::App& log_z, LogZArguments& args) {
  constexpr const char* kGroup = "Path";
  CLI::Option* reverse =
      log_z
          .add_option("--reverse_from", args.reverse_from,
                      "FILE.npy: exact samples of the model, from which the "
                      "path is gone back too: an estimate from above, which "
                      "with the one from below is a bracket. Needs a uniform "
                      "initial law and a reversible transition")
          ->check(FileNameEndsWith(".npy"))
          ->group(kGroup);
  CLI::Option* base =
      log_z
          .add_option("--base", args.base,
                      "served model of the same domain that the path begins "
                      "at, in the place of the initial law: ln Z / Z_0")
          ->type_name("NAME")
          ->excludes(reverse)
          ->group(kGroup);
  log_z
      .add_option("--base_samples", args.base_samples,
                  "FILE.npy: samples of --base, one for each chain, in the "
                  "place of --chains")
      ->check(FileNameEndsWith(".npy"))
      ->needs(base)
      ->group(kGroup);
  base->needs(log_z.get_option("--base_samples"));
}

}  // namespace

void AddLogZCommand(CLI::App& app, Session& session, Action& action) {
  CLI::App* log_z = app.add_subcommand("log_z", kDescription);
  const auto args = std::make_shared<LogZArguments>();
  AddModelArguments(*log_z, args->model);
  log_z->add_option("--chains", args->chains, "number of weights")
      ->check(&CheckPositiveInteger)
      ->capture_default_str();
  log_z
      ->add_option("--levels", args->levels,
                   "of the path; the cost and the accuracy go with it")
      ->check(CLI::Range(int64_t{1}, int64_t{100'000}))
      ->capture_default_str();
  log_z
      ->add_option("--steps_per_level", args->steps_per_level,
                   "transitions at each level")
      ->check(CLI::Range(int64_t{1}, int64_t{1'000}))
      ->capture_default_str();
  log_z->add_option("--power", args->power,
                    "level k of K is (k / K)^power; more than 1 is slow at "
                    "first. Default: 1");
  log_z
      ->add_option("--weights", args->weights,
                   "importance, or population: chains are resampled by weight "
                   "on the way (sequential Monte Carlo)")
      ->check(CLI::IsMember({"importance", "population"}))
      ->capture_default_str();
  log_z->add_option(
      "--islands", args->islands,
      "population: groups that are resampled among themselves. "
      "Default: as many as divide --chains, up to 16 of 4 chains or more");
  log_z->add_option("--beta", args->beta, "inverse temperature")
      ->capture_default_str();
  log_z->add_option("--seed", args->seed,
                    "same seed, same bytes. Default: drawn by the server");
  log_z->add_option("--priority", args->priority, "1 (first) to 9. Default: 5");
  log_z
      ->add_option("--log_weights_out", args->log_weights_out,
                   "FILE.npy: float64 [chains]")
      ->check(FileNameEndsWith(".npy"));
  AddPathArguments(*log_z, *args);
  AddTransitionArguments(*log_z, args->transition);
  log_z->callback([&session, &action, args] {
    action = [&session, args] { return RunLogZ(session, *args); };
  });
}

}  // namespace basin::client
