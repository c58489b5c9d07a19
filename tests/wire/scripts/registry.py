"""Registered models and their versions, stages, aliases and tags."""

from __future__ import annotations

from tests.wire.conversation import Conversation
from tests.wire.scripts.speaking import REGISTRY, VERSIONS, experiment_of, run_of


def registry(talk: Conversation) -> None:
    experiment = experiment_of(talk, "registry")
    run = run_of(talk, experiment)
    name, name2 = talk.fresh("diff"), talk.fresh("renamed")
    said = {"name": name, "description": "d", "tags": [{"key": "a", "value": "b"}]}
    talk.call("POST", f"{REGISTRY}/create", said)
    talk.call("POST", f"{REGISTRY}/create", {"name": name})
    talk.call("POST", f"{REGISTRY}/create", {"name": "a/b"})
    talk.call("POST", f"{REGISTRY}/create", {})
    talk.call("GET", f"{REGISTRY}/get", {"name": name})
    talk.call("GET", f"{REGISTRY}/get", {"name": "no such model"})
    talk.call("PATCH", f"{REGISTRY}/update", {"name": name, "description": "e"})
    source = f"mlflow-artifacts:/{experiment}/{run}/artifacts/model"
    for _ in range(3):
        said = {"name": name, "source": source, "run_id": run, "tags": [{"key": "k", "value": "v"}]}
        talk.call("POST", f"{VERSIONS}/create", said)
    talk.call("POST", f"{VERSIONS}/create", {"name": "no such model", "source": source})
    talk.call("POST", f"{VERSIONS}/create", {"name": name, "source": "/etc"})
    talk.call("POST", f"{VERSIONS}/create", {"name": name, "source": "file:///etc"})
    talk.call("POST", f"{VERSIONS}/create", {"name": name, "source": "mlflow-artifacts:/../../etc"})
    talk.call("GET", f"{VERSIONS}/get", {"name": name, "version": "1"})
    talk.call("GET", f"{VERSIONS}/get", {"name": name, "version": "9"})
    talk.call("GET", f"{VERSIONS}/get", {"name": name, "version": "one"})
    talk.call("GET", f"{VERSIONS}/get-download-uri", {"name": name, "version": "1"})
    talk.call("PATCH", f"{VERSIONS}/update", {"name": name, "version": "1", "description": "x"})
    talk.call("POST", f"{VERSIONS}/set-tag", {"name": name, "version": "1", "key": "t", "value": "u"})
    talk.call("DELETE", f"{VERSIONS}/delete-tag", {"name": name, "version": "1", "key": "t"})
    talk.call("POST", f"{REGISTRY}/set-tag", {"name": name, "key": "t", "value": "u"})
    talk.call("DELETE", f"{REGISTRY}/delete-tag", {"name": name, "key": "t"})
    stage = {"name": name, "archive_existing_versions": False}
    talk.call("POST", f"{VERSIONS}/transition-stage", {**stage, "version": "1", "stage": "production"})
    archive = {**stage, "archive_existing_versions": True}
    talk.call("POST", f"{VERSIONS}/transition-stage", {**archive, "version": "2", "stage": "Production"})
    talk.call("POST", f"{VERSIONS}/transition-stage", {**stage, "version": "2", "stage": "Moon"})
    talk.call("POST", f"{REGISTRY}/get-latest-versions", {"name": name})
    talk.call("POST", f"{REGISTRY}/get-latest-versions", {"name": name, "stages": ["Production"]})
    talk.call("POST", f"{REGISTRY}/alias", {"name": name, "alias": "champion", "version": "1"})
    talk.call("POST", f"{REGISTRY}/alias", {"name": name, "alias": "champion", "version": "2"})
    talk.call("POST", f"{REGISTRY}/alias", {"name": name, "alias": "latest", "version": "2"})
    talk.call("POST", f"{REGISTRY}/alias", {"name": name, "alias": "v3", "version": "2"})
    talk.call("POST", f"{REGISTRY}/alias", {"name": name, "alias": "b", "version": "9"})
    talk.call("GET", f"{REGISTRY}/alias", {"name": name, "alias": "champion"})
    talk.call("GET", f"{REGISTRY}/alias", {"name": name, "alias": "no such model"})
    talk.call("GET", f"{REGISTRY}/get", {"name": name})
    for filter_string in (
        f"name = '{name}'",
        f"name LIKE '{name}%'",
        f"tags.a = 'b' and name = '{name}'",
        "nonsense = 'x'",
    ):
        talk.call("GET", f"{REGISTRY}/search", {"filter": filter_string, "max_results": 5})
    talk.call("GET", f"{REGISTRY}/search", {"max_results": 1001})
    for filter_string in (
        f"name = '{name}'",
        f"version_number > 1 and name = '{name}'",
        f"run_id = '{run}'",
        "no = 'x'",
    ):
        talk.call("GET", f"{VERSIONS}/search", {"filter": filter_string, "max_results": 5})
    talk.call("GET", f"{VERSIONS}/search", {"filter": f"name = '{name}'", "order_by": "version_number ASC"})
    talk.call("GET", f"{VERSIONS}/get", {"name": name, "version": "2"})
    talk.call("POST", f"{REGISTRY}/get-latest-versions", {"name": name})
    talk.call("GET", f"{REGISTRY}/get-latest-versions", {"name": name, "stages": ["production", "None"]})
    talk.call("POST", f"{REGISTRY}/get-latest-versions", {"name": name, "stages": ["Moon"]})
    talk.call("POST", f"{REGISTRY}/get-latest-versions", {"name": "no such model"})
    for order in ("name DESC", "version_number DESC", "creation_timestamp", "nonsense", "name SIDEWAYS"):
        said = {"filter": f"name = '{name}'", "order_by": order}
        talk.call("GET", f"{VERSIONS}/search", said, name=f"versions ordered by {order}")
    for filter_string in ("version_number = 'x'", "tags.k = 'v'", "tags.k != 'v'", "source_path LIKE '%model'"):
        said = {"filter": f"name = '{name}' and {filter_string}"}
        talk.call("GET", f"{VERSIONS}/search", said, name=f"versions by {filter_string}")
    for most in (0, -1, "many", 200_001):
        talk.call("GET", f"{VERSIONS}/search", {"max_results": most}, name=f"{most} versions")
        talk.call("GET", f"{REGISTRY}/search", {"max_results": most}, name=f"{most} registered models")
    said = {"filter": f"name = '{name}'", "max_results": 2}
    token = talk.call("GET", f"{VERSIONS}/search", said, name="first versions").get("next_page_token")
    talk.call("GET", f"{VERSIONS}/search", {**said, "page_token": token}, name="the other versions")
    talk.call("GET", f"{VERSIONS}/search", {**said, "page_token": "nonsense"}, name="versions behind nonsense")
    talk.call("DELETE", f"{REGISTRY}/alias", {"name": name, "alias": "champion"})
    talk.call("DELETE", f"{REGISTRY}/alias", {"name": name, "alias": "champion"})
    talk.call("DELETE", f"{VERSIONS}/delete", {"name": name, "version": "3"})
    talk.call("POST", f"{VERSIONS}/create", {"name": name, "source": source, "run_id": run})
    talk.call("POST", f"{REGISTRY}/rename", {"name": name, "new_name": name2})
    talk.call("GET", f"{VERSIONS}/get", {"name": name2, "version": "1"})
    talk.call("DELETE", f"{REGISTRY}/delete", {"name": name2})
    talk.call("GET", f"{REGISTRY}/get", {"name": name2})
    talk.call("DELETE", f"{REGISTRY}/delete", {"name": name2})
    talk.call("GET", f"{VERSIONS}/search", {"filter": f"name = '{name2}'"})


