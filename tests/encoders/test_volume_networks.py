"""Networks of volumes in the form of published weights: MedicalNet's ResNet-50, and CT-FM's encoder."""

import numpy as np
import pytest
from encoder_builders import write_image_weights
from safetensors.torch import load_file

FORMS = {
    "resnet50_3d": (
        2048,
        {
            "module.conv1.weight": (64, 1, 7, 7, 7),
            "module.layer1.0.conv3.weight": (256, 64, 1, 1, 1),
            "module.layer1.0.downsample.0.weight": (256, 64, 1, 1, 1),
            "module.layer4.2.bn3.running_var": (2048,),
        },
    ),
    "segresencoder_3d": (
        512,
        {
            "module.conv_init.weight": (32, 1, 3, 3, 3),
            "module.layers.4.blocks.3.conv2.weight": (512, 512, 3, 3, 3),
        },
    ),
}


@pytest.mark.parametrize("name", FORMS)
def test_a_folder_of_the_published_form_gives_a_vector_a_volume_and_its_licence(name, tmp_path):
    from mmdiag.encoders.backbone import VOLUME
    from mmdiag.encoders.frozen_image import frozen_image_network, image_weights

    width, names = FORMS[name]
    folder = write_image_weights(tmp_path / "w", name, seed=1, prefix="module.")
    stored = load_file(folder / "model.safetensors")
    assert {key: tuple(stored[key].shape) for key in names} == names
    network = frozen_image_network(name, str(folder), 0)
    volumes = np.random.default_rng(0).integers(0, 256, (2, *VOLUME), dtype=np.uint8)
    found = network.features(volumes)
    assert found.shape == (2, width) and np.isfinite(found).all() and found.std(0).max() > 0
    own = network.network.state_dict()
    assert all(np.array_equal(own[key.removeprefix("module.")], stored[key]) for key in names)
    assert image_weights(name, str(folder)).record()["licence"] == "mit"
