// Draws 16 digits and scores them. Usage: digits [HOST:PORT]

#include <iostream>

#include "client/client.h"

int main(int argc, char** argv) {
  const auto client =
      basin::client::Client::Connect(argc > 1 ? argv[1] : "localhost:8001");

  basin::v1::SampleRequest request;
  request.mutable_model()->set_name("mnist_ebm");
  request.set_chains(16);
  request.set_seed(7);
  const auto digits = client->Sample(request);  // states: [1, 16, 1, 28, 28]
  if (!digits.ok()) return std::cerr << digits.status() << "\n", 1;

  basin::client::Array inputs{{16, 1, 28, 28}, digits->states.values};
  const auto scores =
      client->Score(request.model(), basin::client::ToTensor(inputs), {});
  if (!scores.ok()) return std::cerr << scores.status() << "\n", 1;
  for (const float energy : scores->energies.values) {
    std::cout << energy << " ";
  }
  std::cout << "\n";
}
