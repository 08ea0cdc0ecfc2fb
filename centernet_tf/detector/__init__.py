"""More accuracy or larger images for more time, without training: mirror image, several scales, soft-NMS, tiles."""
