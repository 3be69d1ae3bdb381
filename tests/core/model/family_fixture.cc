#include "tests/core/model/family_fixture.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <filesystem>
#include <random>

#include <absl/strings/str_cat.h>
#include <absl/strings/str_join.h>
#include <gtest/gtest.h>

#include "core/base/check.h"
#include "core/graph/gradient.h"
#include "tests/testing/model_files.h"
#include "tests/testing/reference_evaluator.h"
#include "tests/testing/status_matchers.h"

namespace basin::testing {
namespace {

// Outputs of `graph` for states [n, D], in double.
std::vector<Tensor> Evaluate(const Graph& graph, std::vector<float> values) {
  const Tensor x = Tensor::Of<float>(graph.shape(graph.inputs()[0]), values);
  auto outputs = EvaluateReference(graph, {x});
  BASIN_CHECK(outputs.ok());
  return *std::move(outputs);
}

int RowsOf(const internal::OpenedModel& model, size_t elements) {
  const auto d = static_cast<size_t>(model.settings.info.dimension);
  BASIN_CHECK(elements % d == 0);
  return static_cast<int>(elements / d);
}

Graph EnergyGraphOf(const internal::OpenedModel& model, int rows) {
  auto graph =
      internal::BuildEnergyGraph(*model.source, model.settings.info, rows);
  BASIN_CHECK(graph.ok());
  return *std::move(graph);
}

// The parameters [n] or [n, q] of a block given one state, in double.
std::vector<double> Parameters(const internal::Conditional& block,
                               const std::vector<float>& state) {
  if (!block.table.has_value()) {
    const Tensor law = Evaluate(block.graph, state)[0];
    return {law.data<double>().begin(), law.data<double>().end()};
  }
  const internal::NeighbourTable& table = *block.table;
  const auto n = static_cast<size_t>(block.variables);
  const auto q = static_cast<size_t>(std::max<int64_t>(block.classes, 1));
  std::vector<double> sums(table.bias.begin(), table.bias.end());
  for (size_t edge = 0; edge < table.weights.size(); ++edge) {
    const auto neighbour = static_cast<size_t>(table.neighbours[edge]);
    for (size_t a = 0; a < q; ++a) {
      sums[edge % n * q + a] +=
          double{table.weights[edge]} * state[neighbour * q + a];
    }
  }
  return sums;
}

// Expects the parameters of a block's variable to be what energies of `state`
// say: differences of parameters are differences of energies.
void ExpectLaw(const internal::OpenedModel& model,
               const internal::Conditional& block, size_t variable,
               const std::vector<float>& state,
               const std::vector<double>& parameters) {
  const auto q = static_cast<size_t>(block.classes);
  const size_t width = std::max<size_t>(q, 1);
  const size_t values = std::max<size_t>(q, 2);
  std::vector<float> states;
  for (size_t value = 0; value < values; ++value) {
    std::vector<float> changed = state;
    const size_t at = static_cast<size_t>(block.sites[variable]) * width;
    for (size_t i = 0; i < width; ++i) {
      changed[at + i] =
          q == 0 ? static_cast<float>(value) : (i == value ? 1.0F : 0.0F);
    }
    states.insert(states.end(), changed.begin(), changed.end());
  }
  const std::vector<double> energies = ReferenceEnergies(model, states);
  const double* law = &parameters[variable * width];
  for (size_t value = 1; value < values; ++value) {
    const double expected = energies[0] - energies[value];
    const double found = q == 0 ? law[0] : law[value] - law[0];
    // Sums of the table are rounded to float.
    EXPECT_NEAR(found, expected, 1e-6) << "variable " << variable;
  }
}

}  // namespace

SafetensorsBuilder& SafetensorsBuilder::Raw(const std::string& name,
                                            const std::string& dtype,
                                            const std::vector<int64_t>& shape,
                                            const std::string& bytes) {
  absl::StrAppend(&header_, header_.empty() ? "{" : ",", "\"", name,
                  "\":{\"dtype\":\"", dtype, "\",\"shape\":[",
                  absl::StrJoin(shape, ","), "],\"data_offsets\":[",
                  data_.size(), ",", data_.size() + bytes.size(), "]}");
  data_ += bytes;
  return *this;
}

SafetensorsBuilder& SafetensorsBuilder::Floats(
    const std::string& name, const std::vector<int64_t>& shape,
    const std::vector<float>& values) {
  std::string bytes(values.size() * sizeof(float), '\0');
  std::memcpy(bytes.data(), values.data(), bytes.size());
  return Raw(name, "F32", shape, bytes);
}

std::string SafetensorsBuilder::Build() const {
  return SafetensorsBytes(header_.empty() ? "{}" : header_ + "}", data_);
}

std::string SafetensorsBytes(const std::string& header,
                             const std::string& data) {
  const uint64_t length = header.size();
  std::string bytes(sizeof(length), '\0');
  std::memcpy(bytes.data(), &length, sizeof(length));
  return bytes + header + data;
}

std::vector<float> RandomFloats(size_t count, int seed) {
  std::minstd_rand random(static_cast<unsigned>(seed));
  std::uniform_real_distribution<float> uniform(-1, 1);
  std::vector<float> values(count);
  for (float& value : values) value = uniform(random);
  return values;
}

std::vector<float> AllBinaryStates(int bits) {
  std::vector<float> states;
  for (int word = 0; word < 1 << bits; ++word) {
    for (int bit = 0; bit < bits; ++bit) {
      states.push_back(static_cast<float>(word >> bit & 1));
    }
  }
  return states;
}

void ModelFolder::Write(const std::string& name, const std::string& config,
                        const std::string& safetensors,
                        const std::string& onnx) const {
  const std::string folder = absl::StrCat(path(), "/", name);
  std::filesystem::remove_all(folder);
  std::filesystem::create_directories(folder + "/1");
  WriteFile(folder + "/config.pbtxt", config);
  if (!safetensors.empty()) {
    WriteFile(folder + "/1/model.safetensors", safetensors);
  }
  if (!onnx.empty()) WriteFile(folder + "/1/model.onnx", onnx);
}

absl::StatusOr<internal::OpenedModel> ModelFolder::Open(
    const std::string& name) const {
  internal::ModelFiles files;
  files.folder = absl::StrCat(path(), "/", name);
  files.version = 1;
  return internal::OpenModel(files, name);
}

absl::StatusOr<std::shared_ptr<const EnergyModel>> ModelFolder::Load(
    const std::string& name, int max_tile_rows) const {
  EnergyModel::LoadOptions options;
  options.max_tile_rows = max_tile_rows;
  return EnergyModel::Load(FamilyBackend(), absl::StrCat(path(), "/", name),
                           name, 1, options);
}

const Backend& FamilyBackend() {
  static const Backend* const backend = CreateCpuBackend().release();
  return *backend;
}

std::vector<double> ReferenceEnergies(const internal::OpenedModel& model,
                                      const std::vector<float>& states) {
  const int rows = RowsOf(model, states.size());
  const auto outputs = Evaluate(EnergyGraphOf(model, rows), states);
  const auto energies = outputs[0].data<double>();
  return {energies.begin(), energies.end()};
}

double LogZ(const std::vector<double>& energies) {
  const double least = *std::min_element(energies.begin(), energies.end());
  double sum = 0;
  for (const double energy : energies) sum += std::exp(least - energy);
  return std::log(sum) - least;
}

void ExpectGradientMatches(const internal::OpenedModel& model,
                           const std::vector<float>& states) {
  constexpr float kStep = 0x1p-10F;
  const int rows = RowsOf(model, states.size());
  const Graph energy = EnergyGraphOf(model, rows);
  ASSERT_OK_AND_ASSIGN(
      const Graph gradient,
      Gradient(energy, energy.outputs()[0], energy.inputs()[0]));
  const auto outputs = Evaluate(gradient, states);
  const auto slopes = outputs[1].data<double>();
  const size_t d = states.size() / static_cast<size_t>(rows);
  for (size_t i = 0; i < d; ++i) {
    std::vector<float> up = states;
    std::vector<float> down = states;
    for (size_t at = i; at < states.size(); at += d) {
      up[at] += kStep;
      down[at] -= kStep;
    }
    const auto above = ReferenceEnergies(model, up);
    const auto below = ReferenceEnergies(model, down);
    for (size_t row = 0; row < static_cast<size_t>(rows); ++row) {
      const double width = double{up[row * d + i]} - down[row * d + i];
      const double slope = slopes[row * d + i];
      EXPECT_NEAR((above[row] - below[row]) / width, slope,
                  2e-5 * (1 + std::abs(slope)))
          << "row " << row << " coordinate " << i;
    }
  }
}

void ExpectConditionalsMatch(const internal::OpenedModel& model,
                             const std::vector<float>& states) {
  const auto d = static_cast<size_t>(model.settings.info.dimension);
  ASSERT_OK_AND_ASSIGN(const auto blocks, model.source->Conditionals(1));
  ASSERT_EQ(blocks.size(), model.settings.info.blocks.size());
  const int64_t classes = model.settings.info.domain.classes;
  std::vector<int> covered(d /
                           static_cast<size_t>(std::max(classes, int64_t{1})));
  for (const internal::Conditional& block : blocks) {
    ASSERT_EQ(block.classes, classes);
    ASSERT_EQ(block.variables, static_cast<int64_t>(block.sites.size()));
    for (const int32_t site : block.sites) ++covered[static_cast<size_t>(site)];
    for (size_t at = 0; at < states.size(); at += d) {
      std::vector<float> state(states.begin() + at, states.begin() + at + d);
      const std::vector<double> law = Parameters(block, state);
      for (size_t i = 0; i < block.sites.size(); ++i) {
        ExpectLaw(model, block, i, state, law);
      }
      // The others of the block may take any value.
      for (const int32_t site : block.sites) {
        if (classes > 0) break;
        float& value = state[static_cast<size_t>(site)];
        value = 1 - value;
      }
      EXPECT_EQ(Parameters(block, state), law);
    }
  }
  EXPECT_EQ(covered, std::vector<int>(covered.size(), 1))
      << "blocks cover the state once";
}

}  // namespace basin::testing
