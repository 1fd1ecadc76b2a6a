"""Search finds numbers: 28,672 and 28672 are one word.

Sphinx cuts '28,672' in two and leaves out of a query what is all digits. Here a number becomes one word that begins
with letters, in the index and in the query alike. Excerpts begin where the number stands as the page writes it, and
leave the page's buttons out.
"""

from __future__ import annotations

import re

from sphinx.search.en import SearchEnglish

_NUMBER = re.compile(r"(?<![\w.,])(\d{1,3}(?:[,_]\d{3})+|\d{2,})(?![\w])")


def joined(text: str) -> str:
    """'28,672 features' → 'number28672 features'."""
    return _NUMBER.sub(lambda found: "number" + re.sub("[,_]", "", found[0]), text)


class Search(SearchEnglish):
    # The same two steps in the browser: join, then split as Sphinx does.
    js_splitter_code = r"""
var splitQuery = (query) => query
  .replace(/(?<![\p{Letter}\p{Number}_.,])(\d{1,3}(?:[,_]\d{3})+|\d{2,})(?![\p{Letter}\p{Number}_])/gu,
           (found) => "number" + found.replace(/[,_]/g, ""))
  .split(/[^\p{Letter}\p{Number}_\p{Emoji_Presentation}]+/gu)
  .filter(term => term);

if (typeof Search !== "undefined") {  // on the search page, whose script is there before this one
  const { htmlToText, makeSearchSummary } = Search;
  Search.htmlToText = (html, anchor) => {
    const page = new DOMParser().parseFromString(html, "text/html");
    const around = ".bd-header-article, #jb-print-docs-body, .prev-next-footer";
    page.querySelectorAll(around).forEach((part) => part.remove());
    return htmlToText(page.documentElement.outerHTML, anchor);
  };
  Search.makeSearchSummary = (html, keywords, anchor) => {
    const written = [...keywords].flatMap((word) => {
      const digits = word.match(/^number(\d+)$/)?.[1];
      return digits ? [digits, Number(digits).toLocaleString("en-US")] : [word];
    });
    return makeSearchSummary(html, new Set(written), anchor);
  };
}
"""

    def split(self, input: str) -> list[str]:
        return super().split(joined(input))


def setup(app) -> dict:
    app.add_search_language(Search)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
