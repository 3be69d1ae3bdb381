// basin transitions: what there is, and when to use what.

#include "client/cli/transition_guide.h"

#include <iterator>
#include <memory>

#include <absl/strings/str_cat.h>
#include <absl/strings/str_format.h>

namespace basin::client {
namespace {

// U = b E, with inverse temperature b; xi ~ N(0, I).
constexpr TransitionGuide kGuides[] = {
    {"ula", "biased, order 1", "continuous", "1 gradient",
     "many cheap steps where a small bias does no harm",
     "x' = x - e grad U(x) + sqrt(2 e) xi\n",
     "--step_size e, squared units of x. The bias is of the order of e: on\n"
     "N(0, 1) the variance comes out as 1 / (1 - e / 2). Nothing can be tuned\n"
     "to: there is no acceptance. `langevin` is another name.\n"
     "Roberts and Tweedie 1996.\n"},
    {"mala", "exact", "continuous", "1 gradient",
     "the first choice in up to some hundred dimensions",
     "y = x - e grad U(x) + sqrt(2 e) xi, accepted with probability\n"
     "min(1, exp(U(x) - U(y)) q(x | y) / q(y | x))\n",
     "--step_size e, squared units of x; tuned in warm-up to an acceptance of\n"
     "0.574 if it is not given, with a length for each coordinate.\n"
     "Roberts and Tweedie 1996; Roberts and Rosenthal 1998.\n"},
    {"random_walk", "exact", "continuous", "1 energy",
     "few dimensions, or energies whose gradient is no guide",
     "y = x + s xi, accepted with probability min(1, exp(U(x) - U(y)))\n",
     "--step_size s, units of x; tuned to an acceptance of 0.234 (0.44 in one\n"
     "dimension). --metric takes variances or a covariance [D, D].\n"
     "Roberts, Gelman and Gilks 1997.\n"},
    {"hmc", "exact", "continuous", "--leaps gradients",
     "many dimensions, correlated coordinates: far moves, kept",
     "p ~ N(0, I); --leaps leapfrog steps of e; accepted with probability\n"
     "min(1, exp(H - H')), H = U(x) + |p|^2 / 2\n",
     "--step_size e, units of x; tuned to an acceptance of 0.651. --leaps L, "
     "1\n"
     "to 1024, default 16: e L should be about the distance between one end\n"
     "of the law and the other. --jitter j draws each length from\n"
     "[(1 - j) L, L]. In a box, trajectories are reflected.\n"
     "Neal 2011; Beskos et al. 2013.\n"},
    {"underdamped", "biased, order 2", "continuous", "1 gradient",
     "as ula, with momentum: faster, and far less bias",
     "BAOAB: p -= h/2 grad U; x += h/2 p; p = c p + sqrt(1 - c^2) xi;\n"
     "x += h/2 p; p -= h/2 grad U, with c = exp(-friction h)\n",
     "--step_size h, units of x; --friction per unit of time, default 1. The\n"
     "bias is of the order of h^2, and none in a harmonic well.\n"
     "Leimkuhler and Matthews 2013.\n"},
    {"underdamped_metropolis", "exact", "continuous", "--leaps gradients",
     "as hmc with short trajectories that keep their direction",
     "p = c p + sqrt(1 - c^2) xi; --leaps leapfrog steps of h; accepted with\n"
     "probability min(1, exp(H - H')), else p is reversed\n",
     "--step_size h, units of x; tuned to an acceptance of 0.9, as a "
     "rejection\n"
     "turns back. --friction, default 1; --leaps, 1 to 1024, default 1.\n"
     "Horowitz 1991.\n"},
    {"delayed_acceptance", "exact", "continuous",
     "1 energy, --leaps + 2 cheap ones",
     "a costly energy with a cheap one that resembles it",
     "y from --leaps random-walk Metropolis steps in the cheap energy V,\n"
     "accepted with probability min(1, exp(U(x) - U(y)) / exp(V(x) - V(y)))\n",
     "--surrogate MODEL, of the same domain: the cheap energy. Exact whatever\n"
     "it is; efficient if it is close. --step_size as of random_walk.\n"
     "Christen and Fox 2005; Liu 2001.\n"},
    {"gibbs", "exact", "what has conditional laws", "1 sweep of them",
     "rbm, boltzmann and lattice models: always the first choice",
     "each block of units is drawn from its law given all others\n",
     "No parameters. Blocks are the layers of an RBM or of a deep Boltzmann\n"
     "machine, and the colours of a lattice. Never rejects.\n"
     "Geman and Geman 1984; Hinton 2002.\n"},
    {"site_metropolis", "exact", "binary, categorical", "--sites energies",
     "small models of any energy; a check of the others",
     "one site takes another value, accepted with probability\n"
     "min(1, exp(U(x) - U(y)))\n",
     "--sites tried in a step, 1 to 1024, default 1.\n"
     "Metropolis et al. 1953.\n"},
    {"site_heat_bath", "exact", "binary, categorical",
     "--sites x (classes - 1) energies",
     "as site_metropolis, where few values of a site are likely",
     "one site is drawn from its law given all others\n",
     "--sites drawn in a step, 1 to 1024 / (classes - 1), default 1. Never\n"
     "rejects.\n"
     "Geman and Geman 1984.\n"},
    {"gibbs_with_gradients", "exact", "binary, categorical", "1 gradient",
     "energies given as networks: looks where a flip pays",
     "a flip i is drawn from softmax(d / 2), d_i = what the gradient says "
     "that\n"
     "it gains, and accepted with its Metropolis-Hastings ratio\n",
     "No parameters. One site moves in a step, the most promising ones first.\n"
     "Grathwohl et al. 2021.\n"},
    {"discrete_langevin", "exact", "binary, categorical", "1 gradient",
     "as gibbs_with_gradients, for hundreds of sites: all move at once",
     "each site by itself from softmax over its values v of\n"
     "-grad U . (v - x) / 2 - |v - x|^2 / (2 e), accepted as a whole\n",
     "--step_size e; greater = more sites change; tuned to an acceptance of\n"
     "0.574. Zhang, Liu and Liu 2022.\n"},
    {"igebm", "recipe", "continuous", "1 gradient",
     "models that were trained with it (T = s^2 / (2 lambda), tiny)",
     "x += N(0, s^2); g = grad E(x), clipped; x -= lambda g, clipped to the "
     "box\n",
     "--step_size lambda, --noise_std s, --gradient_clip. A noisy descent, no\n"
     "sample at temperature 1; the answer states its temperature.\n"
     "Du and Mordatch 2019.\n"},
    {"jem", "recipe", "continuous", "1 gradient",
     "classifiers read as energies, trained with it",
     "x' = x - lambda grad U(x) + N(0, s^2)\n",
     "--step_size lambda, --noise_std s. A noisy descent, as igebm.\n"
     "Grathwohl et al. 2020.\n"},
    {"minimize", "recipe, T = 0", "continuous", "1 gradient",
     "the lowest energy nearby: predictions, refinement",
     "p = m p - e grad E(x); x += p\n",
     "--step_size e; --momentum m, 0 to below 1, default 0. No noise: chains\n"
     "end in a minimum. Polyak 1964.\n"},
};

void PrintTable() {
  absl::PrintF("%-23s %-16s %-26s %s\n", "NAME", "TARGETS", "DOMAIN",
               "A STEP COSTS");
  for (const TransitionGuide& guide : kGuides) {
    absl::PrintF("%-23s %-16s %-26s %s\n", guide.name, guide.target,
                 guide.domain, guide.cost);
    absl::PrintF("    %s\n", guide.when);
  }
  absl::PrintF(
      "\nexact   samples of p(x) proportional to exp(-b E(x)), however long "
      "the steps\n"
      "biased  the same up to an error that goes with the step size\n"
      "recipe  a noisy descent, as models are trained with; no samples of p\n"
      "\nbasin transitions NAME tells all of one; basin model NAME which ones "
      "a model takes.\n");
}

void PrintGuide(const TransitionGuide& guide) {
  absl::PrintF("%s: %s\n\n%s\n", guide.name, guide.when, guide.formula);
  absl::PrintF("targets  %s\ndomain   %s\ncost     %s\n\n%s", guide.target,
               guide.domain, guide.cost, guide.details);
  absl::PrintF("\nU = b E, b = inverse temperature (--beta); xi ~ N(0, I).\n");
}

}  // namespace

absl::Span<const TransitionGuide> TransitionGuides() { return kGuides; }

std::string TransitionLines() {
  std::string lines;
  for (const TransitionGuide& guide : kGuides) {
    absl::StrAppend(&lines, "* ", guide.name, " (", guide.target,
                    "): ", guide.when, "\n");
  }
  return lines;
}

void AddTransitionsCommand(CLI::App& app, Action& action) {
  CLI::App* transitions = app.add_subcommand(
      "transitions", "explains the transitions that there are");
  const auto name = std::make_shared<std::string>();
  std::vector<std::string> names;
  for (const TransitionGuide& guide : kGuides) names.emplace_back(guide.name);
  transitions->add_option("NAME", *name, "one of them. Default: a table of all")
      ->check(CLI::IsMember(names));
  transitions->callback([&action, name] {
    action = [name] {
      if (name->empty()) PrintTable();
      for (const TransitionGuide& guide : kGuides) {
        if (*name == guide.name) PrintGuide(guide);
      }
      return absl::OkStatus();
    };
  });
}

}  // namespace basin::client
