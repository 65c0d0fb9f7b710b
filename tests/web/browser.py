"""Chromium for tests: opens pages, finds things through shadow roots, and remembers what the console said."""

import json
import pathlib
import shutil
import tempfile
import urllib.parse

from octroi import build_dir, wait_until
from selenium import webdriver
from selenium.webdriver.chrome.options import Options
from selenium.webdriver.chrome.service import Service

AXE = (pathlib.Path(__file__).parent / "vendor" / "axe.min.js").read_text()

# The first element that fits, through all shadow roots; with a text, the innermost whose text holds it.
FIND = """
const [selector, text] = arguments;
const found = [];
(function search(root) {
	for (const node of root.querySelectorAll("*")) {
		if (node.matches(selector) && (text === null || node.innerText?.includes(text) || node.textContent.includes(text)))
			found.push(node);
		if (node.shadowRoot)
			search(node.shadowRoot);
	}
})(document);
return found;
"""

TEXT = """
function read(node) {
	if (node.nodeType === Node.TEXT_NODE)
		return node.data;
	if (node.nodeType !== Node.ELEMENT_NODE || node.localName === "style" || (node.checkVisibility && !node.checkVisibility()))
		return "";
	return [...(node.shadowRoot ?? node).childNodes].map(read).join("") + (getComputedStyle(node).display === "inline" ? "" : "\\n");
}
return read(document.body).replace(/[\\t\\n]+/g, "\\n").replaceAll("\\u00a0", " ").replaceAll("\\u202f", " ");
"""


def keep_picture(browser, name, *nodes):
    """A picture of the page, or of some elements, for people to look at, in BUILD/tests-results/web.  Its path."""
    where = build_dir() / "tests-results" / "web"
    where.mkdir(parents=True, exist_ok=True)
    browser.picture(where / f"{name}.png", *nodes)
    return where / f"{name}.png"


class Browser:
    def __init__(self):
        self._home = tempfile.mkdtemp(prefix="octroi-chromium-")
        options = Options()
        options.binary_location = shutil.which("chromium")
        for argument in ("--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--no-first-run",
                         "--disable-background-networking", "--disable-component-update", "--no-proxy-server",
                         "--lang=en-GB", "--window-size=1100,900", f"--user-data-dir={self._home}"):
            options.add_argument(argument)
        options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
        self.driver = webdriver.Chrome(service=Service(shutil.which("chromedriver")), options=options)
        self.driver.set_page_load_timeout(30)
        self.console = []

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.driver.quit()
        shutil.rmtree(self._home, ignore_errors=True)

    def fresh(self):
        """Makes it as a Chromium that has just started: a tab of its own, and nothing that a page has left behind."""
        visited = {urllib.parse.urlsplit(entry["url"]) for entry in self.cdp("Page.getNavigationHistory")["entries"]}
        for origin in {f"{url.scheme}://{url.netloc}" for url in visited if url.netloc}:
            self.cdp("Storage.clearDataForOrigin", origin=origin, storageTypes="all")
        self.cdp("Network.clearBrowserCookies")
        self.cdp("Network.clearBrowserCache")
        used = self.driver.window_handles
        self.driver.switch_to.new_window("tab")
        mine = self.driver.current_window_handle
        for window in used:
            self.driver.switch_to.window(window)
            self.driver.close()
        self.driver.switch_to.window(mine)
        for log in ("browser", "performance"):
            self.driver.get_log(log)

    def open(self, url):
        self.driver.get("about:blank")
        self.driver.get(url)

    def run(self, script, *arguments):
        return self.driver.execute_script(script, *arguments)

    def cdp(self, command, **arguments):
        return self.driver.execute_cdp_cmd(command, arguments)

    def find_all(self, selector, text=None):
        return self.run(FIND, selector, text)

    def find(self, selector, text=None, seconds=15):
        return wait_until(lambda: self.find_all(selector, text), seconds, f"{selector} with {text!r}")[-1]

    def click(self, selector, text=None):
        self.run("arguments[0].click()", self.find(selector, text))

    @property
    def text(self):
        """The page as a person reads it, in its order."""
        return self.run(TEXT)

    def reads(self, words, seconds=15):
        def there():
            return words in self.text
        wait_until(there, seconds, f"{words!r} on the page: {self.text[-1500:]}", every=0.1)

    def errors(self):
        """The console's complaints since the last call.  Where a page names no icon, the browser asks for a favicon unasked."""
        entries = [entry for entry in self.driver.get_log("browser") if entry["level"] in ("SEVERE", "WARNING")]
        return [entry["message"] for entry in entries if "/favicon.ico - " not in entry["message"]]

    def transferred(self):
        """{path: bytes over the wire} since the last call."""
        sizes, names = {}, {}
        for entry in self.driver.get_log("performance"):
            event = json.loads(entry["message"])["message"]
            params = event["params"]
            if event["method"] == "Network.responseReceived":
                names[params["requestId"]] = params["response"]["url"]
            elif event["method"] == "Network.loadingFinished" and params["requestId"] in names:
                sizes[names[params["requestId"]]] = int(params["encodedDataLength"])
        return sizes

    def violations(self):
        """Findings of axe-core, as (rule, what it is about)."""
        self.cdp("Runtime.evaluate", expression=AXE)
        found = self.driver.execute_async_script(
            "const done = arguments[0]; axe.run(document, {resultTypes: ['violations']}).then(done, (e) => done({error: String(e)}))")
        assert "error" not in found, found
        return [(v["id"], [n["html"][:160] + " | " + (n.get("failureSummary") or "")[:200] for n in v["nodes"][:4]]) for v in found["violations"]]

    def media(self, **features):
        self.cdp("Emulation.setEmulatedMedia", media=features.pop("media", ""), features=[{"name": n.replace("_", "-"), "value": v} for n, v in features.items()])

    def size(self, width, height=900):
        self.cdp("Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=False)

    def picture(self, path, *nodes):
        """The whole page as a PNG, or the elements from the first to the last, with a margin."""
        import base64
        clip = {"clip": self.run("""const first = arguments[0].getBoundingClientRect();
            const height = arguments[arguments.length - 1].getBoundingClientRect().bottom - first.top;
            return {x: first.x + scrollX - 14, y: first.y + scrollY - 14, width: first.width + 28, height: height + 28, scale: 1};""",
                                 *nodes)} if nodes else {}
        shot = self.cdp("Page.captureScreenshot", captureBeyondViewport=True, **clip)
        pathlib.Path(path).write_bytes(base64.b64decode(shot["data"]))
