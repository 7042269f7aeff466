"""The report in headless Chromium: errors, sorting, opening images, accessibility."""

import os
import shutil
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow

AXE = Path(os.environ.get('AXE_CORE') or 'node_modules/axe-core/axe.min.js')
SIZES = dict(phone=(390, 844), narrow=(420, 900), desktop=(1280, 900), wide=(1440, 900))


@pytest.fixture
def open_page(page, tmp_path):
    """Function that opens the report in a window of a size, light or dark."""
    webdriver = pytest.importorskip('selenium.webdriver', reason='selenium is not installed')
    programs = [
        shutil.which('chromium') or shutil.which('google-chrome'),
        shutil.which('chromedriver'),
    ]
    if None in programs:
        pytest.skip('no chromium and chromedriver (Debian: apt-get install chromium-driver)')
    path, drivers = tmp_path / 'report.html', []
    path.write_text(page, encoding='utf-8')

    def start(size: str = 'desktop', scheme: str = 'light'):
        options = webdriver.ChromeOptions()
        options.binary_location = programs[0]
        for argument in ('--headless=new', '--no-sandbox', '--disable-gpu'):
            options.add_argument(argument)
        service = webdriver.ChromeService(executable_path=programs[1])
        driver = webdriver.Chrome(options=options, service=service)
        drivers.append(driver)
        width, height = SIZES[size]
        driver.execute_cdp_cmd(
            'Emulation.setDeviceMetricsOverride',
            dict(width=width, height=height, deviceScaleFactor=1, mobile=size == 'phone'),
        )
        feature = dict(name='prefers-color-scheme', value=scheme)
        driver.execute_cdp_cmd('Emulation.setEmulatedMedia', dict(features=[feature]))
        driver.get(path.as_uri())
        return driver

    yield start
    for driver in drivers:
        driver.quit()


def test_tables_sort_and_images_open_without_a_mouse(open_page):
    from selenium.webdriver.common.by import By
    from selenium.webdriver.common.keys import Keys

    driver = open_page()
    heads = driver.find_elements(By.CSS_SELECTOR, '.answer thead button')
    accuracy = next(head for head in heads if head.text.startswith('Accuracy'))

    def names():
        cells = driver.find_elements(By.CSS_SELECTOR, '.answer tbody th')
        return [cell.text for cell in cells]

    accuracy.send_keys(Keys.ENTER)
    assert names() == ['ours', '<i>base</i>']
    assert accuracy.find_element(By.XPATH, '..').get_attribute('aria-sort') == 'descending'
    accuracy.send_keys(Keys.ENTER)
    assert names() == ['<i>base</i>', 'ours']
    difference = next(head for head in heads if head.text == 'Difference')
    for _ in range(2):
        difference.send_keys(Keys.ENTER)
        assert names() == ['ours', '<i>base</i>']  # the baseline has none: last both ways

    viewer = driver.find_element(By.ID, 'viewer')
    image = driver.find_element(By.CSS_SELECTOR, '.open')
    image.send_keys(Keys.ENTER)
    assert viewer.is_displayed() and 'test/' in viewer.text
    large = viewer.find_element(By.TAG_NAME, 'img')
    assert driver.execute_script('return arguments[0].naturalWidth', large) == 320
    driver.switch_to.active_element.send_keys(Keys.ESCAPE)
    assert not viewer.is_displayed() and driver.switch_to.active_element == image
    assert driver.get_log('browser') == []


@pytest.mark.parametrize(
    ('size', 'wanted'),
    [
        ('narrow', ['Method', 'Accuracy %', 'Difference', 'p (Holm)']),
        (
            'wide',
            [
                'Method',
                'Accuracy %',
                '95 % interval',
                'Difference',
                'Its 95 % interval',
                'p (Holm)',
            ],
        ),
    ],
)
def test_what_tells_methods_apart_is_not_cut_off(open_page, size, wanted):
    driver = open_page(size)
    shown = driver.execute_script(
        'const box = document.querySelector(".answer").getBoundingClientRect();'
        'return [...document.querySelectorAll(".answer thead th")].filter('
        '(e) => e.offsetParent && e.getBoundingClientRect().right <= box.right + 1'
        ').map((e) => e.textContent.trim());'
    )
    assert shown == wanted


@pytest.mark.parametrize('size', SIZES)
@pytest.mark.parametrize('scheme', ['light', 'dark'])
def test_accessibility(open_page, size, scheme):
    if not AXE.is_file():
        pytest.skip(f'{AXE} does not exist: npm install axe-core, or set AXE_CORE to axe.min.js')
    driver = open_page(size, scheme)
    driver.execute_script('for (const e of document.querySelectorAll("details")) e.open = true')
    width = driver.execute_script('return document.documentElement.scrollWidth')
    assert width <= SIZES[size][0]  # only tables scroll sideways
    driver.execute_script(AXE.read_text('utf-8'))
    found = driver.execute_async_script(
        'const done = arguments[0]; axe.run().then((r) => done(r.violations.map('
        '(v) => [v.impact, v.id, v.nodes[0].html])));'
    )
    assert [each for each in found if each[0] in ('serious', 'critical')] == []
    assert driver.get_log('browser') == []
