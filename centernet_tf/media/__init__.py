"""Files, videos and webcams to RGB arrays and back, and drawing on them."""
