// basin score NAME: energies of inputs into a file or onto the screen.

#include <algorithm>
#include <cerrno>
#include <cmath>
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <fstream>
#include <limits>
#include <memory>
#include <string>
#include <vector>

#include <absl/strings/match.h>
#include <absl/strings/str_cat.h>
#include <absl/strings/str_format.h>

#include "client/cli/command.h"
#include "client/cli/model_arguments.h"
#include "client/cli/progress.h"
#include "client/npy.h"

namespace basin::client {
namespace {

struct ScoreArguments {
  ModelArguments model;
  std::string input;
  std::string out;
  bool gradient = false;
  bool class_energies = false;
  bool log_likelihood = false;
  int priority = 0;
};

absl::Status WriteCsv(const std::string& path, const ScoreResult& result) {
  const std::vector<double>& energies = result.energies.values;
  const std::vector<double>& likelihoods = result.log_likelihoods.values;
  std::string text =
      likelihoods.empty() ? "row,energy\n" : "row,energy,log_likelihood\n";
  for (size_t i = 0; i < energies.size(); ++i) {
    absl::StrAppendFormat(&text, "%d,%.9g", i, energies[i]);
    if (!likelihoods.empty()) {
      absl::StrAppendFormat(&text, ",%.9g", likelihoods[i]);
    }
    text += "\n";
  }
  if (path.empty()) {
    std::fputs(text.c_str(), stdout);
    return absl::OkStatus();
  }
  std::ofstream file(path, std::ios::trunc);
  file << text;
  file.flush();
  if (!file) {
    return absl::UnavailableError(
        absl::StrCat("cannot write ", path, ": ", std::strerror(errno)));
  }
  return absl::OkStatus();
}

// energies.csv -> energies.gradient.npy
std::string BesidePath(const std::string& out, const char* what) {
  const std::string stem =
      out.empty() ? "energies" : out.substr(0, out.rfind('.'));
  return absl::StrCat(stem, ".", what, ".npy");
}

// float32, but for models of precision float64.
absl::Status WriteEnergies(const std::string& path, const v1::Model& model,
                           const EnergyArray& energies) {
  if (model.precision() == "float64") return WriteNpy(path, energies);
  return WriteNpy(
      path,
      Array{energies.shape, {energies.values.begin(), energies.values.end()}});
}

absl::Status Write(const ScoreArguments& args, const v1::Model& model,
                   const ScoreResult& result) {
  absl::Status status = absl::EndsWithIgnoreCase(args.out, ".npy")
                            ? WriteEnergies(args.out, model, result.energies)
                            : WriteCsv(args.out, result);
  if (args.gradient) {
    status.Update(WriteNpy(BesidePath(args.out, "gradient"), result.gradients));
  }
  if (args.class_energies) {
    status.Update(WriteEnergies(BesidePath(args.out, "classes"), model,
                                result.class_energies));
  }
  if (args.log_likelihood && absl::EndsWithIgnoreCase(args.out, ".npy")) {
    status.Update(WriteNpy(BesidePath(args.out, "log_likelihood"),
                           result.log_likelihoods));
  }
  return status;
}

void PrintLogLikelihood(const ScoreArguments& args, const ScoreResult& result) {
  const std::vector<double>& values = result.log_likelihoods.values;
  double sum = 0;
  for (const double value : values) sum += value;
  const double error = result.log_z.standard_error();
  absl::FPrintF(stderr, "log-likelihood mean %.6g, with ln Z = %.6g (%s)\n",
                sum / static_cast<double>(values.size()), result.log_z.value(),
                error == 0 ? "exact"
                           : absl::StrFormat("standard error %.2g, the same "
                                             "for every row",
                                             error));
  if (absl::EndsWithIgnoreCase(args.out, ".npy")) {
    absl::FPrintF(stderr, "wrote %s\n", BesidePath(args.out, "log_likelihood"));
  }
}

void PrintSummary(const ScoreArguments& args, const ScoreResult& result) {
  double sum = 0;
  double least = std::numeric_limits<double>::infinity();
  double most = -least;
  for (const double energy : result.energies.values) {
    sum += energy;
    least = std::min(least, energy);
    most = std::max(most, energy);
  }
  absl::FPrintF(stderr, "%d rows, energy mean %.6g, least %.6g, most %.6g\n",
                result.energies.values.size(),
                sum / static_cast<double>(result.energies.values.size()), least,
                most);
  if (!args.out.empty()) absl::FPrintF(stderr, "wrote %s\n", args.out);
  if (args.gradient) {
    absl::FPrintF(stderr, "wrote %s\n", BesidePath(args.out, "gradient"));
  }
  if (args.class_energies) {
    absl::FPrintF(stderr, "wrote %s\n", BesidePath(args.out, "classes"));
  }
  if (args.log_likelihood) PrintLogLikelihood(args, result);
}

// Energies outside of a model's domain are numbers of nothing it has learnt:
// bytes of images where it takes shares of 255, mostly.
void WarnOutsideDomain(const v1::Model& model, const v1::Tensor& inputs) {
  const bool box = model.has_domain() || model.domain_kind() != "continuous";
  if (!box || inputs.dtype() != v1::FLOAT32) return;
  const double lower = model.has_domain() ? model.domain().lower() : 0;
  const double upper = model.has_domain() ? model.domain().upper() : 1;
  const bool binary = model.domain_kind() != "continuous";
  const size_t count = inputs.data().size() / sizeof(float);
  size_t outside = 0;
  for (size_t i = 0; i < count; ++i) {
    float x = 0;
    std::memcpy(&x, inputs.data().data() + i * sizeof(x), sizeof(x));
    const bool inside = binary ? x == 0 || x == 1 : x >= lower && x <= upper;
    outside += inside ? 0 : 1;
  }
  if (outside == 0) return;
  absl::FPrintF(stderr,
                "warning: %d of %d input values are outside of the model's "
                "domain, %s: their energies say nothing\n",
                outside, count,
                binary ? "0 and 1" : absl::StrFormat("[%g, %g]", lower, upper));
}

absl::Status RunScore(const Session& session, const ScoreArguments& args) {
  const std::unique_ptr<Client> client = session.Connect();
  const auto ref = ParseModelOrComposition(args.model);
  if (!ref.ok()) return ref.status();
  const auto model = client->GetModel(FirstModel(*ref), session.call_options());
  if (!model.ok()) return model.status();
  const auto inputs = ReadInputs(args.input, *model);
  if (!inputs.ok()) return inputs.status();
  const int64_t rows = inputs->shape_size() > 0 ? inputs->shape(0) : 0;
  ProgressBar bar("rows");
  ScoreOptions options;
  options.call = session.call_options();
  options.priority = args.priority;
  options.want_class_energies = args.class_energies;
  options.want_log_likelihood = args.log_likelihood;
  options.label = args.model.label;
  auto context = ReadContext(args.model);
  if (!context.ok()) return context.status();
  options.context = *std::move(context);
  if (args.gradient) options.want = ScoreOptions::Want::kEnergyAndGradient;
  options.on_progress = [&](int64_t done) { bar.Update(done, rows, ""); };
  const auto result = client->Score(*ref, *inputs, options);
  bar.Finish();
  if (!result.ok()) return result.status();
  const absl::Status written = Write(args, *model, *result);
  if (written.ok()) PrintSummary(args, *result);
  WarnOutsideDomain(*model, *inputs);
  return written;
}

}  // namespace

void AddScoreCommand(CLI::App& app, Session& session, Action& action) {
  CLI::App* score =
      app.add_subcommand("score", "computes energies; lower = more probable");
  const auto args = std::make_shared<ScoreArguments>();
  AddModelArguments(*score, args->model);
  score
      ->add_option("--input", args->input,
                   "FILE.npy of float32 or uint8 [n, ...], FILE.png, or a "
                   "folder of them, taken in the order of their names")
      ->required();
  score->add_flag("--gradient", args->gradient,
                  "also writes dE/dx, [n, ...], beside --out as "
                  "NAME.gradient.npy");
  score->add_flag("--class_energies", args->class_energies,
                  "also writes E(x, y) of every class y, [n, K], as "
                  "NAME.classes.npy");
  score->add_flag("--log_likelihood", args->log_likelihood,
                  "also gives ln p(x) = -E(x) - ln Z: a third column of the "
                  "CSV, or NAME.log_likelihood.npy; needs a model whose "
                  "config.pbtxt has log_z (see basin log_z)");
  score->add_option("--priority", args->priority, "1 (first) to 9. Default: 5");
  score
      ->add_option(
          "--out", args->out,
          "FILE.csv (row,energy,...) or FILE.npy [n]. Default: CSV onto "
          "the screen")
      ->check(FileNameEndsWith(".csv", ".npy"));
  score->callback([&session, &action, args] {
    action = [&session, args] { return RunScore(session, *args); };
  });
}

}  // namespace basin::client
