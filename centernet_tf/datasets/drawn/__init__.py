"""Generated data sets: drawn shapes, drawn persons and rendered 3D scenes."""
