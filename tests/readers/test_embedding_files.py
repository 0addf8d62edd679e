"""Embeddings are read from five forms, whatever their precision and order, and what is none is
refused by what it is, before anything of its size is made.
"""

import io
import json
import pickle
import struct
import zipfile

import h5py
import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from pyarrow import parquet
from safetensors.numpy import save_file

from mmdiag.errors import DescriptionError, ReadError
from mmdiag.readers.embedding_tables import read_vectors
from mmdiag.readers.embeddings import MOST_VECTORS, embedding_width, read_embedding, vector_facts

BAG = np.arange(12, dtype=np.float32).reshape(3, 4)


def write(file, values, array="features", **more):
    """One array, and further ones by name, in the form that the suffix says."""
    named = {array: values, **more}
    if file.suffix == ".npy":
        np.save(file, values)
    elif file.suffix == ".npz":
        np.savez_compressed(file, **named)
    elif file.suffix == ".h5":
        with h5py.File(file, "w") as stored:
            for name, one in named.items():
                stored.create_dataset(name, data=one, compression="gzip" if one.ndim else None)
    else:
        save_file({name: np.ascontiguousarray(one) for name, one in named.items()}, file)
    return file


FORMS = (".npy", ".npz", ".h5", ".safetensors")


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("dtype", ["<f2", "<f4", "<f8", "<i2", "u1"])
def test_a_bag_is_read_from_every_form_in_32_bits(tmp_path, form, dtype):
    file = write(tmp_path / f"x{form}", BAG.astype(dtype))
    found = read_embedding(file)
    assert found.dtype == np.float32 and found.tolist() == BAG.tolist()
    assert embedding_width(file) == 4


@pytest.mark.parametrize("form", FORMS)
def test_a_vector_is_a_bag_of_one_and_a_batch_of_one_is_the_bag(tmp_path, form):
    vector = write(tmp_path / f"v{form}", BAG[1])
    batch = write(tmp_path / f"b{form}", BAG[None])
    assert read_embedding(vector).tolist() == [BAG[1].tolist()]
    assert read_embedding(batch).tolist() == BAG.tolist()


def test_the_order_in_which_numbers_lie_in_a_file_is_no_information(tmp_path):
    np.save(tmp_path / "f.npy", np.asfortranarray(BAG))
    np.save(tmp_path / "b.npy", BAG.astype(">f4"))
    assert read_embedding(tmp_path / "f.npy").tolist() == BAG.tolist()
    assert read_embedding(tmp_path / "b.npy").tolist() == BAG.tolist()


@pytest.mark.parametrize("form", FORMS[1:])
def test_of_several_arrays_the_named_one_is_read_else_the_one_called_features(tmp_path, form):
    coordinates = np.zeros((3, 2), np.int64)
    file = write(tmp_path / f"x{form}", BAG, coords=coordinates)
    assert read_embedding(file).tolist() == BAG.tolist()
    assert read_embedding(file, "coords").shape == (3, 2)
    other = write(tmp_path / f"y{form}", BAG, array="one", two=coordinates)
    assert read_embedding(other, "one").tolist() == BAG.tolist()
    for array in (None, "three"):
        with pytest.raises(ReadError, match="embedding_array"):
            read_embedding(other, array)


def test_an_array_within_a_group_is_named_by_its_path(tmp_path):
    with h5py.File(tmp_path / "x.h5", "w") as stored:
        stored["20x/features"] = BAG
    assert read_embedding(tmp_path / "x.h5", "20x/features").tolist() == BAG.tolist()
    with pytest.raises(ReadError, match="embedding_array"):
        read_embedding(tmp_path / "x.h5")


@pytest.mark.parametrize(
    ("values", "code"),
    [
        (np.full((3, 4), np.nan, np.float32), "embedding_numbers"),
        (np.array([[1.0, np.inf]]), "embedding_numbers"),
        (np.array([1e39, 1.0]), "embedding_numbers"),  # finite, but not in 32 bits
        (np.ones((2, 3), bool), "embedding_numbers"),
        (np.ones((2, 3), complex), "embedding_numbers"),
        (np.array(["a", "b"]), "embedding_numbers"),
        (np.zeros((0, 4), np.float32), "embedding_shape"),
        (np.zeros((4, 0), np.float32), "embedding_shape"),
        (np.float32(1.0), "embedding_shape"),
        (np.zeros((2, 3, 4), np.float32), "embedding_shape"),
        (np.zeros((MOST_VECTORS + 1, 1), np.uint8), "embedding_shape"),
        (np.zeros((2, 9000), np.uint8), "embedding_shape"),
    ],
)
def test_what_is_no_embedding_is_refused_with_a_code(tmp_path, values, code):
    np.save(tmp_path / "x.npy", values)
    with pytest.raises(ReadError, match=code):
        read_embedding(tmp_path / "x.npy")


class Marked:
    """Leaves a file where it is unpickled."""

    def __init__(self, mark):
        self.mark = mark

    def __reduce__(self):
        return (open, (str(self.mark), "w"))


def test_nothing_is_unpickled(tmp_path):
    mark, bad = tmp_path / "mark", np.empty(1, object)
    bad[0] = Marked(mark)
    np.save(tmp_path / "x.npy", bad, allow_pickle=True)
    np.savez(tmp_path / "x.npz", features=bad)
    (tmp_path / "y.npy").write_bytes(pickle.dumps(Marked(mark)))
    for name, code in (("x.npy", "numbers"), ("x.npz", "numbers"), ("y.npy", "unreadable")):
        with pytest.raises(ReadError, match=code):
            read_embedding(tmp_path / name)
    assert not mark.exists()


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("cut", [0, 3, 70, -5])
def test_a_torn_file_is_refused(tmp_path, form, cut):
    file = write(tmp_path / f"x{form}", np.arange(4000, dtype=np.float32).reshape(40, 100))
    file.write_bytes(file.read_bytes()[:cut])
    with pytest.raises(ReadError, match=r"unreadable|truncated"):
        read_embedding(file)


