"""More accuracy or larger pictures for more time, without training: mirror image, several scales, soft-NMS, tiles."""
