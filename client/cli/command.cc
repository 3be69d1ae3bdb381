#include "client/cli/command.h"

#include <algorithm>
#include <cstdint>
#include <filesystem>
#include <system_error>
#include <utility>
#include <vector>

#include <absl/strings/match.h>
#include <absl/strings/numbers.h>
#include <absl/strings/str_cat.h>
#include <absl/strings/str_format.h>
#include <absl/strings/string_view.h>

#include "client/npy.h"
#include "client/png_grid.h"

namespace basin::client {
namespace {

std::vector<int64_t> StateShape(const v1::Model& model) {
  return {model.shape().begin(), model.shape().end()};
}

// Makes [k, chains, D...] or one state [D...] into rows [n, D...].
void MakeRows(const v1::Model& model, v1::Tensor& tensor) {
  const std::vector<int64_t> state = StateShape(model);
  const int lead = tensor.shape_size() - static_cast<int>(state.size());
  if (lead < 0 ||
      !std::equal(state.begin(), state.end(), tensor.shape().begin() + lead)) {
    return;  // the server says what is wrong
  }
  int64_t rows = 1;
  for (int axis = 0; axis < lead; ++axis) rows *= tensor.shape(axis);
  tensor.mutable_shape()->Clear();
  tensor.add_shape(rows);
  for (const int64_t dim : state) tensor.add_shape(dim);
}

absl::StatusOr<v1::Tensor> ReadFile(const std::string& path,
                                    const v1::Model& model) {
  if (!absl::EndsWithIgnoreCase(path, ".png")) {
    absl::StatusOr<v1::Tensor> tensor = ReadNpy(path);
    if (tensor.ok()) MakeRows(model, *tensor);
    return tensor;
  }
  const absl::StatusOr<int> channels = ImageChannels(model);
  if (!channels.ok()) return channels.status();
  absl::StatusOr<v1::Tensor> tensor = ReadPng(path, *channels);
  if (!tensor.ok()) return tensor;
  const int rank = model.shape_size();
  if (tensor->shape(2) != model.shape(rank - 2) ||
      tensor->shape(3) != model.shape(rank - 1)) {
    return absl::InvalidArgumentError(
        absl::StrCat(path, ": ", tensor->shape(2), "x", tensor->shape(3),
                     " pixels, but model ", model.name(), " takes ",
                     model.shape(rank - 2), "x", model.shape(rank - 1)));
  }
  if (rank == 2) tensor->mutable_shape()->erase(tensor->shape().begin() + 1);
  return tensor;
}

// Appends `more` to `all`. The dtypes and states must agree.
absl::Status Append(const std::string& path, const v1::Tensor& more,
                    v1::Tensor& all) {
  if (all.shape_size() == 0) {
    all = more;
    return absl::OkStatus();
  }
  if (more.dtype() != all.dtype() || more.shape_size() != all.shape_size() ||
      !std::equal(more.shape().begin() + 1, more.shape().end(),
                  all.shape().begin() + 1)) {
    return absl::InvalidArgumentError(absl::StrCat(
        path, ": its dtype or shape differs from the files before it"));
  }
  all.set_shape(0, all.shape(0) + more.shape(0));
  all.mutable_data()->append(more.data());
  return absl::OkStatus();
}

absl::StatusOr<std::vector<std::string>> FilesIn(const std::string& folder) {
  std::error_code error;
  std::vector<std::string> files;
  for (const auto& entry : std::filesystem::directory_iterator(folder, error)) {
    const std::string path = entry.path().string();
    if (absl::EndsWithIgnoreCase(path, ".png") ||
        absl::EndsWithIgnoreCase(path, ".npy")) {
      files.push_back(path);
    }
  }
  if (error) {
    return absl::NotFoundError(
        absl::StrCat("cannot read ", folder, ": ", error.message()));
  }
  if (files.empty()) {
    return absl::NotFoundError(
        absl::StrCat(folder, " holds no .png and no .npy files"));
  }
  std::sort(files.begin(), files.end());
  return files;
}

}  // namespace

absl::StatusOr<int> ImageChannels(const v1::Model& model) {
  const std::vector<int64_t> shape(model.shape().begin(), model.shape().end());
  if (shape.size() == 2) return 1;
  if (shape.size() == 3 && (shape[0] == 1 || shape[0] == 3)) {
    return static_cast<int>(shape[0]);
  }
  return absl::InvalidArgumentError(
      absl::StrCat("model ", model.name(), " has states of shape ",
                   ShapeToString(shape), ", no images; give a .npy file"));
}

CallOptions Session::call_options() const {
  CallOptions options;
  if (timeout_seconds > 0) options.timeout = absl::Seconds(timeout_seconds);
  options.cancellation = cancellation;
  return options;
}

std::unique_ptr<Client> Session::Connect() const {
  return Client::Connect(address);
}

absl::StatusOr<v1::ModelRef> ParseModel(const std::string& text) {
  v1::ModelRef model;
  const size_t colon = text.rfind(':');
  model.set_name(text.substr(0, colon));
  int64_t version = 0;
  if (colon != std::string::npos) {
    if (!absl::SimpleAtoi(text.substr(colon + 1), &version) || version < 0) {
      return absl::InvalidArgumentError(absl::StrCat(
          "model '", text, "': expected NAME or NAME:VERSION, as in mnist:2"));
    }
    model.set_version(version);
  }
  return model;
}

std::function<std::string(const std::string&)> FileNameEndsWith(
    std::string first, std::string second) {
  return [first = std::move(first),
          second = std::move(second)](const std::string& path) {
    return absl::EndsWithIgnoreCase(path, first) ||
                   absl::EndsWithIgnoreCase(path, second)
               ? std::string()
               : absl::StrCat("expected FILE", first, " or FILE", second,
                              ", got ", path);
  };
}

std::function<std::string(const std::string&)> FileNameEndsWith(
    std::string ending) {
  return [ending = std::move(ending)](const std::string& path) {
    return absl::EndsWithIgnoreCase(path, ending)
               ? std::string()
               : absl::StrCat("expected FILE", ending, ", got ", path);
  };
}

std::string CheckPositiveInteger(const std::string& text) {
  int64_t value = 0;
  return absl::SimpleAtoi(text, &value) && value > 0
             ? std::string()
             : absl::StrCat("expected a whole number from 1 on, got ", text);
}

std::string InOptions(const std::string& message) {
  // Where the names differ by more than two hyphens.
  static constexpr std::pair<absl::string_view, absl::string_view> kOptions[] =
      {{"adapt.metric", "--adapt_metric"},
       {"adapt.step_size", "--adapt"},
       {"adapt.target_acceptance", "--target_acceptance"},
       {"annealing.islands", "--islands"},
       {"annealing.resample_below", "--resample_below"},
       {"annealing.weights", "--weights"},
       {"box.lower", "--lower"},
       {"box.lower_each", "--lower_each"},
       {"box.upper", "--upper"},
       {"box.upper_each", "--upper_each"},
       {"clamp.mask", "--clamp_mask"},
       {"clamp.values", "--clamp_values"},
       {"inverse_temperature", "--beta"},
       {"metric.covariance", "--metric"},
       {"metric.variance", "--metric"},
       {"replay.restart_probability", "--restart_probability"},
       {"stop_when.ess_above", "--stop_ess"},
       {"stop_when.rhat_below", "--stop_rhat"},
       {"tempering.least", "--tempering"},
       {"tempering.levels", "--tempering"},
       {"tempering.swap_every", "--swap_every"},
       {"tempering.tune", "--tune_ladder"}};
  const size_t end = message.find_first_of(":[ ");
  if (end == std::string::npos || message[end] == ' ') return message;
  const absl::string_view field = absl::string_view(message).substr(0, end);
  const absl::string_view rest = absl::string_view(message).substr(end);
  for (const auto& [name, option] : kOptions) {
    if (field == name) return absl::StrCat(option, rest);
  }
  // "transition.hmc.step_size".
  if (!absl::StartsWith(field, "transition.")) return message;
  return absl::StrCat("--", field.substr(field.rfind('.') + 1), rest);
}

absl::StatusOr<v1::Tensor> ReadInputs(const std::string& path,
                                      const v1::Model& model) {
  std::error_code ignored;
  if (!std::filesystem::is_directory(path, ignored)) {
    return ReadFile(path, model);
  }
  const absl::StatusOr<std::vector<std::string>> files = FilesIn(path);
  if (!files.ok()) return files.status();
  v1::Tensor all;
  for (const std::string& file : *files) {
    const absl::StatusOr<v1::Tensor> rows = ReadFile(file, model);
    if (!rows.ok()) return rows.status();
    const absl::Status status = Append(file, *rows, all);
    if (!status.ok()) return status;
  }
  return all;
}

absl::Status WriteStateGrid(const std::string& path, const Array& states,
                            const v1::Model& model) {
  const bool box = model.has_domain();
  return WritePngGrid(path, states,
                      box ? static_cast<float>(model.domain().lower()) : 0.0F,
                      box ? static_cast<float>(model.domain().upper()) : 1.0F);
}

std::string HumanNumber(double value) {
  if (value >= 1e9) return absl::StrFormat("%.2fG", value / 1e9);
  if (value >= 1e6) return absl::StrFormat("%.2fM", value / 1e6);
  if (value >= 1e4) return absl::StrFormat("%.1fk", value / 1e3);
  return absl::StrFormat("%.0f", value);
}

std::string HumanBytes(double bytes) {
  static constexpr const char* kUnits[] = {"B", "KiB", "MiB", "GiB", "TiB"};
  size_t unit = 0;
  while (bytes >= 1024 && unit + 1 < std::size(kUnits)) {
    bytes /= 1024;
    ++unit;
  }
  return absl::StrFormat("%.*f %s", unit == 0 ? 0 : 1, bytes, kUnits[unit]);
}

}  // namespace basin::client
