"""A model on disk, and servers of TensorFlow Serving's two interfaces around it."""

import base64
import contextlib
import http.server
import json
import threading
from concurrent import futures

import keras
import numpy as np
import pytest

from centernet_tf.geometry.camera import DEFAULT_CAMERA
from centernet_tf.model.card import InputCard, ModelCard

if keras.backend.backend() != "tensorflow":
    collect_ignore_glob = ["test_*.py"]


SIZE = (64, 96)
FACE = {"keypoints": ["nose", "left_eye", "right_eye"], "flip_pairs": [["left_eye", "right_eye"]]}
# {kind: its tasks}
KINDS = {"pose": {"pose": {"skeleton": FACE}}, "box3d": {"box3d": {"camera": DEFAULT_CAMERA.tolist()}}}
# Else the object of a subject that lies nearest to its point would be the subject.
BIASES = {"object_offset": keras.initializers.Constant(8.0)}
KINDS["hoi"] = {"hoi": {"verbs": ["push", "lift", "walk"], "alone": ["walk"]}}


@pytest.fixture(scope="session")
def model(spot_network, spot_card):
    """A function from a kind, a key of `KINDS` or "spots", to its network and card."""
    made = {"spots": (spot_network, spot_card)}

    def find(kind):
        if kind not in made:
            form = InputCard(height=SIZE[0], width=SIZE[1], stride=32)
            card = ModelCard(tasks=KINDS[kind], backbone="tiny", classes=("red", "green"), max_objects=6, input=form)
            keras.utils.set_random_seed(0)
            image = keras.Input((None, None, 3), name="image")
            layer = keras.layers.Conv2D(16, 5, strides=4, padding="same", activation="relu")(image)
            heads = card.task_set().heads
            maps = {
                head.name: [
                    keras.layers.Conv2D(head.channels, 1, bias_initializer=BIASES.get(head.name, "zeros"))(layer)
                ]
                for head in heads
            }
            made[kind] = keras.Model(image, maps), card
        return made[kind]

    return find


@pytest.fixture(scope="session")
def signatures(model, tmp_path_factory):
    """A function from a kind to {signature: function} of its SavedModel, which is written once."""
    import tensorflow as tf

    from centernet_tf.exports.savedmodel import export_savedmodel

    loaded = {}

    def find(kind):
        if kind not in loaded:
            folder = export_savedmodel(model(kind), tmp_path_factory.mktemp("served") / kind)
            loaded[kind] = tf.saved_model.load(str(folder))
        return loaded[kind].signatures

    return find


@pytest.fixture(scope="session")
def served(signatures):
    """{signature: function} of the spot network's SavedModel."""
    return signatures("spots")


class Handler(http.server.BaseHTTPRequestHandler):
    """POST /v1/models/spots:predict, as TensorFlow Serving answers it."""

    protocol_version = "HTTP/1.1"

    def do_POST(self):
        import tensorflow as tf

        request = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        if self.path not in ("/v1/models/spots:predict", "/v1/models/spots/versions/1:predict"):
            return self.answer(404, {"error": f"Servable not found for request: {self.path}"})
        if self.path in self.server.broken:
            return self.answer(500, b"<html>out of order")
        inputs = {
            name: [base64.b64decode(row["b64"]) for row in values] if name.endswith("_bytes") else values
            for name, values in request["inputs"].items()
        }
        try:
            tensors = {name: tf.constant(values) for name, values in inputs.items()}
            found = self.server.signatures[request["signature_name"]](**tensors)
        except tf.errors.InvalidArgumentError as error:
            return self.answer(400, {"error": error.message})
        rows = {name: value.numpy().tolist() for name, value in found.items()}
        for name in [name for name in rows if name.endswith("_bytes")]:
            rows[name] = [{"b64": base64.b64encode(data).decode()} for data in rows[name]]
        return self.answer(200, {"outputs": rows})

    def answer(self, status, content):
        body = content if isinstance(content, bytes) else json.dumps(content).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *arguments):
        pass


@contextlib.contextmanager
def serve_rest(signatures):
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.signatures, server.broken, server.daemon_threads = signatures, set(), True
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield server
    server.shutdown()
    server.server_close()


@pytest.fixture(scope="session")
def rest_server(served):
    """A REST server."""
    with serve_rest(served) as server:
        yield server


@pytest.fixture(scope="session")
def rest():
    """Function {signature: function} -> context of a REST server of these."""
    return serve_rest


@pytest.fixture(scope="session")
def grpc_address(served):
    """Address of a server of tensorflow.serving.PredictionService."""
    with serve_grpc(served) as address:
        yield address


@pytest.fixture(scope="session")
def grpc_server():
    """Function {signature: function} -> context of the address of a gRPC server of these."""
    return serve_grpc


@contextlib.contextmanager
def serve_grpc(served):
    grpc = pytest.importorskip("grpc")
    api = pytest.importorskip("tensorflow_serving.apis.prediction_service_pb2_grpc")
    import tensorflow as tf
    from tensorflow_serving.apis import predict_pb2

    class Service(api.PredictionServiceServicer):
        def Predict(self, request, context):  # noqa: N802  The name is the protocol's.
            if request.model_spec.name != "spots":
                context.abort(grpc.StatusCode.NOT_FOUND, f"Servable not found: {request.model_spec.name}")
            inputs = {name: tf.constant(tf.make_ndarray(value)) for name, value in request.inputs.items()}
            try:
                found = served[request.model_spec.signature_name](**inputs)
            except tf.errors.InvalidArgumentError as error:
                context.abort(grpc.StatusCode.INVALID_ARGUMENT, error.message)
            answer = predict_pb2.PredictResponse()
            for name, value in found.items():
                answer.outputs[name].CopyFrom(tf.make_tensor_proto(np.asarray(value)))
            return answer

    server = grpc.server(futures.ThreadPoolExecutor(4))
    api.add_PredictionServiceServicer_to_server(Service(), server)
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    yield f"127.0.0.1:{port}"
    server.stop(0).wait()