def registered_models(talk: Conversation) -> None:
    """Several models: their order, their pages, and prompts, which are no models."""
    names = [talk.fresh(f"several-{letter}") for letter in "abc"]
    of_these = {"filter": "tags.of = 'these'", "max_results": 2}
    for name in names:
        talk.call("POST", f"{REGISTRY}/create", {"name": name, "tags": [{"key": "of", "value": "these"}]}, name=name)
    prompt = talk.fresh("prompt")
    tags = [{"key": "mlflow.prompt.is_prompt", "value": "true"}]
    talk.call("POST", f"{REGISTRY}/create", {"name": prompt, "tags": tags}, name="create a prompt")
    talk.call("GET", f"{REGISTRY}/search", of_these)
    for filter_string in (
        f"name = '{prompt}'",
        f"name = '{prompt}' and tags.`mlflow.prompt.is_prompt` = 'true'",
        f"name = '{prompt}' and tags.`mlflow.prompt.is_prompt` != 'true'",
        f"name IN ('{names[0]}', '{names[2]}')",
        f"name ILIKE '{names[0].upper()}'",
        f"name LIKE '{names[0]}%' or name = 'x'",
        "version_number > 1",
        "name > 'a'",
        "name = a",
    ):
        talk.call("GET", f"{REGISTRY}/search", {"filter": filter_string})
    some = f"name IN ('{names[0]}', '{names[1]}', '{names[2]}')"
    for order in ("name DESC", "last_updated_timestamp DESC", "timestamp ASC", "creation_timestamp", "nonsense"):
        talk.call("GET", f"{REGISTRY}/search", {"filter": some, "order_by": order}, name=f"models ordered by {order}")
    page = {"filter": some, "max_results": 2}
    token = talk.call("GET", f"{REGISTRY}/search", page, name="first page").get("next_page_token")
    talk.call("GET", f"{REGISTRY}/search", {**page, "page_token": token}, name="second page")
    talk.call("POST", f"{REGISTRY}/rename", {"name": names[0], "new_name": names[1]})
    talk.call("POST", f"{REGISTRY}/rename", {"name": names[0], "new_name": ""})
    talk.call("POST", f"{REGISTRY}/rename", {"name": "no such model", "new_name": "x"})
    talk.call("PATCH", f"{REGISTRY}/update", {"name": "no such model", "description": "x"})
    talk.call("POST", f"{REGISTRY}/set-tag", {"name": "no such model", "key": "k", "value": "v"})
    talk.call("POST", f"{REGISTRY}/set-tag", {"name": names[0], "value": "v"})
    talk.call("DELETE", f"{REGISTRY}/delete-tag", {"name": names[0], "key": "none"})
    talk.call("POST", f"{REGISTRY}/alias", {"name": "no such model", "alias": "a", "version": "1"})
    talk.call("POST", f"{REGISTRY}/alias", {"name": names[0], "alias": "no spaces", "version": "1"})


