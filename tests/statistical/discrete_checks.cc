#include "tests/statistical/discrete_checks.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>
#include <numeric>

#include <absl/strings/str_cat.h>

#include "core/backend/chain_tile_buffer.h"
#include "core/base/check.h"

namespace basin::testing {
namespace {

constexpr double kGateOfMeans = 5;        // standard errors
constexpr double kGateOfFrequencies = 7;  // standard errors, and
constexpr double kSlackOfFrequencies = 3e-3;

// The rows of a tile, on the CPU backend.
class TileRunner {
 public:
  TileRunner(const Transition& transition, const DiscreteModel& model,
             const DiscreteRun& run, int tile_rows)
      : transition_(transition),
        model_(*model.served),
        run_(run),
        tile_rows_(tile_rows == 0 ? model_.tile_sizes().back() : tile_rows),
        buffer_(model_.backend()),
        function_(Bind()) {}

  // Runs run.chains[first, ...) and appends the last states.
  void Run(size_t first, std::vector<float>* states) {
    const auto rows = static_cast<int>(
        std::min<size_t>(tile_rows_, run_.chains.size() - first));
    const int64_t d = model_.info().dimension;
    Shape(rows);
    for (int b = 0; b < rows; ++b) SetRow(b, run_.chains[first + b]);
    if (transition_.carried() != Carried::kNothing) {
      BASIN_CHECK(function_
                      ->DecidingEnergyAndGradient(
                          rows, tile_.position, tile_.energy, tile_.grad_energy)
                      .ok());
    }
    const TileOps& ops = model_.backend().tile_ops();
    for (int64_t step = 0; step < run_.steps; ++step) {
      BASIN_CHECK(transition_.Step(*function_, ops, tile_).ok());
      for (int b = 0; b < rows; ++b) ++tile_.step[b];
      if (run_.on_step) run_.on_step(tile_);
    }
    states->insert(states->end(), tile_.position, tile_.position + rows * d);
  }

 private:
  std::unique_ptr<ModelFunction> Bind() {
    BASIN_CHECK(
        model_.backend().Reserve(workspace_, model_.workspace_bytes()).ok());
    return model_.Bind(TileSizeFor(model_.tile_sizes(), tile_rows_),
                       workspace_);
  }

  void Shape(int rows) {
    auto tile =
        buffer_.Shape(rows, TileSizeFor(model_.tile_sizes(), tile_rows_),
                      model_.info().dimension, {.scale = !run_.scale.empty()});
    BASIN_CHECK(tile.ok());
    tile_ = *tile;
    tile_.classes = model_.info().domain.classes;
  }

  void SetRow(int b, uint64_t chain) {
    const int64_t d = model_.info().dimension;
    tile_.seed[b] = run_.seed;
    tile_.chain[b] = chain;
    tile_.step[b] = 0;
    tile_.coefficients[b] =
        *transition_.Configure(run_.params, run_.inverse_temperature);
    tile_.lower[b] = run_.lower;
    tile_.upper[b] = run_.upper;
    const std::vector<float> start = run_.start(chain);
    std::copy_n(start.data(), d, tile_.position + b * d);
    if (run_.scale.empty()) return;
    std::copy_n(run_.scale.data(), d, tile_.scale + b * d);
  }

