#ifndef BASIN_TESTS_INTEGRATION_EXAMPLE_MODELS_H_
#define BASIN_TESTS_INTEGRATION_EXAMPLE_MODELS_H_

#include <vector>

#include "tests/integration/server_process.h"

#include "basin/v1/sampler.pb.h"
#include "basin/v1/scorer.pb.h"

namespace basin::testing {

// Serves tests/data/models until the program ends.
const ServerProcess& ExampleServer();

// What it answers; the test fails if it refuses.
std::vector<float> Energies(const v1::ScoreRequest& request);
std::vector<float> States(const v1::SampleRequest& request);

}  // namespace basin::testing

#endif  // BASIN_TESTS_INTEGRATION_EXAMPLE_MODELS_H_
