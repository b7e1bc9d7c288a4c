"""What scripts/sites compares with: Scrapy follows all links below an address, and writes one JSON object a page.

usage: spider.py URL [--extract]     --extract: trafilatura turns each page into Markdown, in the same process
"""

import json
import sys
import urllib.parse

import scrapy
from scrapy.crawler import CrawlerProcess
from scrapy.linkextractors import LinkExtractor

EXTRACT = "--extract" in sys.argv
if EXTRACT:
    import trafilatura


class Pages(scrapy.Spider):
    name = "pages"
    start_urls = [sys.argv[1]]
    prefix = urllib.parse.urljoin(sys.argv[1], ".")
    links = LinkExtractor()

    def parse(self, response):
        row = {"url": response.url, "status": response.status, "type": response.headers.get("Content-Type", b"").decode()}
        row["asked"] = response.meta.get("redirect_urls", [])
        html = isinstance(response, scrapy.http.HtmlResponse)
        if EXTRACT and html:
            text = trafilatura.extract(response.text, url=response.url, output_format="markdown", include_tables=True)
            row["characters"] = len(text or "")
        print(json.dumps(row))
        if html and response.url.startswith(self.prefix):
            for link in self.links.extract_links(response):
                url = link.url.partition("#")[0]
                if url.startswith(self.prefix):
                    yield scrapy.Request(url, self.parse)


process = CrawlerProcess({
    "ROBOTSTXT_OBEY": True,
    "CONCURRENT_REQUESTS": 8,
    "CONCURRENT_REQUESTS_PER_DOMAIN": 8,
    "DOWNLOAD_DELAY": 0,
    "LOG_LEVEL": "ERROR",
    "TELNETCONSOLE_ENABLED": False,
    "USER_AGENT": "scrapy",
    # A page whose meta refresh leads on is a page, too.
    "METAREFRESH_ENABLED": False,
})
process.crawl(Pages)
process.start()
