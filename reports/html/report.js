"use strict";
/* The browser of samples: form, list and the chosen sample. Texts reach the page as text nodes only. */
(function () {
  const ROW_HEIGHT = 60;      // as in report.css
  const OVERSCAN = 6;         // rows drawn beyond what is seen
  const LIST_LIMIT = 250000;  // browsers draw nothing beyond some 17 million pixels
  const PIECES_AT_ONCE = 24;

  const byId = (id) => document.getElementById(id);
  const form = byId("filter"), list = byId("list"), found = byId("found"), shown = byId("sample");

  function element(tag, attributes, ...children) {
    const node = document.createElement(tag);
    for (const [name, value] of Object.entries(attributes || {}))
      if (value !== null && value !== undefined && value !== false) node.setAttribute(name, value);
    node.append(...children);
    return node;
  }

  /* --- the samples' side of the page: a worker, or the page itself ------------------------------------------- */

  function openPort() {
    try {
      const source = new Blob([byId("samples-script").textContent], { type: "text/javascript" });
      return new Worker(URL.createObjectURL(source));
    } catch (error) {
      const channel = new MessageChannel();
      serveSamples(channel.port1);
      return channel.port2;
    }
  }

  function sendPieces(port) {
    const scripts = document.querySelectorAll("script.samples");
    let first = 0;
    (function next() {
      const texts = [];
      for (let i = first; i < Math.min(first + PIECES_AT_ONCE, scripts.length); i++) texts.push(scripts[i].textContent);
      const last = first + texts.length === scripts.length;
      port.postMessage({ type: "pieces", first, texts, last });
      first += texts.length;
      if (!last) setTimeout(next);
    })();
  }

  const index = JSON.parse(byId("sample-index").textContent);
  const port = openPort();
  port.postMessage({ type: "open", index });
  sendPieces(port);

  /* --- finding ------------------------------------------------------------------------------------------------ */

  const total = index.blocks.reduce((sum, rows) => sum + rows, 0);
  let question = 0;
  let rows = new Uint32Array(0);
  let fresh = false; // nothing of the newest question has come back yet
  const known = new Map(); // row → sample; only what was drawn lately
  const asked = new Set();

  function filterOf() {
    const data = new FormData(form);
    const number = (name) => Number(data.get(name));
    return {
      text: data.get("text"), task: data.get("task"), language: data.get("language"), verdict: data.get("verdict"),
      scorer: data.get("scorer"), system: number("system"), other: number("other"),
    };
  }

  function ask() {
    question++;
    fresh = true;
    found.dataset.state = "searching";
    port.postMessage({ type: "find", id: question, filter: filterOf() });
  }

  function take(message) {
    if (message.id !== question) return;
    if (fresh) {
      rows = message.rows;
      list.scrollTop = 0;
      choose(-1);
    } else if (message.rows.length) {
      const both = new Uint32Array(rows.length + message.rows.length);
      both.set(rows);
      both.set(message.rows, rows.length);
      rows = both;
    }
    fresh = false;
    const number = (n) => n.toLocaleString("en");
    const limit = rows.length > LIST_LIMIT ? `; the first ${number(LIST_LIMIT)} are listed` : "";
    const part = message.done ? "" : ` so far, ${Math.floor(message.part * 100)} % searched`;
    found.textContent = `${number(rows.length)} of ${number(total)} samples${part}${limit}`;
    found.dataset.state = message.done ? "done" : "searching";
    draw();
  }

  /* --- the list: only the rows that are seen exist --------------------------------------------------------------- */

  const room = element("div", { role: "presentation", class: "room" });
  list.append(room);
  let chosen = -1; // place in `rows`

  const length = () => Math.min(rows.length, LIST_LIMIT);

  function range() {
    const first = Math.max(0, Math.floor(list.scrollTop / ROW_HEIGHT) - OVERSCAN);
    const last = Math.min(length(), Math.ceil((list.scrollTop + list.clientHeight) / ROW_HEIGHT) + OVERSCAN);
    return [first, last];
  }

  function draw() {
    const [first, last] = range();
    room.style.height = `${length() * ROW_HEIGHT}px`;
    const wanted = [];
    const options = [];
    for (let place = first; place < last; place++) {
      const sample = known.get(rows[place]);
      if (!sample && !asked.has(rows[place])) wanted.push(rows[place]);
      options.push(option(place, sample));
    }
    room.replaceChildren(...options);
    list.setAttribute("aria-busy", String(wanted.length > 0));
    if (chosen >= first && chosen < last) list.setAttribute("aria-activedescendant", `option-${chosen}`);
    else list.removeAttribute("aria-activedescendant");
    if (!wanted.length) return;
    wanted.forEach((row) => asked.add(row));
    port.postMessage({ type: "rows", id: 0, rows: wanted });
  }

  const MARKS = { right: "✓", wrong: "✗", error: "!", none: "–" };

  function outcome(flags, scorer) {
    if (!(flags & FLAG.answered)) return "none";
    if (flags & FLAG.error) return "error";
    return flags & FLAG[scorer] ? "right" : "wrong";
  }

  function option(place, sample) {
    const node = element("div", {
      role: "option", id: `option-${place}`, "aria-selected": String(place === chosen), "aria-posinset": place + 1,
      "aria-setsize": length(), style: `top:${place * ROW_HEIGHT}px`, "data-place": place,
    });
    if (!sample) return node;
    const scorer = form.elements.scorer.value;
    const marks = element("span", { class: "marks" });
    const spoken = [];
    sample.systems.forEach((system, s) => {
      const kind = outcome(system.flags, scorer), name = index.systems[s];
      marks.append(element("span", { class: `mark ${kind}`, title: `${name}: ${kind}`, "aria-hidden": "true" }, MARKS[kind]));
      spoken.push(`${name}: ${kind === "none" ? "not answered" : kind}`);
    });
    const place_of = `${sample.cell.title} ${sample.cell.language} ${sample.docId}`;
    node.append(
      element("span", { class: "head" }, element("span", { class: "where" }, place_of), marks),
      element("span", { class: "hidden-text" }, ` ${spoken.join(", ")}. `),
      text("span", "snippet", sample.main.slice(0, 300).replace(/\s+/g, " "), sample.cell));
    return node;
  }

  /* An element whose text is in the sample's language and runs its way. */
  function text(tag, name, content, cell) {
    return element(tag, { class: name, lang: cell.language, dir: cell.rtl ? "rtl" : "ltr" }, content);
  }

  /* --- the chosen sample ------------------------------------------------------------------------------------------ */

  function choose(place) {
    chosen = place;
    if (place < 0) {
      shown.replaceChildren(element("p", { class: "note" }, "Choose a sample to read it."));
      return;
    }
    const top = place * ROW_HEIGHT;
    if (top < list.scrollTop) list.scrollTop = top;
    else if (top + ROW_HEIGHT > list.scrollTop + list.clientHeight) list.scrollTop = top + ROW_HEIGHT - list.clientHeight;
    draw();
    const sample = known.get(rows[place]);
    if (sample) show(sample);
  }

  /* The text with what was searched for marked. */
  function marked(content) {
    const terms = searchTerms(form.elements.text.value).map((term) => term.replace(/[.*+?^${}()|[\]\\]/g, "\\$&"));
    const nodes = [];
    let at = 0;
    if (terms.length)
      for (const match of content.matchAll(new RegExp(terms.join("|"), "giu"))) {
        nodes.push(content.slice(at, match.index), element("mark", {}, match[0]));
        at = match.index + match[0].length;
      }
    nodes.push(content.slice(at));
    return nodes;
  }

  function block(content, attributes) {
    return element("pre", attributes, ...marked(content));
  }

  function folded(title, content) {
    if (!content) return "";
    return element("details", {}, element("summary", {}, title), block(content, { dir: "auto" }));
  }

  const ENDS = [[FLAG.error, "error"], [FLAG.length, "cut off at the token limit"], [FLAG.stop, "stop text"]];

  function facts(system) {
    const { flags } = system, said = (right) => (flags & right ? "right" : "wrong");
    const items = [];
    if (!(flags & FLAG.error)) {
      items.push(["paper", `${said(FLAG.paper)}, read ${system.paper || "nothing"}`]);
      items.push(["strict", flags & FLAG.unparsed ? "unparsed" : `${said(FLAG.strict)}, read ${system.strict || "nothing"}`]);
    }
    const end = ENDS.find(([flag]) => flags & flag);
    items.push(["ended", end ? end[1] : "end of text"]);
    if (flags & FLAG.truncated) items.push(["input", "truncated"]);
    const [prompt, source, answer] = system.tokens;
    items.push(["tokens", `${prompt} prompt, ${source} encoder, ${answer} answer`]);
    const nodes = items.map(([name, value]) => element("div", {}, element("dt", {}, name), element("dd", { dir: "auto" }, value)));
    return element("dl", { class: "facts" }, ...nodes);
  }

  function answer(system, s) {
    if (!(system.flags & FLAG.answered)) return "";
    const kind = outcome(system.flags, form.elements.scorer.value);
    return element("section", { class: "answer", "aria-label": `Answer of ${index.systems[s]}` },
      element("h4", {}, element("span", { class: `mark ${kind}`, "aria-hidden": "true" }, MARKS[kind]),
        ` ${index.systems[s]} `, element("span", { class: "kind" }, kind)),
      block(system.answer, { dir: "auto", class: "output" }), facts(system),
      folded("Prompt", system.prompt), folded("Text the encoder read", system.source));
  }

  function item(doc) {
    try {
      return JSON.stringify(JSON.parse(doc), null, 2);
    } catch (error) {
      return doc;
    }
  }

  function show(sample) {
    const { cell } = sample;
    shown.replaceChildren(
      element("h3", {}, `${cell.title}, ${cell.name}, item ${sample.docId}`),
      element("pre", { class: "main", lang: cell.language, dir: cell.rtl ? "rtl" : "ltr" }, ...marked(sample.main)),
      element("p", { class: "target" }, element("span", { class: "name" }, "Expected: "), element("b", { dir: "auto" }, sample.target)),
      ...sample.systems.map(answer), folded("Item of the data file", sample.doc && item(sample.doc)));
    shown.dataset.row = sample.row;
    shown.scrollTop = 0;
  }

  function receive(samples) {
    if (known.size > 2000) known.clear();
    for (const sample of samples) {
      known.set(sample.row, sample);
      asked.delete(sample.row);
    }
    draw();
    const current = chosen < 0 ? null : known.get(rows[chosen]);
    if (current && shown.dataset.row !== String(current.row)) show(current);
  }

  /* --- events ------------------------------------------------------------------------------------------------------ */

  port.onmessage = (event) => {
    const message = event.data;
    if (message.type === "found") take(message);
    else if (message.type === "rows") receive(message.samples);
    else failed(message.message);
  };
  port.onerror = (event) => failed(event.message);

  function failed(message) {
    const note = byId("browser-failed");
    note.textContent = `The samples cannot be shown: ${message}`;
    note.hidden = false;
  }

  const KEYS = {
    ArrowDown: () => 1, ArrowUp: () => -1, Home: () => -Infinity, End: () => Infinity,
    PageDown: () => Math.floor(list.clientHeight / ROW_HEIGHT), PageUp: () => -Math.floor(list.clientHeight / ROW_HEIGHT),
  };
  list.addEventListener("keydown", (event) => {
    const step = KEYS[event.key];
    if (!step || !rows.length) return;
    event.preventDefault();
    choose(Math.max(0, Math.min(length() - 1, Math.max(chosen, -1) + step())));
  });
  list.addEventListener("click", (event) => {
    const node = event.target.closest("[data-place]");
    if (!node) return;
    choose(Number(node.dataset.place));
    if (getComputedStyle(list.parentElement).flexDirection === "column") shown.scrollIntoView({ block: "nearest" });
  });
  let drawing = false;
  list.addEventListener("scroll", () => {
    if (drawing) return;
    drawing = true;
    requestAnimationFrame(() => {
      drawing = false;
      draw();
    });
  });
  window.addEventListener("resize", draw);
  form.addEventListener("submit", (event) => event.preventDefault());
  form.addEventListener("input", () => {
    form.elements.other.disabled = !(form.elements.verdict.value in FLIPS);
    ask();
  });
  form.addEventListener("reset", () => setTimeout(() => {
    form.elements.other.disabled = true;
    ask();
  }));

  /* --- start -------------------------------------------------------------------------------------------------------- */

  function addOptions(select, pairs) {
    const seen = new Set();
    for (const [value, name] of pairs) {
      if (!seen.has(value)) select.append(element("option", { value }, name));
      seen.add(value);
    }
  }
  const systems = index.systems.map((name, s) => [String(s), name]);
  addOptions(form.elements.task, index.cells.map((cell) => [cell.task, cell.title]));
  addOptions(form.elements.language, index.cells.map((cell) => [cell.language, `${cell.language} ${cell.name}`]));
  addOptions(form.elements.system, systems);
  addOptions(form.elements.other, systems);
  form.elements.other.disabled = true;
  byId("browser").hidden = false;
  ask();
})();
