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

#include <absl/strings/match.h>
#include <absl/strings/str_cat.h>
#include <absl/strings/str_format.h>

#include "client/cli/command.h"
#include "client/cli/progress.h"
#include "client/npy.h"

namespace basin::client {
namespace {

struct ScoreArguments {
  std::string model;
  std::string input;
  std::string out;
  bool gradient = false;
  int priority = 0;
};

absl::Status WriteCsv(const std::string& path, const Array& energies) {
  std::string text = "row,energy\n";
  for (size_t i = 0; i < energies.values.size(); ++i) {
    absl::StrAppendFormat(&text, "%d,%.9g\n", i, energies.values[i]);
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

// samples.csv -> samples.gradient.npy
std::string GradientPath(const std::string& out) {
  const std::string stem =
      out.empty() ? "energies" : out.substr(0, out.rfind('.'));
  return absl::StrCat(stem, ".gradient.npy");
}

absl::Status Write(const ScoreArguments& args, const ScoreResult& result) {
  const absl::Status energies = absl::EndsWithIgnoreCase(args.out, ".npy")
                                    ? WriteNpy(args.out, result.energies)
                                    : WriteCsv(args.out, result.energies);
  if (!energies.ok() || !args.gradient) return energies;
  return WriteNpy(GradientPath(args.out), result.gradients);
}

void PrintSummary(const ScoreArguments& args, const ScoreResult& result) {
  double sum = 0;
  float least = std::numeric_limits<float>::infinity();
  float most = -least;
  for (const float energy : result.energies.values) {
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
    absl::FPrintF(stderr, "wrote %s\n", GradientPath(args.out));
  }
}

absl::Status RunScore(const Session& session, const ScoreArguments& args) {
  const std::unique_ptr<Client> client = session.Connect();
  const auto ref = ParseModel(args.model);
  if (!ref.ok()) return ref.status();
  const auto model = client->GetModel(ref->name(), session.call_options());
  if (!model.ok()) return model.status();
  const auto inputs = ReadInputs(args.input, *model);
  if (!inputs.ok()) return inputs.status();
  const int64_t rows = inputs->shape_size() > 0 ? inputs->shape(0) : 0;
  ProgressBar bar("rows");
  ScoreOptions options;
  options.call = session.call_options();
  options.priority = args.priority;
  if (args.gradient) options.want = ScoreOptions::Want::kEnergyAndGradient;
  options.on_progress = [&](int64_t done) { bar.Update(done, rows, ""); };
  const auto result = client->Score(*ref, *inputs, options);
  bar.Finish();
  if (!result.ok()) return result.status();
  const absl::Status written = Write(args, *result);
  if (written.ok()) PrintSummary(args, *result);
  return written;
}

}  // namespace

void AddScoreCommand(CLI::App& app, Session& session, Action& action) {
  CLI::App* score =
      app.add_subcommand("score", "computes energies; lower = more probable");
  const auto args = std::make_shared<ScoreArguments>();
  score->add_option("NAME", args->model, "the model, NAME or NAME:VERSION")
      ->required();
  score
      ->add_option("--input", args->input,
                   "FILE.npy of float32 or uint8 [n, ...], FILE.png, or a "
                   "folder of them, taken in the order of their names")
      ->required();
  score->add_flag("--gradient", args->gradient,
                  "also writes dE/dx, [n, ...], beside --out as "
                  "NAME.gradient.npy");
  score->add_option("--priority", args->priority, "1 (first) to 9. Default: 5");
  score
      ->add_option("--out", args->out,
                   "FILE.csv (row,energy) or FILE.npy [n]. Default: CSV onto "
                   "the screen")
      ->check(FileNameEndsWith(".csv", ".npy"));
  score->callback([&session, &action, args] {
    action = [&session, args] { return RunScore(session, *args); };
  });
}

}  // namespace basin::client
