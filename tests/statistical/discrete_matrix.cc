// The transitions' definitions, as matrices over all states, and the models
// that these are compared on.

#include <cmath>
#include <numeric>

#include <absl/strings/str_cat.h>

#include "core/base/check.h"
#include "core/graph/gradient.h"
#include "tests/statistical/discrete_checks.h"
#include "tests/testing/reference_evaluator.h"

namespace basin::testing {
namespace {

// What a small model says of all its states, in double.
struct Landscape {
  size_t n = 0;                  // states
  size_t d = 0;                  // coordinates
  size_t q = 0;                  // values of a site
  size_t width = 0;              // coordinates of a site
  std::vector<size_t> free;      // sites that may change
  std::vector<float> states;     // [n, d]
  std::vector<double> f;         // [n], -beta E
  std::vector<double> gradient;  // [n, d], of f
  double alpha = 0;

  // The value of `site` in state s.
  size_t Value(size_t s, size_t site) const {
    const float* x = &states[s * d + site * width];
    if (width == 1) return x[0] > 0.5F ? 1 : 0;
    size_t value = 0;
    while (x[value] < 0.5F) ++value;
    return value;
  }
  // State s with `site` changed to `value`.
  size_t With(size_t s, size_t site, size_t value) const {
    size_t power = 1;
    for (size_t i = 0; i < site; ++i) power *= q;
    return s + power * value - power * Value(s, site);
  }
  // f's slope from s's value of `site` to `value`.
  double Slope(size_t s, size_t site, size_t value) const {
    const double* g = &gradient[s * d + site * width];
    const size_t present = Value(s, site);
    if (width == 1) {
      return g[0] * (static_cast<double>(value) - static_cast<double>(present));
    }
    return g[value] - g[present];
  }
  double SquaredLength(size_t from, size_t to) const {
    if (from == to) return 0;
    return width == 1 ? 1 : 2;
  }
};

Landscape LandscapeOf(const MatrixCase& one) {
  const DiscreteModel& model = *one.model;
  Landscape all;
  all.states = AllStates(model);
  all.d = static_cast<size_t>(model.dimension());
  all.n = all.states.size() / all.d;
  all.q = static_cast<size_t>(std::max<int64_t>(model.classes(), 2));
  all.width = static_cast<size_t>(std::max<int64_t>(model.classes(), 1));
  all.alpha = one.step_size;
  for (size_t site = 0; site < all.d / all.width; ++site) {
    const bool clamped = !one.scale.empty() && one.scale[site * all.width] == 0;
    if (!clamped) all.free.push_back(site);
  }
  const auto graph = internal::BuildEnergyGraph(*model.opened->source,
                                                model.opened->settings.info,
                                                static_cast<int>(all.n));
  const auto gradient =
      Gradient(*graph, graph->outputs()[0], graph->inputs()[0]);
  BASIN_CHECK(gradient.ok());
  const auto values = EvaluateReference(
      *gradient,
      {Tensor::Of<float>(gradient->shape(gradient->inputs()[0]), all.states)});
  BASIN_CHECK(values.ok());
  for (const double energy : (*values)[0].data<double>()) {
    all.f.push_back(-one.inverse_temperature * energy);
  }
  for (const double slope : (*values)[1].data<double>()) {
    all.gradient.push_back(-one.inverse_temperature * slope);
  }
  return all;
}

// Proposal probabilities with a Metropolis correction.
std::vector<double> Corrected(const Landscape& all,
                              const std::vector<double>& proposal) {
  std::vector<double> matrix(all.n * all.n);
  for (size_t s = 0; s < all.n; ++s) {
    double stay = 1;
    for (size_t t = 0; t < all.n; ++t) {
      if (t == s || proposal[s * all.n + t] == 0) continue;
      const double ratio = std::exp(all.f[t] - all.f[s]) *
                           proposal[t * all.n + s] / proposal[s * all.n + t];
      matrix[s * all.n + t] = proposal[s * all.n + t] * std::min(1.0, ratio);
      stay -= matrix[s * all.n + t];
    }
    matrix[s * all.n + s] = stay;
  }
  return matrix;
}

std::vector<double> SiteProposal(const Landscape& all) {
  std::vector<double> proposal(all.n * all.n);
  const double each = 1.0 / static_cast<double>(all.free.size() * (all.q - 1));
  for (size_t s = 0; s < all.n; ++s) {
    for (const size_t site : all.free) {
      for (size_t value = 0; value < all.q; ++value) {
        if (value == all.Value(s, site)) continue;
        proposal[s * all.n + all.With(s, site, value)] += each;
      }
    }
  }
  return proposal;
}

std::vector<double> GradientProposal(const Landscape& all) {
  std::vector<double> proposal(all.n * all.n);
  for (size_t s = 0; s < all.n; ++s) {
    double total = 0;
    for (const size_t site : all.free) {
      for (size_t value = 0; value < all.q; ++value) {
        if (value == all.Value(s, site)) continue;
        const double weight = std::exp(all.Slope(s, site, value) / 2);
        proposal[s * all.n + all.With(s, site, value)] += weight;
        total += weight;
      }
    }
    for (size_t t = 0; t < all.n; ++t) proposal[s * all.n + t] /= total;
  }
  return proposal;
}

std::vector<double> LangevinProposal(const Landscape& all) {
  std::vector<double> proposal(all.n * all.n);
  for (size_t s = 0; s < all.n; ++s) {
    // The product over free sites, spread over the states site by site.
    std::vector<double> law(all.n);
    law[s] = 1;
    for (const size_t site : all.free) {
      std::vector<double> next(all.n);
      std::vector<double> weights;
      for (size_t value = 0; value < all.q; ++value) {
        weights.push_back(std::exp(
            all.Slope(s, site, value) / 2 -
            all.SquaredLength(all.Value(s, site), value) / (2 * all.alpha)));
      }
      const double total = std::accumulate(weights.begin(), weights.end(), 0.0);
      for (size_t t = 0; t < all.n; ++t) {
        for (size_t value = 0; law[t] > 0 && value < all.q; ++value) {
          next[all.With(t, site, value)] += law[t] * weights[value] / total;
        }
      }
      law = next;
    }
    std::copy(law.begin(), law.end(),
              proposal.begin() + static_cast<int64_t>(s * all.n));
  }
  return proposal;
}

// Draws `site` from its conditional law, with the probability `share`; added
// to `matrix`.
void AddHeatBath(const Landscape& all, size_t site, double share,
                 std::vector<double>* matrix) {
  for (size_t s = 0; s < all.n; ++s) {
    double total = 0;
    for (size_t value = 0; value < all.q; ++value) {
      total += std::exp(all.f[all.With(s, site, value)] - all.f[s]);
    }
    for (size_t value = 0; value < all.q; ++value) {
      const size_t t = all.With(s, site, value);
      (*matrix)[s * all.n + t] += share * std::exp(all.f[t] - all.f[s]) / total;
    }
  }
}

std::vector<double> Product(const std::vector<double>& a,
                            const std::vector<double>& b, size_t n) {
  std::vector<double> product(n * n);
  for (size_t i = 0; i < n * n; ++i) {
    for (size_t k = 0; k < n; ++k) {
      product[i] += a[i / n * n + k] * b[k * n + i % n];
    }
  }
  return product;
}

std::vector<double> SweepMatrix(const MatrixCase& one, const Landscape& all) {
  std::vector<double> matrix(all.n * all.n);
  for (size_t s = 0; s < all.n; ++s) matrix[s * all.n + s] = 1;
  const auto blocks = one.model->opened->source->Conditionals(1);
  BASIN_CHECK(blocks.ok());
  for (const internal::Conditional& block : *blocks) {
    // Sites of a block are independent, so that drawing one after another is
    // drawing them all: the energies say what that is.
    for (const int32_t site : block.sites) {
      if (std::find(all.free.begin(), all.free.end(),
                    static_cast<size_t>(site)) == all.free.end()) {
        continue;
      }
      std::vector<double> drawn(all.n * all.n);
      AddHeatBath(all, static_cast<size_t>(site), 1, &drawn);
      matrix = Product(matrix, drawn, all.n);
    }
  }
  return matrix;
}

// An RBM's W [4, 3], b and c, as served below.
struct SmallRbm {
  std::vector<float> w = RandomFloats(12, 21);
  std::vector<float> b = RandomFloats(4, 22);
  std::vector<float> c = RandomFloats(3, 23);

