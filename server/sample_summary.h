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

// What looks wrong with a finished run, in words, and what to try.
// `annealing`: the request's.
std::vector<std::string> SampleWarnings(TransitionKind transition,
                                        int64_t chains, int64_t dimension,
                                        const AnnealingOptions& annealing,
                                        const SampleResult& result,
                                        const Diagnostics& diagnostics);

// The summary of a finished run but for timings, trace, replay and the resume
// token.
void SummaryToProto(TransitionKind transition, int64_t chains,
                    const ModelInfo& model, const AnnealingOptions& annealing,
                    const SampleResult& result,
                    v1::SampleEvent_Summary& summary);

// The last states of the chains that the request sees, [chains, D].
std::vector<float> SeenStates(const SampleResult& result, int64_t chains,
                              int64_t dimension);

}  // namespace basin

#endif  // BASIN_SERVER_SAMPLE_SUMMARY_H_
