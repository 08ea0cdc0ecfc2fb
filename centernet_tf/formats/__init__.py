"""What was found in the forms that other programs take, of any model and beside the JSON file of `outputs`."""

from centernet_tf.formats.coco_results import CocoResults
from centernet_tf.formats.crops import Crops
from centernet_tf.formats.csv_table import CsvTable
from centernet_tf.formats.yolo_text import YoloText

__all__ = ["CocoResults", "Crops", "CsvTable", "YoloText"]
