"""Where every modality is its summary alone, all of them read in one call: what they would read one
after the other.
"""

import pytest
import torch

from mmdiag.fusion.cross_modal import CrossLayer


@pytest.fixture
def layer():
    torch.manual_seed(0)
    found = CrossLayer(16, 4, 0.0, parts=False).eval()
    torch.nn.init.ones_(found.gate)
    return found


@pytest.mark.parametrize("present", [(1, 1, 1), (1, 0, 1), (0, 1, 0), (0, 0, 0)])
def test_one_call_reads_what_each_modality_would_read_alone(layer, present):
    tokens = torch.randn(5, 3, 16)
    masks = [torch.full((5, 1), bool(there)) for there in present]
    streams = list(tokens.split(1, dim=1))
    with torch.no_grad():
        fresh, looks = layer(streams, streams, masks, looked=True)
        for k in range(3):
            others = [i for i in range(3) if i != k]
            normed = [layer.before(stream) for stream in streams]
            keys = torch.cat([layer.null.expand(5, 1, -1), *[normed[i] for i in others]], dim=1)
            hidden = torch.stack([torch.tensor([False] + [not present[i] for i in others])] * 5)
            read, weights = layer.read(normed[k], keys, keys, key_padding_mask=hidden)
            alone = streams[k] + read
            alone = alone + layer.feed(alone)
            torch.testing.assert_close(fresh[k], alone)
            by_modality = torch.zeros(5, 3)
            by_modality[:, k] = weights[:, 0, 0]
            for place, i in enumerate(others, start=1):
                by_modality[:, i] = weights[:, 0, place]
            torch.testing.assert_close(looks[k], by_modality)