  const Transition& transition_;
  const EnergyModel& model_;
  const DiscreteRun& run_;
  const int tile_rows_;
  ChainTileBuffer buffer_;
  Workspace workspace_;
  const std::unique_ptr<ModelFunction> function_;
  ChainTile tile_;
};

void Judge(const std::string& name, double deviation, double bound,
           DiscreteVerdict* verdict) {
  ++verdict->gates;
  double share = deviation / bound;
  if (!std::isfinite(share)) share = std::numeric_limits<double>::infinity();
  if (share < 1 && share < verdict->worst) return;
  verdict->passed = verdict->passed && share < 1;
  if (share < verdict->worst) return;
  verdict->worst = share;
  verdict->worst_of = name;
}

}  // namespace

DiscreteModel MakeModel(const std::string& config, const std::string& weights) {
  const ModelFolder folder;
  folder.Write("m", config, weights);
  DiscreteModel model;
  model.config = config;
  model.weights = weights;
  auto opened = folder.Open("m");
  BASIN_CHECK(opened.ok());
  model.opened =
      std::make_shared<const internal::OpenedModel>(*std::move(opened));
  EnergyModel::LoadOptions options;
  options.max_tile_rows = 256;
  auto served = EnergyModel::Load(
      FamilyBackend(), absl::StrCat(folder.path(), "/m"), "m", 1, options);
  BASIN_CHECK(served.ok());
  model.served = *std::move(served);
  return model;
}

std::vector<float> RunDiscrete(const Transition& transition,
                               const DiscreteModel& model,
                               const DiscreteRun& run, int tile_rows) {
  TileRunner runner(transition, model, run, tile_rows);
  const size_t tile =
      tile_rows == 0 ? model.served->tile_sizes().back() : tile_rows;
  std::vector<float> states;
  for (size_t first = 0; first < run.chains.size(); first += tile) {
    runner.Run(first, &states);
  }
  return states;
}

std::vector<float> AllStates(const DiscreteModel& model) {
  const int64_t d = model.dimension();
  if (model.classes() == 0) return AllBinaryStates(static_cast<int>(d));
  const int64_t q = model.classes();
  const int64_t sites = d / q;
  int64_t count = 1;
  for (int64_t i = 0; i < sites; ++i) count *= q;
  std::vector<float> states;
  for (int64_t word = 0; word < count; ++word) {
    for (int64_t site = 0, rest = word; site < sites; ++site, rest /= q) {
      for (int64_t a = 0; a < q; ++a) states.push_back(rest % q == a ? 1 : 0);
    }
  }
  return states;
}

std::vector<double> ExactLaw(const DiscreteModel& model,
                             const std::vector<float>& states, double beta) {
  constexpr size_t kBatch = 1 << 12;
  const auto d = static_cast<size_t>(model.dimension());
  std::vector<double> law;
  for (size_t at = 0; at < states.size(); at += kBatch * d) {
    const size_t size = std::min(kBatch * d, states.size() - at);
    const auto begin = states.begin() + static_cast<int64_t>(at);
    const auto some = ReferenceEnergies(
        *model.opened, {begin, begin + static_cast<int64_t>(size)});
    for (const double energy : some) law.push_back(beta * energy);
  }
  const double log_z = LogZ(law);
  for (double& p : law) p = std::exp(-p - log_z);
  return law;
}

DiscreteObservable Summed(const DiscreteModel& model, double beta,
                          const std::string& name,
                          const std::function<double(const float* x)>& value,
                          const std::function<bool(const float* x)>& allows) {
  const std::vector<float> states = AllStates(model);
  const std::vector<double> law = ExactLaw(model, states, beta);
  double sum = 0;
  double total = 0;
  for (size_t s = 0; s < law.size(); ++s) {
    const float* x = &states[s * static_cast<size_t>(model.dimension())];
    if (allows && !allows(x)) continue;
    sum += law[s] * value(x);
    total += law[s];
  }
  return {name, sum / total, value};
}

DiscreteVerdict JudgeMeans(const std::string& name,
                           const std::vector<DiscreteObservable>& observables,
                           const std::vector<double>& averages) {
  DiscreteVerdict verdict;
  const size_t count = observables.size();
  const auto n = static_cast<double>(averages.size() / count);
  for (size_t o = 0; o < count; ++o) {
    double mean = 0;
    double squares = 0;
    for (size_t at = o; at < averages.size(); at += count) mean += averages[at];
    mean /= n;
    for (size_t at = o; at < averages.size(); at += count) {
      squares += std::pow(averages[at] - mean, 2);
    }
    const double error = std::sqrt(squares / (n - 1) / n);
    Judge(name + " " + observables[o].name,
          std::abs(mean - observables[o].expected), kGateOfMeans * error,
          &verdict);
  }
  return verdict;
}

DiscreteVerdict CheckLaw(const Transition& transition, const LawCase& one) {
  const size_t count = one.observables.size();
  std::vector<double> sums(static_cast<size_t>(one.chains) * count);
  DiscreteRun run = one.run;
  run.steps = one.burn_in + one.steps;
  run.chains.resize(static_cast<size_t>(one.chains));
  std::iota(run.chains.begin(), run.chains.end(), 0);
  run.on_step = [&](const ChainTile& tile) {
    if (static_cast<int64_t>(tile.step[0]) <= one.burn_in) return;
    for (int b = 0; b < tile.rows; ++b) {
      for (size_t o = 0; o < count; ++o) {
        sums[tile.chain[b] * count + o] +=
            one.observables[o].value(tile.position + b * tile.dimension) /
            static_cast<double>(one.steps);
      }
    }
  };
  RunDiscrete(transition, *one.model, run);
  return JudgeMeans(one.name, one.observables, sums);
}

namespace {

// Number of a state among AllStates().
size_t NumberOf(const DiscreteModel& model, const float* x) {
  const int64_t q = std::max<int64_t>(model.classes(), 2);
  const int64_t width = std::max<int64_t>(model.classes(), 1);
  size_t number = 0;
  for (int64_t at = model.dimension() - width; at >= 0; at -= width) {
    int64_t value = 0;
    for (int64_t a = 0; a < width; ++a) {
      if (x[at + a] > 0.5F) value = width == 1 ? 1 : a;
    }
    number = number * static_cast<size_t>(q) + static_cast<size_t>(value);
  }
  return number;
}

std::vector<double> Multiply(const std::vector<double>& a,
                             const std::vector<double>& b, size_t n) {
  std::vector<double> product(n * n);
  for (size_t i = 0; i < n; ++i) {
    for (size_t k = 0; k < n; ++k) {
      for (size_t j = 0; j < n; ++j) {
        product[i * n + j] += a[i * n + k] * b[k * n + j];
      }
    }
  }
  return product;
}

}  // namespace

DiscreteVerdict CheckFrequencies(const Transition& transition,
                                 const MatrixCase& one, uint64_t seed) {
  constexpr size_t kChains = 1 << 13;
  const std::vector<float> states = AllStates(*one.model);
  const auto d = static_cast<size_t>(one.model->dimension());
  const size_t n = states.size() / d;
  const std::vector<double> once = ExactMatrix(one);
  const std::vector<double> thrice = Multiply(once, Multiply(once, once, n), n);
  DiscreteRun run;
  run.seed = seed;
  run.params.kind = one.kind;
  run.params.step_size = one.step_size;
  run.inverse_temperature = one.inverse_temperature;
  run.scale = one.scale;
  run.steps = 3;
  run.chains.resize(n * kChains);
  std::iota(run.chains.begin(), run.chains.end(), 0);
  run.start = [&](uint64_t chain) {
    const auto begin =
        states.begin() + static_cast<int64_t>(chain / kChains * d);
    return std::vector<float>(begin, begin + static_cast<int64_t>(d));
  };
  std::vector<double> found[2] = {std::vector<double>(n * n),
                                  std::vector<double>(n * n)};
  run.on_step = [&](const ChainTile& tile) {
    if (tile.step[0] == 2) return;
    for (int b = 0; b < tile.rows; ++b) {
      const size_t to =
          NumberOf(*one.model, tile.position + b * tile.dimension);
      found[tile.step[0] / 3][tile.chain[b] / kChains * n + to] += 1;
    }
  };
  RunDiscrete(transition, *one.model, run);
  DiscreteVerdict verdict;
  for (size_t at = 0; at < n * n; ++at) {
    for (const size_t after : {0, 1}) {
      const double p = after == 0 ? once[at] : thrice[at];
      const double error = std::sqrt(std::max(0.0, p * (1 - p)) / kChains);
      const double deviation = std::abs(found[after][at] / kChains - p);
      Judge(absl::StrCat(one.name, " ", at / n, "->", at % n, " after ",
                         after == 0 ? 1 : 3),
            deviation, kGateOfFrequencies * error + kSlackOfFrequencies,
            &verdict);
    }
  }
  return verdict;
}

bool CheckSameBytesOf(const Transition& transition, const MatrixCase& one) {
  DiscreteRun run;
  run.params.kind = one.kind;
  run.params.step_size = one.step_size;
  run.inverse_temperature = one.inverse_temperature;
  run.scale = one.scale;
  run.steps = 40;
  const std::vector<float> states = AllStates(*one.model);
  const auto d = static_cast<size_t>(one.model->dimension());
  run.start = [&](uint64_t chain) {
    const auto begin =
        states.begin() + static_cast<int64_t>(chain * d % states.size());
    return std::vector<float>(begin, begin + static_cast<int64_t>(d));
  };
  // The state of chain 3 after every step.
  const auto path_of_3 = [&](std::vector<uint64_t> chains, int tile_rows) {
    run.chains = std::move(chains);
    std::vector<float> path;
    run.on_step = [&](const ChainTile& tile) {
      for (int b = 0; b < tile.rows; ++b) {
        const float* x = tile.position + b * tile.dimension;
        if (tile.chain[b] == 3) path.insert(path.end(), x, x + d);
      }
    };
    RunDiscrete(transition, *one.model, run, tile_rows);
    return path;
  };
  const std::vector<float> alone = path_of_3({3}, 1);
  std::vector<uint64_t> many(100);
  std::iota(many.begin(), many.end(), 0);
  return path_of_3({3, 8}, 2) == alone && path_of_3({8, 3}, 2) == alone &&
         path_of_3(many, 0) == alone && path_of_3(many, 16) == alone;
}

}  // namespace basin::testing
