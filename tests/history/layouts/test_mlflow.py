"""An MLflow model is the paths its flavors name; a registry's alias points to a version."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from artifact_store.history.layouts.content import YAML_BYTES
from artifact_store.history.layouts.mlflow import LAYOUT
from artifact_store.history.sets import Missing, ModelSet
from tests.history.layouts.bucket import only, recognise, recognise_reading

SKLEARN = b"""\
artifact_path: model
flavors:
  python_function:
    env:
      conda: conda.yaml
      virtualenv: python_env.yaml
    loader_module: mlflow.sklearn
    model_path: model.pkl
    predict_fn: predict
    python_version: 3.11.7
  sklearn:
    code: null
    pickled_model: model.pkl
    serialization_format: cloudpickle
    sklearn_version: 1.7.2
is_signature_from_type_hint: false
mlflow_version: 3.17.2
model_id: m-2f0e37ac9be947e5a4ffea6ad8b31a6e
model_size_bytes: 900
model_uuid: m-2f0e37ac9be947e5a4ffea6ad8b31a6e
run_id: 8b1f2cbbf88a4fca9742e29b494e0418
utc_time_created: '2026-11-20 07:58:05.451529'
"""
ENVIRONMENT = {"conda.yaml": 9, "python_env.yaml": 9, "requirements.txt": 9}
MODEL = {"MLmodel": SKLEARN, "model.pkl": 900, **ENVIRONMENT}

TRANSFORMERS = b"""\
flavors:
  python_function:
    env: conda.yaml
    loader_module: mlflow.transformers
  transformers:
    code: null
    components:
    - tokenizer
    model_binary: model
    pipeline_model_type: LlamaForCausalLM
    source_model_name: meta-llama/Llama-3.1-8B
    task: text-generation
    tokenizer_type: LlamaTokenizerFast
"""


def test_a_model_is_the_files_its_flavors_name_and_all_else_beside():
    sets, asked = recognise_reading(LAYOUT, MODEL | {"": 0, "input_example.json": 0})
    assert sets == [
        ModelSet(
            layout="mlflow",
            prefix="models/m/",
            members=("model.pkl",),
            indexes=("MLmodel",),
            others=("conda.yaml", "input_example.json", "python_env.yaml", "requirements.txt"),
            parts={"MLmodel": ("MLmodel",), "model.pkl": ("model.pkl",)},
            unordered=frozenset({"MLmodel"}),
        )
    ]
    assert asked == ["MLmodel"]


def test_a_flavors_file_that_is_gone_is_missing_once_though_two_flavors_name_it():
    found = only(LAYOUT, {"MLmodel": SKLEARN, **ENVIRONMENT})
    assert found.missing == (Missing("model.pkl", "MLmodel"),)


def test_a_flavors_folder_is_all_files_below_it_and_no_sibling_that_shares_its_start():
    files = {
        "MLmodel": TRANSFORMERS,
        "model/": 0,
        "model/config.json": 9,
        "model/model.safetensors": 900,
        "components/tokenizer/tokenizer.json": 9,
        "model_old/model.safetensors": 900,
        "conda.yaml": 9,
    }
    found = only(LAYOUT, files)
    assert found.members == ("model/model.safetensors",)
    assert found.others == (
        "components/tokenizer/tokenizer.json",
        "conda.yaml",
        "model/config.json",
        "model_old/model.safetensors",
    )
    assert (found.missing, found.warnings, found.problems) == ((), (), ())


def test_a_folder_of_which_only_the_marker_is_left_is_missing():
    found = only(LAYOUT, {"MLmodel": TRANSFORMERS, "model/": 0, "components/tokenizer/x": 9, "conda.yaml": 9})
    assert found.missing == (Missing("model", "MLmodel"),)


def test_a_component_that_is_not_saved_with_the_model_is_not_missing():
    named = TRANSFORMERS.replace(b"    tokenizer_type", b"    tokenizer_name: a/b\n    tokenizer_type")
    found = only(LAYOUT, {"MLmodel": named, "model/model.safetensors": 9, "conda.yaml": 9})
    assert found.missing == ()


def test_a_model_that_only_refers_to_weights_says_whose():
    remote = TRANSFORMERS.replace(b"    model_binary: model\n", b"    source_model_revision: abc\n")
    found = only(LAYOUT, {"MLmodel": remote, "conda.yaml": 9})
    assert found.warnings == ("needs the weights of meta-llama/Llama-3.1-8B, which are no part of it",)
    assert (found.members, found.missing) == ((), ())


def test_artifacts_of_a_python_model_are_members():
    content = b"""\
