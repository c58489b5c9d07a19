"""Artifacts through the server, and the paths that must not work."""

from __future__ import annotations

from tests.wire.conversation import Conversation
from tests.wire.scripts.speaking import ARTIFACTS, MODELS, experiment_of, run_of


def artifacts(talk: Conversation) -> None:
    experiment = experiment_of(talk, "artifacts")
    run = run_of(talk, experiment)
    root = f"{experiment}/{run}/artifacts"
    proxy = f"{ARTIFACTS}/artifacts"
    for name in ("note.txt", "plots/roc.txt", "plots/deep/er.txt", "with space & ümlaut.txt", "empty.txt"):
        data = b"" if name == "empty.txt" else f"text of {name}".encode()
        talk.call("PUT", f"{proxy}/{root}/{name}", data=data, name=f"put {name}")
    talk.call("PUT", f"{proxy}/{root}/note.txt", data="another text", name="put again")
    for path in ("", "plots", "plots/deep", "none", "note.txt"):
        talk.call("GET", proxy, {"path": f"{root}/{path}".rstrip("/")}, name=f"list {path!r}")
        talk.call("GET", "2.0/mlflow/artifacts/list", {"run_id": run, "path": path}, name=f"list of the run {path!r}")
    talk.call("GET", "2.0/mlflow/artifacts/list", {"run_id": "0" * 32})
    talk.call("GET", "2.0/mlflow/artifacts/list", {})
    for name in ("note.txt", "plots/roc.txt", "with space & ümlaut.txt", "empty.txt", "none.txt", "plots"):
        talk.call("GET", f"{proxy}/{root}/{name}", name=f"get {name}")
    for path in (
        "../up",
        "%2e%2e/up",
        "..%2fup",
        "..%252fup",
        "/etc",
        "C:/windows",
        "a/../../../b",
        "a\\..\\b",
        "a/./b",
    ):
        talk.call("GET", "2.0/mlflow/artifacts/list", {"run_id": run, "path": path}, name=f"list of the run {path}")
        talk.call("GET", proxy, {"path": path}, name=f"list {path}")
    for path in ("%2e%2e/up", "..%2fup", "..%252f..%252fup", "C:/windows", "%5c%5cserver", "a/%2e%2e/%2e%2e/b"):
        talk.call("GET", f"{proxy}/{path}", name=f"get {path}")
        talk.call("PUT", f"{proxy}/{path}", data="x", name=f"put {path}")
    upload = {"path": "weights.bin", "num_parts": 2}
    talk.call("POST", f"{ARTIFACTS}/mpu/create/{root}", upload, name="multipart")
    done = {"path": "weights.bin", "upload_id": "u", "parts": [{"part_number": 1, "etag": "e"}]}
    talk.call("POST", f"{ARTIFACTS}/mpu/complete/{root}", done, name="multipart complete")
    talk.call("POST", f"{ARTIFACTS}/mpu/abort/{root}", {"path": "weights.bin", "upload_id": "u"}, name="abort")
    talk.call("GET", f"{ARTIFACTS}/presigned/{root}/note.txt", name="presigned")
    signed = "2.0/mlflow/artifacts/presigned-upload-url"
    talk.call("POST", signed, {"path": "x"})
    talk.call("POST", signed, {"run_id": run, "model_id": "m", "path": "x"})
    talk.call("POST", signed, {"run_id": run})
    said = {"experiment_id": experiment, "name": "net"}
    model = talk.call("POST", MODELS, said, name="create model")["model"]["info"]["model_id"]
    talk.stands_for(model, "model")
    talk.call("PUT", f"{proxy}/{experiment}/models/{model}/artifacts/MLmodel", data="x: 1", name="put MLmodel")
    for path in ("", "none", "../up", "%2e%2e"):
        said = {"artifact_directory_path": path}
        talk.call("GET", f"{MODELS}/{model}/artifacts/directories", said, name=f"files of the model in {path!r}")
    talk.call("DELETE", f"{proxy}/{root}/plots", name="delete a folder")
    talk.call("GET", proxy, {"path": root}, name="list after")
    talk.call("GET", "3.0/mlflow/server-info", name="server-info")
    talk.call("GET", "/health")
    talk.call("GET", "2.0/mlflow/no-such-thing", name="no endpoint")