  std::string File() const {
    std::vector<float> doubled = w;
    for (float& value : doubled) value *= 2;
    return SafetensorsBuilder()
        .Floats("W", {4, 3}, doubled)
        .Floats("b", {4}, b)
        .Floats("c", {3}, c)
        .Build();
  }
};

// sum_h p(h | v) p(v' | h), from the joint law of SmallRbm; clamped units
// keep their values.
std::vector<double> RbmSweep(const Landscape& all) {
  const SmallRbm rbm;
  const auto logistic = [](double x) { return 1 / (1 + std::exp(-x)); };
  std::vector<double> matrix(all.n * all.n);
  for (size_t at = 0; at < all.n * all.n; ++at) {
    const float* v = &all.states[at / all.n * 4];
    const float* to = &all.states[at % all.n * 4];
    for (int h = 0; h < 8; ++h) {
      double p = 1;
      for (int j = 0; j < 3; ++j) {
        double input = rbm.c[j];
        for (int i = 0; i < 4; ++i) input += 2.0 * v[i] * rbm.w[3 * i + j];
        const double on = logistic(input);
        p *= (h >> j & 1) != 0 ? on : 1 - on;
      }
      for (size_t i = 0; i < 4; ++i) {
        double input = rbm.b[i];
        for (int j = 0; j < 3; ++j) {
          input += 2.0 * (h >> j & 1) * rbm.w[3 * i + j];
        }
        const bool free =
            std::find(all.free.begin(), all.free.end(), i) != all.free.end();
        const double on = free ? logistic(input) : v[i];
        p *= to[i] > 0.5F ? on : 1 - on;
      }
      matrix[at] += p;
    }
  }
  return matrix;
}

// Symmetric couplings of 4 units, each with each other.
std::string CoupledUnits() {
  const std::vector<float> values = RandomFloats(16, 31);
  std::vector<float> j(16);
  for (int a = 0; a < 4; ++a) {
    for (int b = 0; b < a; ++b) {
      j[4 * a + b] = j[4 * b + a] = 1.5F * values[4 * a + b];
    }
  }
  return SafetensorsBuilder()
      .Floats("J0", {4, 4}, j)
      .Floats("b0", {4}, RandomFloats(4, 32))
      .Build();
}

struct Models {
  DiscreteModel units =
      MakeModel("family: BOLTZMANN boltzmann { layer: [4] }", CoupledUnits());
  DiscreteModel layers =
      MakeModel("family: BOLTZMANN boltzmann { layer: [1, 2, 1] }",
                SafetensorsBuilder()
                    .Floats("W0", {1, 2}, {1.2F, -0.7F})
                    .Floats("W1", {2, 1}, {0.9F, 1.4F})
                    .Floats("b1", {2}, {-0.5F, 0.3F})
                    .Build());
  DiscreteModel rbm = MakeModel("family: RBM", SmallRbm().File());
  DiscreteModel ising =
      MakeModel("family: LATTICE lattice { size: 4 coupling: 0.6 field: 0.2 }");
  DiscreteModel potts = MakeModel(
      "family: LATTICE lattice { size: 2 states: 4 coupling: 0.9 "
      "field: [0, 0.5, -0.3, 0.8] boundary: FREE }");
};

const Models& AllModels() {
  static const auto* const models = new Models();
  return *models;
}

std::vector<MatrixCase> MakeCases() {
  const Models& models = AllModels();
  std::vector<MatrixCase> cases;
  const std::vector<float> bits = {1, 0, 1, 1};
  const std::vector<float> classes = {1, 1, 1, 1, 0, 0, 0, 0};
  for (const TransitionKind kind :
       {TransitionKind::kSiteMetropolis, TransitionKind::kSiteHeatBath,
        TransitionKind::kGibbsWithGradients,
        TransitionKind::kDiscreteLangevin}) {
    const double alpha = kind == TransitionKind::kDiscreteLangevin ? 0.8 : 0;
    cases.push_back({"units", kind, &models.units, alpha, 0.7, {}});
    cases.push_back({"units clamped", kind, &models.units, alpha, 1, bits});
    cases.push_back({"rbm", kind, &models.rbm, alpha, 1.2, {}});
    cases.push_back({"potts", kind, &models.potts, alpha, 1.5, {}});
    cases.push_back({"potts clamped", kind, &models.potts, alpha, 1, classes});
  }
  const TransitionKind gibbs = TransitionKind::kGibbs;
  cases.push_back({"rbm", gibbs, &models.rbm, 0, 1, {}});
  cases.push_back({"rbm clamped", gibbs, &models.rbm, 0, 1, bits});
  cases.push_back({"layers", gibbs, &models.layers, 0, 1.3, {}});
  cases.push_back({"ising", gibbs, &models.ising, 0, 0.8, {}});
  cases.push_back({"ising clamped", gibbs, &models.ising, 0, 1, bits});
  cases.push_back({"potts", gibbs, &models.potts, 0, 0.7, {}});
  cases.push_back({"potts clamped", gibbs, &models.potts, 0, 1, classes});
  return cases;
}

}  // namespace

const std::vector<MatrixCase>& AllMatrixCases() {
  static const auto* const cases = new std::vector<MatrixCase>(MakeCases());
  return *cases;
}

std::vector<double> ExactMatrix(const MatrixCase& one) {
  const Landscape all = LandscapeOf(one);
  switch (one.kind) {
    case TransitionKind::kSiteMetropolis:
      return Corrected(all, SiteProposal(all));
    case TransitionKind::kGibbsWithGradients:
      return Corrected(all, GradientProposal(all));
    case TransitionKind::kDiscreteLangevin:
      return Corrected(all, LangevinProposal(all));
    case TransitionKind::kSiteHeatBath: {
      std::vector<double> matrix(all.n * all.n);
      const double share = 1.0 / static_cast<double>(all.free.size());
      for (const size_t site : all.free) {
        AddHeatBath(all, site, share, &matrix);
      }
      return matrix;
    }
    default:
      break;
  }
  BASIN_CHECK(one.kind == TransitionKind::kGibbs);
  const bool hidden = one.model->served->info().has_hidden_units;
  return hidden ? RbmSweep(all) : SweepMatrix(one, all);
}

}  // namespace basin::testing
