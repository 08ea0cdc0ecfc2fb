from pathlib import Path

from centernet_tf.config.page import page

PAGE = Path(__file__).parents[2] / "docs" / "settings.md"


def test_the_page_is_what_the_settings_say():
    """After a change of settings: python -m centernet_tf.config > docs/settings.md"""
    assert PAGE.read_text(encoding="utf-8") == page()
