#ifndef BASIN_SERVER_SAMPLE_SUMMARY_H_
#define BASIN_SERVER_SAMPLE_SUMMARY_H_

#include <string>
#include <vector>

#include "core/sampler/diagnostics.h"
#include "core/scheduler/job.h"

namespace basin {

namespace v1 {
class SampleEvent_Summary;
}  // namespace v1

// A finished request.
struct FinishedRun {
  TransitionKind transition;
  int64_t chains;
  const ModelInfo& model;
  const AnnealingOptions& annealing;
  const SampleResult& result;
};

// What looks wrong with a run, in words, and what to try.
std::vector<std::string> SampleWarnings(const FinishedRun& run,
                                        const Diagnostics& diagnostics);

// The summary of a run but for timings, trace, replay and the resume token.
void SummaryToProto(const FinishedRun& run, v1::SampleEvent_Summary& summary);

// The last states of the chains that the request sees, [chains, D].
std::vector<float> SeenStates(const SampleResult& result, int64_t chains,
                              int64_t dimension);

}  // namespace basin

#endif  // BASIN_SERVER_SAMPLE_SUMMARY_H_
