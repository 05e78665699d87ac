"""The page at /ui in a headless browser, beside what the client gets; skipped where there is no Chromium."""

import json
import os
import re
import shlex
import shutil
import subprocess

import grpc
import pytest
from google.protobuf import descriptor_pool, json_format, message_factory
from google.protobuf.descriptor_pb2 import FileDescriptorSet

from serving.server import protoset

pytest.importorskip("selenium")

from selenium import webdriver
from selenium.common.exceptions import WebDriverException
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.support.ui import WebDriverWait

NARROW, WIDE = (360, 780), (1280, 900)
CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
DRIVER = shutil.which("chromedriver")

pytestmark = pytest.mark.skipif(not (CHROMIUM and DRIVER), reason="Chromium or chromedriver is not installed")


@pytest.fixture(scope="module")
def browser():
    options = webdriver.ChromeOptions()
    options.binary_location = CHROMIUM
    options.add_argument("--headless=new")
    options.add_argument("--disable-dev-shm-usage")
    if os.geteuid() == 0:
        options.add_argument("--no-sandbox")  # Chromium's sandbox refuses to run as root
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    try:
        driver = webdriver.Chrome(options, webdriver.ChromeService(DRIVER))
    except WebDriverException as error:
        pytest.skip(f"Chromium doesn't start here: {error.msg}")
    yield driver
    driver.quit()


@pytest.fixture
def page(browser, server):
    """Opens the page with a query at a size, and waits until an answer or an error is there."""

    def open_page(query="", size=WIDE):
        width, height = size
        browser.execute_cdp_cmd(
            "Emulation.setDeviceMetricsOverride",
            {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": size == NARROW},
        )
        browser.get(f"http://{server.rest_address}/ui{query}")
        wait(browser, "#error:not([hidden]), #ranking li, #raw-answer:not([hidden])" if query else "#signature option")
        return browser

    return open_page


def wait(browser, selector):
    return WebDriverWait(browser, 120).until(lambda driver: driver.find_elements(By.CSS_SELECTOR, selector))


def items(browser):
    return [each.get_attribute("data-id") for each in browser.find_elements(By.CSS_SELECTOR, "#ranking li")]


def text(browser, name):
    return browser.find_element(By.ID, name).text


def test_it_asks_what_is_typed_and_shows_what_the_client_gets(page, client):
    browser = page()
    history, exclude = browser.find_elements(By.CSS_SELECTOR, "#inputs [role=combobox]")[:2]
    history.send_keys("film <b>3")
    wait(browser, "[role=option]")
    history.send_keys(Keys.ARROW_DOWN, Keys.ENTER)
    history.send_keys("item5,item6", Keys.ENTER)
    exclude.send_keys("item0")
    k = browser.find_element(By.ID, "k")
    k.clear()
    k.send_keys("4")
    browser.find_element(By.ID, "ask").click()
    wait(browser, "#ranking li")
    expected = client.recommend("recs", ["item3", "item5", "item6"], k=4, exclude=["item0"])
    assert items(browser) == expected.item_ids
    shown = browser.find_elements(By.CSS_SELECTOR, "#ranking .title")
    assert [each.text for each in shown] == [f"Film <b>{item[4:]}</b>, the sequel" for item in expected.item_ids]
    scores = browser.find_elements(By.CSS_SELECTOR, "#ranking .score")
    assert [float(each.text) for each in scores] == pytest.approx(expected.scores)
    assert re.fullmatch(r"4 items\. Answered in [\d.]+ ms, there and back\.", text(browser, "summary"))
    assert [entry for entry in browser.get_log("browser") if entry["level"] == "SEVERE"] == []


def test_a_link_holds_the_request(page, client):
    browser = page("?model=recs&version=1&signature=recommend&history=item3&k=3")
    assert items(browser) == client.recommend("recs", ["item3"], k=3, version=1).item_ids
    page(browser.current_url.partition("/ui")[2])
    assert items(browser) == client.recommend("recs", ["item3"], k=3, version=1).item_ids


def test_a_history_without_known_items_is_told(page):
    assert "the model knows nothing of this history" in text(page("?model=recs&history=it's"), "summary").lower()


def test_candidates_are_ranked_by_their_scores(page, client):
    browser = page("?model=recs&signature=score&history=item3&candidates=item9&candidates=item4&candidates=nothing")
    candidates = ["item9", "item4", "nothing"]
    scores = dict(zip(candidates, client.score("recs", ["item3"], candidates), strict=True))
    assert items(browser) == sorted(scores, key=scores.get, reverse=True)


def test_the_commands_ask_the_same(page, client, server):
    browser = page("?model=recs&signature=recommend_filtered&history=it's&history=item3&version=2&k=12")
    expected = client.recommend("recs", ["it's", "item3"], k=12, version=2, exclude=[]).item_ids
    assert items(browser) == expected
    assert json.loads(text(browser, "request"))["inputs"]["exclude_seen"] == [True]
    if shutil.which("curl"):
        said = subprocess.run(text(browser, "curl"), shell=True, capture_output=True, check=True).stdout
        assert [item for item in json.loads(said)["outputs"]["item_ids"][0] if item] == expected
    # grpcurl reads JSON by the descriptors of the protoset, and so does protobuf's own reader.
    command = shlex.split(text(browser, "grpcurl").splitlines()[1])
    assert command[-2:] == [server.address, "tensorflow.serving.PredictionService/Predict"]
    pool = descriptor_pool.DescriptorPool()
    for file in FileDescriptorSet.FromString(protoset.predict()).file:
        pool.Add(file)
    method = pool.FindMethodByName("tensorflow.serving.PredictionService.Predict")
    request, response = map(message_factory.GetMessageClass, (method.input_type, method.output_type))
    message = json_format.Parse(command[command.index("-d") + 1], request())
    with grpc.insecure_channel(command[-2]) as channel:
        send = channel.unary_unary(f"/{command[-1]}", request.SerializeToString, response.FromString)
        outputs = send(message, timeout=120).outputs
    assert [item.decode() for item in outputs["item_ids"].string_val if item] == expected


def test_an_unknown_model_and_a_bad_request_are_told_in_words(page):
    assert text(page("?model=nothing"), "error") == "Could not find any versions of model nothing (HTTP 404)"
    browser = page("?model=recs&version=7")
    assert "Specific(recs, 7)" in text(browser, "error")
    assert "(HTTP 400)" in text(page("?model=kinds&signature=two&a=word&b=1"), "error")


def test_a_value_that_is_not_told_is_unknown(page):
    """An empty number is NaN; two adds a and b, and an answer with NaN is one that JavaScript can't read."""
    browser = page("?model=kinds&signature=two&a=1&b=")
    assert json.loads(text(browser, "request"))["inputs"] == {"a": [1], "b": [pytest.approx(float("nan"), nan_ok=True)]}
    assert "NaN" in text(browser, "error")
    browser = page("?model=kinds&signature=two&a=&b=2.5")
    assert json.loads(text(browser, "raw-answer")) == {"sum": [2.5]}


@pytest.mark.parametrize("size", [NARROW, WIDE])
def test_everything_has_a_name_and_fits(page, size):
    browser = page("?model=recs&signature=recommend_filtered&history=item3", size)
    for control in browser.find_elements(By.CSS_SELECTOR, "input, select, button"):
        assert control.accessible_name
    assert browser.execute_script("return document.documentElement.scrollWidth <= window.innerWidth")
