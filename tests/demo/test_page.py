"""The page in a real browser: Chromium, driven by Selenium."""

import shutil
import threading

import pytest

from centernet_tf.demo import server

webdriver = pytest.importorskip("selenium.webdriver", reason="a browser is driven by Selenium: pip install selenium")
from selenium.webdriver.common.action_chains import ActionChains  # noqa: E402
from selenium.webdriver.common.by import By  # noqa: E402
from selenium.webdriver.support.ui import WebDriverWait  # noqa: E402

BROWSER = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
DRIVER = shutil.which("chromedriver")
# A container has no sandbox within, and no camera.
ARGUMENTS = ("--headless=new", "--no-sandbox", "--disable-dev-shm-usage", "--window-size=1200,800")
ARGUMENTS += ("--use-fake-device-for-media-stream", "--use-fake-ui-for-media-stream")

pytestmark = [
    pytest.mark.long,
    pytest.mark.skipif(not (BROWSER and DRIVER), reason="no browser: apt-get install chromium chromium-driver"),
]


@pytest.fixture(scope="module")
def serving(spots):
    with server.open_server([spots, spots], "127.0.0.1", 0) as opened:
        thread = threading.Thread(target=opened.serve_forever)
        thread.start()
        yield opened
        opened.shutdown()
        thread.join()


def address_of(serving):
    return f"http://127.0.0.1:{serving.port}/"


@pytest.fixture(scope="module")
def browser():
    options = webdriver.ChromeOptions()
    options.binary_location = BROWSER
    for argument in ARGUMENTS:
        options.add_argument(argument)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    with webdriver.Chrome(options=options, service=webdriver.ChromeService(DRIVER)) as driven:
        yield driven


class Page:
    """What a visitor sees and does."""

    def __init__(self, browser):
        self.browser = browser

    def part(self, name):
        return self.browser.find_element(By.ID, name)

    def all(self, selector):
        return self.browser.find_elements(By.CSS_SELECTOR, selector)

    def wait(self, until):
        return WebDriverWait(self.browser, 60, poll_frequency=0.1).until(lambda _: until())

    def says(self, words, part="status"):
        self.wait(lambda: words in self.part(part).text)

    def click_example(self, number):
        self.all("#examples button")[number].click()

    def rows(self, table):
        return [row.text for row in self.all(f"#{table} tr")]

    def set(self, slider, value):
        """As dragged there and let go."""
        script = "arguments[0].value = arguments[1]; "
        script += "for (const kind of ['input', 'change']) arguments[0].dispatchEvent(new Event(kind, {bubbles: true}))"
        self.browser.execute_script(script, slider, value)


@pytest.fixture
def page(browser, serving):
    browser.get(address_of(serving))
    page = Page(browser)
    page.wait(lambda: len(page.all("#examples button")) == 3)
    yield page
    assert browser.get_log("browser") == []


def test_it_loads(page):
    assert [tab.text for tab in page.all("[role=tab]")] == ["spots", "spots"]
    assert page.part("facts").text == "detect, mobilenetv2_fpn, input 128x128. Classes: red, green"
    script = "return arguments[0].complete && arguments[0].naturalWidth"
    page.wait(lambda: [page.browser.execute_script(script, one) for one in page.all("#examples img")] == [96, 64, 64])
    page.all("[role=tab]")[1].click()
    assert [tab.get_attribute("aria-selected") for tab in page.all("[role=tab]")] == ["false", "true"]


def test_it_detects_an_example(page):
    page.click_example(0)
    page.says("2 objects. Time: waited ")
    assert sorted(page.rows("objects")) == ["green 1.00", "red 1.00"]
    assert page.part("picture").get_property("naturalWidth") == 96 and not page.part("heat").is_displayed()
    page.part("heatmap").click()
    page.wait(lambda: page.part("heat").is_displayed())
    page.set(page.part("threshold"), 1)
    page.says("0 objects")
    assert page.part("chosen").text == "1.00" and not page.part("details").is_displayed()
    page.part("usual").click()
    page.says("2 objects")
    assert page.part("chosen").text == "0.30"


def test_what_is_no_image_is_told(page, tmp_path):
    page.click_example(0)
    page.says("2 objects")
    (tmp_path / "notes.txt").write_text("hello")
    page.part("file").send_keys(str(tmp_path / "notes.txt"))
    page.says("notes.txt: not an image that can be read; it starts with b'hello'.", part="error")
    assert page.part("error").is_displayed() and not page.part("figure").is_displayed()
    assert page.browser.get_log("browser")[0]["message"].endswith("400 (BAD REQUEST)")


def test_an_upload_and_a_click_into_it(page, folder):
    page.part("file").send_keys(str(folder / "a.png"))
    page.says("2 objects")
    picture = page.part("picture")
    scale = min(picture.size["width"] / 96, picture.size["height"] / 64)
    middle = (picture.size["width"] / 2, picture.size["height"] / 2)
    place = [round(side * scale - half) for side, half in zip((70, 20), middle)]
    ActionChains(page.browser).move_to_element_with_offset(picture, *place).click().perform()
    page.says("At (70, 20). Time: ")
    assert [row.split()[0] for row in page.rows("classes")] == ["green", "red"] and page.part("mark").is_displayed()
    page.part("all").click()
    page.says("2 objects")
    assert not page.part("mark").is_displayed()


def test_a_video(page, folder):
    for begin in (lambda: page.click_example(2), lambda: page.part("file").send_keys(str(folder / "c.mp4"))):
        begin()
        page.says("1 object. Frame 6 of 6")
        page.set(page.all("#frames input")[0], 2)
        page.says("1 object. Frame 2 of 6")


def test_the_webcam(page):
    page.part("webcam").click()
    page.says("objects. Time: waited")
    first = page.part("picture").get_attribute("src")
    page.wait(lambda: page.part("picture").get_attribute("src") != first)
    page.part("webcam").click()
    assert page.part("webcam").text == "Webcam"


def test_ten_visitors_at_once(page, serving):
    browser, own = page.browser, page.browser.current_window_handle
    for _ in range(9):
        browser.switch_to.new_window("tab")
        browser.get(address_of(serving))
        page.wait(lambda: len(page.all("#examples button")) == 3)
    with serving.app._one_at_a_time:  # so that all of them wait before one is answered
        for number, window in enumerate(browser.window_handles):
            browser.switch_to.window(window)
            page.click_example(number % 3)
    for number, window in enumerate(browser.window_handles):
        browser.switch_to.window(window)
        page.says(("2 objects. Time", "1 object. Time", "1 object. Frame 6 of 6")[number % 3])
        if window != own:
            browser.close()
    browser.switch_to.window(own)