def test_a_size_is_refused_before_it_is_made(tmp_path):
    """Each announces a terabyte; a machine that makes it fails otherwise."""
    header = io.BytesIO()
    shape = (16_000, 2**36)
    np.lib.format.write_array_header_1_0(
        header, {"descr": "<f4", "fortran_order": False, "shape": shape}
    )
    (tmp_path / "x.npy").write_bytes(header.getvalue())
    with zipfile.ZipFile(tmp_path / "x.npz", "w") as archive:
        archive.writestr("features.npy", header.getvalue())
    with h5py.File(tmp_path / "x.h5", "w") as stored:
        stored.create_dataset("features", shape, "f4", chunks=(1, 1024))
    for name in ("x.npy", "x.npz", "x.h5"):
        with pytest.raises(ReadError, match="embedding_shape"):
            read_embedding(tmp_path / name)


def test_an_hdf5_file_leads_to_no_other_file(tmp_path):
    write(tmp_path / "other.h5", BAG)
    np.save(tmp_path / "raw.npy", BAG)
    with h5py.File(tmp_path / "x.h5", "w") as stored:
        stored["external"] = h5py.ExternalLink("other.h5", "features")
        stored["soft"] = h5py.SoftLink("/external")
        stored.create_dataset("raw", (3, 4), "f4", external=[(str(tmp_path / "raw.npy"), 128, 48)])
        layout = h5py.VirtualLayout((3, 4), "f4")
        layout[:] = h5py.VirtualSource(str(tmp_path / "other.h5"), "features", (3, 4))
        stored.create_virtual_dataset("virtual", layout)
    for array in ("external", "soft", "raw", "virtual", "external/x"):
        with pytest.raises(ReadError, match="embedding_array"):
            read_embedding(tmp_path / "x.h5", array)


def test_numbers_of_a_precision_that_numpy_has_not_are_refused(tmp_path):
    head = json.dumps({"features": {"dtype": "BF16", "shape": [2, 2], "data_offsets": [0, 8]}})
    content = struct.pack("<Q", len(head)) + head.encode() + bytes(8)
    (tmp_path / "x.safetensors").write_bytes(content)
    with pytest.raises(ReadError, match=r"embedding_numbers.*another precision"):
        read_embedding(tmp_path / "x.safetensors")


@pytest.mark.parametrize("name", ["x.csv", "x.pt", "x.parquet", "x"])
def test_another_form_is_refused(tmp_path, name):
    (tmp_path / name).write_text("x")
    with pytest.raises(ReadError, match="not_an_embedding"):
        read_embedding(tmp_path / name)


@given(
    arrays.arrays(
        st.sampled_from(["<f4", "<f8", "<i4"]),
        st.tuples(st.integers(1, 6), st.integers(1, 9)),
        elements=st.integers(-1000, 1000),
    )
)
def test_what_is_written_is_what_is_read(tmp_path_factory, values):
    folder = tmp_path_factory.mktemp("e")
    for form in FORMS:
        found = read_embedding(write(folder / f"x{form}", values))
        assert np.array_equal(found, values.astype(np.float32))
    facts = vector_facts(values.astype(np.float32))
    assert facts["n_vectors"] == len(values) and facts["width"] == values.shape[1]
    assert facts["n_zero"] == sum(not row.any() for row in values)


def table(file, cells, of, **more):
    names = ["a", "b", "b", None, "c"]
    parquet.write_table(
        pa.table({"id": names[: len(cells)], "v": pa.array(cells, of), **more}), file
    )
    return file


VECTORS = [[1.0, 2.0], [3.0, 4.0], [5.0, 6.0], [7.0, 8.0], None]


@pytest.mark.parametrize(
    ("cells", "of"),
    [
        (VECTORS, pa.list_(pa.float64())),
        (VECTORS, pa.large_list(pa.float32())),
        ([*VECTORS[:4], [9.0, 9.0]], pa.list_(pa.float16(), 2)),
    ],
)
def test_rows_of_a_case_are_one_bag_and_rows_without_a_key_nobodys(tmp_path, cells, of):
    found = read_vectors([table(tmp_path / "x.parquet", cells, of)], "id", None)
    assert found.keys[:3] == ["a", "b", "b"] and set(found.keys[3:]) <= {"c"}
    assert found.numbers[:6].tolist() == [1, 2, 3, 4, 5, 6] and found.numbers.dtype == np.float32
    assert found.lengths.tolist() == [2] * len(found.keys)


def test_a_cell_may_hold_a_whole_bag(tmp_path):
    cells = [[[1.0, 2.0], [3.0, 4.0]], [[5.0, 6.0]]]
    file = table(tmp_path / "x.parquet", cells, pa.list_(pa.list_(pa.float32())))
    found = read_vectors([file], "id", "v")
    assert found.keys == ["a", "a", "b"] and found.numbers.tolist() == [1, 2, 3, 4, 5, 6]


def test_a_table_says_which_column_is_meant(tmp_path):
    twice = table(tmp_path / "x.parquet", VECTORS, pa.list_(pa.float32()), w=pa.array(VECTORS))
    with pytest.raises(DescriptionError, match=r"has 2: name the one that is meant, column"):
        read_vectors([twice], "id", None)
    assert len(read_vectors([twice], "id", "w").keys) == 3
    for column, said in (("id", "holds lists of numbers"), ("vv", r"'vv' is none of x\.parquet")):
        with pytest.raises(DescriptionError, match=said):
            read_vectors([twice], "id", column)
