"""What COCO calls its classes, and their ids in its files, which other data sets use too."""

_NAMES = """
    person, bicycle, car, motorcycle, airplane, bus, train, truck, boat, traffic light, fire hydrant, stop sign,
    parking meter, bench, bird, cat, dog, horse, sheep, cow, elephant, bear, zebra, giraffe, backpack, umbrella,
    handbag, tie, suitcase, frisbee, skis, snowboard, sports ball, kite, baseball bat, baseball glove, skateboard,
    surfboard, tennis racket, bottle, wine glass, cup, fork, knife, spoon, bowl, banana, apple, sandwich, orange,
    broccoli, carrot, hot dog, pizza, donut, cake, chair, couch, potted plant, bed, dining table, toilet, tv,
    laptop, mouse, remote, keyboard, cell phone, microwave, oven, toaster, sink, refrigerator, book, clock, vase,
    scissors, teddy bear, hair drier, toothbrush
    """
COCO_CLASSES = tuple(" ".join(name.split()) for name in _NAMES.split(","))
_UNUSED = (12, 26, 29, 30, 45, 66, 68, 69, 71, 83)  # numbers from 1 to 90 without a class
COCO_IDS = tuple(number for number in range(1, 91) if number not in _UNUSED)
