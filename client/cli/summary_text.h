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

// To stderr, one on a line.
void PrintWarnings(const v1::SampleEvent::Summary& summary);

}  // namespace basin::client

#endif  // BASIN_CLIENT_CLI_SUMMARY_TEXT_H_
