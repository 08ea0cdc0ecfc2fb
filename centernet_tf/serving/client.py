"""Asks a server of TensorFlow Serving's interfaces, REST or gRPC, what is in image files.

    client = RestClient("http://localhost:8501", "shapes", names=("circle", "square"))
    found = client.predict([Path("a.jpg").read_bytes(), Path("b.png").read_bytes()])

Both clients send files to the signature `image_bytes` of `export.savedmodel` and answer with `Detections` in pixels of
each file as stored; like the server they leave the EXIF orientation alone. A client may be shared between threads.
RestClient needs no TensorFlow.
"""

import contextlib
import http.client
import json
import math
import threading
import urllib.parse
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np
import pydantic

from centernet_tf.detector import found
from centernet_tf.detector.extras import one_for_each
from centernet_tf.errors import DataError, UsageError
from centernet_tf.exports.answers import as_found
from centernet_tf.exports.carried import PREVIOUS_BYTES
from centernet_tf.media.images import inspect_header, read_bytes
from centernet_tf.properties import PROPERTIES
from centernet_tf.properties.property import Property
from centernet_tf.results import Detections
from centernet_tf.serving.checked import checked, parse_json, told
from centernet_tf.serving.tensors import as_array, as_json, fill
from centernet_tf.serving.tracking import HostTracker, ServedTracker, ServedWindows, open_tracker
from centernet_tf.serving.transport import AnswerTooLargeError, Budget, connection_to, post

SIGNATURE = "image_bytes"
ARGUMENT = "image_bytes"
MOST_BYTES = 1 << 26  # a thousand images of a hundred objects, and no danger to the memory


