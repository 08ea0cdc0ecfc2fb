"""What an inspection can find in images and boxes. What it can find in a property stands with the property."""

from centernet_tf.properties.notebook import AGAIN, Check

CHECKS = {
    "truncated_shard": Check("error", "shards that are truncated or damaged", f"{AGAIN}; the disk may have been full."),
    "checksum": Check("error", "shards that changed after they were written", f"{AGAIN}, or copy them again."),
    "missing_images": Check("error", "images listed in dataset.yaml but missing in the shards", f"{AGAIN}."),
    "surplus_images": Check("error", "images in the shards that dataset.yaml does not count", f"{AGAIN}."),
    "bad_example": Check("error", "records that are not an annotated image", f"{AGAIN}."),
    "corrupt_image": Check("error", "images that cannot be decoded", "Replace or remove the files and write again."),
    "wrong_size": Check(
        "error", "images whose size is not the recorded one", f"{AGAIN}; until then their boxes are wrong."
    ),
    "unfinite_box": Check("error", "boxes with NaN or infinity", "Correct the annotations and write again."),
    "empty_box": Check("error", "boxes without width or height", "Correct the annotations or write with --skip-bad."),
    "outside_box": Check(
        "error", "boxes wholly outside their image", "Check that image and annotation belong together."
    ),
    "unknown_label": Check("error", "objects with an unknown class label", "Give all class names when writing."),
    "other_name": Check(
        "error", "objects called as another class than that of their label", "Give the classes in the order of writing."
    ),
    "duplicate_id": Check("error", "images that share an id", "Give each image its own id; metrics merge them."),
    "edge_box": Check("warning", "boxes that exceed the image", "Writing with `centernet records` clips them."),
    "turned_image": Check(
        "warning", "images with an EXIF rotation, which decoding ignores", f"{AGAIN}; this rotates image and boxes."
    ),
    "odd_image": Check("warning", "images that are not 8-bit grey or RGB", f"{AGAIN}; decoders disagree on them."),
    "twin_box": Check("warning", "boxes almost equal to another of their class", "Remove duplicate annotations."),
    "twin_image": Check("warning", "duplicate images", "Remove one of the two."),
    "shared_image": Check(
        "error", "images that are also in another of these sets", "Remove them from one; otherwise scores are too high."
    ),
    "other_classes": Check("error", "sets whose class list differs", f"{AGAIN}, with one list of classes for all."),
    "other_property": Check("error", "sets whose properties differ", f"{AGAIN}, with the same options for all."),
    "unused_class": Check(
        "warning", "classes without an object", "Check the spelling in the annotations, or drop them."
    ),
    "too_many": Check("warning", "objects above max_objects per image", "Raise max_objects."),
    "lost_peak": Check(
        "warning", "objects in the output cell of another of their class", "Train at a larger size; only one is found."
    ),
    "shared_cell": Check(
        "note", "objects in the output cell of another of any class", "A larger size, or class-specific sizes, help."
    ),
    "cut_box": Check("warning", "objects outside the output grid", "Choose a size of the images' shape."),
    "tiny_box": Check("warning", "objects narrower than an output cell", "Train at a larger size, or cut into tiles."),
    "small_class": Check("note", "classes that are small at this size", "Train at the size that is advised above."),
    "no_objects": Check("note", "images without objects", "Fine as background; check that none is missing."),
}