flavors:
  python_function:
    artifacts:
      weights:
        path: artifacts/weights.pth
        uri: s3://elsewhere/weights.pth
    code: code
    loader_module: mlflow.pyfunc.model
    model_code_path: /tmp/lc_model.py
    python_model: python_model.pkl
"""
    files = {"MLmodel": content, "artifacts/weights.pth": 9, "code/pkg/__init__.py": 0, "python_model.pkl": 9}
    found = only(LAYOUT, files)
    assert found.members == ("artifacts/weights.pth", "python_model.pkl")
    assert found.others == ("code/pkg/__init__.py",)
    assert found.problems == found.warnings == ()


def test_a_text_that_a_flavor_names_itself_is_a_member_and_may_be_empty():
    found = only(LAYOUT, {"MLmodel": flavor("model.json"), "model.json": 9})
    assert (found.members, found.may_be_empty) == (("model.json",), frozenset())
    found = only(LAYOUT, {"MLmodel": flavor("prompt.txt"), "prompt.txt": 0})
    assert (found.members, found.may_be_empty) == (("prompt.txt",), frozenset({"prompt.txt"}))


def test_fewer_bytes_than_were_saved_are_a_problem_and_more_are_none():
    assert only(LAYOUT, MODEL | {"model.pkl": 800}).problems == (
        "its files have 827 bytes, and MLmodel counted 900 when they were saved",
    )
    assert only(LAYOUT, MODEL | {"model.pkl": 9_000}).problems == ()


def test_environments_that_are_gone_are_warned_of():
    found = only(LAYOUT, {"MLmodel": SKLEARN, "model.pkl": 900, "conda.yaml": 9})
    assert found.warnings == ("python_env.yaml is absent: a server cannot build its environment from it",)
    assert found.missing == ()


def flavor(path):
    return f"flavors:\n  python_function:\n    data: {path}\n".encode()


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (b"", "MLmodel is empty"),
        (b"<html>", "MLmodel holds no YAML mapping but a string"),
        (b"- a", "MLmodel holds no YAML mapping but a list"),
        (b"flavors: [", "MLmodel is no YAML: "),
        (b"- " * 5_000, "MLmodel is no YAML: "),
        (b"\x00\xff", "MLmodel is no YAML: "),
        (b"artifact_path: model", "MLmodel names no flavors"),
        (b"flavors: {}", "MLmodel names no flavors"),
        (b"flavors:\n  sklearn: 7", "MLmodel describes the flavor 'sklearn' by no mapping"),
        (b"flavors:\n  '':", "MLmodel describes the flavor '' by no mapping"),
        (flavor("/etc/passwd"), "MLmodel names /etc/passwd, which is no path inside the folder"),
        (flavor("../other/model.pkl"), "MLmodel names ../other/model.pkl, which is no path inside the folder"),
        (flavor("[a, b]"), "MLmodel names a list where a path belongs"),
        (flavor('"a\\e[2J"'), "MLmodel names 'a\\x1b[2J', which is no path inside the folder"),
    ],
)
def test_a_description_that_says_nothing_usable_is_a_problem_in_one_line(content, problem):
    found = only(LAYOUT, {"MLmodel": content, "model.pkl": 900})
    assert len(found.problems) == 1
    assert found.problems[0].startswith(problem)
    assert found.problems[0].isprintable()
    assert found.members == ()


def test_a_tag_builds_nothing_and_is_read_as_what_it_wraps():
    found = only(LAYOUT, {"MLmodel": flavor("!!python/object/apply:os.system [ls]"), "model.pkl": 9})
    assert found.problems == ("MLmodel names a list where a path belongs",)


def test_aliases_that_multiply_cost_nothing():
    layers = "a0: &a0 {data: x}\n" + "".join(
        f"a{number}: &a{number} {{{', '.join(f'k{key}: *a{number - 1}' for key in range(9))}, <<: [*a{number - 1}, *a{number - 1}]}}\n"
        for number in range(1, 40)
    )
    found = only(LAYOUT, {"MLmodel": f"{layers}flavors:\n  sklearn: *a39\n".encode(), "x": 9})
    assert (found.members, found.problems) == ((), ())


def test_a_description_of_many_megabytes_is_not_read():
    sets, asked = recognise_reading(LAYOUT, {"MLmodel": YAML_BYTES + 1})
    assert sets[0].problems == ("MLmodel has 1,048,577 bytes, more than the 1,048,576 that are read of such a file",)
    assert asked == []


def test_weights_at_an_address_are_named_and_not_followed():
    found = only(LAYOUT, {"MLmodel": flavor("s3://elsewhere/model.pkl")})
    assert found.warnings == ("needs s3://elsewhere/model.pkl, which is no part of it",)
    assert found.missing == ()


RUN = "mlruns/3/8b1f2cbbf88a4fca9742e29b494e0418/"


def test_a_run_that_holds_a_model_is_a_root_of_all_its_files():
    files = {"": 0, "meta.yaml": 9, "artifacts/": 0, "artifacts/plot.png": 9, "artifacts/model/MLmodel": 9}
    assert recognise_reading(LAYOUT, files, RUN) == (
        [
            ModelSet(
                layout="mlflow-run",
                prefix=RUN,
                others=("artifacts/model/MLmodel", "artifacts/plot.png", "meta.yaml"),
            )
        ],
        [],
    )


def test_a_run_without_a_model_and_a_folder_of_another_name_are_none():
    assert recognise(LAYOUT, {"artifacts/plot.png": 9}, RUN) == []
    assert recognise(LAYOUT, {"artifacts/model/MLmodel": 9}, "mlruns/3/run-1/") == []


REGISTRY = {
    "meta.yaml": b"name: churn\n",
    "version-1/meta.yaml": b"version: 1\n",
    "version-2/meta.yaml": b"version: 2\n",
    "version-2/tags/stage": b"x",
    "aliases/champion": b"2",
}


def test_an_alias_of_a_file_store_points_to_its_version():
    assert recognise_reading(LAYOUT, REGISTRY, "mlruns/models/churn/") == (
        [
            ModelSet(
                layout="mlflow-registry",
                prefix="mlruns/models/churn/",
                indexes=("meta.yaml", "version-1/meta.yaml", "version-2/meta.yaml"),
                pointers=("aliases/champion",),
                others=("version-2/tags/stage",),
            )
        ],
        ["aliases/champion"],
    )


def test_an_alias_whose_version_is_gone_misses_it():
    files = {path: content for path, content in REGISTRY.items() if not path.startswith("version-2/")}
    assert only(LAYOUT, files).missing == (Missing("version-2/meta.yaml", "aliases/champion"),)


def test_versions_and_aliases_of_which_none_is_described_are_no_registry():
    files = {path: content for path, content in REGISTRY.items() if not path.endswith("meta.yaml")}
    assert recognise(LAYOUT, files) == []


@pytest.mark.parametrize("content", [b"two", b"", b"\xff", b"-1", b"9" * 2_000, "²".encode()])
def test_an_alias_that_names_no_version_is_a_problem(content):
    found = only(LAYOUT, REGISTRY | {"aliases/champion": content})
    assert len(found.problems) == 1
    assert found.problems[0].startswith("aliases/champion ")
    assert found.missing == ()


@given(
    st.binary(max_size=200)
    | st.text("flavors:\n -{}[]&*a!|>'\"#,", max_size=80).map(lambda text: f"flavors:\n  {text}".encode())
)
def test_no_description_raises(content):
    for found in recognise(LAYOUT, {"MLmodel": content, "model.pkl": 9}):
        assert found.indexes == ("MLmodel",)
        assert sorted((*found.members, *found.others)) == ["model.pkl"]
