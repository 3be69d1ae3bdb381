"""The architectures of tests/data/golden/architectures: ZOO maps a name to how it is made."""

import dataclasses
from typing import Callable, Optional

import torch
from torch import nn

import zoo_images as images
import zoo_sequences as sequences
import zoo_vectors as vectors


@dataclasses.dataclass
class Model:
    """How one architecture is built, exported and probed."""

    build: Callable[[], nn.Module]
    shape: tuple                         # of one state
    opset: int = 17                      # of the TorchScript exporter; 0 = not exported by it
    dynamo: int = 18                     # opset of torch.export; 0 = not exported by it
    family: str = "GRAPH"
    gain: float = 1.7                    # default weights make flat energies
    functions: tuple = ()                # modules that TorchScript makes functions of the file
    rows: int = 4                        # that golden values are of
    draws: int = 0                       # states that these are chosen of; 0 = so many
    stored: str = "float32"              # what its weights are: float32, float16 or int8
    max_tile_rows: int = 0               # that a server takes together; 0 = as it sees fit
    context: Optional[Callable[[int], dict]] = None  # other inputs for so many rows
    bounds: dict = dataclasses.field(default_factory=dict)  # (least, largest) of some of them


def tokens(rows):
    return {"tokens": torch.randint(0, 50, (rows, 12))}


def label(rows):
    return {"label": torch.randint(0, 7, (rows,))}


def observed(rows):
    return {"observed": torch.randn(rows, 1, 8, 8), "mask": torch.rand(rows, 1, 8, 8) < 0.4}


ZOO = {
    # The table of ordinary architectures.
    "mlp": Model(vectors.mlp, (20,), 9),
    "igebm_resnet": Model(images.Igebm, (3, 32, 32), 12, dynamo=0, rows=2, draws=48,
                          stored="int8", max_tile_rows=4),
    "igebm_narrow": Model(lambda: images.Igebm(16), (3, 32, 32), 12, rows=2, stored="float16"),
    "wrn_28_2": Model(images.WideResNet, (3, 32, 32), 13, dynamo=0, family="CLASSIFIER", rows=2,
                      draws=48, stored="int8"),
    "unet": Model(images.UNet, (1, 16, 16), 11),
    "conv1d_sequence": Model(sequences.conv1d_sequence, (4, 40), 13),
    "gru": Model(lambda: sequences.Recurrent(nn.GRU), (9, 5), 14, dynamo=18),
    "lstm": Model(lambda: sequences.Recurrent(nn.LSTM, num_layers=2, bidirectional=True),
                  (7, 5), 13, dynamo=20),
    "vit_classifier": Model(images.VisionTransformer, (3, 32, 32), 16, dynamo=23,
                            family="CLASSIFIER", gain=1.3),
    "energy_transformer": Model(sequences.EnergyTransformer, (32,), 14, dynamo=23, gain=1.3,
                                context=tokens, bounds={"tokens": (0, 49)}),
    # Others that may trip an importer.
    "mlp_activations": Model(vectors.mlp_activations, (9,), 15, dynamo=20, gain=1.4),
    "siren": Model(vectors.Siren, (3,), 8),
    "tied_autoencoder": Model(vectors.TiedAutoencoder, (24,), 12),
    "radial_basis": Model(vectors.RadialBasis, (5,), 13, dynamo=0),
    "gaussian_mixture": Model(vectors.GaussianMixture, (4,), 14),
    "masks": Model(vectors.FunnelWithMasks, (6,), 12),
    "random_walk_prior": Model(vectors.RandomWalkPrior, (16,), 11),
    "robust_top": Model(vectors.RobustTop, (10,), 13),
    "real_nvp": Model(vectors.RealNvp, (8,), 13, dynamo=21),
    "lennard_jones": Model(vectors.LennardJones, (6, 3), 11),
    "phi_four": Model(vectors.PhiFour, (6, 6), 10),
    "graph_network": Model(vectors.GraphNetwork, (7, 5), 16),
    "set_energy": Model(vectors.SetEnergy, (8, 3), 9),
    "decoder": Model(images.Decoder, (16,), 11),
    "norms_cnn": Model(images.norms_cnn, (2, 13, 13), 13, dynamo=22),
    "pixel_shuffle_cnn": Model(images.pixel_shuffle_cnn, (1, 8, 8), 13),
    "upsamplers": Model(images.Upsamplers, (2, 7, 6), 11, dynamo=19),
    "paddings": Model(images.Paddings, (1, 9, 8), 17),
    # PyTorch 1.13 exports circular padding by the wrong elements.
    "circular_padding": Model(images.circular_padding, (1, 6, 6), 0),
    "adaptive_pools": Model(images.AdaptivePools, (3, 12, 12), 10),
    "channels_last": Model(images.ChannelsLast, (6, 6, 3), 17, dynamo=20),
    "squeeze_excite": Model(images.SqueezeExcite, (3, 16, 16), 14, dynamo=23),
    "video": Model(images.video, (1, 6, 8, 8), 13),
    "rnn_tanh": Model(lambda: sequences.Recurrent(nn.RNN), (6, 5), 9),
    "gru_learned_start": Model(sequences.LastState, (11,), 11),
    "transformer_encoder": Model(sequences.TransformerEncoder, (10, 6), 14, dynamo=18, gain=1.3),
    "einsum_attention": Model(sequences.EinsumAttention, (8, 16), 12),
    "rotary_decoder": Model(sequences.RotaryDecoder, (9, 24), 15, dynamo=23,
                            functions=(sequences.RmsNorm,)),
    "scripted_loop": Model(lambda: torch.jit.script(sequences.ScriptedLoop()), (8,), 13,
                           dynamo=0),
    "labelled_energy": Model(sequences.LabelledEnergy, (8,), 11, context=label,
                             bounds={"label": (0, 6)}),
    "inpainting_energy": Model(sequences.InpaintingEnergy, (1, 8, 8), 13, context=observed,
                               bounds={"mask": (0, 1)}),
}
