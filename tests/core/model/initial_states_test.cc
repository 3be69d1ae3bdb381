#include "core/model/initial_states.h"

#include <cmath>
#include <memory>
#include <vector>

#include <gtest/gtest.h>

namespace basin {
namespace {

std::vector<float> Draw(const InitialLaw& law, uint64_t seed, uint64_t chain,
                        size_t dimension) {
  std::vector<float> state(dimension);
  DrawInitialState(law, seed, chain, absl::MakeSpan(state));
  return state;
}

struct Moments {
  double mean = 0;
  double variance = 0;
  double fourth = 0;  // central
};

Moments MomentsOf(const std::vector<float>& values) {
  Moments moments;
  for (const double x : values) moments.mean += x;
  moments.mean /= static_cast<double>(values.size());
  for (const double x : values) {
    const double square = (x - moments.mean) * (x - moments.mean);
    moments.variance += square;
    moments.fourth += square * square;
  }
  moments.variance /= static_cast<double>(values.size());
  moments.fourth /= static_cast<double>(values.size());
  return moments;
}

// Mean and variance within 5 standard errors.
void ExpectMoments(const std::vector<float>& values, double mean,
                   double variance) {
  const auto n = static_cast<double>(values.size());
  const Moments moments = MomentsOf(values);
  EXPECT_NEAR(moments.mean, mean, 5 * std::sqrt(variance / n));
  EXPECT_NEAR(
      moments.variance, variance,
      5 * std::sqrt((moments.fourth - moments.variance * moments.variance) /
                    n));
}

TEST(InitialStatesTest, UniformLaw) {
  const std::vector<float> state = Draw(UniformLaw{-1, 3}, 5, 0, 200001);
  for (const float x : state) {
    ASSERT_GE(x, -1);
    ASSERT_LE(x, 3);
  }
  ExpectMoments(state, 1, 16.0 / 12);
}

TEST(InitialStatesTest, NormalLaw) {
  ExpectMoments(Draw(NormalLaw{2, 0.5}, 5, 0, 200003), 2, 0.25);
}

// Rounding in lower + (upper - lower) u must not leave the range.
TEST(InitialStatesTest, UniformLawStaysInNarrowRanges) {
  const UniformLaw narrow{1, std::nextafter(1.0F, 2.0F)};
  for (const float x : Draw(narrow, 1, 0, 1000)) {
    EXPECT_GE(x, narrow.lower);
    EXPECT_LE(x, narrow.upper);
  }
}

TEST(InitialStatesTest, BernoulliLaw) {
  const std::vector<float> state = Draw(BernoulliLaw{0.25F}, 5, 0, 200001);
  for (const float x : state) ASSERT_TRUE(x == 0 || x == 1);
  ExpectMoments(state, 0.25, 0.25 * 0.75);
  EXPECT_EQ(Draw(BernoulliLaw{0}, 1, 0, 9), std::vector<float>(9, 0));
  EXPECT_EQ(Draw(BernoulliLaw{1}, 1, 0, 9), std::vector<float>(9, 1));
}

TEST(InitialStatesTest, UniformCategoryLawIsOneHot) {
  constexpr size_t kClasses = 3;
  constexpr size_t kSites = 60001;
  const std::vector<float> state =
      Draw(UniformCategoryLaw{kClasses}, 5, 0, kClasses * kSites);
  std::vector<float> of_class(kSites);
  for (size_t site = 0; site < kSites; ++site) {
    float sum = 0;
    for (size_t i = 0; i < kClasses; ++i) sum += state[site * kClasses + i];
    ASSERT_EQ(sum, 1);
    of_class[site] = state[site * kClasses + 1];
  }
  ExpectMoments(of_class, 1.0 / 3, 2.0 / 9);
}

TEST(InitialStatesTest, DependsOnSeedAndChainAlone) {
  const InitialLaw law = NormalLaw{};
  EXPECT_EQ(Draw(law, 1, 2, 30), Draw(law, 1, 2, 30));
  EXPECT_NE(Draw(law, 1, 2, 30), Draw(law, 1, 3, 30));
  EXPECT_NE(Draw(law, 1, 2, 30), Draw(law, 2, 2, 30));
}

TEST(InitialStatesTest, CoordinatesDoNotDependOnTheDimension) {
  for (const InitialLaw& law :
       {InitialLaw(NormalLaw{}), InitialLaw(UniformLaw{}),
        InitialLaw(BernoulliLaw{})}) {
    const std::vector<float> large = Draw(law, 1, 2, 100);
    for (size_t dimension = 0; dimension < 20; ++dimension) {
      EXPECT_EQ(Draw(law, 1, 2, dimension),
                std::vector<float>(large.begin(), large.begin() + dimension));
    }
  }
}

MixtureLaw TwoGaussians() {
  // Weights 1/4 and 3/4; covariances [[1, .6], [.6, 1]] and diag(.25, 4).
  return {std::make_shared<const std::vector<MixtureLaw::Component>>(
      std::vector<MixtureLaw::Component>{{0.25, {-3, 1}, {1, 0, 0.6, 0.8}},
                                         {0.75, {2, -1}, {0.5, 2}}})};
}

// Moments of the mixture: sum_k w_k (mean), and likewise for second moments.
TEST(InitialStatesTest, MixtureLaw) {
  constexpr size_t kChains = 200'000;
  std::vector<float> first;
  std::vector<float> second;
  std::vector<float> product;
  std::vector<float> of_one;  // products of deviations of component 0
  for (size_t chain = 0; chain < kChains; ++chain) {
    const std::vector<float> state = Draw(TwoGaussians(), 5, chain, 2);
    first.push_back(state[0]);
    second.push_back(state[1]);
    product.push_back(state[0] * state[1]);
    // 4 deviations from the other one, which never gets there.
    if (state[0] < 0) of_one.push_back((state[0] + 3) * (state[1] - 1));
  }
  // Means 0.25 * -3 + 0.75 * 2 and 0.25 - 0.75; second moments
  // 0.25 * (1 + 9) + 0.75 * (0.25 + 4) and 0.25 * 2 + 0.75 * 5.
  ExpectMoments(first, 0.75, 5.6875 - 0.5625);
  ExpectMoments(second, -0.5, 4.25 - 0.25);
  // E xy = 0.25 * (0.6 - 3) + 0.75 * -2.
  const Moments of_product = MomentsOf(product);
  EXPECT_NEAR(of_product.mean, -2.1,
              5 * std::sqrt(of_product.variance / kChains));
  EXPECT_NEAR(static_cast<double>(of_one.size()) / kChains, 0.25,
              5 * std::sqrt(0.25 * 0.75 / kChains) + 0.002);
  EXPECT_NEAR(MomentsOf(of_one).mean, 0.6, 0.05);
}

// Fourth moments tell the mixture from one Gaussian of its first two.
TEST(InitialStatesTest, MixtureLawIsNoGaussian) {
  std::vector<float> first;
  for (size_t chain = 0; chain < 100'000; ++chain) {
    first.push_back(Draw(TwoGaussians(), 6, chain, 2)[0]);
  }
  // E (x - m)^4 = sum_k w_k (3 s^4 + 6 s^2 d^2 + d^4), d = mu_k - m.
  const auto term = [](double w, double variance, double d) {
    return w * (3 * variance * variance + 6 * variance * d * d + d * d * d * d);
  };
  const double want = term(0.25, 1, -3.75) + term(0.75, 0.25, 1.25);
  EXPECT_NEAR(MomentsOf(first).fourth, want, 0.03 * want);
}

}  // namespace
}  // namespace basin
