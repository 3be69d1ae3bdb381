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
  int64_t islands = 0;
  double beta = 1;
  std::optional<uint64_t> seed;
  int priority = 0;
  std::string log_weights_out;
};

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
  annealing.set_islands(args.islands);
  const absl::Status status = FillConditions(args.model, request);
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

absl::Status RunLogZ(const Session& session, const LogZArguments& args) {
  const std::unique_ptr<Client> client = session.Connect();
  const auto ref = ParseModelOrComposition(args.model);
  if (!ref.ok()) return ref.status();
  const auto model = client->GetModel(FirstModel(*ref), session.call_options());
  if (!model.ok()) return model.status();
  const auto request = MakeRequest(*ref, *model, args);
  if (!request.ok()) return request.status();
  ProgressBar bar("steps");
  const auto result = client->Sample(
      *request,
      [&](const v1::SampleEvent& event) { ShowSampleEvent(event, bar); },
      session.call_options());
  bar.Finish();
  if (!result.ok()) return result.status();
  absl::PrintF("%s", SummaryText(*result));
  PrintForConfig(*ref, *request, *result);
  PrintWarnings(result->summary);
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
    "weights.";

}  // namespace

void AddLogZCommand(CLI::App& app, Session& session, Action& action) {
  CLI::App* log_z = app.add_subcommand("log_z", kDescription);
  const auto args = std::make_shared<LogZArguments>();
  AddModelArguments(*log_z, args->model);
  log_z->add_option("--chains", args->chains, "number of weights")
      ->check(CLI::PositiveNumber)
      ->capture_default_str();
  log_z
      ->add_option("--levels", args->levels,
                   "of the path; the cost and the accuracy go with it")
      ->check(CLI::Range(int64_t{1}, int64_t{1'000'000}))
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
  log_z->add_option("--islands", args->islands,
                    "population: groups that are resampled among themselves. "
                    "Default: 8");
  log_z->add_option("--beta", args->beta, "inverse temperature")
      ->capture_default_str();
  log_z->add_option("--seed", args->seed,
                    "same seed, same bytes. Default: drawn by the server");
  log_z->add_option("--priority", args->priority, "1 (first) to 9. Default: 5");
  log_z
      ->add_option("--log_weights_out", args->log_weights_out,
                   "FILE.npy: float64 [chains]")
      ->check(FileNameEndsWith(".npy"));
  AddTransitionArguments(*log_z, args->transition);
  log_z->callback([&session, &action, args] {
    action = [&session, args] { return RunLogZ(session, *args); };
  });
}

}  // namespace basin::client
