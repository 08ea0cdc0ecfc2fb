"""What the official code trained on, as far as a file's heads tell: classes, input and normalisation."""

import dataclasses
from collections.abc import Collection, Mapping
from typing import Any, Literal

from centernet_tf import preprocess
from centernet_tf.datasets.coco_names import COCO_CLASSES
from centernet_tf.datasets.hoi_names import HICO_VERBS, HOIA_CLASSES, HOIA_VERBS


def _listed(text: str) -> tuple[str, ...]:
    return tuple(name.strip() for name in " ".join(text.split()).split(","))


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

UCF_CLASSES = _listed(
    """
    Basketball, BasketballDunk, Biking, CliffDiving, CricketBowling, Diving, Fencing, FloorGymnastics, GolfSwing,
    HorseRiding, IceDancing, LongJump, PoleVault, RopeClimbing, SalsaSpin, SkateBoarding, Skiing, Skijet,
    SoccerJuggling, Surfing, TennisSwing, TrampolineJumping, VolleyballSpiking, WalkingWithDog
    """
)
JHMDB_CLASSES = _listed(
    """
    brush_hair, catch, clap, climb_stairs, golf, jump, kick_ball, pick, pour, pullup, push, run, shoot_ball, shoot_bow,
    shoot_gun, sit, stand, swing_baseball, throw, walk, wave
    """
)

# Verbs of human-object interactions in channel order; those of HICO-DET are in the order of its files.
VCOCO_VERBS = _listed(
    """
    surf_instr, ski_instr, cut_instr, walk, cut_obj, ride_instr, talk_on_phone_instr, kick_obj, work_on_computer_instr,
    eat_obj, sit_instr, jump_instr, lay_instr, drink_instr, carry_obj, throw_obj, eat_instr, smile, look_obj, hit_instr,
    hit_obj, snowboard_instr, run, point_instr, read_obj, hold_obj, skateboard_instr, stand, catch_obj
    """
)
VCOCO_ALONE = ("walk", "smile", "run", "stand")  # without objects; PPDM leaves them out
PPDM_VCOCO_VERBS = tuple(verb for verb in VCOCO_VERBS if verb not in VCOCO_ALONE)

# ImageNet's statistics are of red, green, blue; the official code applies them to blue, green, red in this order, and
# its weights of Pascal VOC and KITTI are trained so.
IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_STD = (0.229, 0.224, 0.225)


@dataclasses.dataclass(frozen=True)
class Origin:
    """One data set of the official code.

    Attributes:
        title: For people.
        tasks: What is trained on it, at once.
        classes: Names in channel order.
        size: Height and width of the input in pixels.
        mean: See `preprocess.Normalization`; likewise `std`.
        std: See mean.
        order: Of the channels.
        fill: Grey level around images that do not fill the input.
        resample: How they are scaled to it.
        max_objects: Detections per image.
        settings: Of the tasks, with which its published scores were made.
        channels: Of heads of its tasks, by our names, that tell it from other data with as many classes.
    """

    title: str
    tasks: tuple[str, ...]
    classes: tuple[str, ...]
    size: tuple[int, int] = (512, 512)
    mean: tuple[float, float, float] = preprocess.COCO_MEAN
    std: tuple[float, float, float] = preprocess.COCO_STD
    order: Literal["bgr", "rgb"] = "bgr"
    fill: float = 0.0
    resample: preprocess.Resample = "bilinear"
    max_objects: int = 100
    settings: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    channels: Mapping[str, int] = dataclasses.field(default_factory=dict)


def _interactions(title: str, verbs: tuple[str, ...], alone: tuple[str, ...] = (), **more: Any) -> Origin:
    more = {"classes": COCO_CLASSES, **more}
    return Origin(title, ("hoi",), settings={"verbs": verbs, "alone": alone}, channels={"verb": len(verbs)}, **more)


PEDESTRIANS = {"threshold": 0.4, "prior_threshold": 0.5}
# CenterTrack takes surer peaks of keypoints than CenterNet, however far away in the box.
JOINTS = {"peak_threshold": 0.2, "peak_reach": None}
# Its images are 1600 x 900; where it has no camera, CenterTrack takes a focal length of 1200 pixels.
ROADS = {"threshold": 0.1, "birth": 0.3, "camera": ((1200, 0, 800, 0), (0, 1200, 450, 0), (0, 0, 1, 0))}

ORIGINS = {
    "coco": Origin("COCO", ("detect",), COCO_CLASSES),
    "pascal": Origin("Pascal VOC", ("detect",), PASCAL_CLASSES, (384, 384), IMAGENET_MEAN, IMAGENET_STD),
    "coco_pose": Origin("COCO, persons", ("pose",), ("person",)),
    "kitti": Origin("KITTI", ("box3d",), KITTI_CLASSES, (384, 1280), IMAGENET_MEAN, IMAGENET_STD),
    # Of CenterTrack, which normalises all images as COCO's.
    "mot17": Origin("MOT17", ("track",), ("person",), (544, 960), settings=PEDESTRIANS),
    "crowdhuman": Origin("CrowdHuman", ("track",), ("person",), settings=PEDESTRIANS),
    "coco_tracking": Origin("COCO, single images", ("track",), COCO_CLASSES),
    "coco_pose_tracking": Origin("COCO, persons in single images", ("pose", "track"), ("person",), settings=JOINTS),
    "kitti_tracking": Origin("KITTI tracking", ("track",), KITTI_CLASSES, (384, 1280), settings={"threshold": 0.4}),
    "nuscenes_tracking": Origin("nuScenes", ("box3d", "track"), NUSCENES, (448, 800), settings=ROADS),
    # FairMOT takes pixels from 0 to 1 as they are.
    "fairmot": Origin(
        "MOT17 and further pedestrians",
        ("reid",),
        ("person",),
        (608, 1088),
        (0.0, 0.0, 0.0),
        (1.0, 1.0, 1.0),
        "rgb",
        127.5,
        "area",
        max_objects=500,
        settings={"threshold": 0.4},
    ),
    # MOC reads sizes beyond the map a row further, and was scored so.
    "ucf101_24": Origin("UCF101-24", ("action",), UCF_CLASSES, (288, 288), settings={"clamp": "together"}),
    "hico": _interactions("HICO-DET", HICO_VERBS),
    "vcoco": _interactions("V-COCO", PPDM_VCOCO_VERBS),
    "hoia": _interactions("HOI-A", HOIA_VERBS, classes=HOIA_CLASSES),
    # IP-Net takes the mean of blue, green, red for red, green, blue.
    "vcoco_points": _interactions("V-COCO, interaction points", VCOCO_VERBS, VCOCO_ALONE, order="rgb"),
    "jhmdb": Origin("JHMDB", ("action",), JHMDB_CLASSES, (288, 288), settings={"clamp": "together"}),
}


def origin_of(tasks: Collection[str], classes: int, channels: Mapping[str, int] | None = None) -> Origin:
    """The official data set that a checkpoint is of, as far as it tells; COCO where there is none.

    Args:
        tasks: That it does, of which the data set has one, all at best.
        classes: Channels of its heatmap.
        channels: Of all its heads, by our names.
    """
    same = [one for one in ORIGINS.values() if {*one.tasks} & {*tasks}]

    def fitting(one: Origin) -> tuple[bool, bool, bool]:
        fits = one.channels.items() <= dict(channels or {}).items()
        return len(one.classes) == classes, fits, {*one.tasks} == {*tasks}

    return max(same or [ORIGINS["coco"]], key=fitting)
