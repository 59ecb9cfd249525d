"""The four networks of the pipeline, by name."""

from convai.networks.bert.network import BERT
from convai.networks.jasper.network import JASPER
from convai.networks.tacotron2.network import TACOTRON2
from convai.networks.waveglow.network import WAVEGLOW

NETWORKS = {network.name: network for network in (JASPER, BERT, TACOTRON2, WAVEGLOW)}
