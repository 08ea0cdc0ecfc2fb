"""Asks a server of TensorFlow Serving's interfaces, REST or gRPC, what is in image files.

    client = RestClient("http://localhost:8501", "shapes", names=("circle", "square"))
    found = client.predict([Path("a.jpg").read_bytes(), Path("b.png").read_bytes()])

Both clients send files to the signature `image_bytes` of `export.savedmodel` and answer with `Detections` in pixels of
each file as stored; like the server they leave the EXIF orientation alone. A client may be shared between threads.
RestClient needs no TensorFlow.
"""

import base64
import http.client
import json
import threading
import urllib.parse
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from centernet_tf.errors import DataError, UsageError
from centernet_tf.geometry.camera import as_camera
from centernet_tf.images import inspect_header, read_bytes
from centernet_tf.results import Detections

SIGNATURE = "image_bytes"
ARGUMENT = "image_bytes"
OUTPUTS = ("detection_boxes", "detection_classes", "detection_scores")
CAMERA = "camera"
# What models of boxes in space answer besides, and the names of these fields in `Detections`.
SPACE = {
    "detection_3d_locations": "locations",
    "detection_3d_dimensions": "dimensions",
    "detection_3d_rotations": "rotations",
    "detection_alphas": "alphas",
}


class ServerError(DataError):
    """The server does not answer, or answers that it failed; the message holds its own.

    Attributes:
        status: HTTP status, or the number of gRPC's status code; None where nothing came back.
    """

    def __init__(self, message: str, status: int | None = None):
        super().__init__(message)
        self.status = status


class Client:
    """What both clients share.

    Args:
        address: Of the server.
        model: Its name there.
        names: Class names in channel order; a file of them is assets/labels.txt of the export.
        version: Of the model; the highest if left out.
        timeout: Seconds to wait for an answer.
    """

    def __init__(
        self, address: str, model: str, names: Sequence[str], version: int | None = None, timeout: float = 60.0
    ):
        self.address = address
        self.model = model
        self.names = tuple(names)
        self.version = version
        self.timeout = timeout

    def predict(
        self, pictures: Sequence[bytes | str | Path], threshold: float = 0.3, cameras: Any = None
    ) -> list[Detections]:
        """Finds objects in files, all in one request.

        Args:
            pictures: Files or their bytes: JPEG, PNG, GIF or BMP, each of any size.
            threshold: Scores up to this are left out.
            cameras: For models of boxes in space, which need them: [3, 4] of all pictures, or one for each.

        Returns:
            Detections of each, in the same order.

        Raises:
            ValueError: There are more or fewer cameras than pictures, or one is none.
            DataError: A file is missing or no image; it is named, and nothing is sent.
            ServerError: The server cannot be reached, or refuses: an unknown model, a file that it cannot decode.
        """
        files = [read_bytes(picture) for picture in pictures]
        if not files:
            return []
        headers = [
            inspect_header(data, str(picture) if not isinstance(picture, bytes) else f"picture {number}")
            for number, (picture, data) in enumerate(zip(pictures, files))
        ]
        views = _one_for_each(cameras, len(files))
        answers = self.ask(files) if views is None else self.ask(files, views)
        rows = {name: np.asarray(answers[name], np.float32) for name in (*OUTPUTS, *SPACE) if name in answers}
        found = []
        for number, header in enumerate(headers):
            row = {name: values[number] for name, values in rows.items()}
            camera = None if views is None else views[number]
            found.append(as_detections(row, (header.width, header.height), self.names, threshold, camera))
        return found

    def ask(self, files: Sequence[bytes], cameras: np.ndarray | None = None) -> Mapping[str, Any]:
        """Sends files and cameras [N, 3, 4] as they are; {output: its rows} as they come. Raises ServerError."""
        raise NotImplementedError


class RestClient(Client):
    """Over HTTP, with nothing but the standard library. The address is like "http://localhost:8501"."""

    def __init__(self, *arguments: Any, **options: Any):
        super().__init__(*arguments, **options)
        parts = urllib.parse.urlsplit(self.address)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise UsageError(f"{self.address!r} is no address of a server. Write it like http://localhost:8501.")
        kind = http.client.HTTPSConnection if parts.scheme == "https" else http.client.HTTPConnection
        self._open = lambda: kind(parts.hostname, parts.port, timeout=self.timeout)
        version = "" if self.version is None else f"/versions/{self.version}"
        self._path = f"{parts.path.rstrip('/')}/v1/models/{urllib.parse.quote(self.model)}{version}:predict"
        self._local = threading.local()

    def ask(self, files: Sequence[bytes], cameras: np.ndarray | None = None) -> Mapping[str, Any]:
        inputs = {ARGUMENT: [{"b64": base64.b64encode(data).decode("ascii")} for data in files]}
        if cameras is not None:
            inputs[CAMERA] = cameras.tolist()
        body = json.dumps({"signature_name": SIGNATURE, "inputs": inputs})
        status, answer = self._post(body.encode())
        try:
            content = json.loads(answer)
        except ValueError:
            content = {"error": answer[:500].decode("utf-8", "replace")}
        if status != 200 or "outputs" not in content:
            reason = content.get("error", content) if isinstance(content, dict) else content
            raise ServerError(f"{self.address}{self._path} answers {status}: {reason}", status)
        return content["outputs"]

    def _post(self, body: bytes) -> tuple[int, bytes]:
        """One request on this thread's connection, which stays open for the next."""
        if getattr(self._local, "connection", None) is not None:
            try:
                return self._send(body)
            except ServerError as error:
                # A server may close a connection that was idle; a new one tells whether it is still there.
                if isinstance(error.__cause__, TimeoutError):
                    raise
        self._local.connection = self._open()
        return self._send(body)

    def _send(self, body: bytes) -> tuple[int, bytes]:
        connection = self._local.connection
        try:
            connection.request("POST", self._path, body, {"Content-Type": "application/json"})
            answer = connection.getresponse()
            return answer.status, answer.read()
        except (OSError, http.client.HTTPException) as error:
            connection.close()
            self._local.connection = None
            reason = str(error) or type(error).__name__
            raise ServerError(f"{self.address} does not answer ({reason}). Does the server run?") from error


