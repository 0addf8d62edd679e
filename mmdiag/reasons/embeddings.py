"""Why an embedding is refused."""

from mmdiag.reasons.reason import Reason

OF_EMBEDDINGS: dict[str, Reason] = {
    "not_an_embedding": Reason(
        "An embedding is .npy, .npz (without pickled objects), .h5 or .safetensors a case, or one "
        "Parquet of all cases with a list column and a key.",
        "Write it in one of these forms; name the Parquet as path, with its key.",
    ),
    "embedding_array": Reason(
        "A file of an embedding holds one array within itself, or one that is called features, or "
        "the one that column names.",
        "Name it by column under the modality in cohort.toml, or write that array alone.",
    ),
    "embedding_numbers": Reason(
        "An embedding is made of finite numbers, real or whole: no objects, no NaN, no infinity.",
        "Make it again with the encoder, in 32 bits; a NaN or an infinity is its overflow.",
    ),
    "embedding_shape": Reason(
        "An embedding is one vector or a bag of vectors (vector, number): at least one of at least "
        "one number, at most 16,384 of at most 8,192, and 16,777,216 numbers in all.",
        "Write it in that form; of a larger bag take a sample, or the means of neighbours.",
    ),
    "embedding_width": Reason(
        "All embeddings of a modality have one width: that of its encoder in its revision.",
        "Make it again with the encoder and revision that cohort.toml names; where these have "
        "changed for all cases, say so there.",
    ),
}
