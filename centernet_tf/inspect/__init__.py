"""Looks for faults in written records before anything is trained on them."""

from centernet_tf.inspect.report import InspectionReport
from centernet_tf.inspect.survey import inspect_records, inspect_splits

__all__ = ["InspectionReport", "inspect_records", "inspect_splits"]