class GrpcClient(Client):
    """Over gRPC, which sends files as they are and so is quicker. The address is like "localhost:8500".

    Raises:
        UsageError: tensorflow-serving-api is not installed; the message says how to install it.
    """

    def __init__(self, *arguments: Any, **options: Any):
        super().__init__(*arguments, **options)
        try:
            import grpc
            from tensorflow_serving.apis import predict_pb2, prediction_service_pb2_grpc
        except ImportError as error:
            raise UsageError(
                "GrpcClient needs tensorflow-serving-api: pip install 'centernet_tf[serving]', or use RestClient."
            ) from error
        self._failure = grpc.RpcError
        self._request = predict_pb2.PredictRequest
        # gRPC's own limit of 4 MB is less than a few photographs.
        limits = [("grpc.max_send_message_length", -1), ("grpc.max_receive_message_length", -1)]
        channel = grpc.insecure_channel(self.address, options=limits)
        self._stub = prediction_service_pb2_grpc.PredictionServiceStub(channel)

    def ask(self, files: Sequence[bytes], cameras: np.ndarray | None = None) -> Mapping[str, Any]:
        request = self._request()
        request.model_spec.name = self.model
        request.model_spec.signature_name = SIGNATURE
        if self.version is not None:
            request.model_spec.version.value = self.version
        tensor = request.inputs[ARGUMENT]
        tensor.dtype = 7  # DT_STRING
        tensor.tensor_shape.dim.add().size = len(files)
        tensor.string_val.extend(files)
        if cameras is not None:
            tensor = request.inputs[CAMERA]
            tensor.dtype = 1  # DT_FLOAT
            for side in cameras.shape:
                tensor.tensor_shape.dim.add().size = side
            tensor.tensor_content = cameras.astype("<f4").tobytes()
        try:
            answer = self._stub.Predict(request, timeout=self.timeout)
        except self._failure as error:
            code = error.code()
            raise ServerError(f"{self.address} answers {code.name}: {error.details()}", code.value[0]) from error
        return {name: _array(answer.outputs[name]) for name in (*OUTPUTS, *SPACE) if name in answer.outputs}


def _array(tensor: Any) -> np.ndarray:
    """A TensorProto of float32 as an array; a server may fill either of two fields."""
    shape = [side.size for side in tensor.tensor_shape.dim]
    values = np.frombuffer(tensor.tensor_content, np.float32) if tensor.tensor_content else tensor.float_val
    return np.asarray(values, np.float32).reshape(shape)


def _one_for_each(cameras: Any, count: int) -> np.ndarray | None:
    """[N, 3, 4] float32 of one camera or as many as there are pictures."""
    if cameras is None:
        return None
    one = len(cameras) > 0 and np.ndim(cameras[0]) == 1
    if not one and len(cameras) != count:
        raise ValueError(f"There are {len(cameras)} cameras for {count} pictures. Give one for each, or one for all.")
    return np.stack([as_camera(camera) for camera in ([cameras] * count if one else cameras)])


def as_detections(
    answers: Mapping[str, np.ndarray],
    image_size: tuple[int, int],
    names: Sequence[str],
    threshold: float,
    camera: np.ndarray | None = None,
) -> Detections:
    """A server's outputs for one image as `Detections`.

    Args:
        answers: "detection_boxes" [K, 4] top, left, bottom, right as shares of the image, "detection_classes" [K]
            counted from 1, "detection_scores" [K] in 0..1, and any of `SPACE`.
        image_size: (width, height) in pixels.
        names: Class names in channel order.
        threshold: Scores up to this are left out.
        camera: [3, 4] of the image.
    """
    width, height = image_size
    boxes, classes, scores = (answers[name] for name in OUTPUTS)
    kept = scores > threshold
    pixels = boxes[kept][:, [1, 0, 3, 2]] * np.array([width, height, width, height], np.float32)
    fields = {field: answers[name][kept] for name, field in SPACE.items() if name in answers}
    return Detections(pixels, scores[kept], classes[kept] - 1, tuple(names), image_size, fields, camera=camera)