class ServerError(DataError):
    """The server does not answer, answers that it failed, or answers what no such server may; the message says which.

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
        timeout: Seconds for a whole request, from its first byte to the last of the answer.
        properties: What the model says of what it finds beside boxes, such as names of their parts, which drawing and
            COCO's rows need; `properties.read_properties` reads them from "properties" of assets/model.json.
        max_bytes: Of an answer; a larger one is not read.
        thresholds: Of each class, "thresholds" of assets/model.json, where they were fitted.

    Raises:
        UsageError: The address is none, or the timeout or the limit is not above 0.
    """

    def __init__(
        self,
        address: str,
        model: str,
        names: Sequence[str],
        version: int | None = None,
        timeout: float = 60.0,
        properties: Sequence[Property] = (),
        max_bytes: int = MOST_BYTES,
        thresholds: Sequence[float] | None = None,
    ):
        if not 0 < timeout < math.inf or max_bytes < 1:
            raise UsageError(f"timeout {timeout} and max_bytes {max_bytes}: expected finite numbers above 0.")
        self.max_bytes = max_bytes
        self.address = address
        self.model = model
        self.names = tuple(names)
        self.version = version
        self.timeout = timeout
        self.properties = tuple(properties)
        self.thresholds = thresholds

    def predict(
        self, images: Sequence[bytes | str | Path], threshold: found.Threshold = None, **extras: Any
    ) -> list[Detections]:
        """Finds objects in files, all in one request.

        Args:
            images: Files or their bytes: JPEG, PNG, GIF or BMP, each of any size.
            threshold: Scores up to this are left out; `thresholds` or else 0.3 where nothing is given.
            extras: What the model needs of each image beside its pixels, by name: one value for all images, or one for
                each; of names that no property knows, one for each. "extras" of assets/model.json has the usual ones.

        Returns:
            Detections of each, in the same order.

        Raises:
            UsageError: There are more or fewer values of an extra than images.
            ValueError: A value of an extra is none.
            DataError: A file is missing or no image; it is named, and nothing is sent.
            ServerError: The server cannot be reached, or refuses: an unknown model, a file that it cannot decode; or
                its answer is late, too large or not what such a server answers.
        """
        files = [read_bytes(image) for image in images]
        if not files:
            return []
        headers = [
            inspect_header(data, str(image) if not isinstance(image, bytes) else f"image {number}")
            for number, (image, data) in enumerate(zip(images, files))
        ]
        values = self.check_extras(extras, len(files))
        threshold = (self.thresholds or found.THRESHOLD) if threshold is None else threshold
        return self.finish(self.ask(files, values), [(one.width, one.height) for one in headers], values, threshold)

    def finish(
        self,
        rows: Mapping[str, np.ndarray],
        sizes: Sequence[tuple[int, int]],
        extras: Mapping[str, np.ndarray],
        threshold: found.Threshold,
    ) -> list[Detections]:
        """Checked outputs [N, ...] and extras [N, ...] as detections in images of these widths and heights."""
        results = []
        for number, size in enumerate(sizes):
            row = {name: value[number] for name, value in rows.items()}
            own = {name: value[number] for name, value in extras.items()}
            try:
                results.append(as_detections(row, size, self.names, threshold, self.properties, own))
            except ValueError as error:
                raise ServerError(f"{self.address} answers for image {number} what cannot be used: {error}") from None
        return results

    def check_extras(self, extras: Mapping[str, Any], count: int) -> dict[str, np.ndarray]:
        """{name: [N, ...] float32} for N images; raises ValueError and UsageError as `predict`."""
        return {name: self._extra(name, value, count) for name, value in extras.items() if value is not None}

    def _extra(self, name: str, value: Any, count: int) -> np.ndarray:
        """[N, ...] float32 for N images, checked by the property that knows it."""
        for one in (*self.properties, *_without_settings()):
            for field in one.fields:
                if (field.name, field.level) == (name, "image"):
                    rows = [one.fill({name: row}, 0) for row in one_for_each(name, value, len(field.shape), count)]
                    if faults := [fault for fault in map(one.image_fault, rows) if fault]:
                        raise ValueError(f"{name}: {faults[0].detail}.")
                    return np.stack([row[name] for row in rows]).astype(np.float32)
        if len(value) != count:
            raise UsageError(f"{len(value)} values of {name} for {count} images. Give one for each image.")
        return np.asarray(value, np.float32)

    def ask(
        self, files: Sequence[bytes], extras: Mapping[str, np.ndarray] = MappingProxyType({})
    ) -> dict[str, np.ndarray]:
        """Sends files and extras {name: [N, ...]} as they are.

        Returns:
            {output: [N, K, ...] float32} as `export.answers` describes them.

        Raises:
            ServerError: As `predict`.
        """
        return self.check(self.request(files, extras), len(files))

    def check(self, outputs: Any, count: int) -> dict[str, np.ndarray]:
        """`checked` outputs for N images. Raises ServerError."""
        try:
            return checked(outputs, count)
        except ValueError as error:
            raise ServerError(f"{self.address} answers what no exported model does: {error}.") from None

    def tracker(self, about: str | Path | Mapping[str, Any]) -> "ServedTracker | ServedWindows | HostTracker":
        """Follows the objects of one video through a served model of videos; any number may be open at a time.

        Args:
            about: assets/model.json of the export, or its content.

        Raises:
            UsageError: It cannot be read, or is of a model of single images.
        """
        return open_tracker(self, about)

    def request(
        self, files: Sequence[bytes], further: Mapping[str, np.ndarray], signature: str = SIGNATURE
    ) -> Mapping[str, Any]:
        """One request: {output: its rows} as they come, unchecked; `further` may hold bytes. Raises ServerError."""
        raise NotImplementedError


def _without_settings() -> list[Property]:
    """The properties that say the same of every model."""
    made = []
    for entry in PROPERTIES.values():
        with contextlib.suppress(pydantic.ValidationError):
            made.append(entry())
    return made