def copies(talk: Conversation) -> None:
    """Versions of other versions, of runs and of LoggedModels: what MLflow's client copies and registers."""
    experiment = experiment_of(talk, "copies")
    run, other = run_of(talk, experiment), run_of(talk, experiment, "other")
    said = {"experiment_id": experiment, "name": "net", "source_run_id": run}
    model = talk.call("POST", "2.0/mlflow/logged-models", said, name="create model")["model"]["info"]["model_id"]
    talk.stands_for(model, "model")
    first, second, third = talk.fresh("copied"), talk.fresh("copy"), talk.fresh("third")
    for name in (first, second, third):
        talk.call("POST", f"{REGISTRY}/create", {"name": name})
    create = f"{VERSIONS}/create"
    talk.call("POST", create, {"name": first, "source": f"models:/{model}", "model_id": model, "run_id": run})
    talk.call("POST", create, {"name": first, "source": f"models:/{model}"})
    talk.call("POST", create, {"name": first, "source": f"runs:/{run}/model", "run_id": run})
    talk.call("POST", create, {"name": first, "source": f"runs:/{run}/model", "run_id": other})
    talk.call("POST", create, {"name": first, "source": f"runs:/{run}/model"})
    talk.call("POST", create, {"name": second, "source": f"models:/{first}/1"})
    said = {"name": third, "source": f"models:/{first}/1", "run_id": run, "model_id": model}
    talk.call("POST", create, said, name="copy that names the LoggedModel")
    talk.call("POST", create, {"name": second, "source": f"models:/{first}/1", "run_id": other})
    talk.call("POST", create, {"name": second, "source": f"models:/{first}/9"})
    talk.call("POST", create, {"name": second, "source": "models:/no such model/1"})
    talk.call("POST", create, {"name": second, "source": "models:/a/b/c"})
    talk.call("POST", create, {"name": second, "source": "s3://bucket/model"})
    talk.call("POST", create, {"name": second, "source": "s3://bucket/../model"})
    talk.call("POST", create, {"name": second, "source": f"mlflow-artifacts:/{experiment}/{run}/artifacts/m"})
    talk.call("POST", create, {"name": second, "source": f"mlflow-artifacts:/{experiment}/{run}", "run_id": run})
    talk.call("POST", create, {"name": second, "source": "https://example.org/model"})
    talk.call("POST", create, {"name": second, "source": "relative/model", "run_id": run})
    talk.call("POST", create, {"name": second, "source": "mlflow-artifacts:/%2e%2e/etc", "run_id": run})
    talk.call("POST", create, {"name": second, "source": "C:\\windows", "run_id": run})
    talk.call("POST", create, {"name": second})
    for version in ("1", "2", "3"):
        talk.call("GET", f"{VERSIONS}/get-download-uri", {"name": second, "version": version})
    talk.call("GET", f"{VERSIONS}/get-download-uri", {"name": second, "version": "99"})
