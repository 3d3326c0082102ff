/* Run inside the page by test_html_browser.py: what is hard to read or has no name. Returns a list of complaints. */
function parseColor(text) {
  const numbers = text.match(/[\d.]+/g).map(Number);
  return { r: numbers[0], g: numbers[1], b: numbers[2], a: numbers.length > 3 ? numbers[3] : 1 };
}

function over(top, bottom) {
  const mix = (t, b) => t * top.a + b * (1 - top.a);
  return { r: mix(top.r, bottom.r), g: mix(top.g, bottom.g), b: mix(top.b, bottom.b), a: 1 };
}

/* WCAG 2.2, relative luminance and contrast ratio. */
function luminance({ r, g, b }) {
  const part = (v) => (v / 255 <= 0.04045 ? v / 255 / 12.92 : ((v / 255 + 0.055) / 1.055) ** 2.4);
  return 0.2126 * part(r) + 0.7152 * part(g) + 0.0722 * part(b);
}

function contrast(a, b) {
  const [high, low] = [luminance(a), luminance(b)].sort((x, y) => y - x);
  return (high + 0.05) / (low + 0.05);
}

function groundOf(element) {
  const layers = [];
  for (let at = element; at; at = at.parentElement) layers.push(parseColor(getComputedStyle(at).backgroundColor));
  return layers.reverse().reduce((below, layer) => over(layer, below), { r: 255, g: 255, b: 255, a: 1 });
}

function hardToRead() {
  const complaints = [];
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  for (let node = walker.nextNode(); node; node = walker.nextNode()) {
    const element = node.parentElement, style = getComputedStyle(element);
    if (!node.data.trim() || element.closest("script, style, noscript, title, desc, option, .hidden-text, :disabled")) continue;
    if (!element.getClientRects().length || style.visibility === "hidden") continue;
    const svg = element.closest("svg");
    const ground = groundOf(svg ? svg.parentElement : element);
    const ink = over(parseColor(svg ? style.fill : style.color), ground);
    const size = parseFloat(style.fontSize), bold = Number(style.fontWeight) >= 700;
    const needed = size >= 24 || (bold && size >= 18.66) ? 3 : 4.5;
    const ratio = contrast(ink, ground);
    if (ratio < needed) complaints.push(`${ratio.toFixed(2)}:1 <${element.tagName} class="${element.getAttribute("class")}"> ${node.data.trim().slice(0, 40)}`);
  }
  return complaints;
}

function nameless() {
  const complaints = [];
  const named = (e) => e.getAttribute("aria-label") || e.getAttribute("aria-labelledby") || e.title ||
    (e.labels && [...e.labels].some((label) => label.textContent.trim())) || (e.tagName !== "SELECT" && e.textContent.trim());
  for (const e of document.querySelectorAll("input, select, button, a, [role=region], [role=listbox], [role=option], [role=search], nav, section, summary"))
    if (!named(e) && e.getClientRects().length) complaints.push(`no name: ${e.outerHTML.slice(0, 80)}`);
  for (const e of document.querySelectorAll("img")) if (!e.alt) complaints.push(`no alt: ${e.outerHTML.slice(0, 80)}`);
  for (const e of document.querySelectorAll("th")) if (!e.scope) complaints.push(`no scope: ${e.outerHTML.slice(0, 80)}`);
  for (const e of document.querySelectorAll("svg.chart"))
    if (e.getAttribute("role") !== "img" || !e.querySelector("title, desc")) complaints.push("a chart without text alternative");
  for (const e of document.querySelectorAll("*"))
    if (e.scrollWidth > e.clientWidth + 1 && /auto|scroll/.test(getComputedStyle(e).overflowX) && e.tabIndex < 0 && e !== document.documentElement && e.tagName !== "UL" && e.tagName !== "PRE")
      complaints.push(`scrolls, but not by keyboard: ${e.outerHTML.slice(0, 80)}`);
  const ids = [...document.querySelectorAll("[id]")].map((e) => e.id);
  ids.filter((id, i) => ids.indexOf(id) !== i).forEach((id) => complaints.push(`id twice: ${id}`));
  let level = 0;
  for (const e of document.querySelectorAll("h1, h2, h3, h4")) {
    const own = Number(e.tagName[1]);
    if (own > level + 1) complaints.push(`heading ${e.textContent} skips a level`);
    level = own;
  }
  return complaints;
}
