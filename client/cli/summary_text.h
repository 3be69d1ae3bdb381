#ifndef BASIN_CLIENT_CLI_SUMMARY_TEXT_H_
#define BASIN_CLIENT_CLI_SUMMARY_TEXT_H_

// What `sample` and `log_z` say at the end.

#include <string>

#include "client/client.h"

#include "basin/v1/sampler.pb.h"

namespace basin::client {

// Lines of a name and a value, each ended; no warnings.
std::string SummaryText(const SampleResult& result);

// The estimate, its interval, and in words how far to trust it.
std::string LogZText(const v1::SampleEvent::LogZ& log_z);

// What a forward and a reverse run say together: the lower end of the one, the
// upper end of the other. Either errs to the safe side, so it holds even where
// one of them alone is not reliable. That they agree is the best sign that an
// estimate is right; ends in the wrong order are a sign that the runs were not
// what they should be (Grosse, Ghahramani and Adams 2015, arXiv 1511.02543).
std::string BracketText(const v1::SampleEvent::LogZ& forward,
                        const v1::SampleEvent::LogZ& reverse);

// To stderr, one on a line.
void PrintWarnings(const v1::SampleEvent::Summary& summary);

}  // namespace basin::client

#endif  // BASIN_CLIENT_CLI_SUMMARY_TEXT_H_
