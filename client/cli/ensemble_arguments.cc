#include "client/cli/ensemble_arguments.h"

#include <functional>
#include <utility>

#include <absl/strings/numbers.h>
#include <absl/strings/str_cat.h>
#include <absl/strings/str_split.h>

#include "client/npy.h"

namespace basin::client {
namespace {

using Request = v1::SampleRequest;

std::vector<int64_t> ShapeOf(const v1::Tensor& tensor) {
  return {tensor.shape().begin(), tensor.shape().end()};
}

std::vector<int64_t> ShapeOf(const v1::Model& model) {
  return {model.shape().begin(), model.shape().end()};
}

absl::Status WrongShape(const char* option, const std::string& path,
                        const std::string& expected, const v1::Tensor& got) {
  return absl::InvalidArgumentError(absl::StrCat(
      option, " ", path, ": expected ", expected, ", got ",
      v1::DType_Name(got.dtype()), " ", ShapeToString(ShapeOf(got))));
}

absl::Status FillMetric(const v1::Model& model, const std::string& path,
                        Request& request) {
  if (path.empty()) return absl::OkStatus();
  auto tensor = ReadNpy(path);
  if (!tensor.ok()) return tensor.status();
  const std::vector<int64_t> shape = ShapeOf(*tensor);
  const std::vector<int64_t> state = ShapeOf(model);
  const int64_t dimension = NumElements(state);
  Request::Metric& metric = *request.mutable_metric();
  if (shape == state || shape == std::vector<int64_t>{dimension}) {
    tensor->mutable_shape()->Assign(state.begin(), state.end());
    *metric.mutable_variance() = *std::move(tensor);
  } else if (shape == std::vector<int64_t>{dimension, dimension}) {
    *metric.mutable_covariance() = *std::move(tensor);
  } else {
    return WrongShape(
        "--metric", path,
        absl::StrCat("variances ", ShapeToString(state), " or a covariance ",
                     ShapeToString({dimension, dimension})),
        *tensor);
  }
  return absl::OkStatus();
}

absl::Status FillClamp(const v1::Model& model, const EnsembleArguments& args,
                       Request& request) {
  if (args.clamp_mask.empty()) return absl::OkStatus();
  auto mask = ReadNpy(args.clamp_mask);
  if (!mask.ok()) return mask.status();
  const bool bytes = mask->dtype() == v1::BOOL || mask->dtype() == v1::UINT8;
  if (!bytes || ShapeOf(*mask) != ShapeOf(model)) {
    return WrongShape(
        "--clamp_mask", args.clamp_mask,
        absl::StrCat("BOOL or UINT8 ", ShapeToString(ShapeOf(model)),
                     ", a state's shape"),
        *mask);
  }
  mask->set_dtype(v1::BOOL);
  for (char& byte : *mask->mutable_data()) byte = byte == 0 ? 0 : 1;
  *request.mutable_clamp()->mutable_mask() = *std::move(mask);
  if (args.clamp_values.empty()) return absl::OkStatus();
  auto values = ReadInputs(args.clamp_values, model);
  if (!values.ok()) return values.status();
  *request.mutable_clamp()->mutable_values() = *std::move(values);
  return absl::OkStatus();
}

absl::Status FillFaces(const std::string& path, v1::Tensor* (v1::Box::*faces)(),
                       Request& request) {
  if (path.empty()) return absl::OkStatus();
  auto tensor = ReadNpy(path);
  if (!tensor.ok()) return tensor.status();
  *(request.mutable_box()->*faces)() = *std::move(tensor);
  return absl::OkStatus();
}

absl::Status FillBox(const EnsembleArguments& args, Request& request) {
  if (args.lower) request.mutable_box()->set_lower(*args.lower);
  if (args.upper) request.mutable_box()->set_upper(*args.upper);
  const absl::Status status =
      FillFaces(args.lower_each, &v1::Box::mutable_lower_each, request);
  if (!status.ok()) return status;
  return FillFaces(args.upper_each, &v1::Box::mutable_upper_each, request);
}

void FillAdapt(const EnsembleArguments& args, Request& request) {
  if (args.adapt) {
    request.mutable_adapt()->set_step_size(*args.adapt);
    if (!*args.adapt) request.mutable_adapt()->set_metric(false);
  }
  if (args.adapt_metric) {
    request.mutable_adapt()->set_metric(*args.adapt_metric);
  }
  if (args.target_acceptance) {
    request.mutable_adapt()->set_target_acceptance(*args.target_acceptance);
  }
}

absl::Status FillTempering(const EnsembleArguments& args, Request& request) {
  if (!args.tempering.empty()) {
    const std::pair<std::string, std::string> parts =
        absl::StrSplit(args.tempering, absl::MaxSplits(',', 1));
    int32_t levels = 0;
    double least = 0;
    if (!absl::SimpleAtoi(parts.first, &levels) ||
        !absl::SimpleAtod(parts.second, &least)) {
      return absl::InvalidArgumentError(
          absl::StrCat("--tempering ", args.tempering,
                       ": expected N,LEAST, as in --tempering 6,0.05"));
    }
    request.mutable_tempering()->set_levels(levels);
    request.mutable_tempering()->set_least(least);
  }
  if (!args.ladder.empty()) {
    request.mutable_tempering()->mutable_ladder()->Assign(args.ladder.begin(),
                                                          args.ladder.end());
  }
  if (args.swap_every) {
    request.mutable_tempering()->set_swap_every(*args.swap_every);
  }
  if (args.tune_ladder)
    request.mutable_tempering()->set_tune(*args.tune_ladder);
  return absl::OkStatus();
}

void FillAnnealing(const EnsembleArguments& args, Request& request) {
  if (args.anneal != 0) request.mutable_annealing()->set_levels(args.anneal);
  if (!args.schedule.empty()) {
    request.mutable_annealing()->mutable_schedule()->Assign(
        args.schedule.begin(), args.schedule.end());
  }
  if (args.anneal_power) {
    request.mutable_annealing()->set_power(*args.anneal_power);
  }
  if (!args.weights.empty()) {
    request.mutable_annealing()->set_weights(ParseWeights(args.weights));
  }
  if (args.islands) request.mutable_annealing()->set_islands(*args.islands);
  if (args.resample_below) {
    request.mutable_annealing()->set_resample_below(*args.resample_below);
  }
}

// What a flag and its opposite set. (CLI11 takes an optional for a counter.)
std::function<void(int64_t)> Into(std::optional<bool>& flag) {
  return [&flag](int64_t count) { flag = count > 0; };
}

void AddAdaptation(CLI::App& command, EnsembleArguments& args) {
  constexpr const char* kGroup = "Adaptation (in warm-up only)";
  command
      .add_flag_function(
          "--adapt,!--no_adapt", Into(args.adapt),
          "tune step size and metric, or neither. Default: tune if "
          "there is no step size, in a warm-up of 500 if none is given")
      ->group(kGroup);
  command
      .add_flag_function(
          "--adapt_metric,!--no_adapt_metric", Into(args.adapt_metric),
          "measure each coordinate's length from the pooled chains. "
          "Default: where the transition has such lengths")
      ->group(kGroup);
  command
      .add_option("--target_acceptance", args.target_acceptance,
                  "to tune to. Default: the best known, 0.574 for mala, 0.651 "
                  "for hmc, 0.234 for random_walk")
      ->group(kGroup);
  command
      .add_option("--metric", args.metric,
                  "FILE.npy: variances, a state's shape, or for random_walk a "
                  "covariance [D, D]; step sizes are then in units of their "
                  "roots. --save_tuned writes such a file")
      ->type_name("FILE")
      ->group(kGroup);
}

void AddConditioning(CLI::App& command, EnsembleArguments& args) {
  constexpr const char* kGroup = "Conditioning";
  CLI::Option* mask =
      command
          .add_option("--clamp_mask", args.clamp_mask,
                      "FILE.npy, bool or uint8, a state's shape: coordinates "
                      "that are held fixed; the others are drawn given these")
          ->type_name("FILE")
          ->group(kGroup);
  command
      .add_option("--clamp_values", args.clamp_values,
                  "what they are held at: FILE.npy, one state or one for each "
                  "chain, or FILE.png. Default: where the chains start")
      ->type_name("FILE")
      ->needs(mask)
      ->group(kGroup);
  command
      .add_option("--lower", args.lower,
                  "lower bound of every coordinate. Default: the model's")
      ->group(kGroup);
  command
      .add_option("--upper", args.upper,
                  "upper bound of every coordinate. Default: the model's")
      ->group(kGroup);
  command
      .add_option("--lower_each", args.lower_each,
                  "FILE.npy: a lower bound for each, a state's shape")
      ->type_name("FILE")
      ->group(kGroup);
  command
      .add_option("--upper_each", args.upper_each,
                  "FILE.npy: an upper bound for each")
      ->type_name("FILE")
      ->group(kGroup);
}

void AddTempering(CLI::App& command, EnsembleArguments& args) {
  constexpr const char* kGroup = "Temperatures";
  CLI::Option* levels =
      command
          .add_option("--tempering", args.tempering,
                      "N,LEAST: N replicas of each chain, at beta times 1 to "
                      "LEAST, that swap states: for far modes")
          ->type_name("N,LEAST")
          ->group(kGroup);
  command
      .add_option("--ladder", args.ladder,
                  "the factors themselves, as in 1,0.5,0.25")
      ->delimiter(',')
      ->allow_extra_args(false)
      ->excludes(levels)
      ->group(kGroup);
  command
      .add_option("--swap_every", args.swap_every,
                  "steps between swaps. Default: 1")
      ->group(kGroup);
  command
      .add_flag_function(
          "--tune_ladder,!--no_tune_ladder", Into(args.tune_ladder),
          "space the factors for equal swap rates during warm-up. "
          "Default: yes if there is one")
      ->group(kGroup);
}

void AddAnnealing(CLI::App& command, EnsembleArguments& args) {
  constexpr const char* kGroup = "Temperatures";
  CLI::Option* levels =
      command
          .add_option("--anneal", args.anneal,
                      "levels that warm-up goes through, from the initial law "
                      "to the model's")
          ->type_name("LEVELS")
          ->group(kGroup);
  command
      .add_option("--schedule", args.schedule,
                  "the levels themselves: growing, 1 last, as in 0.1,0.5,1")
      ->delimiter(',')
      ->allow_extra_args(false)
      ->excludes(levels)
      ->group(kGroup);
  command
      .add_option("--anneal_power", args.anneal_power,
                  "level k of K is (k / K)^power; more than 1 is slow at "
                  "first. Default: 1")
      ->group(kGroup);
  command
      .add_option("--weights", args.weights,
                  "none: simulated annealing; importance: a weight for each "
                  "chain, and ln Z; population: the same, and chains are "
                  "resampled by weight. Default: none")
      ->check(CLI::IsMember({"none", "importance", "population"}))
      ->group(kGroup);
  command
      .add_option(
          "--islands", args.islands,
          "population: groups that are resampled among themselves. "
          "Default: as many as divide --chains, up to 16 of 4 chains or more")
      ->group(kGroup);
  command
      .add_option("--resample_below", args.resample_below,
                  "population: share of effective chains. Default: 0.5")
      ->group(kGroup);
}

}  // namespace

Request::Annealing::Weights ParseWeights(const std::string& name) {
  if (name == "importance") return Request::Annealing::IMPORTANCE;
  if (name == "population") return Request::Annealing::POPULATION;
  return Request::Annealing::NONE;
}

void AddEnsembleArguments(CLI::App& command, EnsembleArguments& args) {
  AddAdaptation(command, args);
  AddConditioning(command, args);
  AddTempering(command, args);
  AddAnnealing(command, args);
  command
      .add_option("--stop_rhat", args.stop_rhat,
                  "end when R-hat is below this, as in 1.01; needs "
                  "--keep_every")
      ->group("Length");
  command
      .add_option("--stop_ess", args.stop_ess,
                  "end when the effective sample size, bulk and tail, is above "
                  "this; with --stop_rhat when both hold")
      ->group("Length");
}

absl::Status FillEnsemble(const v1::Model& model, const EnsembleArguments& args,
                          v1::SampleRequest& request) {
  FillAdapt(args, request);
  FillAnnealing(args, request);
  if (args.stop_rhat) {
    request.mutable_stop_when()->set_rhat_below(*args.stop_rhat);
  }
  if (args.stop_ess) {
    request.mutable_stop_when()->set_ess_above(*args.stop_ess);
  }
  absl::Status status = FillTempering(args, request);
  if (status.ok()) status = FillMetric(model, args.metric, request);
  if (status.ok()) status = FillClamp(model, args, request);
  if (status.ok()) status = FillBox(args, request);
  return status;
}

}  // namespace basin::client
