// Ising and Potts models against exact values and sums over all states.

#include <algorithm>
#include <cmath>
#include <cstring>

#include <absl/strings/str_cat.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "core/backend/cpu/discrete_ops_cpu.h"
#include "core/backend/discrete_formulas.h"
#include "core/base/philox.h"
#include "tests/core/backend/host_tile.h"
#include "tests/core/model/evaluate.h"
#include "tests/core/model/family_fixture.h"
#include "tests/testing/status_matchers.h"

namespace basin::testing {
namespace {

using ::testing::HasSubstr;
constexpr auto kInvalid = absl::StatusCode::kInvalidArgument;

internal::OpenedModel Open(const std::string& lattice,
                           const std::string& file = "") {
  const ModelFolder folder;
  folder.Write("m", absl::StrCat("family: LATTICE lattice { ", lattice, " }"),
               file);
  auto model = folder.Open("m");
  BASIN_CHECK(model.ok());
  return *std::move(model);
}

// Energies of all states of a binary model.
std::vector<double> AllEnergies(const internal::OpenedModel& model) {
  const auto bits = static_cast<int>(model.settings.info.dimension);
  const std::vector<float> states = AllBinaryStates(bits);
  constexpr size_t kBatch = 1 << 12;
  std::vector<double> energies;
  const size_t width = kBatch * static_cast<size_t>(bits);
  for (size_t at = 0; at < states.size(); at += width) {
    const auto begin = states.begin() + static_cast<int64_t>(at);
    const auto size = std::min(width, states.size() - at);
    const auto some =
        ReferenceEnergies(model, {begin, begin + static_cast<int64_t>(size)});
    energies.insert(energies.end(), some.begin(), some.end());
  }
  return energies;
}

double MeanEnergy(const std::vector<double>& energies) {
  const double log_z = LogZ(energies);
  double mean = 0;
  for (const double energy : energies)
    mean += energy * std::exp(-energy - log_z);
  return mean;
}

// The table of exact values of the 4 x 4 torus, by transfer matrices.
TEST(LatticeFamilyTest, IsingOnATorusHasItsExactValues) {
  struct Exact {
    double k, log_z, energy_per_site;
  };
  for (const Exact& exact : {Exact{0.4, 14.5610930238, -1.3791164823},
                             Exact{0.5, 17.1053671187, -1.7553802888}}) {
    const auto energies =
        AllEnergies(Open(absl::StrCat("size: [4, 4] coupling: ", exact.k)));
    EXPECT_NEAR(LogZ(energies), exact.log_z, 1e-6);
    EXPECT_NEAR(MeanEnergy(energies) / (16 * exact.k), exact.energy_per_site,
                1e-6);
  }
}

// Numbers that float32 does not hold, from the configuration and from a file.
TEST(LatticeFamilyTest, Float64KeepsCouplingsAndFields) {
  const ModelFolder folder;
  folder.Write("m",
               "family: LATTICE precision: FLOAT64 lattice { size: 3 "
               "coupling: 0.1 field: 0.3 boundary: FREE }");
  ASSERT_OK_AND_ASSIGN(const auto model, folder.Load("m"));
  // Two edges and three sites of spin up.
  EXPECT_NEAR(EvaluateAll(*model, 1, {1, 1, 1}).energies[0],
              -(2 * 0.1 + 3 * 0.3), 1e-15);
  const double couplings[] = {0.1, 0.7, 0};
  std::string bytes(sizeof(couplings), '\0');
  std::memcpy(bytes.data(), couplings, sizeof(couplings));
  folder.Write("m",
               "family: LATTICE precision: FLOAT64 lattice { size: 3 "
               "field: 0.3 boundary: FREE }",
               SafetensorsBuilder().Raw("J0", "F64", {3}, bytes).Build());
  ASSERT_OK_AND_ASSIGN(const auto of_file, folder.Load("m"));
  EXPECT_NEAR(EvaluateAll(*of_file, 1, {1, 1, 1}).energies[0],
              -(0.1 + 0.7 + 3 * 0.3), 1e-15);
}

TEST(LatticeFamilyTest, AnOpenChainHasItsExactValue) {
  const auto model = Open("size: 5 coupling: 0.5 boundary: FREE");
  EXPECT_NEAR(LogZ(AllEnergies(model)), 3.946193930633, 1e-9);
}

// Z = (2 cosh h)^N of independent spins.
TEST(LatticeFamilyTest, AFieldActsOnEverySite) {
  const auto model = Open("size: 6 field: 0.25");
  EXPECT_NEAR(LogZ(AllEnergies(model)), 6 * std::log(2 * std::cosh(0.25)),
              1e-9);
}

// All states of `sites` categories of q, one-hot.
std::vector<float> AllCategories(int sites, int q) {
  std::vector<float> states;
  const int count = static_cast<int>(std::lround(std::pow(q, sites)));
  for (int word = 0; word < count; ++word) {
    for (int site = 0, rest = word; site < sites; ++site, rest /= q) {
      for (int a = 0; a < q; ++a) states.push_back(rest % q == a ? 1 : 0);
    }
  }
  return states;
}

// A ring of N sites: Z = (e^J + q - 1)^N + (q - 1) (e^J - 1)^N.
TEST(LatticeFamilyTest, PottsOnARingHasItsExactValue) {
  const auto model = Open("size: 5 states: 3 coupling: 0.75");
  EXPECT_EQ(model.settings.info.domain.kind, DomainKind::kCategorical);
  EXPECT_EQ(model.settings.info.domain.classes, 3);
  EXPECT_EQ(model.settings.info.state_shape, Shape({5, 3}));
  const double e = std::exp(0.75);
  EXPECT_NEAR(LogZ(ReferenceEnergies(model, AllCategories(5, 3))),
              std::log(std::pow(e + 2, 5) + 2 * std::pow(e - 1, 5)), 1e-9);
}

// Each site alone: Z = (sum_a exp(h_a))^N.
TEST(LatticeFamilyTest, PottsFieldsAreOfTheStates) {
  const auto model = Open("size: 3 states: 3 field: [0.5, -0.25, 1]");
  EXPECT_NEAR(LogZ(ReferenceEnergies(model, AllCategories(3, 3))),
              3 * std::log(std::exp(0.5) + std::exp(-0.25) + std::exp(1)),
              1e-9);
}

// Sites and couplings of a box, site by site.
struct Box3 {
  int size[3];
  bool periodic;
  std::vector<float> j[3];
  std::vector<float> h;

