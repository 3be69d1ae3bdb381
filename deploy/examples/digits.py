"""Draws 16 digits and scores them. Usage: digits.py [HOST:PORT]

README.md, "The API", says how to make the stubs that it imports.
"""

import sys

import grpc
import numpy as np
from basin.v1 import common_pb2, sampler_pb2, sampler_pb2_grpc
from basin.v1 import scorer_pb2, scorer_pb2_grpc

channel = grpc.insecure_channel(sys.argv[1] if len(sys.argv) > 1 else "localhost:8001")
model = common_pb2.ModelRef(name="mnist_ebm")

request = sampler_pb2.SampleRequest(model=model, chains=16, seed=7)
for event in sampler_pb2_grpc.SamplerStub(channel).Sample(request):
    if event.HasField("draws"):
        draws = event.draws.states
digits = np.frombuffer(draws.data, np.float32).reshape(draws.shape)[-1]

inputs = common_pb2.Tensor(dtype="FLOAT32", shape=digits.shape, data=digits.tobytes())
response = scorer_pb2_grpc.ScorerStub(channel).Score(
    scorer_pb2.ScoreRequest(model=model, inputs=inputs))
print(digits.shape, np.frombuffer(response.energies.data, np.float32))
