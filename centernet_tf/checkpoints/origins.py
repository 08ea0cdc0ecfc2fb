"""What the official code trained on, as far as a file's heads tell: classes, input and normalisation."""

import dataclasses
from collections.abc import Mapping
from typing import Any, Literal

from centernet_tf import preprocess


def _listed(text: str) -> tuple[str, ...]:
    return tuple(name.strip() for name in " ".join(text.split()).split(","))


COCO_CLASSES = _listed(
    """
    person, bicycle, car, motorcycle, airplane, bus, train, truck, boat, traffic light, fire hydrant, stop sign,
    parking meter, bench, bird, cat, dog, horse, sheep, cow, elephant, bear, zebra, giraffe, backpack, umbrella,
    handbag, tie, suitcase, frisbee, skis, snowboard, sports ball, kite, baseball bat, baseball glove, skateboard,
    surfboard, tennis racket, bottle, wine glass, cup, fork, knife, spoon, bowl, banana, apple, sandwich, orange,
    broccoli, carrot, hot dog, pizza, donut, cake, chair, couch, potted plant, bed, dining table, toilet, tv,
    laptop, mouse, remote, keyboard, cell phone, microwave, oven, toaster, sink, refrigerator, book, clock, vase,
    scissors, teddy bear, hair drier, toothbrush
    """
)
PASCAL_CLASSES = _listed(
    """
    aeroplane, bicycle, bird, boat, bottle, bus, car, cat, chair, cow, diningtable, dog, horse, motorbike, person,
    pottedplant, sheep, sofa, train, tvmonitor
    """
)
KITTI_CLASSES = ("Pedestrian", "Car", "Cyclist")
NUSCENES = _listed(
    "car, truck, bus, trailer, construction_vehicle, pedestrian, motorcycle, bicycle, traffic_cone, barrier"
)

# ImageNet's statistics are of red, green, blue; the official code applies them to blue, green, red in this order, and
# its weights of Pascal VOC and KITTI are trained so.
IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_STD = (0.229, 0.224, 0.225)


@dataclasses.dataclass(frozen=True)
class Origin:
    """One data set of the official code.

    Attributes:
        title: For people.
        task: What is trained on it.
        classes: Names in channel order.
        size: Height and width of the input in pixels.
        mean: See `preprocess.Normalization`; likewise `std`.
        std: See mean.
        order: Of the channels.
        max_objects: Detections per image.
        settings: Of the task, with which its published scores were made.
    """

    title: str
    task: str
    classes: tuple[str, ...]
    size: tuple[int, int] = (512, 512)
    mean: tuple[float, float, float] = preprocess.COCO_MEAN
    std: tuple[float, float, float] = preprocess.COCO_STD
    order: Literal["bgr", "rgb"] = "bgr"
    max_objects: int = 100
    settings: Mapping[str, Any] = dataclasses.field(default_factory=dict)


ORIGINS = {
    "coco": Origin("COCO", "detect", COCO_CLASSES),
    "pascal": Origin("Pascal VOC", "detect", PASCAL_CLASSES, (384, 384), IMAGENET_MEAN, IMAGENET_STD),
    "coco_pose": Origin("COCO, persons", "pose", ("person",)),
    "kitti": Origin("KITTI", "box3d", KITTI_CLASSES, (384, 1280), IMAGENET_MEAN, IMAGENET_STD),
    # Of CenterTrack, which normalises all images as COCO's.
    "mot17": Origin("MOT17", "track", ("person",), (544, 960), settings={"threshold": 0.4, "prior_threshold": 0.5}),
    "crowdhuman": Origin("CrowdHuman", "track", ("person",), settings={"threshold": 0.4, "prior_threshold": 0.5}),
    "coco_tracking": Origin("COCO, single images", "track", COCO_CLASSES),
    "kitti_tracking": Origin("KITTI tracking", "track", KITTI_CLASSES, (384, 1280), settings={"threshold": 0.4}),
    "nuscenes_tracking": Origin("nuScenes", "track", NUSCENES, (448, 800), settings={"threshold": 0.1, "birth": 0.3}),
    # FairMOT takes pixels from 0 to 1 as they are.
    "fairmot": Origin(
        "MOT17 and further pedestrians",
        "reid",
        ("person",),
        (608, 1088),
        (0.0, 0.0, 0.0),
        (1.0, 1.0, 1.0),
        "rgb",
        max_objects=500,
        settings={"threshold": 0.4},
    ),
}


def origin_of(task: str, classes: int) -> Origin:
    """The official data set of this task with as many classes, else the task's first, else COCO."""
    same = [one for one in ORIGINS.values() if one.task == task]
    return next((one for one in same if len(one.classes) == classes), (same or [ORIGINS["coco"]])[0])