  int Site(int a, int b, int c) const {
    return ((a % size[0]) * size[1] + b % size[1]) * size[2] + c % size[2];
  }
  double Energy(const float* x) const {
    double energy = 0;
    for (int a = 0; a < size[0]; ++a) {
      for (int b = 0; b < size[1]; ++b) {
        for (int c = 0; c < size[2]; ++c) {
          const int at = Site(a, b, c);
          const double s = 2 * x[at] - 1;
          energy -= s * h[at];
          const int next[] = {Site(a + 1, b, c), Site(a, b + 1, c),
                              Site(a, b, c + 1)};
          const int place[] = {a, b, c};
          for (int axis = 0; axis < 3; ++axis) {
            if (!periodic && place[axis] + 1 == size[axis]) continue;
            energy -= double{j[axis][at]} * s * (2 * x[next[axis]] - 1);
          }
        }
      }
    }
    return energy;
  }
};

Box3 RandomBox(int a, int b, int c, bool periodic) {
  const auto sites = static_cast<size_t>(a * b * c);
  Box3 box{{a, b, c}, periodic, {}, RandomFloats(sites, 4)};
  for (int axis = 0; axis < 3; ++axis) {
    box.j[axis] = RandomFloats(sites, axis);
  }
  for (int x = 0; !periodic && x < a; ++x) {
    for (int y = 0; y < b; ++y) {
      for (int z = 0; z < c; ++z) {
        const int at = box.Site(x, y, z);
        if (x + 1 == a) box.j[0][at] = 0;
        if (y + 1 == b) box.j[1][at] = 0;
        if (z + 1 == c) box.j[2][at] = 0;
      }
    }
  }
  return box;
}

std::string FileOf(const Box3& box) {
  const std::vector<int64_t> shape(box.size, box.size + 3);
  return SafetensorsBuilder()
      .Floats("J0", shape, box.j[0])
      .Floats("J1", shape, box.j[1])
      .Floats("J2", shape, box.j[2])
      .Floats("h", shape, box.h)
      .Build();
}

TEST(LatticeFamilyTest, CouplingsFromAFileAreThoseOfTheSumOverEdges) {
  for (const bool periodic : {false, true}) {
    const Box3 box = RandomBox(3, periodic ? 3 : 2, 4, periodic);
    const auto model =
        Open(absl::StrCat("size: [3, ", box.size[1],
                          ", 4] boundary: ", periodic ? "PERIODIC" : "FREE"),
             FileOf(box));
    const size_t sites = box.h.size();
    std::vector<float> states = RandomFloats(20 * sites, 8);
    for (float& x : states) x = x > 0 ? 1 : 0;
    const auto energies = ReferenceEnergies(model, states);
    for (size_t row = 0; row < 20; ++row) {
      EXPECT_NEAR(energies[row], box.Energy(&states[row * sites]), 1e-9);
    }
    ExpectConditionalsMatch(model, {states.begin(), states.begin() + sites});
    ExpectGradientMatches(model, RandomFloats(2 * sites, 9));
  }
}

TEST(LatticeFamilyTest, ConditionalsMatch) {
  std::vector<float> states = RandomFloats(16 * 2, 3);
  for (float& x : states) x = x > 0 ? 1 : 0;
  ExpectConditionalsMatch(Open("size: [4, 4] coupling: 0.4 field: 0.1"),
                          states);
  // An odd ring needs a third colour.
  ExpectConditionalsMatch(Open("size: 5 coupling: 0.7"), {1, 0, 0, 1, 1});
  const auto potts = Open(
      "size: [2, 3] states: 3 coupling: 0.7 "
      "field: [0, 0.5, 1] boundary: FREE");
  const auto all = AllCategories(6, 3);
  ExpectConditionalsMatch(potts,
                          {all.begin() + 18 * 100, all.begin() + 18 * 102});
  ExpectGradientMatches(potts, RandomFloats(18 * 3, 2));
}

// Wide enough for the runs of NeighbourField, with an odd rest behind them.
TEST(LatticeFamilyTest, ServedLawsAreThoseOfTheEnergies) {
  for (const bool periodic : {false, true}) {
    const Box3 box = RandomBox(3, 4, 70, periodic);
    const ModelFolder folder;
    folder.Write(
        "m",
        absl::StrCat("family: LATTICE lattice { size: [3, 4, 70] ",
                     "boundary: ", periodic ? "PERIODIC" : "FREE", " }"),
        FileOf(box));
    ASSERT_OK_AND_ASSIGN(const auto opened, folder.Open("m"));
    ASSERT_OK_AND_ASSIGN(const auto model, folder.Load("m"));
    const size_t d = box.h.size();
    std::vector<float> x = RandomFloats(d, 11);
    for (float& value : x) value = value > 0 ? 1 : 0;
    // Each with one site flipped.
    std::vector<float> flipped;
    for (size_t i = 0; i < d; ++i) {
      flipped.insert(flipped.end(), x.begin(), x.end());
      flipped[i * d + i] = 1 - x[i];
    }
    const double energy = ReferenceEnergies(opened, x)[0];
    const std::vector<double> energies = ReferenceEnergies(opened, flipped);
    Workspace workspace;
    ASSERT_OK(model->backend().Reserve(workspace, model->workspace_bytes()));
    const auto function = model->Bind(4, workspace);
    ASSERT_OK_AND_ASSIGN(const DeviceMemory states,
                         model->backend().Allocate(16 * d * sizeof(float)));
    auto* rows = reinterpret_cast<float*>(states.get());
    std::copy(x.begin(), x.end(), rows + 2 * d);
    std::vector<int> covered(d);
    for (int block = 0; block < function->blocks(); ++block) {
      ASSERT_OK_AND_ASSIGN(const BlockLaw law, function->LawOf(block, 3, rows));
      ASSERT_NE(law.sites, nullptr);
      std::vector<float> parameter(3 * law.variables);
      model->backend().tile_ops().discrete().EvaluateField(
          law, 3, static_cast<int64_t>(d), parameter.data());
      for (int64_t i = 0; i < law.variables; ++i) {
        const auto site = static_cast<size_t>(law.sites[i]);
        const double change = energies[site] - energy;
        EXPECT_NEAR(parameter[2 * law.variables + i],
                    x[site] == 1 ? change : -change, 1e-5)
            << "site " << site;
        ++covered[site];
      }
    }
    EXPECT_EQ(covered, std::vector<int>(d, 1));
  }
}

// The sites of `law` drawn one by one, as DrawBlock() says, into `position`.
void DrawOneByOne(const ChainTile& tile, const BlockLaw& law,
                  const std::vector<float>& parameter, uint32_t first_quad,
                  std::vector<float>& position) {
  const int64_t quads = (law.variables + 3) / 4;
  for (int row = 0; row < tile.rows; ++row) {
    for (int64_t i = 0; i < law.variables; ++i) {
      const PhiloxBlock words =
          Philox(tile.seed[row],
                 DrawCounter(first_quad + static_cast<uint32_t>(i % quads),
                             tile.chain[row], tile.step[row],
                             static_cast<uint8_t>(DrawPurpose::kNoise)));
      position[row * tile.dimension + law.sites[i]] = DrawBernoulli(
          tile.coefficients[row].beta * parameter[row * law.variables + i],
          words.word[i / quads]);
    }
  }
}

int64_t CountAlike(const BlockLaw& law) {
  const auto* runs = law.field->site_runs;
  return std::count_if(runs, runs + law.variables / NeighbourField::kRun,
                       [](const NeighbourField::SiteRun& run) {
                         return run.kind == NeighbourField::Kind::kAlike;
                       });
}

// Bit for bit, with every instruction set of this processor, for logits near 0,
// so far from it that one value is all but certain, and beyond float32; returns
// how many runs of the model are of alike sites.
int64_t ExpectDrawsOneByOne(const EnergyModel& model) {
  constexpr float kBetas[] = {0.5F, 1, 2.5F, 3e38F};
  constexpr int kRows = std::size(kBetas);
  constexpr uint32_t kFirstQuads[] = {7, 0xFFFFFFF0U};
  const int64_t d = model.info().dimension;
  Workspace workspace;
  EXPECT_OK(model.backend().Reserve(workspace, model.workspace_bytes()));
  const auto function = model.Bind(kRows, workspace);
  int64_t alike = 0;
  for (const CpuIsa isa : {CpuIsa::kBaseline, CpuIsa::kV3, CpuIsa::kV4}) {
    if (isa > DetectedIsa()) continue;
    const auto ops = CreateCpuDiscreteOps(isa);
    HostTile host(kRows, d);
    ChainTile& tile = host.tile();
    for (float& x : host.position) x = 1;
    for (int row = 0; row < kRows; ++row) {
      host.coefficients[row].beta = kBetas[row];
    }
    for (uint64_t step = 0; step < 6; ++step) {
      host.step.assign(kRows, step << 31);
      alike = 0;
      for (int block = 0; block < function->blocks(); ++block) {
        const auto law = function->LawOf(block, kRows, tile.position);
        EXPECT_OK(law.status());
        alike += CountAlike(*law);
        std::vector<float> parameter(kRows * law->variables);
        ops->EvaluateField(*law, kRows, d, parameter.data());
        std::vector<float> expected = host.position;
        const uint32_t first_quad = kFirstQuads[step % 2];
        DrawOneByOne(tile, *law, parameter, first_quad, expected);
        ops->DrawBlock(tile, *law, first_quad);
        EXPECT_EQ(host.position, expected)
            << Name(isa) << " step " << step << ", block " << block;
      }
    }
  }
  return alike;
}

TEST(LatticeFamilyTest, AlikeSitesAreDrawnLikeAnyOther) {
  const ModelFolder folder;
  for (const std::string lattice :
       {"size: [64, 64] coupling: 0.44", "size: [40, 96] coupling: -1.3",
        "size: [12, 64] coupling: 0.3 boundary: FREE field: 0.2",
        "size: [4, 6, 66] coupling: 0.21 field: -0.07",
        "size: [64, 64] coupling: 9", "size: 130 coupling: 0.6",
        "size: [7, 97] coupling: 0.4", "size: [34, 34] coupling: 0"}) {
    SCOPED_TRACE(lattice);
    folder.Write("m",
                 absl::StrCat("family: LATTICE lattice { ", lattice, " }"));
    ASSERT_OK_AND_ASSIGN(const auto model, folder.Load("m"));
    EXPECT_GT(ExpectDrawsOneByOne(*model), 0);
  }
}

// A table of one law for each stripe would cost more than the sums do.
TEST(LatticeFamilyTest, AlikeSitesOfABlockHaveOneLaw) {
  const ModelFolder folder;
  std::vector<float> h(32 * 64);
  for (size_t at = 0; at < h.size(); ++at)
    h[at] = at / 64 % 2 == 0 ? 0.1F : 0.3F;
  folder.Write("m", "family: LATTICE lattice { size: [32, 64] coupling: 0.4 }",
               SafetensorsBuilder().Floats("h", {32, 64}, h).Build());
  ASSERT_OK_AND_ASSIGN(const auto model, folder.Load("m"));
  // Half of the sites, but for runs at the ends of the state.
  constexpr int64_t kHalf = 32 * 64 / 2 / NeighbourField::kRun;
  const int64_t alike = ExpectDrawsOneByOne(*model);
  EXPECT_LE(alike, kHalf);
  EXPECT_GE(alike, kHalf - 4);
}

// As many rows as the cache holds, for there are no weights to share.
TEST(LatticeFamilyTest, LargeStatesMoveInSmallTiles) {
  const ModelFolder folder;
  for (const auto& [size, rows] :
       {std::pair("[8, 8]", 16), std::pair("[128, 128]", 2),
        std::pair("[256, 256]", 1)}) {
    folder.Write("m", absl::StrCat("family: LATTICE lattice { size: ", size,
                                   " coupling: 0.4 }"));
    ASSERT_OK_AND_ASSIGN(const auto model, folder.Load("m", 0));
    if (rows == 16) {
      EXPECT_GE(model->tile_sizes().back(), rows) << size;
    } else {
      EXPECT_EQ(model->tile_sizes().back(), rows) << size;
    }
  }
}

TEST(LatticeFamilyTest, IsServedWithItsDomain) {
  const ModelFolder folder;
  folder.Write("m", "family: LATTICE lattice { size: [4, 4] coupling: 0.4 }");
  ASSERT_OK_AND_ASSIGN(const auto model, folder.Load("m"));
  EXPECT_EQ(model->info().family, "lattice");
  EXPECT_EQ(ToString(model->info().domain), "binary");
  EXPECT_TRUE(std::holds_alternative<BernoulliLaw>(model->info().initial));
  EXPECT_TRUE(model->info().has_default_transition);
  EXPECT_EQ(model->info().default_transition.kind, TransitionKind::kGibbs);
  const std::vector<float> up(16, 1);
  EXPECT_NEAR(EvaluateAll(*model, 1, up).energies[0], -32 * 0.4, 1e-5);
  folder.Write("m", "family: LATTICE lattice { size: [4, 4] states: 3 }");
  ASSERT_OK_AND_ASSIGN(const auto potts, folder.Load("m"));
  EXPECT_EQ(ToString(potts->info().domain), "categorical of 3");
  EXPECT_EQ(std::get<UniformCategoryLaw>(potts->info().initial).classes, 3);
}

TEST(LatticeFamilyTest, BadConfigurationsAreRefusedWithTheReason) {
  const ModelFolder folder;
  const auto error = [&](const std::string& lattice,
                         const std::string& file = "") {
    folder.Write("m", absl::StrCat("family: LATTICE lattice { ", lattice, " }"),
                 file);
    return folder.Load("m").status();
  };
  EXPECT_THAT(error(""), StatusIs(kInvalid, HasSubstr("lattice.size: axes")));
  EXPECT_THAT(error("size: [4, 2]"),
              StatusIs(kInvalid, HasSubstr("at least 3 along a periodic axis "
                                           "(or boundary: FREE), got 2")));
  EXPECT_THAT(error("size: [4096, 4096, 4096]"),
              StatusIs(kInvalid, HasSubstr("lattice.size: elements")));
  EXPECT_THAT(error("size: 4 states: 1"),
              StatusIs(kInvalid, HasSubstr("lattice.states: expected 2 to")));
  EXPECT_THAT(error("size: 4 field: [1, 2]"),
              StatusIs(kInvalid, HasSubstr("lattice.field: expected 0 or 1")));
  EXPECT_THAT(error("size: 4 coupling: inf"),
              StatusIs(kInvalid, HasSubstr("lattice.coupling")));
  EXPECT_THAT(
      error("size: 4 boundary: FREE",
            SafetensorsBuilder().Floats("J0", {4}, {1, 1, 1, 1}).Build()),
      StatusIs(kInvalid, HasSubstr("expected 0 at the end of the free axis")));
  EXPECT_THAT(
      error("size: 4",
            SafetensorsBuilder().Floats("J1", {4}, {1, 1, 1, 1}).Build()),
      StatusIs(kInvalid, HasSubstr("tensor 'J1': expected J0 to J0")));
}

}  // namespace
}  // namespace basin::testing
