"""`text.unit = "note"`: a frozen transformer reads whole notes in its own length."""

import dataclasses

import numpy as np
import pytest
import torch
from encoder_builders import write_tiny_text_model

from mmdiag.config import RunConfig, TextConfig
from mmdiag.errors import UnknownNameError, UsageError
from mmdiag.prepare import extractor
from mmdiag.prepare.kinds.text import features_of_sentences
from mmdiag.recipes import default

LONG = 160  # positions: more than the tokens of a sentence that are read at once
KINDS = {
    "bert": {},
    "modernbert": {
        "model_type": "modernbert",
        "global_attn_every_n_layers": 2,
        "local_attention": 8,
        "pad_token_id": 0,
        "cls_token_id": 2,
        "sep_token_id": 3,
        "bos_token_id": 2,
        "eos_token_id": 3,
    },
}
NOTE = "No marked oedema is seen in the left lobe. Mass effect is there. " * 9


@pytest.fixture(scope="module", params=KINDS)
def folder(request, tmp_path_factory):
    place = tmp_path_factory.mktemp("model") / request.param
    return write_tiny_text_model(place, max_position_embeddings=LONG, **KINDS[request.param])


def make_config(folder, **text):
    return RunConfig(text=TextConfig(encoder=str(folder), **text))


@torch.no_grad()
def test_a_note_is_one_row_and_what_the_model_itself_says_of_it(folder):
    from transformers import AutoModel, AutoTokenizer

    tokenizer, network = AutoTokenizer.from_pretrained(folder), AutoModel.from_pretrained(folder)
    read = tokenizer(NOTE.strip(), return_tensors="pt")
    assert 128 < read["input_ids"].shape[1] <= LONG
    tokens = {name: read[name] for name in ("input_ids", "attention_mask")}
    expected = network.eval()(**tokens).last_hidden_state[0].mean(0).numpy()
    extract = extractor("text", make_config(folder, unit="note"))
    whole, other = extract([NOTE, "Clear."])
    assert whole.shape == other.shape == (1, 17) and whole[0, -1] == other[0, -1] == 1
    assert whole[0, :-1] == pytest.approx(expected / np.linalg.norm(expected), abs=1e-5)
    sentences = extractor("text", make_config(folder))
    assert sentences([NOTE])[0].shape == (18, 17) and sentences.key != extract.key


def test_an_explanation_takes_a_sentence_out_and_has_the_rest_read_again(folder):
    config = dataclasses.replace(default(), text=TextConfig(encoder=str(folder), unit="note"))
    notes = [["No oedema.", "Mass effect."], ["Mass effect."], []]
    both, rest, nothing = features_of_sentences(config, lambda embed: embed)(notes)
    assert len(both) == len(rest) == 1 and not len(nothing)
    assert not np.allclose(both.features, rest.features)


@pytest.mark.parametrize("text", [{"encoder": "tfidf"}, {"training": "fine_tuned"}])
def test_what_cannot_read_whole_notes_is_refused_with_its_cure(text):
    with pytest.raises(UsageError, match=r"set text\.unit to 'sentence'"):
        TextConfig(unit="note", **text)
    with pytest.raises(UnknownNameError, match="sentence"):
        TextConfig(unit="page", **text)