class RestClient(Client):
    """Over HTTP, with nothing but the standard library. The address is like "http://localhost:8501"."""

    def __init__(self, *arguments: Any, **options: Any):
        super().__init__(*arguments, **options)
        scheme, host, port, path = _parts(self.address)
        self._connect = lambda: connection_to(scheme, host, port)
        version = "" if self.version is None else f"/versions/{self.version}"
        self._path = f"{path}/v1/models/{urllib.parse.quote(self.model)}{version}:predict"
        self._local = threading.local()

    def request(
        self, files: Sequence[bytes], further: Mapping[str, np.ndarray], signature: str = SIGNATURE
    ) -> Mapping[str, Any]:
        inputs = {name: as_json(values) for name, values in {ARGUMENT: files, **further}.items()}
        body = json.dumps({"signature_name": signature, "inputs": inputs})
        status, headers, answer = self._post(body.encode())
        where = f"{self.address}{self._path} answers {status}"
        try:
            content = parse_json(answer)
        except ValueError:
            content = answer[:500].decode("utf-8", "replace") or "nothing"
        if "Location" in headers and status // 100 == 3:
            raise ServerError(f"{where}: moved to {told(headers['Location'])}. Give that address.", status)
        if status != 200 or not isinstance(content, dict) or "outputs" not in content:
            reason = content.get("error", content) if isinstance(content, dict) else content
            raise ServerError(f"{where}: {told(reason)}", status)
        return content["outputs"]

    def _post(self, body: bytes) -> tuple[int, Mapping[str, str], bytes]:
        """One request on this thread's connection, which stays open for the next."""
        budget = Budget(self.timeout, self.max_bytes)
        if getattr(self._local, "connection", None) is not None:
            try:
                return self._send(body, budget)
            except ServerError as error:
                # A server may close a connection that was idle; a new one tells whether it is still there.
                if isinstance(error.__cause__, (TimeoutError, AnswerTooLargeError)):
                    raise
        self._local.connection = self._connect()
        return self._send(body, budget)

    def _send(self, body: bytes, budget: Budget) -> tuple[int, Mapping[str, str], bytes]:
        connection = self._local.connection
        try:
            return post(connection, self._path, body, budget)
        except (OSError, http.client.HTTPException, UnicodeError) as error:
            connection.close()
            self._local.connection = None
            reason = told(error) or type(error).__name__
            if isinstance(error, AnswerTooLargeError):
                raise ServerError(f"{self.address}: {reason} came. Ask for fewer images at a time.") from error
            raise ServerError(f"{self.address} does not answer ({reason}). Is the server running?") from error


def _parts(address: str) -> tuple[str, str, int | None, str]:
    """Scheme, host, port and path of an address. Raises UsageError where it is none."""
    try:
        parts = urllib.parse.urlsplit(address)
        port = parts.port
    except ValueError:
        parts, port = urllib.parse.urlsplit(""), None
    rest = parts.query or parts.fragment or parts.username or parts.password
    if parts.scheme not in ("http", "https") or not parts.hostname or rest:
        raise UsageError(f"{address!r} is not a server's address. Write it like http://localhost:8501.")
    return parts.scheme, parts.hostname, port, parts.path.rstrip("/")


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
        limits = [("grpc.max_send_message_length", -1), ("grpc.max_receive_message_length", self.max_bytes)]
        channel = grpc.insecure_channel(self.address, options=limits)
        self._stub = prediction_service_pb2_grpc.PredictionServiceStub(channel)

    def request(
        self, files: Sequence[bytes], further: Mapping[str, np.ndarray], signature: str = SIGNATURE
    ) -> Mapping[str, Any]:
        request = self._request()
        request.model_spec.name = self.model
        request.model_spec.signature_name = signature
        if self.version is not None:
            request.model_spec.version.value = self.version
        for name, values in {ARGUMENT: files, **further}.items():
            fill(request.inputs[name], values)
        try:
            answer = self._stub.Predict(request, timeout=self.timeout)
        except self._failure as error:
            code = error.code()
            raise ServerError(f"{self.address} answers {code.name}: {told(error.details())}", code.value[0]) from error
        try:
            # A state holds the last frame's file too, which whoever sent it has.
            kept = [name for name in answer.outputs if name != PREVIOUS_BYTES]
            return {name: as_array(answer.outputs[name]) for name in kept}
        except ValueError as error:
            raise ServerError(f"{self.address} answers a tensor that is none: {error}.") from None


def as_detections(
    answers: Mapping[str, np.ndarray],
    image_size: tuple[int, int],
    names: Sequence[str],
    threshold: found.Threshold,
    properties: Sequence[Property] = (),
    extras: Mapping[str, np.ndarray] = MappingProxyType({}),
) -> Detections:
    """A server's outputs for one image as `Detections`.

    Args:
        answers: "detection_boxes" [K, 4] top, left, bottom, right as fractions of the image, "detection_classes" [K]
            counted from 1, "detection_scores" [K] in 0..1, and any further answers of `PROPERTIES`.
        image_size: (width, height) in pixels.
        names: Class names in channel order.
        threshold: Scores up to this are left out.
        properties: What the model says of what it finds.
        extras: {name: value} of the image.
    """

    def in_pixels(fractions: np.ndarray) -> np.ndarray:
        """Points [..., 2] (y, x) as fractions of the image to (x, y) in its pixels."""
        return fractions[..., ::-1] * np.array(image_size, np.float32)

    fields = as_found(answers, in_pixels, first_class=1)
    return found.as_detections(fields, names, image_size, properties, extras, threshold)
